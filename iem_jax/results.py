"""What became of each picture, as rows of tables and lines of text."""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from iem_jax.data.loader import Loaded
from iem_jax.metrics import Scores, scores_from_counts
from iem_jax.solver import STATUSES, Segmentation

FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Result:
    """One picture's numbers.

    Attributes:
      name: of the sample.
      status: one of `STATUSES`, or "failed" for a picture that could not be read.
      problem: what could not be read and why, else "".
      inp_error: (T,), of the mask before each iteration; None if failed.
      scores: fields (T,), of the mask after each iteration; None without a ground truth.
    """

    name: str
    status: str
    problem: str = ""
    inp_error: Float[np.ndarray, " t"] | None = None
    scores: Scores | None = None


def make_result(item: Loaded, segmentation: Segmentation | None) -> Result:
    """Return the result of one picture from its segmentation (unbatched, NumPy), None if it could not be read."""
    if segmentation is None:
        return Result(item.sample.name, FAILED, item.problem)
    scores = None
    if item.ground_truth is not None:
        area, overlap = (np.asarray(x, np.float64) for x in (segmentation.info.area, segmentation.info.overlap))
        scores = scores_from_counts(area, overlap, float(item.ground_truth.sum()), item.ground_truth.size)
    status = STATUSES[int(segmentation.status)]
    return Result(item.sample.name, status, item.problem, np.array(segmentation.info.inp_error), scores)


def metrics_rows(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """Yield the final numbers of each picture."""
    for result in results:
        row: dict[str, Any] = {"name": result.name, "status": result.status}
        if result.inp_error is not None:
            row["inp_error"] = float(result.inp_error[-1])
        if result.scores is not None:
            row |= {key: float(value[-1]) for key, value in result.scores._asdict().items() if key != "miou"}
        yield row


def history_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the means over valid pictures after each iteration; no scores where no picture has a ground truth."""
    valid = [result for result in results if result.status == STATUSES[0]]
    if not valid:
        return []
    columns: dict[str, Any] = {
        "inp_error": np.mean([np.asarray(result.inp_error) for result in valid], axis=0, dtype=np.float64)
    }
    scored = [result.scores for result in valid if result.scores is not None and not np.isnan(result.scores.iou[-1])]
    if scored:
        columns |= {key: np.mean([getattr(scores, key) for scores in scored], axis=0) for key in Scores._fields}
    return [
        {"iteration": iteration} | {key: float(column[iteration]) for key, column in columns.items()}
        for iteration in range(len(columns["inp_error"]))
    ]


def history_line(row: dict[str, Any]) -> str:
    """Return the line that the reference prints for an iteration."""
    line = f"\tIter {row['iteration']:>3}: InpError {row['inp_error']:.3f}"
    return line + (f" IoU {row['iou']:.3f} DICE {row['dice']:.3f}" if "iou" in row else "")


def count_statuses(results: Sequence[Result]) -> dict[str, int]:
    """Count pictures by status, and those that have scores."""
    counts = collections.Counter(result.status for result in results)
    scored = sum(result.scores is not None and not math.isnan(result.scores.iou[-1]) for result in results)
    return {"pictures": len(results), **{name: counts[name] for name in (*STATUSES, FAILED)}, "scored": scored}
