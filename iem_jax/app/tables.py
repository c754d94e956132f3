"""The end of a run: tables, the summary, figures, the report, and what is said about it."""

import importlib.metadata
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from iem_jax.app.config import RunConfig, flatten
from iem_jax.app.progress import Output
from iem_jax.output.plots import write_figures
from iem_jax.output.report import report_chunks
from iem_jax.output.results import Counts, Means, Result, metrics_rows
from iem_jax.segmenter.stream import Clock

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "pillow")
PARTS = ("import", "load", "compile", "compute", "write", "total")
SHOWN = {"accuracy": "accuracy", "iou": "IoU", "miou": "mIoU", "dice": "DICE"}


class Tally:
    """What is known of all pictures together, as they come.

    Attributes:
      counts: how many ended how.
      means: over valid pictures.
      problems: why, by name.
      keep: whether the results are kept.
      kept: they, without what was before the last iteration.
    """

    def __init__(self, keep: bool = False):
        """Begin with no picture."""
        self.counts: Counts = Counts()
        self.means: Means = Means()
        self.keep: bool = keep
        self.problems: dict[str, str] = {}
        self.kept: list[Result] = []

    def add(self, result: Result) -> None:
        """Count a picture in, in the order of the run."""
        self.counts.add(result)
        self.means.add(result)
        if result.problem:
            self.problems[result.name] = result.problem
        if self.keep:
            self.kept.append(result.shortened())

    def watch(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield results, counting them in."""
        for result in results:
            self.add(result)
            yield result

    def facts(self) -> dict[str, str]:
        """Return the counts and the mean scores, by label."""
        counts = {name: str(number) for name, number in self.counts.by_status().items() if number}
        scores = self.scores()
        means = {label: scores.get(key, math.nan) for key, label in SHOWN.items()}
        return counts | {label: f"{value:.3f}" for label, value in means.items() if not math.isnan(value)}

    def scores(self) -> dict[str, float]:
        """Return the means after the last iteration."""
        rows = self.means.rows()
        return {key: value for key, value in rows[-1].items() if key != "iteration"} if rows else {}


def write_tables(output: Output, config: RunConfig, number: int, device: str, clock: Clock, tally: Tally) -> Tally:
    """Write everything that is about all pictures, as the manifest has them.

    Args:
      output: of the run.
      config: of the run.
      number: of pictures, the first ones, that the run came to.
      device: where it computed.
      clock: how long that took.
      tally: an empty one.

    Returns:
      The tally, with all pictures.

    Raises:
      OutputError: a file cannot be written.
    """
    writer = output.writer
    assert writer is not None
    output.name_tables(_tables(config))
    writer.write_metrics(metrics_rows(tally.watch(output.results(number))))
    history = tally.means.rows()
    writer.write_history(history)
    summary: dict[str, Any] = {
        "config": flatten(config),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": device,
        "seconds": {part: round(clock[part], 3) for part in PARTS},
        "counts": tally.counts.by_status(),
        "scores": tally.scores(),
        "problems": tally.problems,
    }
    writer.write_summary(summary)
    rows = Rows(lambda: metrics_rows(output.results(number)))
    if config.products.figures:
        write_figures(writer, history, rows)
    if config.products.report:
        page = report_chunks(writer.folder, rows, tally.problems, tally.facts(), writer.mark)
        writer.write_text("report.html", page)
    output.finish(config.output.prune)
    return tally


class Rows:
    """A table that is made anew each time that it is gone through."""

    def __init__(self, make: Callable[[], Iterator[dict[str, Any]]]):
        """Take what makes it."""
        self._make = make

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._make()


def _tables(config: RunConfig) -> list[str]:
    """Return which files about all pictures a run writes."""
    products = config.products
    return [
        *("metrics.csv", "history.csv", "summary.json"),
        *(["figures/history.png", "figures/contact_sheet.png"] if products.figures else []),
        *(["report.html"] if products.report else []),
        *(["contact_sheet.png"] if config.source.is_demo else []),
    ]


def say_outcome(tally: Tally, tell: Callable[[str], None]) -> None:
    """Say how many pictures ended how, why some failed, and the mean scores."""
    tell(", ".join(f"{number} {name}" for name, number in tally.counts.by_status().items() if number))
    for reason, number in tally.counts.reasons.most_common():
        tell(f"  {number:>6} failed: {reason}")
    for key, value in tally.facts().items():
        tell(f"  {value:>6} mean {key}") if key in SHOWN.values() else None
