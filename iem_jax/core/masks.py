"""How a mask starts, where it may change, and how it is smoothed (SPEC section 2).

`centred_square` and `on_border` are (H, W), boolean. The others work on framed planes (see `frames`) of a mask that
is 1 on foreground, 0 elsewhere, and of the valid pixels V, 1 where the picture is; outside V is neither side. They
return the picture's rows.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iem_jax.core.frames import Frame, shifted, store_framed


def centred_square(valid: Bool[Array, "h w"], part: int = 5) -> Bool[Array, "h w"]:
    """Return the mask every search starts from: all but a fifth on each side of the box around the valid pixels.

    `part` is 5 for a fifth.
    """

    def middle(present: Bool[Array, " n"]) -> Bool[Array, " n"]:
        position = jnp.arange(present.shape[0]) - jnp.argmax(present)
        length = jnp.sum(present, dtype=jnp.int32)
        return (position >= length // part) & (position < length - length // part)

    return middle(jnp.any(valid, axis=1))[:, None] & middle(jnp.any(valid, axis=0))[None, :] & valid


def on_border(valid: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Mark the valid pixels that have a 4-neighbour that is not."""
    padded = jnp.pad(valid, 1)
    return valid & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])


def boundary(mask: Float[Array, "1 r k"], valid: Float[Array, "1 r k"], frame: Frame) -> Bool[Array, "1 h k"]:
    """Mark the pixels that have a 4-neighbour that is not of their side; those on the picture's edge all have."""
    on_edge = jnp.where(_neighbours(valid, frame) == 4, 0, 9)
    return _neighbours(mask, frame) + on_edge != 4 * shifted(mask, frame)


def update_mask(
    mask: Float[Array, "1 r k"],
    gradient: Float[Array, "1 h k"],
    edge: Bool[Array, "1 h k"],
    valid: Float[Array, "1 r k"],
    frame: Frame,
) -> Float[Array, "1 h k"]:
    """Give the pixels of the boundary the sign of the gradient; others, and those with gradient 0, keep theirs."""
    signed = jnp.where(gradient > 0, shifted(valid, frame), 0)
    return jnp.where(edge & (gradient != 0), signed, shifted(mask, frame))


def smooth(
    rows: Float[Array, "1 h k"],
    valid: Float[Array, "1 r k"],
    frame: Frame,
    threshold: int = 4,
) -> Float[Array, "1 h k"]:
    """Keep foreground where at least `threshold` pixels of the 3 x 3 neighbourhood are foreground."""
    across = store_framed(rows, frame)
    across = store_framed(shifted(across, frame, dy=-1) + shifted(across, frame) + shifted(across, frame, dy=1), frame)
    number = shifted(across, frame, dx=-1) + shifted(across, frame) + shifted(across, frame, dx=1)
    return jnp.where(number >= threshold, shifted(valid, frame), 0)


def _neighbours(planes: Float[Array, "1 r k"], frame: Frame) -> Float[Array, "1 h k"]:
    up, down = shifted(planes, frame, dy=-1), shifted(planes, frame, dy=1)
    return up + down + shifted(planes, frame, dx=-1) + shifted(planes, frame, dx=1)
