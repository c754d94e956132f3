"""What is done in an output folder: manifest.jsonl, by which a run goes on after whatever ended it.

The first line holds the settings, every other one the record of a picture, or which tables a run began to write.
Records are appended when all of their pictures' files are on the disk (`lines` says how each line is checked); where
two are of one picture, the last one counts. A damaged line costs its own picture. A run that comes to its end brings
the lines into the order of the pictures.
"""

import array
import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from jaxtyping import Int64

from iem_jax.config import UsageError
from iem_jax.output.curves import Curve, Curves
from iem_jax.output.durable import Appender, sync
from iem_jax.output.lines import Record, decode_line, encode_line, is_cut_off, read_lines
from iem_jax.output.removing import remove_named
from iem_jax.output.writer import FILES, FOLDERS, OutputError, Writer

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

NAME = "manifest.jsonl"
FORMAT = 2


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
        self._writer, self._names = writer, names
        self._head = encode_line({"format": FORMAT, **settings})
        self._appender = Appender(writer.folder / NAME)
        self._file: IO[bytes] = (writer.folder / NAME).open("rb")
        index = _Index(self._file)
        if index.end < self._appender.size:  # a last line that was cut off
            self._appender.cut(index.end)
        self.tables, self._lines = index.tables, index.lines
        self._curves = Curves(writer.folder, index.iterations)
        checksums = np.array(index.checksums, np.uint64)
        place = index.find(names)
        self._offsets = np.where(place >= 0, np.array([*index.offsets, -1], np.int64)[place], -1)
        self._rows = np.where(place >= 0, np.array([*self._curves.find(checksums), -1], np.int64)[place], -1)

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._file.close()
        self._appender.__exit__(kind, error, trace)
        self._curves.__exit__(kind, error, trace)

    def __getitem__(self, number: int) -> tuple[Record, Curve | None] | None:
        """Return the record of a picture and what was measured of it; None if there is none, or a damaged one."""
        if self._offsets[number] < 0:
            return None
        self._file.seek(self._offsets[number])
        try:
            record = decode_line(self._file.readline())
        except ValueError:
            return None
        if record.get("name") != self._names[number] or ("curve" in record and self._rows[number] < 0):
            return None
        return record, self._curves.read(int(self._rows[number])) if "curve" in record else None

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
            raise OutputError(f"{self._writer.folder / NAME} cannot be written: {error.strerror}") from error
        self._offsets[list(numbers)] = start + np.cumsum([0, *map(len, lines[:-1])])

    def forget(self, number: int) -> None:
        """Count a picture as not done; in the file from `finish` on."""
        self._offsets[number] = -1

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
            raise OutputError(f"{self._writer.folder / NAME} cannot be written: {error.strerror}") from error

    def finish(self) -> None:
        """Bring records and curves into the order of the pictures, and drop all others.

        Raises:
          OutputError: they cannot be written.
        """
        kept = np.flatnonzero(self._offsets >= 0)
        rows = self._rows[kept]
        self._curves.finish(self._writer, rows[rows >= 0])
        offsets = self._offsets[kept]
        extra = [encode_line({"tables": self.tables})] if self.tables else []
        length = len(self._head) + sum(map(len, extra))
        if not (np.diff(offsets) > 0).all() or self._size(offsets) + length != self._appender.size:
            self._writer.write(NAME, lambda file: file.writelines([self._head, *self._kept(offsets), *extra]))

    def _size(self, offsets: Int64[np.ndarray, " n"]) -> int:
        return sum(map(len, self._kept(offsets)))

    def _kept(self, offsets: Int64[np.ndarray, " n"]) -> Iterator[bytes]:
        for offset in offsets:
            self._file.seek(offset)
            yield self._file.readline()

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
        self.end = self.lines = 0
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

    def find(self, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Return the place of each name's last record among `offsets`, -1 for names without one."""
        keys = np.array(self._keys, np.uint64)
        wanted = np.fromiter(map(_key, names), np.uint64, len(names))
        if not len(keys):
            return np.full(len(names), -1, np.int64)
        order = np.argsort(keys, kind="stable")
        place = np.searchsorted(keys[order], wanted, side="right") - 1
        return np.where(keys[order][place] == wanted, order[place], -1)


def _key(name: str) -> int:
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


@contextlib.contextmanager
def open_manifest(
    writer: Writer, settings: Mapping[str, Any], names: Sequence[str] = (), overwrite: bool = False
) -> Iterator[Manifest]:
    """Begin a run in the writer's folder, or go on with one; other runs are kept out during the block.

    Args:
      writer: of the output folder; gets the run's mark.
      settings: all that the files depend on, as JSON knows it.
      names: of the pictures of this run, in order.
      overwrite: remove what is there first, as far as it was written by this program.

    Raises:
      UsageError: the folder holds a run with other settings or files of unknown origin, or a run is working in it.
    """
    with lock_folder(writer.folder):
        with _usage_errors(writer.folder / NAME):
            _begin(writer, settings, overwrite)
            manifest = Manifest(writer, settings, names)
        with manifest:
            yield manifest


def _begin(writer: Writer, settings: Mapping[str, Any], overwrite: bool) -> None:
    """Make sure that the folder holds a manifest of these settings, and no half-written files of theirs."""
    _check_links(writer)
    path, head = writer.folder / NAME, encode_line({"format": FORMAT, **settings})
    found = _read_head(path)
    if found is None:
        _check_unused(writer.folder)
        path.unlink(missing_ok=True)  # one that was cut off in its first line
        with Appender(path) as file:
            file.append(head)
            file.sync()
        sync([writer.folder, writer.folder.parent])
    elif overwrite:
        writer.mark = mark_of(found)
        writer.remove_unfinished()
        remove_named(writer, path)
        writer.mark = mark_of(settings)
        writer.write(
            NAME, lambda file: file.write(head)
        )  # in the old one's place: without any, nobody knows the folder
    else:
        _check_same(path, found, settings)
    writer.mark = mark_of(settings)
    writer.remove_unfinished()


def mark_of(settings: Mapping[str, Any]) -> str:
    """Return what marks the half-written files of a run with these settings."""
    return encode_line({"format": FORMAT, **settings})[8:16].decode()


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Check, before a run that begins with other work, that its folder holds no run that differs in these settings.

    Raises:
      UsageError: it does, or files of unknown origin.
    """
    with _usage_errors(folder / NAME):
        found = _read_head(folder / NAME)
        if found is None:
            _check_unused(folder)
        else:
            _check_same(folder / NAME, found, settings, all_of_them=False)


@contextlib.contextmanager
def _usage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path} must be a file that can be read and written ({error.strerror or error}): mend that, or give "
            "another `output_dir`."
        ) from error


def _read_head(path: Path) -> dict[str, Any] | None:
    """Return the settings in a manifest, {} if they are damaged or of another version; None without a manifest.

    One that was cut off in its first line, as a run began, is none.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise UsageError(f"{path} must be a file, it is something else: give another `output_dir`.")
    except FileNotFoundError:
        return None
    with path.open("rb") as file:
        _, line = next(read_lines(file), (0, b""))
        file.seek(0)
        if not line and is_cut_off(file.read(1 << 16)):
            return None
    try:
        found = decode_line(line)
    except ValueError:
        return {}
    return found if found.pop("format", None) == FORMAT else {}


def _check_same(path: Path, found: Mapping[str, Any], settings: Mapping[str, Any], all_of_them: bool = True) -> None:
    if not found or (all_of_them and set(found) != set(settings)):
        raise UsageError(f"{path} is damaged, or of another version: give another `output_dir`, or `overwrite`.")
    differing = [key for key, here in settings.items() if found.get(key) != here]
    if differing:
        named = "; ".join(f"{key} {found.get(key)!r} there, {settings[key]!r} here" for key in differing)
        raise UsageError(
            f"`output_dir` {path.parent} holds a run with other settings ({named}): give the same, "
            "another folder, or `overwrite`."
        )


def _check_links(writer: Writer) -> None:
    """Check that what a run writes into does not lie elsewhere: it may be somebody else's."""
    for name in FOLDERS:
        try:
            writer.path_of(f"{name}/a", real=True)
        except OutputError as error:
            raise UsageError(
                f"`output_dir` {writer.folder} must hold its files itself, but {name} leads out of it: "
                "remove that link, or give another folder."
            ) from error


def _check_unused(folder: Path) -> None:
    """Check that a folder without a manifest holds nothing that a run would write: who wrote it is not known."""
    there = [name for name in (*FOLDERS, *FILES) if name != NAME and os.path.lexists(folder / name)]
    if there:
        raise UsageError(
            f"`output_dir` {folder} holds {there[0]} but no {NAME} that says where it comes from: give another folder, "
            f"or move {there[0]} away."
        )


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder during the block.

    Raises:
      UsageError: one is working in it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"`output_dir` {folder} is being written by another run: wait for it to end.") from error
        yield
    finally:
        os.close(descriptor)
