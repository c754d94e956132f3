"""What is done in an output folder: manifest.jsonl, by which a run goes on after whatever ended it.

The first line holds the settings, every other one the record of a picture, or which tables a run began to write.
Records are appended when all of their pictures' files are on the disk (`lines` says how each line is checked); where
two are of one picture, the last one counts. A damaged line costs its own picture. A run that comes to its end brings
the lines into the order of the pictures.
"""

import array
import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Any

import numpy as np
from jaxtyping import Int64, UInt64

from iem_jax.output.curves import Curve, Curves
from iem_jax.output.durable import Appender
from iem_jax.output.lines import Record, decode_line, encode_line, read_lines
from iem_jax.output.removing import remove_files
from iem_jax.output.writer import OutputError, Writer

NAME = "manifest.jsonl"
FORMAT = 2


def encode_head(settings: Mapping[str, Any]) -> bytes:
    """Return the first line of the manifest of a run with these settings."""
    return encode_line({"format": FORMAT, **settings})


class Manifest:
    """The records of one output folder, by the number of their picture in this run; a context manager.

    They stay on the disk: in memory there are 16 bytes a picture.
    """

    def __init__(self, writer: Writer, settings: Mapping[str, Any], names: Sequence[str]):
        """Go on with the folder's records.

        Args:
          writer: of the output folder.
          settings: all that the files depend on; those of the manifest.
          names: of the pictures of this run, in order.

        Raises:
          OSError: a file cannot be read or written.
        """
        self._writer = writer
        self._head = encode_head(settings)
        with contextlib.ExitStack() as files:
            self._appender = files.enter_context(Appender(writer.folder / NAME))
            self._file = files.enter_context((writer.folder / NAME).open("rb"))
            index = _Index(self._file)
            if index.end < self._appender.size:  # a last line that was cut off
                self._appender.cut(index.end)
            self._curves = files.enter_context(Curves(writer.folder, index.iterations))
            self._files = files.pop_all()
        self.tables: list[str] = index.tables
        checksums = np.array(index.checksums, np.uint64)
        keys = np.fromiter(map(_key, names), np.uint64, len(names))
        place = index.find(keys)
        self._offsets = np.where(place >= 0, np.array([*index.offsets, -1], np.int64)[place], -1)
        self._others = index.find_others(keys)
        self._rows = np.where(place >= 0, np.array([*self._curves.find(checksums), -1], np.int64)[place], -1)

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def __getitem__(self, number: int) -> tuple[Record, Curve | None] | None:
        """Return the record of a picture and what was measured of it; None if there is none, or a damaged one."""
        record = self.record(number)
        if record is None:
            return None
        return record, self._curves.read(int(self._rows[number])) if "curve" in record else None

    def record(self, number: int) -> Record | None:
        """Return the record of a picture; None if there is none, or a damaged one, or its curve is not there.

        They are found by 64 bits of a checksum of the name: one of an earlier run may have another name.
        """
        if self._offsets[number] < 0:
            return None
        self._file.seek(self._offsets[number])
        try:
            record = decode_line(self._file.readline())
        except ValueError:
            return None
        return None if "curve" in record and self._rows[number] < 0 else record

    def add(self, numbers: Sequence[int], records: Sequence[Record], curves: Sequence[Curve | None]) -> None:
        """Append the records of pictures whose files are on the disk; returns when they are there, too.

        Raises:
          OutputError: they cannot be written, for instance because the disk is full; none of them counts then.
        """
        measured = [(number, curve) for number, curve in zip(numbers, curves, strict=True) if curve is not None]
        try:
            if measured:
                first = self._curves.append([curve for _, curve in measured])
                self._curves.sync()
                self._rows[[number for number, _ in measured]] = np.arange(first, first + len(measured))
            lines = [encode_line(record) for record in records]
            start = self._append(lines)
        except OSError as error:
            raise self._unwritten(error) from error
        self._offsets[list(numbers)] = start + np.cumsum([0, *map(len, lines[:-1])])

    def forget(self, number: int) -> None:
        """Count a picture as not done; in the file from `finish` on."""
        self._offsets[number] = -1

    @property
    def others(self) -> int:
        """How many pictures of earlier runs have records, but are not in this one."""
        return len(self._others)

    def prune(self) -> None:
        """Remove the files of the pictures that are not in this run; their records go with `finish`."""
        remove_files(self._writer, self._decoded(self._others))
        self._others = self._others[:0]

    def name_tables(self, tables: Sequence[str]) -> None:
        """Say which files about all pictures will be written now, so that they are known as the run's own.

        Raises:
          OutputError: it cannot be written.
        """
        if set(tables) <= set(self.tables):
            return
        self.tables = sorted({*self.tables, *tables})
        try:
            self._append([encode_line({"tables": self.tables})])
        except OSError as error:
            raise self._unwritten(error) from error

    def finish(self) -> None:
        """Bring records and curves into the order of the pictures, those of others behind them, without curves.

        Raises:
          OutputError: they cannot be written.
        """
        kept = np.flatnonzero(self._offsets >= 0)
        rows = self._rows[kept]
        self._curves.finish(self._writer, rows[rows >= 0])
        offsets = np.concatenate([self._offsets[kept], self._others])
        extra = [encode_line({"tables": self.tables})] if self.tables else []
        length = len(self._head) + sum(map(len, extra))
        is_whole = (np.diff(offsets) > 0).all() and self._size(offsets) + length == self._appender.size
        if not is_whole or not self._appender.is_there():
            self._writer.write(NAME, lambda file: file.writelines([self._head, *self._kept(offsets), *extra]))

    def _size(self, offsets: Int64[np.ndarray, " n"]) -> int:
        return sum(map(len, self._kept(offsets)))

    def _kept(self, offsets: Int64[np.ndarray, " n"]) -> Iterator[bytes]:
        for offset in offsets:
            self._file.seek(offset)
            yield self._file.readline()

    def _decoded(self, offsets: Int64[np.ndarray, " n"]) -> Iterator[Record]:
        for line in self._kept(offsets):
            with contextlib.suppress(ValueError):  # a damaged one
                yield decode_line(line)

    def _unwritten(self, error: OSError) -> OutputError:
        self._writer.check_there()
        return OutputError(f"{error.filename or self._writer.folder / NAME} cannot be written: {error.strerror}")

    def _append(self, lines: Sequence[bytes]) -> int:
        start = self._appender.append(b"".join(lines))
        self._appender.sync()
        return start


