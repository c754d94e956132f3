"""The rows of an export: a finished picture, where it lies, and its mask, which is read when it is asked for."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.output.writer import EXPORTS, OutputError

FOLDER = EXPORTS


class Options(NamedTuple):
    """How an export is written."""

    category: str  # of all objects
    polygons: bool  # instead of run lengths, where the format has both
    model: str  # what made the masks, and its version
    root: Path  # absolute; the folder that the pictures' names are relative to


class Row(NamedTuple):
    """One picture with a mask."""

    name: str  # as of its mask: unique, without its ending
    file_name: str  # relative to the pictures' folder, with "/"
    picture: Path
    mask_path: Path
    confidence: float
    status: str

    def size(self) -> tuple[int, int]:
        """Return width and height of the mask, which are those of the upright picture."""
        with _open(self.mask_path) as found:
            return found.size

    def mask(self) -> Bool[np.ndarray, "h w"]:
        """Read the mask.

        Raises:
          OutputError: it cannot be read.
        """
        with _open(self.mask_path) as found:
            try:
                return np.asarray(found) > 0
            except (OSError, ValueError, SyntaxError) as error:
                raise OutputError(f"{self.mask_path} cannot be read: {error}") from error

    @property
    def copy_name(self) -> str:
        """Its name where a copy of the picture is a part of the export: no two have the same without their endings."""
        return self.name + PurePosixPath(self.file_name).suffix


class Rows:
    """The rows of an export, made anew each time that they are gone through."""

    def __init__(self, make: Callable[[], Iterator[Row]]):
        """Take what makes them."""
        self._make = make

    def __iter__(self) -> Iterator[Row]:
        return self._make()


def json_lines(values: Iterable[Any]) -> Iterator[str]:
    """Yield the inside of a list in JSON, a value a line."""
    for number, value in enumerate(values):
        yield (",\n" if number else "\n") + json.dumps(value, separators=(",", ":"))


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror or error}") from error
