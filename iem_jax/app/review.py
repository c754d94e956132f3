"""`--apply_review`: what a person decided about the masks of a run becomes what is in its folder.

A decision is about the mask as the run found it, so that to apply a review again changes nothing, and to apply another
one undoes it: `accept` leaves the mask, `invert` turns it inside out, `reject` removes it. The manifest keeps it, so
that a run that goes on does, too. Tables, the report and thumbnails say what the run found.
"""

import collections
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.data.names import printable
from iem_jax.output.cells import write_name
from iem_jax.output.lines import Record
from iem_jax.output.manifest import Manifest
from iem_jax.output.removing import remove_files
from iem_jax.output.writer import PATTERNS, Writer, Written
from iem_jax.segmenter.found import FAILED

ACCEPT, INVERT, REJECT = DECISIONS = ("accept", "invert", "reject")
COLUMNS = ("name", "decision")
SHOWS_FOUND = ("thumbnails",)  # kinds of files that show what the run found, whatever was decided
TOGETHER = 64  # records that are brought to the disk at once


def read_review(path: Path) -> dict[str, str]:
    """Return decisions by the names in a table with columns `name` and `decision`.

    Raises:
      UsageError: there is no such table, or a decision is none of `DECISIONS`.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            return dict(_rows(path, csv.DictReader(file)))
    except (OSError, csv.Error) as error:
        raise UsageError(f"`apply_review` must be a table that can be read, got {path}: {error}.") from error


def _rows(path: Path, table: csv.DictReader) -> Iterator[tuple[str, str]]:
    if not set(COLUMNS) <= set(table.fieldnames or ()):
        raise UsageError(f"`apply_review` must be a table with the columns {', '.join(COLUMNS)}, {path} is none.")
    for row in table:
        decision = (row["decision"] or "").strip().lower()
        if decision not in DECISIONS:
            raise UsageError(
                f"`apply_review` must hold {', '.join(DECISIONS)}, got {row['decision']!r} in line {table.line_num}."
            )
        yield row["name"], decision


def apply_review(
    decisions: Mapping[str, str],
    writer: Writer,
    manifest: Manifest,
    names: Sequence[str],
    tell: Callable[[str], object],
) -> int:
    """Apply decisions and say what was done; returns the exit status, 1 if some could not be applied.

    Raises:
      OutputError: a file cannot be read or written.
    """
    review = _Review(writer, manifest)
    counts: collections.Counter[str] = collections.Counter()
    known: set[str] = set()
    for number, name in enumerate(names):
        for cell in (name, write_name(name)):
            if cell in decisions and cell not in known:
                known.add(cell)
                counts[review.decide(number, name, decisions[cell])] += 1
                break
    review.commit()
    manifest.finish()
    unknown = [cell for cell in decisions if cell not in known]
    tell("review: " + (", ".join(f"{count} {what}" for what, count in counts.most_common()) or "no picture"))
    if review.removed:
        tell(f"{review.removed} cut-outs, overlays or panels of turned masks are removed: the run's command makes them")
    if unknown:
        tell(f"{len(unknown)} names of the review are none of the run's pictures: {printable(unknown[0])}, ...")
    return int(bool(unknown or counts[_CHANGED] or counts[_NONE]))


_CHANGED = "left, since their masks were changed after the run"
_NONE = "without a mask to decide about"
_GONE = "wanted again: the run's command makes them"


class _Review:
    """Applies decisions one by one.

    Attributes:
      removed: how many files besides masks were removed.
    """

    def __init__(self, writer: Writer, manifest: Manifest):
        self._writer, self._manifest = writer, manifest
        self._pending: list[tuple[int, Record]] = []
        self.removed = 0

    def decide(self, number: int, name: str, decision: str) -> str:
        """Apply a decision; returns what became of it."""
        record = self._manifest.record(number)
        if record is None or record["status"] == FAILED or "pending" in record:
            return _NONE
        before = record.get("review")
        if before == decision:
            return f"{decision} as before"
        if decision == REJECT:
            self._remove(record, {*record["files"]} - {*SHOWS_FOUND})
        elif before != REJECT and (before == INVERT) != (decision == INVERT) and not self._turn(name, record):
            return _CHANGED
        self._pending.append((number, record | {"review": decision}))
        if len(self._pending) == TOGETHER or decision != ACCEPT:  # files and records must not come apart
            self.commit()
        return decision if before != REJECT else _GONE

    def commit(self) -> None:
        """Bring the records so far to the disk."""
        if self._pending:
            numbers, records = zip(*self._pending, strict=True)
            self._manifest.add(numbers, records, [None] * len(numbers))
            self._pending = []

    def _turn(self, name: str, record: Record) -> bool:
        path = PATTERNS["masks"].format(name)
        written = record["files"].get("masks")
        if written is None or not self._writer.is_whole(path, Written(*written)):
            return False
        with Image.open(self._writer.path_of(path)) as image:
            turned = np.asarray(image) == 0
        others = {*record["files"]} - {"masks", *SHOWS_FOUND}
        self.removed += len(others)
        self._remove(record, others)
        record["files"]["masks"] = self._writer.write_mask(name, turned)
        self._writer.sync([path])
        return True

    def _remove(self, record: Record, kinds: set[str]) -> None:
        files = {kind: record["files"].pop(kind) for kind in kinds}
        remove_files(self._writer, [{"name": record["name"], "files": files}])