class _Index:
    """Where the records of a manifest begin, by their names."""

    def __init__(self, file: IO[bytes]):
        """Read all lines, from the file's beginning."""
        self.offsets, self.checksums, self._keys = array.array("q"), array.array("Q"), array.array("Q")
        self.tables: list[str] = []
        self.iterations: int | None = None
        self.end = 0
        file.seek(0)
        for offset, line in read_lines(file):
            self.end = offset + len(line)
            with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):  # a damaged one
                self._take(offset, decode_line(line))

    def _take(self, offset: int, record: Record) -> None:
        if "tables" in record:
            self.tables = [name for name in record["tables"] if isinstance(name, str)]
        if not isinstance(record.get("name"), str):
            return
        checksum = int(record["curve"], 16) if "curve" in record else 0
        if "curve" in record:
            self.iterations = self.iterations or int(record["iterations"])
        self.checksums.append(checksum)
        self._keys.append(_key(record["name"]))
        self.offsets.append(offset)

    def find(self, wanted: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return the place of the last record of each key of a name among `offsets`, -1 for those without one."""
        keys = np.array(self._keys, np.uint64)
        if not len(keys):
            return np.full(len(wanted), -1, np.int64)
        order = np.argsort(keys, kind="stable")
        place = np.searchsorted(keys[order], wanted, side="right") - 1
        return np.where(keys[order][place] == wanted, order[place], -1)

    def find_others(self, wanted: UInt64[np.ndarray, " m"]) -> Int64[np.ndarray, " n"]:
        """Return where the last record of each name begins whose key is not among `wanted`."""
        keys, offsets = np.array(self._keys, np.uint64), np.array(self.offsets, np.int64)
        others = ~np.isin(keys, wanted)
        _, last = np.unique(keys[others][::-1], return_index=True)
        return np.sort(offsets[others][::-1][last])


def _key(name: str) -> int:
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
