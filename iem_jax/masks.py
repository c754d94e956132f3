"""How a mask starts, where it may change, and how it is smoothed (SPEC section 2).

Masks are (H, W), boolean, True for foreground. Outside the image counts as neither side.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

SMOOTH_THRESHOLD = 4


def centred_square(height: int, width: int) -> Bool[Array, "h w"]:
    """Return the mask every search starts from: all but a fifth of the image on each side."""

    def middle(length: int) -> Array:
        positions = jnp.arange(length)
        return (positions >= length // 5) & (positions < length - length // 5)

    return middle(height)[:, None] & middle(width)[None, :]


def boundary(mask: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Mark the pixels that have a 4-neighbour of the other side, and all pixels on the image's edge."""
    all_in = _all_neighbours(mask)
    all_out = _all_neighbours(~mask)
    return ~jnp.where(mask, all_in, all_out)


def smooth(mask: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Keep foreground where at least 4 pixels of the 3 x 3 neighbourhood are foreground."""
    padded = jnp.pad(mask.astype(jnp.int8), 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] >= SMOOTH_THRESHOLD


def update_mask(mask: Bool[Array, "h w"], gradient: Float[Array, "h w"]) -> Bool[Array, "h w"]:
    """Give boundary pixels the sign of the gradient; other pixels and those with zero gradient keep their side."""
    return jnp.where(boundary(mask) & (gradient != 0), gradient > 0, mask)


def _all_neighbours(side: Shaped[Array, "h w"]) -> Shaped[Array, "h w"]:
    padded = jnp.pad(side, 1)
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
