"""From a mask at the model's size to a mask at the picture's own size, whose edges follow the picture.

Coarse to fine: the mask is enlarged by 2 again and again. After each step the colours of the two sides, one Gaussian
each, decide anew about the pixels near the boundary: a pixel goes to the side that makes its colour, and those of its
nearest neighbours, more likely. IEM itself, continued at each step, gives worse edges (benchmarks/RESOLUTION.md).

The work is done on the host, in blocks of pixels; blocks without boundary nearby are left out. Beside the picture and
its mask, memory holds the picture at half its size and a few blocks. The only long sums are of whole numbers, exact in
any order: the result does not depend on the number of threads.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.data.fit import Box, cut
from iem_jax.finishing.colours import NOISE

REACH = 12  # pixels around the boundary that are decided anew; even
SIGMA = 1.0  # of the Gaussian over neighbouring pixels
CERTAIN = 16.0  # a pixel's log likelihood ratio counts up to this
BLOCK = 32  # side of a block; even, at least REACH
TOGETHER = 32  # blocks decided at a time: their planes stay in the processor's cache
SAMPLES = 128  # the Gaussians are fitted to a grid of SAMPLES x SAMPLES pixels

_TAPS = 3  # the Gaussian's reach
_GREY = 2 / 255  # a grey level, where the picture's values are -1 to 1

Picture = Image.Image | UInt8[np.ndarray, "H W c"]
Level = list[Image.Image]  # a picture at one size: one of mode RGB, or one of mode L for each channel


class Ratio(NamedTuple):
    """The logarithm of how much likelier one side makes a colour, a polynomial in its deviation from the middle."""

    middle: Float32[np.ndarray, " c"]
    constant: Float32[np.ndarray, ""]
    linear: Float32[np.ndarray, " c"]
    square: Float32[np.ndarray, "c c"]  # upper triangle


def refine_to(picture: Picture, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "H W"]:
    """Bring a mask of the whole picture to the picture's size.

    A mask with an empty side, or larger than the picture, is only resized.

    Args:
      picture: at its own size; a Pillow picture of mode RGB, or an array of any number of channels.
      mask: at any size and proportion, such as `segment` gives it, without what was padded.

    Returns:
      The mask at the picture's size.

    Raises:
      UsageError: an array without pixels.
    """
    if 0 in mask.shape or (isinstance(picture, np.ndarray) and 0 in picture.shape):
        shapes = f"{getattr(picture, 'shape', '')} and {mask.shape}"
        raise UsageError(f"`picture` and `mask` must have pixels, got shapes {shapes}.")
    levels = [_to_level(picture)]
    width, height = levels[0][0].size
    growth = max(height / mask.shape[0], width / mask.shape[1])
    if growth <= 1 or mask.all() or not mask.any():
        return resize_mask(mask, height, width)
    while len(levels) < math.log2(growth):
        levels.append([plane.reduce(2) for plane in levels[-1]])
    mask = _refine(levels[-1], resize_mask(mask, *levels[-1][0].size[::-1]), 1)
    for level in levels[-2::-1]:
        mask = _refine(level, mask, 2)
    return np.ascontiguousarray(mask)


def restore_refined(picture: Picture, mask: Bool[np.ndarray, "s s"], region: Box, box: Box) -> Bool[np.ndarray, "H W"]:
    """Bring the mask of a square to the picture's size; what the square did not show is background.

    Args:
      picture: at its own size; a Pillow picture of mode RGB, or an array of any number of channels.
      mask: of the square that was segmented.
      region: (left, top, right, bottom) of what the square shows, in pixels of the picture.
      box: where that lies in the square, in pixels of the square.
    """
    left, top, right, bottom = region
    width, height = picture.size if isinstance(picture, Image.Image) else picture.shape[1::-1]
    if region == (0, 0, width, height):
        return refine_to(picture, cut(mask, box))
    shown = picture.crop(region) if isinstance(picture, Image.Image) else picture[top:bottom, left:right]
    restored = np.zeros((height, width), bool)
    restored[top:bottom, left:right] = refine_to(shown, cut(mask, box))
    return restored


def refine(picture: Picture, mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Decide anew about the pixels near the boundary of a mask, at one size."""
    return np.ascontiguousarray(_refine(_to_level(picture), mask, 1))


def resize_picture(picture: UInt8[np.ndarray, "H W c"], height: int, width: int) -> UInt8[np.ndarray, "h w c"]:
    """Return the picture at a smaller size, averaged."""
    if picture.shape[:2] == (height, width):
        return picture
    planes = [plane.resize((width, height), Image.Resampling.BOX) for plane in _to_level(picture)]
    return np.concatenate([np.atleast_3d(np.asarray(plane)) for plane in planes], axis=-1)


