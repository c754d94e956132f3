"""Which side of a mask is the object: a rule that sees no ground truth. One picture, pure, vmappable.

IEM cuts a picture in two and does not say which side is the object. The search starts from a centred square, so the
square's side is believed, unless it is what surroundings are: the side that holds most of the picture's border, more
than its size accounts for. With b and a the mask's shares of the border and of the picture, the complement is the
object if b > 1/2 and b / sqrt(a) > (1 - b) / sqrt(1 - a).

The roots compare lengths with lengths: b / sqrt(a) is the border that a side touches relative to its own width. A large
object cut by one, two or three edges keeps its side (b below 1/2), so does one filling the picture but for a few
corners (b small for its a), and so does each part of a picture split from edge to edge (a tie). Other rules and their
scores: benchmarks/RESOLUTION.md.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iem_jax.core.masks import on_border


def orient(mask: Bool[Array, "h w"], valid: Bool[Array, "h w"] | None = None) -> Bool[Array, "h w"]:
    """Return the mask or its complement within `valid`, whichever is the object.

    A mask with an empty side stays as it is. Counts are integers: padding changes no bit.

    Args:
      mask: true on either side.
      valid: the picture's own pixels, all of them by default; the border is theirs.

    Returns:
      The object, (H, W), false outside `valid`.
    """
    valid = jnp.ones_like(mask) if valid is None else valid
    inside, outside = mask & valid, ~mask & valid
    edge = on_border(valid)
    border, rest = _count(edge & inside), _count(edge & outside)
    area, rest_area = _count(inside), _count(outside)
    surroundings = (border > rest) & (border * jnp.sqrt(rest_area) > rest * jnp.sqrt(area)) & (rest_area > 0)
    return jnp.where(surroundings, outside, inside)


def _count(side: Bool[Array, "h w"]) -> Float[Array, ""]:
    return jnp.sum(side, dtype=jnp.int32).astype(jnp.float32)
