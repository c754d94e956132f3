"""How likely each value of one picture is foreground: a histogram of the foreground's values against the background's.

Foreground and background weigh the same, whatever their areas: what is asked is which side a value belongs to, not
how frequent it is. Pure, vmappable; log odds are > 0 for foreground.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

BINS = 32  # of each axis
BLUR_FIRST, BLUR_OTHERS = 1.5, 1.2  # of the axes, in bins
CLIP = 4.0  # no value says more than this
LEVELS = 256  # of a soft mask, counted in integers: their sums are exact, in any order


class Histogram(NamedTuple):
    """All pixels of a picture; never changes."""

    bin: Int[Array, "h w"]  # of each pixel
    total: Float[Array, " *bins"]  # density of all pixels, in LEVELS; `BINS` along each axis


def bins(values: Float[Array, "*shape axes"]) -> Int[Array, "*shape"]:
    """Return the bin of values in [0, 1]; those outside are in the first or the last."""
    along = jnp.clip(jnp.floor(values * BINS), 0, BINS - 1).astype(jnp.int32)
    index = along[..., 0]
    for axis in range(1, values.shape[-1]):
        index = index * BINS + along[..., axis]
    return index


def make_histogram(index: Int[Array, "h w"], valid: Bool[Array, "h w"], axes: int) -> Histogram:
    """Count the valid pixels' bins."""
    return Histogram(index, _density(index, jnp.where(valid, LEVELS, 0), axes))


def histogram_log_odds(
    histogram: Histogram,
    weights: Int[Array, "h w"],
    valid: Bool[Array, "h w"],
    asked: Int[Array, "*shape"],
    pseudo_pixels: float,
) -> Float[Array, "*shape"]:
    """Return the log odds of foreground of bins.

    Args:
      histogram: of the picture.
      weights: of foreground, of each pixel, in LEVELS.
      valid: the picture's own pixels.
      asked: the bins.
      pseudo_pixels: added to both sides, spread over the picture.
    """
    total = histogram.total.ravel()
    area, pixels = jnp.sum(weights).astype(total.dtype), jnp.sum(valid, dtype=total.dtype)
    inside, all_there = _density(histogram.bin, weights, histogram.total.ndim).ravel()[asked], total[asked]
    pseudo = pseudo_pixels / pixels
    of_foreground = inside / jnp.maximum(area, 1) + pseudo
    of_background = jnp.maximum(all_there - inside, 0) / jnp.maximum(LEVELS * pixels - area, 1) + pseudo
    return jnp.clip(jnp.log(of_foreground / of_background), -CLIP, CLIP)


def _bin_blur(sigma: float) -> np.ndarray:
    places = np.arange(BINS)
    weights = np.exp(-0.5 * ((places[:, None] - places[None, :]) / sigma) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _density(index: Int[Array, "h w"], weights: Int[Array, "h w"], axes: int) -> Float[Array, " *bins"]:
    """Return the blurred histogram of all weights."""
    counts = jnp.zeros(BINS**axes, jnp.int32).at[index.ravel()].add(weights.ravel()).astype(jnp.float32)

    def blur(histogram: Array, matrix: Array) -> tuple[Array, None]:
        # Blurs the first axis and makes it the last: after one time each all are blurred and in order again.
        dimensions = (((0,), (1,)), ((), ()))
        highest = jax.lax.Precision.HIGHEST
        blurred = jax.lax.dot_general(histogram.reshape(BINS, -1), matrix, dimensions, precision=highest)
        return blurred.reshape(-1), None

    blurs = np.stack([_bin_blur(BLUR_FIRST)] + [_bin_blur(BLUR_OTHERS)] * (axes - 1))
    return jax.lax.scan(blur, counts, jnp.asarray(blurs))[0].reshape((BINS,) * axes)
