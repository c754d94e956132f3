"""Planes of one picture in a frame of zeros, and when a plane is written down.

Every plane lives in a frame: `top` rows of zeros above and below, columns of zeros to the right. A shift by (dy, dx)
is then one slice of the flattened frame, zero padding included (what runs over the right edge meets the zeros before
the next row), so that no filter pads or copies. Stacks of planes are (C, rows, columns).

XLA fuses what it can, and would compute a filter again in each of its consumers. A concatenation is what its CPU
backend always writes to memory, an optimization barrier keeps it from being simplified away; so `store` decides what
is computed once. Nothing here changes a value.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LANES = 16  # rows of a multiple of this many floats are aligned to vectors of 512 bits


@dataclasses.dataclass(frozen=True)
class Frame:
    """Where a picture of height x width lies: at (top, 0) of rows x columns."""

    height: int
    width: int
    top: int
    columns: int

    @property
    def rows(self) -> int:
        """Rows of the frame."""
        return self.height + 2 * self.top


def make_frame(height: int, width: int, reach: int, scale_factor: int) -> Frame:
    """Return a frame for shifts of up to `reach` pixels of the picture down-sampled by `scale_factor`."""
    unit = LANES // math.gcd(LANES, scale_factor)
    columns = -(-(width // scale_factor + reach) // unit) * unit
    return Frame(height, width, reach * scale_factor, columns * scale_factor)


def shrink_frame(frame: Frame, scale_factor: int) -> Frame:
    """Return the frame of the down-sampled picture."""
    return Frame(*(length // scale_factor for length in dataclasses.astuple(frame)))


def to_frame(planes: Float[Array, "c h w"], frame: Frame) -> Float[Array, "c r k"]:
    """Lay planes into frames."""
    return jnp.pad(planes, ((0, 0), (frame.top, frame.top), (0, frame.columns - frame.width)))


def shifted(framed: Float[Array, "c r k"], frame: Frame, dy: int = 0, dx: int = 0) -> Float[Array, "c h k"]:
    """Return the picture's rows of planes shifted by (dy, dx): entry (y, x) is what stands at (y + dy, x + dx).

    Columns right of the picture hold what the shift brings there.
    """
    first = (frame.top + dy) * frame.columns + dx
    last = first + frame.height * frame.columns
    if dx == 0:
        return jax.lax.slice_in_dim(framed, frame.top + dy, frame.top + dy + frame.height, axis=1)
    flat = framed.reshape(framed.shape[0], -1)
    return jax.lax.slice_in_dim(flat, first, last, axis=1).reshape(-1, frame.height, frame.columns)


def store_framed(rows: Float[Array, "c h k"], frame: Frame) -> Float[Array, "c r k"]:
    """Write down the picture's rows with the zeros above and below."""
    shape = (rows.shape[0], frame.top, rows.shape[2])
    zeros = jax.lax.optimization_barrier(jnp.zeros(shape, rows.dtype))
    return jax.lax.optimization_barrier(jnp.concatenate([zeros, rows, zeros], axis=1))


def store(*planes: Float[Array, "_ r k"]) -> Float[Array, "c r k"]:
    """Write down planes, stacked."""
    return jax.lax.optimization_barrier(jnp.concatenate(planes))


def total(planes: Float[Array, "c r k"]) -> Float[Array, "c 1 1"]:
    """Sum each plane, down the columns first, which vectorises."""
    down = jax.lax.optimization_barrier(jnp.sum(planes, axis=-2, keepdims=True))
    return jnp.sum(down, axis=-1, keepdims=True)


def channel_sum(planes: Float[Array, "c r k"]) -> Float[Array, "1 r k"]:
    """Sum over planes as a chain of additions, which fuses."""
    return functools.reduce(jnp.add, jnp.split(planes, planes.shape[0]))
