"""The end of a run: tables, the summary, figures, the report, and what is said about it."""

import collections
import importlib.metadata
import math
from collections.abc import Callable
from typing import Any

from iem_jax.app.config import RunConfig, flatten
from iem_jax.app.progress import Output
from iem_jax.output.plots import write_figures
from iem_jax.output.report import report_chunks
from iem_jax.output.results import FAILED, Result, count_statuses, history_rows, metrics_rows
from iem_jax.segmenter.stream import Clock

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "pillow")
PARTS = ("import", "load", "compile", "compute", "write", "total")
SHOWN = {"accuracy": "accuracy", "iou": "IoU", "miou": "mIoU", "dice": "DICE"}


def write_tables(output: Output, config: RunConfig, results: list[Result], device: str, clock: Clock) -> None:
    """Write everything that is about all pictures.

    Raises:
      OutputError: a file cannot be written.
    """
    writer = output.writer
    assert writer is not None
    history = history_rows(results)
    writer.write_metrics(metrics_rows(results))
    writer.write_history(history)
    summary: dict[str, Any] = {
        "config": flatten(config),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": device,
        "seconds": {part: round(clock[part], 3) for part in PARTS},
        "counts": count_statuses(results),
        "scores": {key: value for key, value in history[-1].items() if key != "iteration"} if history else {},
        "problems": {result.name: result.problem for result in results if result.problem},
    }
    writer.write_summary(summary)
    rows = list(metrics_rows(results)) if config.products.figures or config.products.report else []
    if config.products.figures:
        write_figures(writer, history, rows)
    if config.products.report:
        shown = _facts(results, summary["scores"])
        writer.write_text("report.html", report_chunks(writer.folder, rows, summary["problems"], shown))
    output.finish()


def say_outcome(results: list[Result], tell: Callable[[str], None]) -> None:
    """Say how many pictures ended how, why some failed, and the mean scores."""
    counts = count_statuses(results)
    tell(", ".join(f"{number} {name}" for name, number in counts.items() if number))
    reasons = collections.Counter(result.problem.split(":")[0] for result in results if result.status == FAILED)
    for reason, number in reasons.most_common():
        tell(f"  {number:>6} failed: {reason}")
    history = history_rows(results)
    for key, value in _facts(results, history[-1] if history else {}).items():
        tell(f"  {value:>6} mean {key}") if key in SHOWN.values() else None


def _facts(results: list[Result], scores: dict[str, Any]) -> dict[str, str]:
    """Return the counts and the mean scores, by label."""
    counts = {name: str(number) for name, number in count_statuses(results).items() if number}
    means = {label: scores.get(key, math.nan) for key, label in SHOWN.items()}
    return counts | {label: f"{value:.3f}" for label, value in means.items() if not math.isnan(value)}
