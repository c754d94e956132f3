"""What became of each picture, as rows of tables and lines of text."""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from iem_jax.core.solver import INVALID, STATUSES
from iem_jax.data.loader import Loaded
from iem_jax.evaluation.metrics import SCORES, scores_from_counts
from iem_jax.finishing.judging import Judged
from iem_jax.output.curves import Curve, identify_curve, pack_curve, unpack_curve
from iem_jax.segmenter.found import FAILED, UNCERTAIN, VALID, status_and_confidence

KNOWN = (*STATUSES, UNCERTAIN, FAILED)
BLOCK = 64  # pictures scored at a time


@dataclasses.dataclass(frozen=True)
class Result:
    """One picture's numbers; scores are worked out when they are asked for, since they are many.

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
    def is_scored(self) -> bool:
        """Whether there are scores, and not NaN."""
        return self.overlap is not None and 0 < self.truth_area < self.pixels

    def shortened(self) -> "Result":
        """Return the result without what was before the last iteration."""
        arrays = {key: getattr(self, key) for key in ("inp_error", "area", "overlap")}
        return dataclasses.replace(self, **{key: None if x is None else x[-1:].copy() for key, x in arrays.items()})


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


def to_record(result: Result) -> tuple[dict[str, Any], Curve | None]:
    """Return a result as JSON knows it, and as a row of curves.bin; `from_record` brings it back to the bit."""
    plain = ("name", "status", "problem", "confidence", "truth_area", "pixels")
    record: dict[str, Any] = {key: value for key in plain if (value := getattr(result, key)) not in (None, "", 0)}
    if result.confidence is not None:
        record["confidence"] = result.confidence  # be it 0
    if result.inp_error is None or result.area is None:
        return record, None
    curve = pack_curve(result.inp_error, result.area, result.overlap)
    return record | {"iterations": curve.shape[1], "curve": f"{identify_curve(curve.tobytes()):016x}"}, curve


def from_record(record: Mapping[str, Any], curve: Curve | None) -> Result:
    """Return the result that `to_record` made a record of.

    Raises:
      KeyError, TypeError, ValueError: it made no such record.
    """
    check_record(record, curve is not None)
    values = (record["name"], record["status"], record.get("problem", ""), record.get("confidence"))
    if curve is None:
        return Result(*values)
    inp_error, area, overlap = unpack_curve(curve)
    counts = (0, 0) if overlap is None else (record.get("truth_area", 0), record.get("pixels", 0))
    return Result(*values, inp_error, area, overlap, *counts)


def check_record(record: Mapping[str, Any], is_measured: bool) -> None:
    """Check what a record says by itself; `is_measured` if there is a curve.

    Raises:
      KeyError, TypeError, ValueError: `to_record` made no such record.
    """
    status, confidence = record["status"], record.get("confidence")
    if type(record["name"]) is not str or type(record.get("problem", "")) is not str or status not in KNOWN:
        raise TypeError("names and statuses are texts")
    for number in (record.get("truth_area", 0), record.get("pixels", 0)):
        if type(number) is not int or not 0 <= number < 2**53:
            raise TypeError("pixels are counted in integers")
    if confidence is not None and type(confidence) is not float:
        raise TypeError("a confidence is a number")
    if is_measured == (status == FAILED):
        raise ValueError("all pictures but those that failed have curves")


def metrics_rows(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield the final numbers of each picture."""
    for block in _blocks(results):
        scores = iter(_score(block, slice(-1, None)))
        for result in block:
            row: dict[str, Any] = {"name": result.name, "status": result.status}
            if result.inp_error is not None:
                row |= {"inp_error": float(result.inp_error[-1]), "confidence": result.confidence}
            if result.overlap is not None:
                values = zip(SCORES, next(scores)[:, 0].tolist(), strict=True)
                row |= {key: value for key, value in values if key != "miou"}
            yield row


