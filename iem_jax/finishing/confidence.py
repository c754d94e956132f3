"""How far a mask can be believed, without ground truth. One picture, pure, vmappable.

A good mask separates two populations of colours. One Gaussian is fitted to the colours of each side; Bayes' rule with
equal priors gives each pixel a probability p of being on the mask's side; the confidence is the soft IoU of p with
the mask M: sum(p M) / (sum(M) + sum(p N)), N the other side. It has no weights to fit; other terms and their scores:
benchmarks/RESOLUTION.md. It judges whether colours separate: a clean cut of the wrong thing is believed.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iem_jax.finishing.colours import fit_colours, log_density

UNCERTAIN_BELOW = 0.65  # the best F1 for IoU < 0.5, chosen on the splits that are not reported
DECIMALS = 4  # far above what padding, batching and devices change in the sums


def confidence(
    image: Float[Array, "h w c"], mask: Bool[Array, "h w"], valid: Bool[Array, "h w"] | None = None
) -> Float[Array, ""]:
    """Return the soft IoU of a mask with what the colours of its sides predict.

    Args:
      image: in [-1, 1], any number of channels.
      mask: true on the object, not the background (see `polarity.orient`).
      valid: the picture's own pixels, all of them by default.

    Returns:
      A scalar in [0, 1], rounded to `DECIMALS`; 0 for a mask with an empty side.
    """
    valid = jnp.ones_like(mask) if valid is None else valid
    image = jnp.where(valid[..., None], image, 0)
    inside, outside = mask & valid, ~mask & valid
    theirs, others = (log_density(image, fit_colours(image, side)) for side in (inside, outside))
    chance = jax.nn.sigmoid(theirs - others)
    both = jnp.sum(chance * inside.astype(chance.dtype))
    either = jnp.sum(inside, dtype=image.dtype) + jnp.sum(chance * outside.astype(chance.dtype))
    soft_iou = jnp.round(both / jnp.maximum(either, 1), DECIMALS)
    return jnp.where(inside.any() & outside.any(), soft_iou, 0)
