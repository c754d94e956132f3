"""A million pictures in little memory: their paths as bytes in a row, made into samples when they are asked for."""

import array
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

from iem_jax.data.names import name_unusual, usual_name
from iem_jax.data.sample import Sample

Item = TypeVar("Item")


class Made(Sequence[Item], Generic[Item]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, length: int, make: Callable[[int], Item]):
        """Make items by their number."""
        self._range, self._make = range(length), make

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self._make(number) for number in self._range[index]]
        return self._make(self._range[index])


class Texts(Made[str]):
    """Texts as their bytes; with 8 bytes each for where they end."""

    def __init__(self, texts: Iterable[str]):
        """Take the texts."""
        self._data, self._ends = bytearray(), array.array("q", [0])
        for text in texts:
            self._data += text.encode("utf-8", "surrogatepass")
            self._ends.append(len(self._data))
        super().__init__(len(self._ends) - 1, self._text)

    def _text(self, number: int) -> str:
        return self._data[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")


class Samples(Made[Sample]):
    """Pictures below one folder.

    Attributes:
      names: of the samples.
    """

    def __init__(
        self,
        root: str,
        relatives: Sequence[str],
        problems: Mapping[str, str],
        truths: Iterable[str] | None = None,
        usual: Sample | None = None,
    ):
        """List samples.

        Args:
          root: the folder.
          relatives: paths of the pictures, relative to it.
          problems: what is known to be wrong with some of them.
          truths: a path of a ground truth for each, "" where there is none; None without any.
          usual: what else a sample holds.
        """
        self._root = "" if root == os.curdir else root
        self._relatives, self._problems = Texts(relatives), dict(problems)
        self._truths = None if truths is None else Texts(truths)
        self._usual = usual or Sample("", "")
        unusual = name_unusual(relatives)
        self.names: Made[str] = Made(
            len(relatives), lambda number: unusual.get(number) or usual_name(self._relatives[number])
        )
        super().__init__(len(relatives), self._sample)

    def _sample(self, number: int) -> Sample:
        relative = self._relatives[number]
        truth = self._truths[number] if self._truths is not None else ""
        return dataclasses.replace(
            self._usual,
            name=self.names[number],
            image_path=os.path.join(self._root, relative),
            mask_path=Path(truth) if truth else None,
            problem=self._problems.get(relative, ""),
        )
