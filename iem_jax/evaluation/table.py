"""One table over several runs: means with intervals, paired differences, and the published numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from iem_jax.evaluation.bootstrap import Mean, means_of
from iem_jax.evaluation.published import MEASURES, PUBLISHED
from iem_jax.evaluation.saliency import max_f

LABELS = {
    "accuracy": "accuracy",
    "iou": "IoU",
    "miou": "mIoU",
    "dice": "DICE",
    "accuracy_fixed": "accuracy fixed",
    "iou_fixed": "IoU fixed",
    "dice_fixed": "DICE fixed",
    "boundary_f": "boundary F",
    "max_f": "max F",
    "mae": "MAE",
}
MEASURED, DIFFERENCE, PAPER = "measured", "difference", "published"


class Scored(NamedTuple):
    """The scores of one run.

    Attributes:
      label: what it is called.
      names: of the pictures that have scores.
      scores: of each of them, by measure, (n,), from 0 to 1.
      curves: precision and recall of each at t thresholds, (n, 2, t).
      pictures: how many the run has, those without scores among them.
    """

    label: str
    names: tuple[str, ...]
    scores: Mapping[str, Float[np.ndarray, " n"]]
    curves: Float[np.ndarray, "n 2 t"]
    pictures: int


class Row(NamedTuple):
    """A row of the table, in percent.

    Attributes:
      label: of the run.
      kind: MEASURED, DIFFERENCE or PAPER.
      against: the run that a difference is taken from, else "".
      scored: how many pictures the means are over; 0 for published ones, where they are the paper's.
      pictures: how many the run has.
      cells: by measure.
    """

    label: str
    kind: str
    against: str
    scored: int
    pictures: int
    cells: Mapping[str, Mean]


def table_rows(runs: Sequence[Scored], dataset: str | None = None) -> list[Row]:
    """Return the rows of runs, their differences from the first one on the pictures that both have, published ones.

    Args:
      runs: at least one, each with scores.
      dataset: whose published numbers there are to be, if any.
    """
    rows = [_measure(run) for run in runs]
    rows += [_compare(run, runs[0]) for run in runs[1:]]
    return rows + list(_published(dataset))


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return the measures of a table, in their order."""
    return [key for key in LABELS if any(key in row.cells for row in rows)]


def _measure(run: Scored) -> Row:
    means = _means(run.scores) | {"max_f": Mean(100 * max_f(run.curves))}
    return Row(run.label, MEASURED, "", len(run.names), run.pictures, means)


def _compare(run: Scored, first: Scored) -> Row:
    places = {name: index for index, name in enumerate(first.names)}
    common = [(index, places[name]) for index, name in enumerate(run.names) if name in places]
    own, others = (list(indices) for indices in zip(*common, strict=True)) if common else ([], [])
    keys = [key for key in run.scores if key in first.scores]
    paired = {key: run.scores[key][own] - first.scores[key][others] for key in keys} if common else {}
    return Row(run.label, DIFFERENCE, first.label, len(common), len(common), _means(paired) if paired else {})


def _means(scores: Mapping[str, Float[np.ndarray, " n"]]) -> dict[str, Mean]:
    return dict(zip(scores, means_of(100 * np.stack(list(scores.values()), axis=-1)), strict=True))


def _published(dataset: str | None) -> Iterator[Row]:
    for label, numbers in PUBLISHED.get(dataset or "", {}).items():
        there = zip(MEASURES, numbers, strict=True)
        yield Row(label, PAPER, "", 0, 0, {key: Mean(number) for key, number in there if number is not None})
