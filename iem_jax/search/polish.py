"""Polishing: a mask, wherever it comes from, fitted to the colours of its own picture.

A network's masks know what objects look like and little of this one's edge; the colours of the two sides know the edge.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from iem_jax.core.batch import normalise
from iem_jax.core.features import srgb_to_lab
from iem_jax.search.colour_model import make_colour_model, refine

LEAST = 0.0025  # fraction of the picture that a side must keep


def polish(
    image: Float[Array | np.ndarray, "h w 3"],
    mask: Bool[Array | np.ndarray, "h w"],
    rounds: int,
    valid: Bool[Array | np.ndarray, "h w"] | None = None,
) -> Bool[Array, "h w"]:
    """Refit a mask and the colours of its two sides to each other.

    Args:
      image: sRGB in [-1, 1].
      mask: true for foreground.
      rounds: how often; 0 returns the mask.
      valid: the picture's own pixels, all of them by default.

    Returns:
      The new mask, or the old one where a side would be left with less than `LEAST` of the picture.
    """
    image, mask = jnp.asarray(image), jnp.asarray(mask)
    if not rounds:
        return mask
    own = jnp.ones_like(mask) if valid is None else jnp.asarray(valid)
    lab = jnp.where(own[..., None], srgb_to_lab(image), 0)
    return refine(make_colour_model(lab, own), mask & own, rounds, 0.0, LEAST)


@functools.partial(jax.jit, static_argnames="rounds")
def polish_all(
    images: Shaped[Array | np.ndarray, "n h w 3"],
    masks: Bool[Array | np.ndarray, "n h w"],
    rounds: int,
    valid: Bool[Array | np.ndarray, "n h w"],
) -> Bool[Array, "n h w"]:
    """Polish many masks, one after the other; images as for `segment`."""

    def one(picture: tuple[Array, Array, Array]) -> Array:
        image, mask, valid = picture
        return polish(normalise(image), mask, rounds, valid)

    return jax.lax.map(one, (images, masks, valid))
