"""Any pictures: a folder and its subfolders, one picture, a glob, or a list with a path a line.

Hidden files, files that cannot be decoded, what this or an earlier run wrote, and the folder of ground truths are left
out of folders and globs.
"""

import collections
import contextlib
import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from iem_jax.config import UsageError
from iem_jax.data.kinds import endings, package_for
from iem_jax.data.lists import STANDARD_INPUT, read_list
from iem_jax.data.names import printable
from iem_jax.data.sample import Sample
from iem_jax.data.samples import Samples
from iem_jax.data.source import ReadError, open_picture

MANIFEST = "manifest.jsonl"  # by which the folder of a run is known
SHOWN = 8  # endings of what is left out


class Found(NamedTuple):
    """Pictures by their paths relative to a folder; there may be a million."""

    root: str
    relatives: list[str]
    problems: Mapping[str, str] = {}  # what is wrong with some of them, if that is known


class LeftOut:
    """What is not listed, and what is to be said about it.

    Attributes:
      paths: real paths of files and folders that are not read.
      endings: how many files of each ending were no pictures, or cannot be decoded.
      runs: folders of earlier runs, whose results are not read.
    """

    def __init__(self, own: Iterable[Path], written: Iterable[str]):
        """Leave out `own`, and what is called `written` in folders of runs."""
        self.paths: set[str] = {os.path.realpath(path) for path in own}
        self._real: dict[str, tuple[str, bool]] = {}  # of folders, and whether they are left out
        self.endings: collections.Counter[str] = collections.Counter()
        self.runs: list[str] = []
        self._written = tuple(written)
        self._looked_at: set[str] = set()

    def look_at(self, folder: str | os.PathLike[str]) -> None:
        """Leave out what a run wrote into a folder, if one did."""
        if (key := os.fspath(folder)) in self._looked_at or not self._written:
            return
        self._looked_at.add(key)
        if _is_run(Path(folder, MANIFEST)):
            paths = {os.path.realpath(os.path.join(folder, name)) for name in self._written}
            if not paths <= self.paths:
                self.runs.append(str(folder))
            self.paths |= paths

    def count(self, path: Path) -> None:
        """Count a file that cannot be decoded."""
        if os.path.realpath(path) not in self.paths:
            self.endings[path.suffix.lower()] += 1

    def holds(self, path: str) -> bool:
        """Return whether a file is, or lies in, one of the paths left out."""
        if os.path.islink(path):
            return self._holds(os.path.realpath(path))
        folder, name = os.path.split(path)
        if folder not in self._real:
            real = os.path.realpath(folder)
            self._real[folder] = os.path.join(real, ""), self._holds(real)
        real, is_held = self._real[folder]
        return is_held or real + name in self.paths

    def _holds(self, real: str) -> bool:
        return any(real == other or real.startswith(other + os.sep) for other in self.paths)

    def lines(self, source: str) -> Iterator[str]:
        """Yield what is to be said."""
        if self.runs:
            yield f"left out: what earlier runs wrote to {printable(', '.join(sorted(self.runs)))}"
        if self.endings:
            kinds = [f"{number} {_describe(ending)}" for ending, number in self.endings.most_common(SHOWN)]
            rest = sum(self.endings.values()) - sum(dict(self.endings.most_common(SHOWN)).values())
            kinds += [f"{rest} others"] * bool(rest)
            yield f"left out of {printable(source)}, since they cannot be decoded: {', '.join(kinds)}"


def list_images(
    source: str,
    masks: str | None = None,
    own: Iterable[Path] = (),
    written: Iterable[str] = (),
    tell: Callable[[str], object] = lambda text: None,
    usual: Sample | None = None,
) -> Samples:
    """List pictures, with ground truths by the same relative name.

    Args:
      source: a folder, a picture, a glob, a text file whose lines are paths relative to its own folder, or "-" for such
        lines from standard input.
      masks: folder of ground truths, or None.
      own: folders and files that the tool writes; never read, wherever they lie.
      written: how what the tool writes is called below a run's folder; not read where earlier runs wrote it.
      tell: is called with a line about what is left out.
      usual: what else each sample holds.

    Raises:
      UsageError: there is no such thing, it cannot be read, or it holds no picture.
    """
    _check_paths(source, masks)
    left_out = LeftOut(own, written)
    truths = index_masks(masks, left_out)
    if masks is not None and not _is_below(source, masks):
        left_out.paths.add(os.path.realpath(masks))
    root, relatives, problems = _find(source, left_out)
    base = "" if root == os.curdir else root
    relatives = [relative for relative in relatives if not left_out.holds(os.path.join(base, relative))]
    for line in left_out.lines(source):
        tell(line)
    if not relatives:
        raise UsageError(f"`images` must hold pictures ({', '.join(sorted(endings()))}), found none in {source}.")
    found = (os.fspath(find_truth(relative, truths) or "") for relative in relatives) if masks is not None else None
    return Samples(root, relatives, problems, found, usual)


