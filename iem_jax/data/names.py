"""Names of pictures: unique, safe as paths below a folder, and the same in every run on the same pictures."""

import collections
import hashlib
import os
import re
from collections.abc import Iterable, Sequence

import numpy as np

LONGEST = 200  # bytes of a part of a name; file systems allow 255, endings included
WRITTEN_ENDINGS = (".png", ".jpg")
_PLAIN = re.compile(r"[\w-][\w. -]{0,49}(/[\w-][\w. -]{0,49})*", re.ASCII)  # safe as they are


def name_pictures(relatives: Sequence[str]) -> list[str]:
    """Return the names of all pictures."""
    unusual = name_unusual(relatives)
    return [unusual.get(number) or usual_name(relative) for number, relative in enumerate(relatives)]


def name_unusual(relatives: Sequence[str]) -> dict[int, str]:
    """Return the names, by their number, of pictures that cannot be called as `usual_name` does.

    Where two names would be the same (a.jpg and a.png), or one would be written where the other has a folder, those
    pictures keep their endings (names a.jpg and a.png); what is still the same gets "~2", "~3" and so on.
    """
    changed: dict[int, str] = {}
    while clashing := _clashes(relatives, changed):
        full = {index: safe_path(relatives[index]) for index in clashing}
        full = {index: name for index, name in full.items() if _name(relatives, changed, index) != name}
        if not full:
            return changed | _number(relatives, changed)
        changed |= full
    return changed


def usual_name(relative: str) -> str:
    """Return a picture's relative path, made safe, without its ending."""
    path = safe_path(relative)
    dot = path.rfind(".")
    return path[:dot] if path.rfind("/") + 1 < dot < len(path) - 1 else path


def safe_path(relative: str) -> str:
    """Return a relative path that stays below its folder: no root, no "..", no part too long for a file system."""
    if _PLAIN.fullmatch(relative):  # nearly all are, and there may be a million
        return relative
    parts = os.path.splitdrive(relative)[1].replace(os.sep, "/").split("/")
    return "/".join([_shorten(part) for part in parts if part not in ("", ".", "..")]) or "unnamed"


def printable(text: str) -> str:
    r"""Return a text on one line: newlines, control characters and bytes that are no UTF-8 become \n, \x1b, \udcff."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _shorten(part: str) -> str:
    if len(part) <= LONGEST // 4:  # a letter has four bytes at most
        return part
    data = os.fsencode(part)
    if len(data) <= LONGEST:
        return part
    stem, ending = os.path.splitext(part)
    kept = stem[: LONGEST - 40]
    while len(os.fsencode(kept)) > LONGEST - 40:
        kept = kept[:-1]
    return f"{kept}~{hashlib.sha256(data).hexdigest()[:12]}{ending[:20]}"


def _name(relatives: Sequence[str], changed: dict[int, str], index: int) -> str:
    return changed[index] if index in changed else usual_name(relatives[index])


def _number(relatives: Sequence[str], changed: dict[int, str]) -> dict[int, str]:
    """Return the names that get a number, since even with their endings they are not unique."""
    names = [_name(relatives, changed, index) for index in range(len(relatives))]
    numbered: dict[int, str] = {}
    folders, taken = _folders(names), set()
    for index, name in enumerate(names):
        number, other = 1, name
        while other in taken or _is_blocked(other, folders):
            number += 1
            other = numbered[index] = f"{name}~{number}"
        taken.add(other)
    return numbered


def _clashes(relatives: Sequence[str], changed: dict[int, str]) -> list[int]:
    """Return the indices of names that are not unique, or whose files would stand where others need a folder.

    Of all names only hashes are held: there may be a million.
    """
    keys, folders = np.empty(len(relatives), np.int64), set()
    for index in range(len(relatives)):
        name = _name(relatives, changed, index)
        keys[index] = hash(name)
        folders.add(name.rpartition("/")[0])
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    found = {index: _name(relatives, changed, index) for index in np.flatnonzero(counts[inverse] > 1).tolist()}
    times = collections.Counter(found.values())
    clashing = {index for index, name in found.items() if times[name] > 1}
    folders = {folder for folder in _parents(folders) if folder.endswith(WRITTEN_ENDINGS)}
    if folders:
        names = ((index, _name(relatives, changed, index)) for index in range(len(relatives)))
        clashing |= {index for index, name in names if _is_blocked(name, folders)}
    return sorted(clashing)


def _folders(names: Iterable[str]) -> set[str]:
    return _parents({name.rpartition("/")[0] for name in names})


def _parents(folders: Iterable[str]) -> set[str]:
    """Return folders and all that they lie in."""
    found: set[str] = set()
    for folder in folders:
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _is_blocked(name: str, folders: set[str]) -> bool:
    return any(name + ending in folders for ending in WRITTEN_ENDINGS)
