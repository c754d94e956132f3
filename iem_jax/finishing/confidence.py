"""How far a mask can be believed, without ground truth. One picture, pure, vmappable.

Four signs, with two weights. 1. A good mask separates two populations of colours: one Gaussian is fitted to the
colours of each side; Bayes' rule with equal priors gives each pixel a probability p of being on the mask's side, and
the sign is the soft IoU of p with the mask M, sum(p M) / (sum(M) + sum(p N)), N the other side. 2. Where a search has
found several masks, their consensus; the mean of 1 and 2. 3. The share of the picture's border that the mask touches,
which is subtracted with weight `BORDER`. 4. How ragged it is, the perimeter by the square root of the area, beyond a
disc's, with weight `RAGGED`. The weights were chosen on one half of four subjects; other terms and their scores stand
in docs/quality.md.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iem_jax.core.masks import on_border
from iem_jax.finishing.colours import fit_colours, log_density

UNCERTAIN_BELOW = 0.65  # about the best F1 for IoU < 0.5, chosen on the splits that are not reported
BORDER = 0.3  # of the share of the border that a mask touches
RAGGED = 0.015  # of the perimeter by the square root of the area
DISC = 3.2  # this ratio of a digital disc
DECIMALS = 4  # far above what padding, batching and devices change in the sums


def confidence(
    image: Float[Array, "h w c"],
    mask: Bool[Array, "h w"],
    valid: Bool[Array, "h w"] | None = None,
    consensus: Float[Array, ""] | None = None,
) -> Float[Array, ""]:
    """Return how far the colours of both sides, other masks and the border speak for a mask.

    Args:
      image: in [-1, 1], any number of channels.
      mask: true on the object, not the background (see `polarity.orient`).
      valid: the picture's own pixels, all of them by default.
      consensus: of the masks among which this one was found, in [0, 1]; None if there are no others.

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
    soft_iou = both / jnp.maximum(either, 1)
    agreement = soft_iou if consensus is None else (soft_iou + consensus) / 2
    edge = on_border(valid)
    share = jnp.sum(edge & inside, dtype=image.dtype) / jnp.maximum(jnp.sum(edge, dtype=image.dtype), 1)
    perimeter = jnp.sum(on_border(inside), dtype=image.dtype)
    ragged = jnp.maximum(perimeter / jnp.sqrt(jnp.maximum(jnp.sum(inside, dtype=image.dtype), 1)) - DISC, 0)
    believed = jnp.round(jnp.clip(agreement - BORDER * share - RAGGED * ragged, 0, 1), DECIMALS)
    return jnp.where(inside.any() & outside.any(), believed, 0)
