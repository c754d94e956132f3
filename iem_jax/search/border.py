"""What the border of one picture says of its inside: an object is rarely the colour of the border, nor joined to it.

Most of a picture's border shows background. Three distances from it, of colour (here), along the way (`barrier`) and
of regions (`connectivity`), make the log odds of foreground that a search begins with. Pure, vmappable; the maps are
(H, W) in [0, 1].
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iem_jax.search.barrier import barrier_distance
from iem_jax.search.connectivity import connected_saliency
from iem_jax.search.places import places, stretch

STRIP = 0.1  # width of the border's strips, in sides of the picture
NOISE = 4.0  # variance added to a strip's colours, in CIELAB
THRESHOLD, BELOW, ABOVE, ABOVE_OF_WAYS = 0.25, 0.25, 0.25, 0.5  # where the mean distance is neutral, and its clip
WEIGHT = 3.0  # of a mean distance, in log odds


def border_log_odds(lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"], blocks: int) -> Float[Array, "h w"]:
    """Return log odds of foreground from the border alone.

    Args:
      lab: CIELAB, of a small picture: the distances are made for about 64 pixels.
      valid: the picture's own pixels.
      blocks: side of the grid of regions.
    """
    colour = strip_distance(lab, valid)
    ways = barrier_distance(lab, valid) + connected_saliency(lab, valid, blocks)
    of_all = jnp.clip((colour + ways) / 3 - THRESHOLD, -BELOW, ABOVE)
    of_ways = jnp.clip(ways / 2 - THRESHOLD, -BELOW, ABOVE_OF_WAYS)
    return WEIGHT * (of_all + of_ways) / 2


def strip_distance(lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"]) -> Float[Array, "h w"]:
    """Return the Mahalanobis distances from the colours of the four strips along the border, added up.

    Each is stretched to [0, 1]; the largest at each pixel is left out (Zhang et al., Minimum Barrier Salient Object
    Detection at 80 FPS, ICCV 2015): a strip that holds the object may be wrong alone.
    """
    rows, columns = (axis[:, None] if i == 0 else axis[None, :] for i, axis in enumerate(places(valid)))
    strips = jnp.stack(
        [near & valid for near in (rows < STRIP, rows >= 1 - STRIP, columns < STRIP, columns >= 1 - STRIP)]
    )

    def distance(strip: Bool[Array, "h w"]) -> Float[Array, "h w"]:
        return stretch(_mahalanobis(lab, strip.astype(lab.dtype)), valid)

    distances = jax.vmap(distance)(strips)
    return stretch(jnp.sum(distances, axis=0) - jnp.max(distances, axis=0), valid)


def _mahalanobis(lab: Float[Array, "h w 3"], weight: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Return the distance of each colour from the weighted ones."""
    number = jnp.maximum(jnp.sum(weight), 1)
    mean = jnp.sum(weight[..., None] * lab, axis=(0, 1)) / number
    x = jnp.moveaxis(lab - mean[None, None], -1, 0)

    def moment(i: int, j: int) -> Float[Array, ""]:
        return jnp.sum(weight * x[i] * x[j]) / number + (NOISE if i == j else 0)

    # The inverse of a symmetric 3 x 3 matrix in closed form: the same bits in any batch, unlike a library's.
    a, b, c, d, e, f = moment(0, 0), moment(0, 1), moment(0, 2), moment(1, 1), moment(1, 2), moment(2, 2)
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    squares = aa * x[0] ** 2 + dd * x[1] ** 2 + ff * x[2] ** 2
    products = bb * x[0] * x[1] + cc * x[0] * x[2] + ee * x[1] * x[2]
    return jnp.sqrt(jnp.maximum(squares + 2 * products, 0) / (a * aa + b * bb + c * cc))
