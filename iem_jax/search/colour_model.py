"""How likely each pixel of one picture is foreground: by colour, by texture and by where the foreground lies.

All functions are for one picture, pure and vmappable. A soft mask is (H, W) in [0, 1]; log odds are > 0 for
foreground.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iem_jax.search.histograms import LEVELS, Histogram, bins, histogram_log_odds, make_histogram
from iem_jax.search.places import EIGHT, neighbours

LOWEST, RANGE = (0.0, -80.0, -80.0), (100.0, 160.0, 160.0)  # of the colours' bins, in CIELAB
ROUGHEST = 4.0  # logarithm of the roughness of the last bin
TEXTURE_WEIGHT = 0.75  # of texture beside colour
PSEUDO_COLOURS, PSEUDO_TEXTURE = 2.0, 6.0  # pixels added to both sides of the histograms
NEAR, WIDE = 1 / 128, 12 / 128  # blurs of the colours' log odds and of the mask, in sides of the picture
WIDE_WEIGHT = 0.5
SLOPE = 2.0  # of the soft mask against the log odds
COARSE = 32  # the wide blur reads the mask from a grid of about this side


class ColourModel(NamedTuple):
    """What the log odds need of one picture; never changes."""

    valid: Bool[Array, "h w"]  # the picture's own pixels
    colours: Histogram  # of CIELAB
    texture: Histogram | None  # of the roughness of lightness and of colour
    near: tuple[Array, Array, Array]  # see _blur
    wide: tuple[Array, Array, Array]


def make_colour_model(
    lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"], *, with_texture: bool = False
) -> ColourModel:
    """Prepare one picture in CIELAB."""
    colours = make_histogram(colour_bins(lab), valid, axes=3)
    texture = make_histogram(_texture_bins(lab, valid), valid, axes=2) if with_texture else None
    side = jnp.sqrt(jnp.sum(valid, dtype=lab.dtype))
    near, wide = _make_blur(valid, NEAR * side, 1), _make_blur(valid, WIDE * side, _coarse_factor(valid.shape))
    return ColourModel(valid, colours, texture, near, wide)


def colour_bins(lab: Float[Array, "h w 3"]) -> Int[Array, "h w"]:
    """Return the bin of each colour."""
    lowest, span = (jnp.asarray(x, lab.dtype)[None, None] for x in (LOWEST, RANGE))
    return bins((lab - lowest) / span)


def _texture_bins(lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"]) -> Int[Array, "h w"]:
    """Return the bin of each pixel's roughness of lightness and of colour, on a scale of logarithms."""
    rough = jnp.stack([roughness(lab[..., :1], valid), roughness(lab[..., 1:], valid)], axis=-1)
    return bins(jnp.log1p(rough) / ROUGHEST)


def roughness(values: Float[Array, "h w c"], valid: Bool[Array, "h w"]) -> Float[Array, "h w"]:
    """Return the root mean square of the differences to the valid 8-neighbours, all channels' together."""
    own, planes = valid.astype(values.dtype), jnp.moveaxis(values, -1, 0)
    squares, number = jnp.zeros_like(own), jnp.zeros_like(own)
    for offset in EIGHT:
        pair = own * neighbours(own, [offset])[0]
        squares += pair * sum((plane - neighbours(plane, [offset])[0]) ** 2 for plane in planes)
        number += pair
    return jnp.sqrt(squares / jnp.maximum(number, 1))


def log_odds(
    model: ColourModel, mask: Float[Array, "h w"], offset: Float[Array, ""] | float = 0.0
) -> Float[Array, "h w"]:
    """Return the log odds of foreground, by colour, texture and place, given a soft mask; `offset` is added."""
    odds = colour_log_odds(model, mask, model.colours.bin)
    if model.texture is not None:
        weights, asked = _count(model, mask), model.texture.bin
        odds += TEXTURE_WEIGHT * histogram_log_odds(model.texture, weights, model.valid, asked, PSEUDO_TEXTURE)
    return _blur(odds, model.valid, model.near) + place_log_odds(model, mask) + offset