def resize_mask(mask: Bool[np.ndarray, "h w"], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """Return where the mask, interpolated linearly, or averaged where it shrinks, is at least a half."""
    if mask.shape == (height, width):
        return mask
    grey = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR)) >= 128


def _to_level(picture: Picture) -> Level:
    if isinstance(picture, Image.Image):
        return [picture]
    if picture.shape[-1] == 3:
        return [Image.fromarray(picture)]
    return [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(picture, -1, 0)]


def _refine(level: Level, mask: Bool[np.ndarray, "h w"], growth: int) -> Bool[np.ndarray, "H W"]:
    """Enlarge a mask to `growth`, 1 or 2, times its size, cut off at the level's, and decide near its boundary."""
    width, height = level[0].size
    blocks, near = _find_blocks(mask, BLOCK // growth, REACH // growth)
    enlarged = _enlarge(mask, growth)
    if not len(blocks):
        return enlarged[:height, :width]
    ratio = _fit_ratio(level, enlarged[:height, :width])
    grid = enlarged.reshape(enlarged.shape[0] // BLOCK, BLOCK, enlarged.shape[1] // BLOCK, BLOCK)
    for start in range(0, len(blocks), TOGETHER):
        some = blocks[start : start + TOGETHER]
        places = some[:, 0], slice(None), some[:, 1]
        evidence = _weigh(level, some, ratio)
        decided = near[start : start + TOGETHER].repeat(growth, 1).repeat(growth, 2) & (evidence != 0)
        grid[places] = np.where(decided, evidence > 0, grid[places])
    return enlarged[:height, :width]


def _enlarge(mask: Bool[np.ndarray, "h w"], growth: int) -> Bool[np.ndarray, "H W"]:
    """Repeat pixels `growth`, 1 or 2, times, and fill up to whole blocks with background."""
    height, width = mask.shape
    enlarged = np.zeros([-(-side * growth // BLOCK) * BLOCK for side in mask.shape], bool)
    pairs = enlarged.view(f"u{growth}")[: height * growth, :width]  # two pixels side by side are one number
    for row in range(growth):
        np.multiply(mask, pairs.dtype.type(sum(256**i for i in range(growth))), out=pairs[row::growth])
    return enlarged


def _find_blocks(
    mask: Bool[np.ndarray, "h w"], side: int, reach: int
) -> tuple[Int[np.ndarray, "n 2"], Bool[np.ndarray, "n b b"]]:
    """Return which blocks of `side` pixels have any with both sides in a square of `reach` around them, and which."""
    down, across = (-(-length // side) for length in mask.shape)
    spare = [(reach, reach + number * side - length) for number, length in zip((down, across), mask.shape, strict=True)]
    padded = np.pad(mask, spare, mode="edge")
    rows = padded[reach : reach + down * side, reach : reach + across * side].reshape(down, side, -1)
    some, every = (fold(rows, axis=1).reshape(down, across, side) for fold in (np.any, np.all))
    present = np.stack([np.pad(values, 1) for values in (some.any(axis=2), ~every.all(axis=2))])
    blocks = np.argwhere(_spread(present, 3)[:, :-2, :-2].all(axis=0))
    views = np.lib.stride_tricks.sliding_window_view(padded, (side + 2 * reach,) * 2)[::side, ::side]
    patches = views[blocks[:, 0], blocks[:, 1]]
    both = _spread(patches, 2 * reach + 1) & _spread(~patches, 2 * reach + 1)
    near = both[:, :side, :side]
    found = near.any(axis=(1, 2))
    return blocks[found], near[found]


def _spread(values: Bool[np.ndarray, "n h w"], window: int) -> Bool[np.ndarray, "n h w"]:
    """Return whether there is any in a window from each pixel on, down and to the right, where it is inside the plane.

    As in `_blur`, the planes are taken as one long row.
    """
    flat = values.reshape(-1).copy()
    for step in (1, values.shape[-1]):
        width = 1
        while width < window:
            more = min(width, window - width)
            flat[: -more * step] |= flat[more * step :]
            width += more
    return flat.reshape(values.shape)


def _fit_ratio(level: Level, mask: Bool[np.ndarray, "H W"]) -> Ratio:
    """Fit a Gaussian to the colours of each side; sums of grey levels and of their products are exact in float64."""
    height, width = mask.shape
    rows, columns = (((np.arange(SAMPLES) + 0.5) * side / SAMPLES).astype(int) for side in (height, width))
    size = (SAMPLES, SAMPLES)
    samples = _stack([plane.resize(size, Image.Resampling.NEAREST) for plane in level]).astype(np.float64)
    inside = mask[np.ix_(rows, columns)]
    means, precisions, scales = zip(*(_fit(samples[side]) for side in (inside, ~inside)), strict=True)
    middle = (means[0] + means[1]) / 2
    offsets = [mean - middle for mean in means]
    square, linear = precisions[1] - precisions[0], precisions[0] @ offsets[0] - precisions[1] @ offsets[1]
    constant = 0.5 * (offsets[1] @ precisions[1] @ offsets[1] - offsets[0] @ precisions[0] @ offsets[0])
    constant += scales[1] - scales[0]
    triangle = np.triu(square) - 0.5 * np.diag(np.diag(square))
    return Ratio(*(np.asarray(values, np.float32) for values in (middle, constant, linear, triangle)))


def _fit(samples: Float64[np.ndarray, "n c"]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean and inverse covariance in grey levels, with `NOISE` added, and half the log determinant."""
    number, channels = max(len(samples), 1), samples.shape[1]
    mean = samples.sum(axis=0) / number if len(samples) else np.full(channels, 127.5)
    covariance = (samples.T @ samples) / number - np.outer(mean, mean) * (len(samples) > 0)
    covariance += NOISE / _GREY**2 * np.eye(channels)
    return mean, np.linalg.inv(covariance), 0.5 * np.linalg.slogdet(covariance)[1]


def _weigh(level: Level, blocks: Int[np.ndarray, "n 2"], ratio: Ratio) -> Float32[np.ndarray, "n b b"]:
    """Return the log likelihood ratio, up to `CERTAIN`, summed by a Gaussian over each pixel's neighbours."""
    colours = _cut_blocks(level, blocks)
    planes = [colours[..., i].astype(np.float32) - ratio.middle[i] for i in range(colours.shape[-1])]
    evidence = np.full(planes[0].shape, ratio.constant)
    for i, plane in enumerate(planes):
        slope = ratio.square[i, i] * plane + ratio.linear[i]
        for j in range(i + 1, len(planes)):
            slope += ratio.square[i, j] * planes[j]
        evidence += slope * plane
    np.clip(evidence, -CERTAIN, CERTAIN, out=evidence)
    width, height = level[0].size
    places = np.arange(-_TAPS, BLOCK + _TAPS)
    rows, columns = (blocks[:, axis, None] * BLOCK + places for axis in (0, 1))
    evidence *= ((rows >= 0) & (rows < height))[:, :, None]
    evidence *= ((columns >= 0) & (columns < width))[:, None, :]
    return _blur(evidence)[:, _TAPS:-_TAPS, _TAPS:-_TAPS]


def _cut_blocks(level: Level, blocks: Int[np.ndarray, "n 2"]) -> UInt8[np.ndarray, "n s s c"]:
    """Cut out what the blocks must see, with zeros beyond the picture's edges."""
    side = BLOCK + 2 * _TAPS
    atlas = [Image.new(plane.mode, (side, side * len(blocks))) for plane in level]
    for number, (row, column) in enumerate(blocks.tolist()):
        left, top = column * BLOCK - _TAPS, row * BLOCK - _TAPS
        for plane, target in zip(level, atlas, strict=True):
            target.paste(plane.crop((left, top, left + side, top + side)), (0, number * side))
    return _stack(atlas).reshape(len(blocks), side, side, -1)


def _stack(level: Level) -> UInt8[np.ndarray, "h w c"]:
    """Return a level as an array."""
    return np.concatenate([np.atleast_3d(np.asarray(plane)) for plane in level], axis=-1)


def _blur(planes: Float32[np.ndarray, "n s s"]) -> Float32[np.ndarray, "n s s"]:
    """Correlate with a Gaussian, not normalised; within `_TAPS` pixels of the planes' edges the result means nothing.

    The planes are taken as one long row: shifts by a pixel, or by a row, are then slices of it.
    """
    flat = planes.reshape(-1)
    for step in (1, planes.shape[-1]):
        first, last = _TAPS * step, flat.size - _TAPS * step
        total = flat.copy()
        for i in range(1, _TAPS + 1):
            pair = flat[first - i * step : last - i * step] + flat[first + i * step : last + i * step]
            pair *= np.float32(math.exp(-0.5 * (i / SIGMA) ** 2))
            total[first:last] += pair
        flat = total
    return flat.reshape(planes.shape)