class Means:
    """Means over valid pictures after each iteration, as running sums: a million pictures need no more than 64."""

    def __init__(self, results: Iterable[Result] = ()):
        """Begin with some."""
        self._waiting: list[Result] = []
        self._sums: dict[str, Any] = {"inp_error": np.zeros(()), "scores": np.zeros(())}
        self._numbers = dict.fromkeys(self._sums, 0)
        for result in results:
            self.add(result)

    def add(self, result: Result) -> None:
        """Count a picture in, in the order of the run: sums depend on it in their last bit."""
        if result.status in VALID:
            self._waiting.append(result)
            if len(self._waiting) == BLOCK:
                self._sum()

    def rows(self) -> list[dict[str, Any]]:
        """Return a row an iteration; no scores where no picture has a ground truth."""
        self._sum()
        if not self._numbers["inp_error"]:
            return []
        means = {key: self._sums[key] / number for key, number in self._numbers.items() if number}
        columns = {"inp_error": means["inp_error"]}
        if "scores" in means:
            columns |= dict(zip(SCORES, means["scores"], strict=True))
        return [
            {"iteration": iteration} | {key: float(column[iteration]) for key, column in columns.items()}
            for iteration in range(len(columns["inp_error"]))
        ]

    def _sum(self) -> None:
        found = {
            "inp_error": [result.inp_error for result in self._waiting],
            "scores": _score([result for result in self._waiting if result.is_scored], slice(None)),
        }
        self._waiting = []
        for key, arrays in found.items():
            if len(arrays):
                first = [np.broadcast_to(self._sums[key], arrays[0].shape)]
                # One after the other: `sum` would group them, which gives other last bits.
                self._sums[key] = np.add.accumulate(np.stack([*first, *arrays]).astype(np.float64))[-1]
                self._numbers[key] += len(arrays)


def history_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the means over valid pictures after each iteration."""
    return Means(results).rows()


def _score(results: Iterable[Result], iterations: slice) -> Float[np.ndarray, "n scores t"]:
    """Return the scores of those results that have any, `SCORES` in their order, after some of the iterations."""
    scored = [result for result in results if result.overlap is not None]
    if not scored:
        return np.zeros((0, len(SCORES), 0))
    rows = ([getattr(result, key)[iterations] for result in scored] for key in ("area", "overlap"))
    area, overlap = (np.stack(row).astype(np.float64) for row in rows)
    truth, pixels = np.array([[[float(result.truth_area)], [float(result.pixels)]] for result in scored]).swapaxes(0, 1)
    return np.stack(scores_from_counts(area, overlap, truth, pixels), axis=1)


def _blocks(results: Iterable[Result]) -> Iterator[list[Result]]:
    iterator = iter(results)
    while block := list(itertools.islice(iterator, BLOCK)):
        yield block


class Counts:
    """How many pictures ended how, as they come."""

    def __init__(self, results: Iterable[Result] = ()):
        """Begin with some."""
        self._statuses: collections.Counter[str] = collections.Counter()
        self.reasons: collections.Counter[str] = collections.Counter()
        self._scored = 0
        for result in results:
            self.add(result)

    def add(self, result: Result) -> None:
        """Count a picture in."""
        self._statuses[result.status] += 1
        self._scored += result.is_scored
        if result.status == FAILED:
            self.reasons[result.problem.split(":")[0]] += 1

    @property
    def failed(self) -> int:
        """Pictures that could not be used."""
        return self._statuses[FAILED]

    def by_status(self) -> dict[str, int]:
        """Return pictures by status, and how many have scores."""
        return {
            "pictures": self._statuses.total(),
            **{name: self._statuses[name] for name in (STATUSES[0], UNCERTAIN, *STATUSES[1:INVALID], FAILED)},
            "scored": self._scored,
        }


def history_line(row: dict[str, Any]) -> str:
    """Return the line that the reference prints for an iteration."""
    line = f"\tIter {row['iteration']:>3}: InpError {row['inp_error']:.3f}"
    return line + (f" IoU {row['iou']:.3f} DICE {row['dice']:.3f}" if "iou" in row else "")