def colour_log_odds(
    model: ColourModel, mask: Float[Array, "h w"], asked: Int[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Return the log odds of foreground of the colours of bins, given a soft mask of the model's picture."""
    return histogram_log_odds(model.colours, _count(model, mask), model.valid, asked, PSEUDO_COLOURS)


def place_log_odds(model: ColourModel, mask: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Return the log odds of foreground by where a soft mask lies, weighted as beside the colours'."""
    share = _count(model, mask).astype(mask.dtype) / LEVELS
    there = jnp.clip(_blur(share, model.valid, model.wide), 0.02, 0.98)
    return WIDE_WEIGHT * jnp.log(there / (1 - there))


def _count(model: ColourModel, mask: Float[Array, "h w"]) -> Int[Array, "h w"]:
    return jnp.where(model.valid, jnp.round(mask * LEVELS), 0).astype(jnp.int32)


def harden(
    odds: Float[Array, "h w"], old: Bool[Array, "h w"], valid: Bool[Array, "h w"], least: float
) -> Bool[Array, "h w"]:
    """Return where the log odds are > 0, or `old` where that leaves less than the fraction `least` on a side."""
    mask = (odds > 0) & valid
    area, pixels = jnp.sum(mask, dtype=odds.dtype), jnp.sum(valid, dtype=odds.dtype)
    return jnp.where((area >= least * pixels) & (pixels - area >= least * pixels), mask, old)


def refine(
    model: ColourModel, mask: Bool[Array, "h w"], rounds: int, offset: Float[Array, ""] | float, least: float
) -> Bool[Array, "h w"]:
    """Refit colours and mask to each other, `rounds` times from a hard mask."""

    def fit(soft: Array, _: None) -> tuple[Array, None]:
        return jax.nn.sigmoid(SLOPE * log_odds(model, soft, offset)), None

    soft, _ = jax.lax.scan(fit, mask.astype(model.colours.total.dtype), length=rounds - 1)
    return harden(log_odds(model, soft, offset), mask, model.valid, least)


def pool(values: Float[Array, "h w *c"], factor: int) -> Float[Array, "hs ws *c"]:
    """Sum blocks of factor x factor pixels; what is missing from the last ones counts as 0."""
    height, width = (-(-length // factor) for length in values.shape[:2])
    padding = [(0, height * factor - values.shape[0]), (0, width * factor - values.shape[1])]
    padded = jnp.pad(values, padding + [(0, 0)] * (values.ndim - 2))
    corners = [padded[i::factor, j::factor] for i in range(factor) for j in range(factor)]
    return functools.reduce(jnp.add, corners)


def _gaussian(to: Array, of: Array, sigma: Float[Array, ""] | float) -> Float[Array, "m n"]:
    distance = to[:, None].astype(jnp.float32) - of[None, :].astype(jnp.float32)
    return jnp.exp(-0.5 * (distance / sigma) ** 2)


def _coarse_factor(shape: tuple[int, ...]) -> int:
    return max(1, min(shape) // COARSE)


def _make_blur(
    valid: Bool[Array, "h w"], sigma: Float[Array, ""], factor: int
) -> tuple[Float[Array, "h hs"], Float[Array, "ws w"], Float[Array, "h w"]]:
    """Return the matrices and the divisor of a Gaussian mean over valid pixels, read from blocks of `factor`."""
    matrices = []
    for length in valid.shape:
        centres = jnp.arange(-(-length // factor), dtype=jnp.float32) * factor + (factor - 1) / 2
        matrices.append(_gaussian(jnp.arange(length), centres, sigma))
    rows, columns = matrices[0], matrices[1].T
    return rows, columns, _product(rows, pool(valid.astype(sigma.dtype), factor), columns)


def _blur(
    values: Float[Array, "h w"], valid: Bool[Array, "h w"], blur: tuple[Array, Array, Array]
) -> Float[Array, "h w"]:
    rows, columns, divisor = blur
    factor = -(-values.shape[0] // rows.shape[1])
    blurred = _product(rows, pool(jnp.where(valid, values, 0), factor), columns)
    return blurred / jnp.maximum(divisor, 1e-6)


def _product(left: Array, middle: Array, right: Array) -> Array:
    highest = jax.lax.Precision.HIGHEST
    return jnp.matmul(jnp.matmul(left, middle, precision=highest), right, precision=highest)
