"""How likely each colour of one picture is foreground: two histograms of CIELAB and where the foreground lies.

All functions are for one picture, pure and vmappable. A soft mask is (H, W) in [0, 1]; log odds are > 0 for
foreground. Foreground and background weigh the same, whatever their areas: what is asked is which side a colour
belongs to, not how frequent it is.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

BINS = 32  # of each axis: L from 0 to 100, a and b from -80 to 80
LOWEST, RANGE = (0.0, -80.0, -80.0), (100.0, 160.0, 160.0)
BLUR_L, BLUR_AB = 1.5, 1.2  # of the histogram, in bins
PSEUDO_PIXELS = 2.0  # added to both histograms, spread over the picture
CLIP = 4.0  # no colour says more than this
LEVELS = 256  # of a soft mask, counted in integers: their sums are exact, in any order
NEAR, WIDE = 1 / 128, 12 / 128  # blurs of the colours' log odds and of the mask, in sides of the picture
WIDE_WEIGHT = 0.5
SLOPE = 2.0  # of the soft mask against the log odds
COARSE = 32  # the wide blur reads the mask from a grid of about this side


def _bin_blur(sigma: float) -> np.ndarray:
    bins = np.arange(BINS)
    weights = np.exp(-0.5 * ((bins[:, None] - bins[None, :]) / sigma) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


_BLURS = np.stack([_bin_blur(sigma) for sigma in (BLUR_L, BLUR_AB, BLUR_AB)])


class ColourModel(NamedTuple):
    """What the log odds need of one picture; never changes."""

    bin: Int[Array, "h w"]  # the bin of each pixel
    valid: Bool[Array, "h w"]  # the picture's own pixels
    total: Float[Array, " bins"]  # density of all pixels at each colour, in LEVELS
    near: tuple[Array, Array, Array]  # see _blur
    wide: tuple[Array, Array, Array]


def make_colour_model(lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"]) -> ColourModel:
    """Prepare one picture in CIELAB."""
    index = colour_bins(lab)
    total = _density(index, jnp.where(valid, LEVELS, 0))
    side = jnp.sqrt(jnp.sum(valid, dtype=lab.dtype))
    near, wide = _make_blur(valid, NEAR * side, 1), _make_blur(valid, WIDE * side, _coarse_factor(valid.shape))
    return ColourModel(index, valid, total, near, wide)


def colour_bins(lab: Float[Array, "h w 3"]) -> Int[Array, "h w"]:
    """Return the bin of each colour."""
    lowest, span = (jnp.asarray(x, lab.dtype)[None, None] for x in (LOWEST, RANGE))
    bins = jnp.clip(jnp.floor((lab - lowest) / span * BINS), 0, BINS - 1).astype(jnp.int32)
    return (bins[..., 0] * BINS + bins[..., 1]) * BINS + bins[..., 2]


def log_odds(
    model: ColourModel, mask: Float[Array, "h w"], offset: Float[Array, ""] | float = 0.0
) -> Float[Array, "h w"]:
    """Return the log odds of foreground, by colour and place, given a soft mask; `offset` is added."""
    by_colour = colour_log_odds(model, mask, model.bin)
    return _blur(by_colour, model.valid, model.near) + place_log_odds(model, mask) + offset


def colour_log_odds(
    model: ColourModel, mask: Float[Array, "h w"], bins: Int[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Return the log odds of foreground of colours, given a soft mask of the model's picture."""
    weights = _count(model, mask)
    area = jnp.sum(weights).astype(mask.dtype)
    pixels = jnp.sum(model.valid, dtype=mask.dtype)
    inside, total = _density(model.bin, weights)[bins], model.total[bins]
    pseudo = PSEUDO_PIXELS / pixels
    of_foreground = inside / jnp.maximum(area, 1) + pseudo
    of_background = jnp.maximum(total - inside, 0) / jnp.maximum(LEVELS * pixels - area, 1) + pseudo
    return jnp.clip(jnp.log(of_foreground / of_background), -CLIP, CLIP)


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

    soft, _ = jax.lax.scan(fit, mask.astype(model.total.dtype), length=rounds - 1)
    return harden(log_odds(model, soft, offset), mask, model.valid, least)


def pool(values: Float[Array, "h w *c"], factor: int) -> Float[Array, "hs ws *c"]:
    """Sum blocks of factor x factor pixels; what is missing from the last ones counts as 0."""
    height, width = (-(-length // factor) for length in values.shape[:2])
    padding = [(0, height * factor - values.shape[0]), (0, width * factor - values.shape[1])]
    padded = jnp.pad(values, padding + [(0, 0)] * (values.ndim - 2))
    corners = [padded[i::factor, j::factor] for i in range(factor) for j in range(factor)]
    return functools.reduce(jnp.add, corners)


def _density(index: Int[Array, "h w"], weights: Int[Array, "h w"]) -> Float[Array, " bins"]:
    """Return the blurred histogram of all weights."""
    counts = jnp.zeros(BINS**3, jnp.int32).at[index.ravel()].add(weights.ravel())
    histogram = counts.astype(jnp.float32)

    def blur(histogram: Array, matrix: Array) -> tuple[Array, None]:
        # Blurs the first axis and makes it the last: after three times all are blurred and in order again.
        dimensions = (((0,), (1,)), ((), ()))
        highest = jax.lax.Precision.HIGHEST
        blurred = jax.lax.dot_general(histogram.reshape(BINS, BINS**2), matrix, dimensions, precision=highest)
        return blurred.reshape(-1), None

    return jax.lax.scan(blur, histogram, jnp.asarray(_BLURS))[0]


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
