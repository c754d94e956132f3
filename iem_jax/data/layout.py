"""Where a data set lies: in the folder that is named, in one inside of it, or in the one around it."""

import os
from collections.abc import Sequence
from pathlib import Path

from iem_jax.config import UsageError

FLAG = "`dataset_path`"


def find_with(root: Path, name: str, first: str = "") -> Path | None:
    """Return the folder that holds a file of this name, at most one level up or down; None if there is none.

    Args:
      root: where to look.
      name: of the file by which the data set is known.
      first: the folder inside that is taken before others.

    Raises:
      UsageError: several folders inside hold it, or the folder cannot be read.
    """
    if (root / name).is_file():
        return root
    if first and (root / first / name).is_file():
        return root / first
    inside = [folder for folder in subfolders(root) if (folder / name).is_file()]
    if len(inside) > 1:
        raise UsageError(f"{FLAG} must be one data set, {root} holds {name} in {_named(inside)}: give one of them.")
    if inside:
        return inside[0]
    around = Path(os.path.abspath(root)).parent
    return around if (around / name).is_file() else None


def find_folder(places: Sequence[Path], *names: str) -> Path | None:
    """Return the first folder of one of these names in one of the places."""
    return next((place / name for place in places for name in names if (place / name).is_dir()), None)


def subfolders(root: Path) -> list[Path]:
    """Return the folders in a folder that are not hidden, sorted.

    Raises:
      UsageError: it is no folder, or cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{FLAG} must be a folder that can be read, got {root}: {error.strerror}.") from error


def read_lines(path: Path, fields: int) -> list[list[str]]:
    """Return the fields of each line of a list, at least `fields` of them; empty lines are left out.

    Raises:
      UsageError: there is no such file, it cannot be read, or a line has fewer fields.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise UsageError(f"{FLAG} must hold {path.name}: there is no {path}.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a text ({error}); download it again.") from error
    rows = [line.split(maxsplit=fields - 1) for line in lines if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) < fields:
            raise UsageError(f"{path} must have {fields} fields a line, line {number} is {row}; download it again.")
    if not rows:
        raise UsageError(f"{path} must not be empty; download it again.")
    return rows


def _named(folders: Sequence[Path]) -> str:
    return ", ".join(folder.name for folder in folders)
