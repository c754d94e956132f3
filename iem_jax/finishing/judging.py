"""What can be said of a mask without ground truth: which side is the object, and how far to believe it."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from iem_jax.core.batch import normalise
from iem_jax.core.solver import Segmentation
from iem_jax.finishing.confidence import confidence
from iem_jax.finishing.polarity import orient

POLARITIES = ("start", "border")


class Judged(NamedTuple):
    """A segmentation and what is said of it; with or without a leading batch axis."""

    segmentation: Segmentation  # its mask, area and overlap as the search found them
    mask: Bool[Array, "*b h w"]  # the object
    confidence: Float[Array, "*b"]  # in [0, 1]

    @property
    def is_turned(self) -> bool:
        """Whether the object is the complement of what the search found; for one picture."""
        return bool(np.any(np.asarray(self.mask) != np.asarray(self.segmentation.mask)))


@functools.partial(jax.jit, static_argnames="polarity")
def judge(
    images: Shaped[Array | np.ndarray, "b h w c"],
    masks: Bool[Array | np.ndarray, "b h w"],
    valid: Bool[Array | np.ndarray, "b h w"] | None,
    polarity: str,
    consensus: Float[Array | np.ndarray, " b"] | None = None,
) -> tuple[Bool[Array, "b h w"], Float[Array, " b"]]:
    """Return the objects and the confidences of masks.

    Args:
      images: as for `segment`.
      masks: of `segment`.
      valid: the pictures' own pixels, None for all.
      polarity: "start" believes the masks, "border" asks `orient`.
      consensus: of the search, if it has one.
    """

    def one(image: Array, mask: Array, own: Array | None, agreed: Array | None) -> tuple[Array, Array]:
        mask = orient(mask, own) if polarity == "border" else mask
        return mask, confidence(normalise(image), mask, own, agreed)

    return jax.vmap(one)(*jax.tree.map(jnp.asarray, (images, masks, valid, consensus)))
