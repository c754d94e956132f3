"""Any pictures: a folder and its subfolders, one picture, a glob, or a text file with a path a line.

Hidden files, files whose ending is not in `ENDINGS`, the tool's own output and the folder of ground truths are left
out of folders and globs.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from iem_jax.config import UsageError
from iem_jax.data.names import name_pictures
from iem_jax.data.sample import Sample

ENDINGS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"))


class Found(NamedTuple):
    """A file, its path relative to the root, and what is wrong with it, if that is known."""

    relative: str
    path: Path
    problem: str = ""


def list_images(source: str, masks: str | None = None, own: Iterable[Path] = ()) -> list[Sample]:
    """List pictures, with ground truths by the same relative name.

    Args:
      source: a folder, a picture, a glob, or a text file whose lines are paths relative to its own folder.
      masks: folder of ground truths, or None.
      own: folders and files that the tool writes; never read, wherever they lie.

    Raises:
      UsageError: there is no such thing, it cannot be read, or it holds no picture.
    """
    left_out = {os.path.realpath(path) for path in own}
    truths = _index_masks(masks, left_out)
    if masks is not None:
        left_out.add(os.path.realpath(masks))
    found = [item for item in _find(source, left_out) if not _is_inside(item.path, left_out)]
    if not found:
        raise UsageError(f"`images` must hold pictures ({', '.join(sorted(ENDINGS))}), found none in {source}.")
    names = name_pictures([item.relative for item in found])
    return [
        Sample(name, item.path, _find_truth(item.relative, truths), problem=item.problem)
        for name, item in zip(names, found, strict=True)
    ]


def walk(root: Path, left_out: set[str]) -> Iterator[Found]:
    """Yield pictures under a folder, and folders that cannot be read; each real folder once, loops or not.

    Links to folders are followed after the real folders, so that a picture is found where it lies.
    """
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        links: list[Path] = []
        for start in waiting:
            yield from _walk_real(root, start, seen, links, left_out)
        waiting = [link for link in links if os.path.realpath(link) not in seen]


def _walk_real(root: Path, start: Path, seen: set[str], links: list[Path], left_out: set[str]) -> Iterator[Found]:
    errors: list[OSError] = []
    for folder, subfolders, files in os.walk(start, onerror=errors.append):
        real = os.path.realpath(folder)
        if real in seen or real in left_out:
            subfolders.clear()
            continue
        seen.add(real)
        paths = [Path(folder, name) for name in sorted(subfolders) if not name.startswith(".")]
        links += [path for path in paths if path.is_symlink()]
        subfolders[:] = [path.name for path in paths if not path.is_symlink()]
        for name in sorted(files):
            if has_ending(name) and not name.startswith("."):
                yield _found(root, Path(folder, name))
    for error in errors:
        yield _found(root, Path(error.filename), f"folder cannot be read: {error.strerror}")


def has_ending(name: str) -> bool:
    """Return whether a file's name ends as that of a picture."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def _find(source: str, left_out: set[str]) -> Iterable[Found]:
    path = Path(source)
    if path.is_dir():
        try:
            os.listdir(path)
        except OSError as error:
            raise UsageError(f"`images` must be a folder that can be read, got {path}: {error.strerror}.") from error
        return sorted(walk(path, left_out))
    if path.is_file():
        return [Found(path.name, path)] if has_ending(path.name) else _read_list(path)
    if glob.has_magic(source):
        return _expand(PurePath(source))
    raise UsageError(
        f"`images` must be a folder, a picture, a glob or a text file with a path a line: there is no {source}."
    )


def _read_list(path: Path) -> list[Found]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        lines = ["\0"]
    if any("\0" in line for line in lines):
        raise UsageError(f"`images` must be pictures or a text file in UTF-8 with a path a line, {path} is neither.")
    written = dict.fromkeys(os.path.normpath(line.rstrip("\r")) for line in lines if line.strip())
    return [Found(line, path.parent / line) for line in written]


def _expand(pattern: PurePath) -> list[Found]:
    """Expand a glob; `**` does not follow links, so that loops do no harm."""
    plain = 0
    while not glob.has_magic(pattern.parts[plain]):
        plain += 1
    root = Path(*pattern.parts[:plain])
    try:
        paths = list(root.glob(str(PurePath(*pattern.parts[plain:]))))
    except ValueError as error:
        raise UsageError(f"`images` must be a glob that can be expanded, got {pattern}: {error}.") from error
    return sorted(
        _found(root, path)
        for path in paths
        if has_ending(path.name) and not path.name.startswith(".") and not path.is_dir()
    )


def _found(root: Path, path: Path, problem: str = "") -> Found:
    return Found(os.path.relpath(path, root) if path != root else ".", path, problem)


def _is_inside(path: Path, left_out: set[str]) -> bool:
    """Return whether a file is, or lies in, one of the paths left out."""
    real = os.path.realpath(path)
    return any(real == other or real.startswith(other + os.sep) for other in left_out)


def _index_masks(folder: str | None, left_out: set[str]) -> dict[str, Path]:
    """Return ground truths by relative name, with and without the ending."""
    if folder is None:
        return {}
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"`masks` must be a folder of ground truths, got {folder}.")
    if _is_inside(root, left_out):
        raise UsageError(f"`masks` must be a folder of ground truths, got {folder}, into which the run writes.")
    index: dict[str, Path] = {}
    for item in sorted(walk(root, set())):
        if not item.problem:
            index.setdefault(os.path.splitext(item.relative)[0], item.path)
    return index


def _find_truth(relative: str, truths: dict[str, Path]) -> Path | None:
    """Prefer a.jpg.png to a.png as the ground truth of a.jpg."""
    normal = os.path.normpath(relative)
    return truths.get(normal) or truths.get(os.path.splitext(normal)[0])
