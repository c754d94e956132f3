"""The colours of the two sides of a mask: one Gaussian each. One picture, pure, vmappable."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

NOISE = 1e-4  # variance added to each channel, of values in [-1, 1]: 1.3 grey levels


class Colours(NamedTuple):
    """A Gaussian over the channels."""

    mean: Float[Array, " c"]
    whiten: Float[Array, "c c"]  # takes a deviation from the mean to unit variances
    log_scale: Float[Array, ""]  # half the logarithm of the covariance's determinant


def fit_colours(image: Float[Array, "h w c"], side: Bool[Array, "h w"]) -> Colours:
    """Return the Gaussian of the pixels of `side`, with `NOISE` added; mean 0 for an empty side."""
    weight = side.astype(image.dtype) / jnp.maximum(jnp.sum(side, dtype=image.dtype), 1)
    mean = jnp.einsum("hw,hwc->c", weight, image, precision="highest")
    offset = image - mean[None, None]
    covariance = jnp.einsum("hw,hwc,hwd->cd", weight, offset, offset, precision="highest")
    whiten, log_scale = _whiten(covariance + NOISE * jnp.eye(image.shape[-1], dtype=image.dtype))
    return Colours(mean, whiten, log_scale)


def _whiten(covariance: Float[Array, "c c"]) -> tuple[Float[Array, "c c"], Float[Array, ""]]:
    """Return the inverse of the Cholesky factor, and half the logarithm of the determinant.

    By elimination: LAPACK would have to be found first, which takes a process longer than all that is done with it.
    """
    channels = covariance.shape[0]
    rows, index = jnp.concatenate([covariance, jnp.eye(channels, dtype=covariance.dtype)], axis=1), jnp.arange(channels)
    log_scale = jnp.zeros((), covariance.dtype)
    for k in range(channels):
        pivot = jnp.sqrt(rows[k, k])
        row = rows[k] / pivot
        below = jnp.where(index > k, rows[:, k] / pivot, 0)
        rows = jnp.where((index == k)[:, None], row[None], rows - below[:, None] * row[None])
        log_scale += jnp.log(pivot)
    return rows[:, channels:], log_scale


def log_density(image: Float[Array, "h w c"], colours: Colours) -> Float[Array, "h w"]:
    """Return the logarithm of each pixel's density, up to a constant that is the same for all Gaussians."""
    offset = image - colours.mean[None, None]
    distance = jnp.einsum("hwc,dc->hwd", offset, colours.whiten, precision="highest")
    return -0.5 * jnp.sum(distance**2, axis=-1) - colours.log_scale
