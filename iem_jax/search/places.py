"""Where pixels of one picture lie, what is beside them, and the two ways between them and a grid of blocks."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

HALF = ((0, 1), (1, 0), (1, 1), (1, -1))  # of the 8-neighbours, each pair once
EIGHT = HALF + tuple((-dy, -dx) for dy, dx in HALF)
HIGHEST = jax.lax.Precision.HIGHEST


def places(valid: Bool[Array, "h w"]) -> tuple[Float[Array, " h"], Float[Array, " w"]]:
    """Return the rows' and the columns' places within the box around the valid pixels, in (0, 1) inside it."""

    def along(present: Bool[Array, " n"]) -> Float[Array, " n"]:
        length = jnp.maximum(jnp.sum(present, dtype=jnp.float32), 1)
        return (_count(present.shape[0]) - jnp.argmax(present).astype(jnp.float32) + 0.5) / length

    return along(jnp.any(valid, axis=1)), along(jnp.any(valid, axis=0))


def stretch(values: Float[Array, "h w"], valid: Bool[Array, "h w"]) -> Float[Array, "h w"]:
    """Return the values between their least and their largest, in [0, 1]; 0 outside `valid` or if all are one."""
    lowest = jnp.min(jnp.where(valid, values, jnp.inf))
    highest = jnp.max(jnp.where(valid, values, -jnp.inf))
    return jnp.where(valid, (values - lowest) / jnp.maximum(highest - lowest, 1e-6), 0)


def neighbours(plane: Shaped[Array, "h w"], offsets: Sequence[tuple[int, int]]) -> Shaped[Array, "n h w"]:
    """Return for each pixel the values dy rows below and dx columns to the right of it, 0 beyond the edge."""
    height, width = plane.shape
    padded = jnp.pad(plane, 1)
    return jnp.stack([padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in offsets])


def to_blocks(values: Float[Array, "h w c"], valid: Bool[Array, "h w"], side: int) -> Float[Array, "s s c"]:
    """Return the means of side x side blocks of the box around the valid pixels; 0 for a block without any."""
    rows, columns = (
        (jnp.floor(axis * side)[None, :] == _count(side)[:, None]).astype(values.dtype) for axis in places(valid)
    )
    own = valid.astype(values.dtype)
    number = jnp.matmul(jnp.matmul(rows, own, precision=HIGHEST), columns.T, precision=HIGHEST)
    planes = jnp.moveaxis(jnp.where(valid[..., None], values, 0), -1, 0)
    sums = jnp.matmul(jnp.matmul(rows[None], planes, precision=HIGHEST), columns.T[None], precision=HIGHEST)
    return jnp.moveaxis(sums / jnp.maximum(number, 1)[None], 0, -1)


def from_blocks(blocks: Float[Array, "s s"], valid: Bool[Array, "h w"]) -> Float[Array, "h w"]:
    """Interpolate the blocks' values linearly; 0 outside `valid`."""
    side = blocks.shape[0]
    rows, columns = (_weights(jnp.clip(axis * side - 0.5, 0, side - 1), side) for axis in places(valid))
    return jnp.where(valid, jnp.matmul(jnp.matmul(rows, blocks, precision=HIGHEST), columns.T, precision=HIGHEST), 0)


def enlarge(
    small: Float[Array, "hs ws"], known: Bool[Array, "hs ws"], factor: int, shape: tuple[int, ...]
) -> Float[Array, "h w"]:
    """Interpolate linearly between the known pixels of a picture that was down-sampled by `factor`."""
    rows, columns = (
        _weights(jnp.clip((_count(length) + 0.5) / factor - 0.5, 0, number - 1), number)
        for length, number in zip(shape, small.shape, strict=True)
    )

    def interpolate(values: Shaped[Array, "hs ws"]) -> Float[Array, "h w"]:
        return jnp.matmul(jnp.matmul(rows, values, precision=HIGHEST), columns.T, precision=HIGHEST)

    return interpolate(jnp.where(known, small, 0)) / jnp.maximum(interpolate(known.astype(small.dtype)), 1e-6)


def _weights(position: Float[Array, " n"], number: int) -> Float[Array, "n m"]:
    return jnp.clip(1 - jnp.abs(position[:, None] - _count(number)[None, :]), 0, 1)


def _count(number: int) -> Float[Array, " n"]:
    return jnp.arange(number, dtype=jnp.float32)
