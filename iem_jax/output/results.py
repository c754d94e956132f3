"""What became of each picture, as rows of tables and lines of text."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from iem_jax.core.solver import STATUSES
from iem_jax.data.loader import Loaded
from iem_jax.evaluation.metrics import SCORES, Scores, scores_from_counts
from iem_jax.finishing.judging import Judged
from iem_jax.segmenter.found import FAILED, UNCERTAIN, VALID, status_and_confidence


@dataclasses.dataclass(frozen=True)
class Result:
    """One picture's numbers; the scores are worked out when they are asked for, since they are many.

    Attributes:
      name: of the sample.
      status: one of `STATUSES`, "uncertain" for "ok" with a low confidence, or "failed" for a picture that could not
        be read.
      problem: what could not be read and why, else "".
      confidence: how far to believe the mask, in [0, 1]; None if failed.
      inp_error: (T,), of the mask before each iteration; None if failed.
      area: (T,), foreground pixels of the mask after each iteration; None if failed.
      overlap: (T,), those of them that are foreground in the ground truth; None without one.
      truth_area: foreground pixels of the ground truth.
      pixels: all pixels of the ground truth.
    """

    name: str
    status: str
    problem: str = ""
    confidence: float | None = None
    inp_error: Float[np.ndarray, " t"] | None = None
    area: Integer[np.ndarray, " t"] | None = None
    overlap: Integer[np.ndarray, " t"] | None = None
    truth_area: int = 0
    pixels: int = 0

    @property
    def scores(self) -> Scores | None:
        """Fields (T,), of the mask after each iteration; None without a ground truth, NaN if it is empty or full."""
        if self.area is None or self.overlap is None:
            return None
        area, overlap = (np.asarray(x, np.float64) for x in (self.area, self.overlap))
        return scores_from_counts(area, overlap, float(self.truth_area), self.pixels)

    @property
    def is_scored(self) -> bool:
        """Whether there are scores, and not NaN."""
        return self.overlap is not None and 0 < self.truth_area < self.pixels


def make_result(item: Loaded, judged: Judged | None) -> Result:
    """Return the result of one picture (unbatched, NumPy), None if it could not be read."""
    name, truth = item.sample.name, item.ground_truth
    if judged is None:
        return Result(name, FAILED, item.problem)
    status, certainty = status_and_confidence(judged)
    inp_error, area, overlap = (np.array(field) for field in judged.segmentation.info)
    pixels, truth_area = judged.mask.size, 0 if truth is None else int(truth.sum())
    if item.placement is not None:
        left, top, right, bottom = item.placement.box
        pixels = (right - left) * (bottom - top)
    if judged.is_turned:
        area, overlap = pixels - area, truth_area - overlap
    numbers = Result(name, status, item.problem, certainty, inp_error, area)
    if truth is None:
        return numbers
    return dataclasses.replace(numbers, overlap=overlap, truth_area=truth_area, pixels=pixels)


def to_record(result: Result) -> dict[str, Any]:
    """Return a result as JSON knows it; `from_record` brings it back to the bit."""
    record = dataclasses.asdict(result)
    for key in ("inp_error", "area", "overlap"):
        value = record[key]
        if value is not None and value.dtype.kind == "f":
            record[key] = [float(str(number)) for number in value]  # the shortest text that is this float32
        elif value is not None:
            record[key] = value.tolist()
    return record


def from_record(record: Mapping[str, Any]) -> Result:
    """Return the result that `to_record` made a record of.

    Raises:
      KeyError, TypeError, ValueError: it made no such record.
    """
    kinds = {"inp_error": np.float32, "area": np.int32, "overlap": np.int32}
    fields: dict[str, Any] = {field.name: record[field.name] for field in dataclasses.fields(Result)}
    for key, kind in kinds.items():
        fields[key] = None if fields[key] is None else np.array(fields[key], kind)
    return Result(**fields)


def metrics_rows(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield the final numbers of each picture."""
    for result in results:
        row: dict[str, Any] = {"name": result.name, "status": result.status}
        if result.inp_error is not None:
            row |= {"inp_error": float(result.inp_error[-1]), "confidence": result.confidence}
        if (scores := result.scores) is not None:
            row |= {key: float(value[-1]) for key, value in scores._asdict().items() if key != "miou"}
        yield row


def history_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the means over valid pictures after each iteration; no scores where no picture has a ground truth."""
    valid = [result for result in results if result.status in VALID]
    if not valid:
        return []
    columns: dict[str, Any] = {"inp_error": _mean(result.inp_error for result in valid)}
    scored = [result for result in valid if result.is_scored]
    if scored:
        means = _mean(np.stack(list(result.scores or ())) for result in scored)
        columns |= dict(zip(SCORES, means, strict=True))
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
    scored = sum(result.is_scored for result in results)
    return {
        "pictures": len(results),
        **{name: counts[name] for name in (STATUSES[0], UNCERTAIN, *STATUSES[1:], FAILED)},
        "scored": scored,
    }


def _mean(arrays: Iterable[Any]) -> np.ndarray:
    """Average in float64, one array at a time, so that a million pictures need no more memory than two."""
    total, number = np.zeros(()), 0
    for array in arrays:
        total, number = total + np.asarray(array, np.float64), number + 1
    return total / number
