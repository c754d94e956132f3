"""How a run begins in an output folder, or goes on with the one that is there."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from iem_jax.config import UsageError
from iem_jax.output.durable import Appender, sync
from iem_jax.output.lines import decode_line, is_cut_off, read_lines
from iem_jax.output.manifest import FORMAT, NAME, Manifest, encode_head
from iem_jax.output.removing import remove_named
from iem_jax.output.writer import FILES, FOLDERS, OutputError, Writer

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


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
    path, head = writer.folder / NAME, encode_head(settings)
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
    return encode_head(settings)[8:16].decode()


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
