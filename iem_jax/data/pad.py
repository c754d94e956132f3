"""A whole picture in a square: in proportion, the long side fills the square, the rest is outside of the picture.

A box is (left, top, right, bottom) in pixels, as Pillow has it: where the picture lies in the square.
"""

import numpy as np
from jaxtyping import Bool, Shaped, UInt8
from PIL import Image

Box = tuple[int, int, int, int]


def pad_box(height: int, width: int, size: int) -> Box:
    """Return where a picture lies in a square of side `size`: centred; no side is shorter than 1 pixel."""
    longest = max(height, width)
    inner_height, inner_width = (max(round(side * size / longest), 1) for side in (height, width))
    left, top = (size - inner_width) // 2, (size - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def pad_picture(picture: UInt8[np.ndarray, "h w 3"], box: Box, size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Return the square: the picture brought to its box, averaged where it shrinks, with black around."""
    left, top, right, bottom = box
    square = np.zeros((size, size, 3), np.uint8)
    fitted = Image.fromarray(picture).resize((right - left, bottom - top), Image.Resampling.BICUBIC)
    square[top:bottom, left:right] = np.asarray(fitted)
    return square


def valid_pixels(box: Box, size: int) -> Bool[np.ndarray, "s s"]:
    """Return the validity mask V of a square: true in the box; `segment` takes it as `valid`."""
    left, top, right, bottom = box
    valid = np.zeros((size, size), bool)
    valid[top:bottom, left:right] = True
    return valid


def cut(square: Shaped[np.ndarray, "s s *c"], box: Box) -> Shaped[np.ndarray, "h w *c"]:
    """Return what is in the box, the inverse of padding."""
    left, top, right, bottom = box
    return square[top:bottom, left:right]
