"""The files of exports: written whole, and known again by exports/written.jsonl, which has a line for each.

A file that was changed since it was written, or that no export wrote, stays as it is: somebody may work on it.
"""

import array
import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from iem_jax.output.durable import Appender
from iem_jax.output.lines import Record, decode_line, encode_line, read_lines
from iem_jax.output.removing import EXPORTED, remove_files
from iem_jax.output.writer import OutputError, Writer, Written

TOGETHER = 64  # files that are brought to the disk at once
UNKNOWN = Written(-1, 0)  # of a file that was about to be written when the program was killed


class Ledger:
    """Writes the files of one format; a context manager, at whose end files of its earlier export are gone.

    Of each file there are 20 bytes in memory.

    Attributes:
      folder: the output folder.
      kept: how many files stay since they are not, or no longer, ours.
      first_kept: the first of them.
    """

    def __init__(self, writer: Writer, kind: str):
        """Go on with the ledger of the writer's folder; `kind` names the format.

        Raises:
          OutputError: it cannot be read or written.
        """
        self.folder: Path = writer.folder
        self._writer, self._kind = writer, kind
        self.kept: int = 0
        self.first_kept: str = ""
        self._written: list[tuple[str, Written]] = []
        self._keys = array.array("Q")
        try:
            writer.path_of(EXPORTED, real=True).parent.mkdir(parents=True, exist_ok=True)
            self._appender = Appender(writer.folder / EXPORTED)
            self._begin = self._appender.size
            self._known = _Known(self._lines(0, self._begin))
        except OSError as error:
            raise OutputError(f"{writer.folder / EXPORTED} cannot be used: {error.strerror or error}") from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._appender:
            if kind is None:
                self._commit()
                self._finish()

    def write(self, name: str, save: Callable[[IO[bytes]], Any]) -> bool:
        """Write a file by `save`, unless another's is there.

        Returns:
          Whether it was written.

        Raises:
          OutputError: it cannot be written.
        """
        if not self._is_free(name):
            self.kept, self.first_kept = self.kept + 1, self.first_kept or name
            return False
        self._append([{"file": name}])
        self._add(name, self._writer.write(name, save, kept=False))
        return True

    def write_text(self, name: str, chunks: Iterable[str]) -> bool:
        """Write a text in UTF-8 piece by piece, as `write` does."""
        return self.write(name, lambda file: file.writelines(chunk.encode("utf-8", "replace") for chunk in chunks))

    def copy(self, name: str, source: Path) -> bool:
        """Write a copy, unless it is there with the size and the time of its source.

        Raises:
          OutputError: it cannot be read or written.
        """
        try:
            path, found, known = self._writer.path_of(name), os.stat(source), self._known.find(name)
            if known.size == found.st_size and path.is_file() and _stamp(os.stat(path)) == _stamp(found):
                self._add(name, known)
                return True
            with source.open("rb") as file:
                is_written = self.write(name, lambda target: shutil.copyfileobj(file, target))
            if is_written:
                os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))
            return is_written
        except OSError as error:
            raise OutputError(f"{source} cannot be copied: {error.strerror or error}") from error

    def _is_free(self, name: str) -> bool:
        if not os.path.lexists(self._writer.path_of(name)):
            return True
        if not self._known.has(name):
            return False
        known = self._known.find(name)
        return known == UNKNOWN or self._writer.is_whole(name, known)

    def _add(self, name: str, written: Written) -> None:
        self._written.append((name, written))
        self._keys.append(_key(name))
        if len(self._written) == TOGETHER:
            self._commit()

    def _commit(self) -> None:
        self._writer.sync(name for name, _ in self._written)
        self._append({"file": name, "written": written} for name, written in self._written)
        self._written = []

    def _append(self, records: Iterable[Record]) -> None:
        try:
            self._appender.append(b"".join(encode_line({"format": self._kind, **record}) for record in records))
        except OSError as error:
            raise OutputError(f"{self.folder / EXPORTED} cannot be written: {error.strerror}") from error

    def _finish(self) -> None:
        """Remove what an earlier export wrote and this one did not; leave the lines of what is there now."""
        now = np.sort(np.array(self._keys, np.uint64))
        earlier = (record for record in self._lines(0, self._begin) if record["format"] == self._kind)
        remove_files(self._writer, (record for record in earlier if not _holds(now, record["file"])))
        self._writer.write(EXPORTED, lambda file: file.writelines(self._remaining()))

    def _remaining(self) -> Iterator[bytes]:
        others = (record for record in self._lines(0, self._begin) if record["format"] != self._kind)
        yield from map(encode_line, others)
        yield from (encode_line(record) for record in self._lines(self._begin) if "written" in record)

    def _lines(self, start: int, end: int | None = None) -> Iterator[Record]:
        with (self.folder / EXPORTED).open("rb") as file:
            file.seek(start)
            for offset, line in read_lines(file):
                if end is not None and offset >= end:
                    return
                with contextlib.suppress(ValueError):  # a damaged one
                    yield decode_line(line)


class _Known:
    """What files were when they were written, the last time that each was."""

    def __init__(self, records: Iterator[Record]):
        keys, numbers = array.array("Q"), array.array("q")
        for record in records:
            keys.append(_key(record["file"]))
            numbers.extend(record.get("written", UNKNOWN))
        found = np.array(keys, np.uint64)
        order = np.argsort(found, kind="stable")
        self._keys, self._numbers = found[order], np.array(numbers, np.int64).reshape(-1, 2)[order]

    def has(self, name: str) -> bool:
        return _holds(self._keys, name)

    def find(self, name: str) -> Written:
        """Return what is known of a file; `UNKNOWN` if nothing is."""
        if not self.has(name):
            return UNKNOWN
        size, crc = self._numbers[np.searchsorted(self._keys, np.uint64(_key(name)), side="right") - 1].tolist()
        return Written(size, crc)


def _holds(keys: np.ndarray, name: str) -> bool:
    place = int(np.searchsorted(keys, np.uint64(_key(name))))
    return place < len(keys) and int(keys[place]) == _key(name)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
