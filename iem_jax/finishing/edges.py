"""From a mask at the model's size to a mask at the picture's own size, whose edges follow the picture.

Coarse to fine: the mask is enlarged by 2 again and again. After each step the colours of the two sides, one Gaussian
each, decide anew about the pixels near the boundary: a pixel goes to the side that makes its colour, and those of its
nearest neighbours, more likely. IEM itself, continued at each step, gives worse edges (benchmarks/RESOLUTION.md).

The work is done in tiles of one shape, by one compiled program for pictures of all sizes; tiles without boundary are
left out. Beside the picture and its mask, memory holds the picture at half its size and one tile.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.data.fit import Box, cut
from iem_jax.finishing.colours import Colours, fit_colours, log_density

REACH = 12  # pixels around the boundary that are decided anew
SIGMA = 1.0  # of the Gaussian over neighbouring pixels
CERTAIN = 16.0  # a pixel's log likelihood ratio counts up to this
TILE = 256  # side of a tile
SAMPLES = 128  # the Gaussians are fitted to a grid of SAMPLES x SAMPLES pixels

_TAPS = 3  # the Gaussian's reach
_EDGE = max(REACH, _TAPS)  # what a tile must see around it


def refine_to(picture: UInt8[np.ndarray, "H W c"], mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "H W"]:
    """Bring a mask of the whole picture to the picture's size.

    A mask with an empty side, or larger than the picture, is only resized.

    Args:
      picture: at its own size, any number of channels.
      mask: at any size and proportion, such as `segment` gives it, without what was padded.

    Returns:
      The mask at the picture's size.

    Raises:
      UsageError: an array without pixels.
    """
    if 0 in picture.shape or 0 in mask.shape:
        raise UsageError(f"`picture` and `mask` must have pixels, got shapes {picture.shape} and {mask.shape}.")
    height, width = picture.shape[:2]
    growth = max(height / mask.shape[0], width / mask.shape[1])
    for halvings in reversed(range(math.ceil(math.log2(max(growth, 1))))):
        level = resize_picture(picture, *(max(round(side / 2**halvings), 1) for side in (height, width)))
        mask = refine(level, resize_mask(mask, *level.shape[:2]))
    return resize_mask(mask, height, width)


def restore_refined(
    picture: UInt8[np.ndarray, "H W c"], mask: Bool[np.ndarray, "s s"], region: Box, box: Box
) -> Bool[np.ndarray, "H W"]:
    """Bring the mask of a square to the picture's size; what the square did not show is background.

    Args:
      picture: at its own size.
      mask: of the square that was segmented.
      region: (left, top, right, bottom) of what the square shows, in pixels of the picture.
      box: where that lies in the square, in pixels of the square.
    """
    left, top, right, bottom = region
    restored = np.zeros(picture.shape[:2], bool)
    restored[top:bottom, left:right] = refine_to(picture[top:bottom, left:right], cut(mask, box))
    return restored


def refine(picture: UInt8[np.ndarray, "H W c"], mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Decide anew about the pixels near the boundary of a mask, at one size."""
    if mask.all() or not mask.any():
        return mask
    height, width = mask.shape
    rows, columns = (((np.arange(SAMPLES) + 0.5) * side / SAMPLES).astype(int) for side in (height, width))
    grid = np.ix_(rows, columns)
    colours = _fit_sides(picture[grid], mask[grid])
    refined = mask.copy()
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            box = _window(top, height), _window(left, width)
            seen = mask[box]
            if seen.all() or not seen.any():
                continue
            tile = _decide(_to_tile(picture[box]), _to_tile(seen), np.asarray(seen.shape, np.int32), colours)
            rows, columns = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            up, across = top - box[0].start, left - box[1].start
            refined[rows, columns] = np.asarray(tile)[up:, across:][: rows.stop - top, : columns.stop - left]
    return refined


def resize_picture(picture: UInt8[np.ndarray, "H W c"], height: int, width: int) -> UInt8[np.ndarray, "h w c"]:
    """Return the picture at a smaller size, averaged."""
    if picture.shape[:2] == (height, width):
        return picture
    channels = np.moveaxis(picture, -1, 0) if picture.shape[-1] != 3 else [picture]
    smaller = [np.asarray(Image.fromarray(x).resize((width, height), Image.Resampling.BOX)) for x in channels]
    return smaller[0] if picture.shape[-1] == 3 else np.stack(smaller, axis=-1)


def resize_mask(mask: Bool[np.ndarray, "h w"], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """Return where the mask, interpolated linearly, or averaged where it shrinks, is at least a half."""
    if mask.shape == (height, width):
        return mask
    grey = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR)) >= 128


def _window(start: int, length: int) -> slice:
    """Return what a tile from `start` on must see of a side."""
    return slice(max(start - _EDGE, 0), min(start + TILE + _EDGE, length))


def _to_tile(values: np.ndarray) -> np.ndarray:
    """Fill up with zeros to the shape that all tiles have."""
    side = TILE + 2 * _EDGE
    spare = [(0, side - values.shape[0]), (0, side - values.shape[1])] + [(0, 0)] * (values.ndim - 2)
    return np.pad(values, spare)


def _to_float(picture: UInt8[Array, "h w c"]) -> Float[Array, "h w c"]:
    return picture.astype(jnp.float32) * (2 / 255) - 1


@jax.jit
def _fit_sides(picture: UInt8[Array, "h w c"], mask: Bool[Array, "h w"]) -> tuple[Colours, Colours]:
    image = _to_float(picture)
    return fit_colours(image, mask), fit_colours(image, ~mask)


@jax.jit
def _decide(
    picture: UInt8[Array, "t t c"], mask: Bool[Array, "t t"], shape: Array, colours: tuple[Colours, Colours]
) -> Bool[Array, "t t"]:
    """Decide about one tile, of which `shape` is picture and the rest is not."""
    inside = (jnp.arange(mask.shape[0]) < shape[0])[:, None] & (jnp.arange(mask.shape[1]) < shape[1])[None, :]
    image = _to_float(picture)
    ratio = jnp.clip(log_density(image, colours[0]) - log_density(image, colours[1]), -CERTAIN, CERTAIN)
    evidence = _blur(jnp.where(inside, ratio, 0))
    near_boundary = _near(mask & inside) & _near(~mask & inside)
    return jnp.where(near_boundary & (evidence != 0), evidence > 0, mask) & inside


def _blur(plane: Float[Array, "t t"]) -> Float[Array, "t t"]:
    """Correlate with a Gaussian, zeros around; not normalised, since only signs are asked for."""
    for axis in (0, 1):
        padded = jnp.pad(plane, [(_TAPS, _TAPS) if i == axis else (0, 0) for i in (0, 1)])
        parts = (
            jax.lax.slice_in_dim(padded, _TAPS + i, _TAPS + i + plane.shape[axis], axis=axis)
            * math.exp(-0.5 * (i / SIGMA) ** 2)
            for i in range(-_TAPS, _TAPS + 1)
        )
        plane = functools.reduce(jnp.add, parts)
    return plane


def _near(side: Bool[Array, "t t"]) -> Bool[Array, "t t"]:
    """Mark the pixels with the side in the square of `REACH` pixels around them."""
    for window in ((2 * REACH + 1, 1), (1, 2 * REACH + 1)):
        side = jax.lax.reduce_window(side, False, jax.lax.bitwise_or, window, (1, 1), "SAME")
    return side
