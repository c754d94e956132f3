"""`--evaluate`: one table over finished runs, or over any folders of masks beside ground truths."""

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from iem_jax.app.scored import score_masks_of, score_run
from iem_jax.config import UsageError
from iem_jax.data.names import printable
from iem_jax.evaluation.published import PUBLISHED
from iem_jax.evaluation.table import Row, table_rows
from iem_jax.output.finished import Finished, find_finished, is_run, read_finished
from iem_jax.output.tabular import csv_lines, latex_lines, plot_table, text_lines
from iem_jax.output.writer import OutputError, Writer

SAME = ("dataset", "split", "images")  # settings by which runs are about the same pictures
SQUARE = ("size", "fit", "resolution")  # with these the same, ground truths must be the same to the pixel
NOT_WITH = ("dataset_path", "images", "refine", "refine_checkpoint", "download", "export", "apply_review")
RULE = "`evaluate` must be runs on the same pictures"
SHOWN = 5  # pictures that cannot be scored


class Request(NamedTuple):
    """What is to be evaluated."""

    sources: list[str]  # runs, folders of runs, or folders of masks
    masks: str | None  # ground truths; None takes what the runs measured
    boundary: bool
    output_dir: str | None
    quiet: bool


def run_evaluation(values: Mapping[str, Any]) -> int:
    """Write the table to standard output, and to `output_dir` as text, CSV, LaTeX and a plot.

    Args:
      values: of the flags.

    Returns:
      The exit status: 0; 1 if some masks could not be scored or a file could not be written.

    Raises:
      UsageError: there is nothing to evaluate, or not of the same pictures.
    """
    request = _read_request(values)
    problems: list[str] = []
    if request.masks is None:
        finished = [read_finished(folder) for folder in _find_runs(request.sources)]
        _check_same(finished)
        labels = _labels([run.folder for run in finished])
        scored = [score_run(run, label, request.boundary) for run, label in zip(finished, labels, strict=True)]
        dataset = finished[0].settings.get("dataset")
    else:
        folders = [_masks_of(Path(source)) for source in request.sources]
        named = zip(folders, _labels(folders), strict=True)
        scored = [score_masks_of(*folder, request.masks, request.boundary, problems.append) for folder in named]
        dataset = None
    _say_problems(problems)
    rows = table_rows(scored, dataset if dataset in PUBLISHED else None)
    for line in text_lines(rows):
        print(line)
    return _write(rows, request) or int(bool(problems))


def _read_request(values: Mapping[str, Any]) -> Request:
    for name in NOT_WITH:
        if values[name]:
            raise UsageError(f"`evaluate` is about what was segmented before: leave `{name}` out, got {values[name]}.")
    sources = [os.path.expanduser(source.strip()) for source in values["evaluate"].split(",")]
    if not all(sources):
        raise UsageError(f"`evaluate` must be folders with commas between them, got {values['evaluate']!r}.")
    if len(set(map(os.path.realpath, sources))) < len(sources):
        raise UsageError(f"`evaluate` must name each folder once, got {values['evaluate']!r}.")
    return Request(sources, *(values[name] for name in ("masks", "boundary", "output_dir", "quiet")))


def _find_runs(sources: Iterable[str]) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        if not Path(source).is_dir():
            raise UsageError(f"`evaluate` must be folders of finished runs, there is no folder {source}.")
        runs = find_finished(Path(source))
        if not runs:
            raise UsageError(
                f"`evaluate` must be folders of finished runs, {source} holds none: masks of other tools need `masks`, "
                "the folder of their ground truths."
            )
        found += [run for run in runs if run not in found]
    return found


def _masks_of(folder: Path) -> Path:
    return folder / "masks" if is_run(folder) else folder


def _labels(folders: Sequence[Path]) -> list[str]:
    """Return what tells folders apart: their paths below the folder that they have in common."""
    if len(folders) == 1:
        return [os.path.basename(os.path.abspath(folders[0]))]
    paths = [os.path.abspath(folder) for folder in folders]
    common = os.path.commonpath(paths)
    return [os.path.relpath(path, common) if path != common else os.path.basename(path) for path in paths]


def _check_same(runs: Sequence[Finished]) -> None:
    """Check that runs are about the same pictures, as far as that is known."""
    first = runs[0]
    for run in runs[1:]:
        pair = f"{first.folder} and {run.folder}"
        for key in SAME:
            here, there = first.settings.get(key), run.settings.get(key)
            if here != there:
                raise UsageError(f"{RULE}, {pair} differ in {key}: {here}, {there}.")
        theirs = {result.name: result for result in run.results}
        both = [(result, theirs[result.name]) for result in first.results if result.name in theirs]
        if not both:
            raise UsageError(f"{RULE}, {pair} share none.")
        is_same_square = all(first.settings.get(key) == run.settings.get(key) for key in SQUARE)
        changed = next((a.name for a, b in both if a.is_scored and b.is_scored and a.truth_area != b.truth_area), None)
        if is_same_square and changed is not None:
            raise UsageError(f"{RULE}, the ground truth of {changed} differs in {pair}.")


def _say_problems(problems: Sequence[str]) -> None:
    for problem in problems[:SHOWN]:
        print(printable(problem), file=sys.stderr)
    if len(problems) > SHOWN:
        print(f"and {len(problems) - SHOWN} others", file=sys.stderr)


def _write(rows: Sequence[Row], request: Request) -> int:
    if request.output_dir is None:
        return 0
    writer = Writer(Path(request.output_dir))
    try:
        writer.write_text("evaluation.txt", (line + "\n" for line in text_lines(rows)))
        writer.write("evaluation.csv", lambda file: file.writelines(csv_lines(rows)))
        writer.write_text("evaluation.tex", latex_lines(rows))
        if importlib.util.find_spec("matplotlib") is not None:
            writer.write("evaluation.png", lambda file: file.write(plot_table(rows)))
        else:
            print("evaluation.png needs matplotlib: `pip install matplotlib`.", file=sys.stderr)
    except OutputError as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    if not request.quiet:
        print(f"the table is in {writer.folder}", file=sys.stderr)
    return 0
