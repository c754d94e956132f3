"""Names of pictures: unique, safe as paths below a folder, and the same in every run on the same pictures."""

import collections
import hashlib
import os
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath

LONGEST = 200  # bytes of a part of a name; file systems allow 255, endings included
WRITTEN_ENDINGS = (".png", ".jpg")


def name_pictures(relatives: Sequence[str]) -> list[str]:
    """Name each picture by its relative path without ending.

    Where two names would be the same (a.jpg and a.png), or one would be written where the other has a folder, those
    pictures keep their endings (names a.jpg and a.png); what is still the same gets "~2", "~3" and so on.
    """
    full = [safe_path(relative) for relative in relatives]
    names = [str(PurePosixPath(path).with_suffix("")) for path in full]
    while changing := [index for index in _clashes(names) if names[index] != full[index]]:
        for index in changing:
            names[index] = full[index]
    folders, taken = _folders(names), set()
    for index, name in enumerate(names):
        number = 1
        while names[index] in taken or _is_blocked(names[index], folders):
            number += 1
            names[index] = f"{name}~{number}"
        taken.add(names[index])
    return names


def safe_path(relative: str) -> str:
    """Return a relative path that stays below its folder: no root, no "..", no part too long for a file system."""
    path = PurePath(relative)
    parts = [_shorten(part) for part in path.parts if part != path.anchor and part not in ("..", "")]
    return "/".join(parts) or "unnamed"


def printable(text: str) -> str:
    r"""Return a text on one line: newlines, control characters and bytes that are no UTF-8 become \n, \x1b, \udcff."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _shorten(part: str) -> str:
    data = os.fsencode(part)
    if len(data) <= LONGEST:
        return part
    stem, ending = os.path.splitext(part)
    kept = stem[: LONGEST - 40]
    while len(os.fsencode(kept)) > LONGEST - 40:
        kept = kept[:-1]
    return f"{kept}~{hashlib.sha256(data).hexdigest()[:12]}{ending[:20]}"


def _clashes(names: Sequence[str]) -> list[int]:
    """Return the indices of names that are not unique, or whose files would stand where others need a folder."""
    counts, folders = collections.Counter(names), _folders(names)
    return [index for index, name in enumerate(names) if counts[name] > 1 or _is_blocked(name, folders)]


def _folders(names: Sequence[str]) -> set[str]:
    return {str(parent) for name in names for parent in PurePosixPath(name).parents}


def _is_blocked(name: str, folders: set[str]) -> bool:
    return any(name + ending in folders for ending in WRITTEN_ENDINGS)
