"""One picture of a data set or a folder, before it is read."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

PixelRule = Callable[[UInt8[np.ndarray, "h w 3"]], Bool[np.ndarray, "h w"]]


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A picture and, where there is one, its ground truth.

    Attributes:
      name: the picture's path relative to its root, without ending, with "/"; names the files written for it.
      image_path: the picture: a path, or its bytes, or a Pillow picture.
      mask_path: the ground truth: a path, or its bytes, or None.
      mask_rule: which pixels of the ground truth, as RGB at its full size, are foreground; None: non-zero ones.
      mask_orientation: of ground truths that fit their picture both as it is stored and as it is turned by EXIF: one of
        `truths.ORIENTATIONS`; None: upright, and noted.
      truncated: take what is there of a picture whose file ends too early.
      problem: why it cannot be read, if that is known before trying, else "".
    """

    name: str
    image_path: Any  # a `Source`
    mask_path: Any = None  # a `Source`, or None
    mask_rule: PixelRule | None = None
    mask_orientation: str | None = None
    truncated: bool = False
    problem: str = ""