def walk(root: Path, left_out: LeftOut) -> Found:
    """List pictures under a folder, and folders that cannot be read; each real folder once, loops or not.

    Links to folders are followed after the real folders, so that a picture is found where it lies.
    """
    seen: set[str] = set()
    found, errors = Found(os.fspath(root), [], {}), []
    waiting = [found.root]
    while waiting:
        links: list[str] = []
        for start in waiting:
            for folder, names in _walk_real(start, seen, links, errors, left_out):
                within = os.path.relpath(folder, root)
                found.relatives.extend(names if within == os.curdir else (os.path.join(within, name) for name in names))
        waiting = [link for link in links if os.path.realpath(link) not in seen]
    problems = {os.path.relpath(e.filename, root): f"folder cannot be read: {e.strerror}" for e in errors}
    found.relatives.extend(problems)
    found.relatives.sort()
    return found._replace(problems=problems)


def _walk_real(
    start: str, seen: set[str], links: list[str], errors: list[OSError], left_out: LeftOut
) -> Iterator[tuple[str, list[str]]]:
    """Yield folders, and the names of the pictures in each."""
    for folder, subfolders, files in os.walk(start, onerror=errors.append):
        real = os.path.realpath(folder)
        if real in seen or real in left_out.paths:
            subfolders.clear()
            continue
        seen.add(real)
        if MANIFEST in files:
            left_out.look_at(folder)
        paths = {name: os.path.join(folder, name) for name in sorted(subfolders) if not name.startswith(".")}
        links += [path for path in paths.values() if os.path.islink(path)]
        subfolders[:] = [name for name, path in paths.items() if not os.path.islink(path)]
        files = [name for name in files if not name.startswith(".")]
        for name in files:
            if not has_ending(name):
                left_out.count(Path(folder, name))
        yield folder, [name for name in files if has_ending(name)]


def has_ending(name: str) -> bool:
    """Return whether a file's name ends as that of a picture."""
    return os.path.splitext(name)[1].lower() in endings()


def _check_paths(source: str, masks: str | None) -> None:
    for name, value in (("images", source), ("masks", masks)):
        if value == "":
            raise UsageError(f"`{name}` must be a path, got an empty one.")
    if masks is not None and os.path.realpath(source) == os.path.realpath(masks):
        raise UsageError(f"`masks` must be another folder than `images`, got {source} for both.")


def _find(source: str, left_out: LeftOut) -> Found:
    path = Path(source)
    if path.is_dir():
        try:
            os.listdir(path)
        except OSError as error:
            raise UsageError(f"`images` must be a folder that can be read, got {path}: {error.strerror}.") from error
        return walk(path, left_out)
    if path.is_file() and _is_picture(path):
        return Found(os.fspath(path.parent), [path.name])
    if source == STANDARD_INPUT or path.exists():
        return Found(*read_list(source))
    if glob.has_magic(source):
        return _expand(PurePath(source), left_out)
    raise UsageError(
        f"`images` must be a folder, a picture, a glob or a text file with a path a line: there is no {source}."
    )


def _is_picture(path: Path) -> bool:
    """Return whether a file is to be read as a picture: by its ending, or by what is in it."""
    if has_ending(path.name):
        return True
    if (package := package_for(path.suffix.lower())) is not None:
        raise UsageError(f"`images` must be pictures that can be decoded, {path} needs `pip install {package}`.")
    with contextlib.suppress(ReadError), open_picture(path):
        return True
    return False


def _expand(pattern: PurePath, left_out: LeftOut) -> Found:
    """Expand a glob; `**` does not follow links, so that loops do no harm."""
    plain = 0
    while not glob.has_magic(pattern.parts[plain]):
        plain += 1
    root = Path(*pattern.parts[:plain])
    try:
        paths = list(root.glob(str(PurePath(*pattern.parts[plain:]))))
    except ValueError as error:
        raise UsageError(f"`images` must be a glob that can be expanded, got {pattern}: {error}.") from error
    paths = [path for path in paths if not path.name.startswith(".") and not path.is_dir()]
    for folder in {parent for path in paths for parent in path.parents if parent.is_relative_to(root)}:
        left_out.look_at(folder)
    for path in paths:
        if not has_ending(path.name):
            left_out.count(path)
    return Found(os.fspath(root), sorted(os.path.relpath(path, root) for path in paths if has_ending(path.name)))


def _is_run(manifest: Path) -> bool:
    try:
        with manifest.open("rb") as file:
            return "iem_jax" in json.loads(file.readline(1 << 20))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _is_below(source: str, folder: str) -> bool:
    real, other = os.path.realpath(source), os.path.realpath(folder)
    return real.startswith(other + os.sep) and os.path.isdir(real)


def _describe(ending: str) -> str:
    package = package_for(ending)
    return (printable(ending) or "without an ending") + (f" (need `pip install {package}`)" if package else "")


def index_masks(folder: str | None, left_out: LeftOut) -> dict[str, Path]:
    """Return ground truths by relative name, with and without the ending."""
    if folder is None:
        return {}
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"`masks` must be a folder of ground truths, got {folder}.")
    if left_out.holds(os.fspath(root)):
        raise UsageError(f"`masks` must be a folder of ground truths, got {folder}, into which the run writes.")
    index: dict[str, Path] = {}
    _, relatives, problems = walk(root, LeftOut((), ()))
    for relative in relatives:
        if relative not in problems:
            index.setdefault(os.path.splitext(relative)[0], root / relative)
    return index


def find_truth(relative: str, truths: dict[str, Path]) -> Path | None:
    """Prefer a.jpg.png to a.png as the ground truth of a.jpg."""
    normal = os.path.normpath(relative)
    return truths.get(normal) or truths.get(os.path.splitext(normal)[0])
