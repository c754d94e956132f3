"""What is done in an output folder: manifest.jsonl, by which a run goes on after whatever ended it.

The first line holds the settings, every other line the record of one picture whose files are all whole. Lines are
only ever appended; a last line without its end was cut off by the end of a run and does not count. A run that comes
to its end brings the lines into the order of the pictures.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from iem_jax.config import UsageError
from iem_jax.output.writer import FILES, FOLDERS, OutputError, Writer

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

NAME = "manifest.jsonl"
Record = dict[str, Any]


class Manifest:
    """The records of one output folder, by name."""

    def __init__(self, writer: Writer, settings: Mapping[str, Any], records: dict[str, Record], file: IO[bytes]):
        """Go on with `records`, appending to `file`."""
        self.records = records
        self._writer, self._settings, self._file = writer, settings, file

    def add(self, record: Record) -> None:
        """Append the record of a picture whose files are written.

        Raises:
          OutputError: it cannot be written, for instance because the disk is full.
        """
        try:
            self._file.write(_line(record))
        except OSError as error:
            raise OutputError(f"{self._writer.folder / NAME} cannot be written: {error.strerror}") from error
        self.records[record["name"]] = record

    def finish(self, names: Iterable[str]) -> None:
        """Write the records of `names` anew, in that order, and forget others."""
        lines = [self._settings, *(self.records[name] for name in names if name in self.records)]
        self._writer.write(NAME, lambda file: file.writelines(map(_line, lines)))


@contextlib.contextmanager
def open_manifest(writer: Writer, settings: Mapping[str, Any], overwrite: bool) -> Iterator[Manifest]:
    """Begin a run in the writer's folder, or go on with one; other runs are kept out during the block.

    Args:
      writer: of the output folder.
      settings: all that the files depend on, as JSON knows it.
      overwrite: remove what is there first, as far as it was written by this program.

    Raises:
      UsageError: the folder holds a run with other settings or files of unknown origin, or a run is working in it.
    """
    with lock_folder(writer.folder):
        writer.remove_unfinished()
        path = writer.folder / NAME
        if overwrite:
            _remove_all(writer)
        if not path.exists():
            _check_unused(writer.folder, overwrite)
            writer.write(NAME, lambda file: file.write(_line(settings)))
        records = _read(path, settings)
        with open(path, "ab", buffering=0) as file:
            yield Manifest(writer, settings, records, file)


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Check, before a run that begins with other work, that its folder holds no run that differs in these settings.

    Raises:
      UsageError: it does, or files of unknown origin.
    """
    path = folder / NAME
    if not path.exists():
        _check_unused(folder, False)
        return
    try:
        with path.open("rb") as file:
            found = json.loads(file.readline())
    except ValueError:
        found = None  # of a damaged one `open_manifest` will speak
    if isinstance(found, dict):
        _check_same(path, found, settings)


def _read(path: Path, settings: Mapping[str, Any]) -> dict[str, Record]:
    """Read the records of a run with the same settings; drops a last line that was cut off."""
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    try:
        found, *records = map(json.loads, whole.splitlines())
        by_name = {record["name"]: record for record in records}
        if set(found) != set(settings):
            raise ValueError("it is of another version")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is damaged ({error}): give another `output_dir`, or `overwrite`.") from error
    _check_same(path, found, settings)
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return by_name


def _check_same(path: Path, found: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differing = [key for key, here in settings.items() if found.get(key) != here]
    if differing:
        named = "; ".join(f"{key} {found.get(key)!r} there, {settings[key]!r} here" for key in differing)
        raise UsageError(
            f"`output_dir` {path.parent} holds a run with other settings ({named}): give the same, "
            "another folder, or `overwrite`."
        )


def _check_unused(folder: Path, overwrite: bool) -> None:
    there = [name for name in (*FOLDERS, *FILES) if (folder / name).exists()]
    if there and not overwrite:
        raise UsageError(
            f"`output_dir` {folder} holds {there[0]} but no {NAME} that says where it comes from: give another folder, "
            "or `overwrite`."
        )


def _remove_all(writer: Writer) -> None:
    """Remove the files of the pictures in the manifest, the tables, and folders that are empty then."""
    path = writer.folder / NAME
    for line in path.read_bytes().splitlines()[1:] if path.exists() else []:
        with contextlib.suppress(ValueError, TypeError, KeyError, OutputError):  # of a damaged line nothing is known
            name = json.loads(line)["name"]
            for folder in FOLDERS:
                for ending in (".png", ".jpg"):
                    writer.path_of(f"{folder}/{name}{ending}").unlink(missing_ok=True)
    for name in (*FILES, "figures/history.png", "figures/contact_sheet.png"):
        (writer.folder / name).unlink(missing_ok=True)
    for folder in FOLDERS:
        for parent, _, _ in os.walk(writer.folder / folder, topdown=False):
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(parent)


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


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=True).encode() + b"\n"
