"""How much a region is joined to the border, and how it stands out from those that are. One picture, pure, vmappable.

Zhu et al., Saliency Optimization from Robust Background Detection (CVPR 2014), with the blocks of a regular grid in
place of superpixels: 1. geodesic distances between blocks, in colour; 2. boundary connectivity, the length of border
that a block's soft region touches over the square root of its area; 3. the contrast of a block with blocks that are
background; 4. the saliency s that minimises the squared deviations from all of it, a linear system.

Differs: 1. the grid; 2. the system is solved by conjugate gradients, a fixed number of steps.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iem_jax.search.places import HIGHEST, from_blocks, stretch, to_blocks

SAME_REGION = 10.0  # geodesic distance, CIELAB, at which a block leaves a soft region
NEAR = 0.25  # distance at which contrast counts, in sides of the picture
SMOOTH_BELOW = 7.0  # colour difference, CIELAB, across which saliency is smoothed
LEAST_SMOOTH = 0.1
BACKGROUND_WEIGHT = 5.0
LEAST_BACKGROUND = 0.1  # probability that counts
STEPS = 40  # of conjugate gradients
FAR = 1e6  # between blocks that are not neighbours


class Grid(NamedTuple):
    """What does not depend on the picture, of side x side blocks."""

    on_edge: Bool[np.ndarray, " n"]
    steps: Int[np.ndarray, "n n"]  # of a king from block to block
    nearness: Float[np.ndarray, "n n"]


@functools.cache
def make_grid(side: int) -> Grid:
    """Return the grid of a side."""
    row, column = np.divmod(np.arange(side**2), side)
    down, across = row[:, None] - row[None], column[:, None] - column[None]
    on_edge = np.isin(row, (0, side - 1)) | np.isin(column, (0, side - 1))
    nearness = np.exp(-0.5 * (down**2 + across**2) / (side * NEAR) ** 2).astype(np.float32)
    return Grid(on_edge, np.maximum(abs(down), abs(across)), nearness)


def connected_saliency(lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"], side: int) -> Float[Array, "h w"]:
    """Return saliency by boundary connectivity.

    Args:
      lab: CIELAB.
      valid: the picture's own pixels.
      side: of the grid.
    """
    grid, colours = make_grid(side), to_blocks(lab, valid, side).reshape(-1, 3)
    linked = grid.on_edge[:, None] & grid.on_edge[None]  # the border is one region, whatever interrupts it
    difference = jnp.sqrt(jnp.sum((colours[:, None] - colours[None]) ** 2, axis=-1))
    chance = background_chance(difference, grid, linked)
    contrast = _stretch(jnp.sum(difference * grid.nearness * chance[None], axis=1))
    alike = jnp.exp(-0.5 * (difference / SMOOTH_BELOW) ** 2) + LEAST_SMOOTH
    smooth = jnp.where(((grid.steps <= 2) | linked) & (grid.steps > 0), alike, 0)
    weight = BACKGROUND_WEIGHT * jnp.where(chance < LEAST_BACKGROUND, 0, chance)
    return from_blocks(_stretch(solve(smooth, weight + contrast, contrast)).reshape(side, side), valid)


def background_chance(
    difference: Float[Array, "n n"], grid: Grid, linked: Bool[np.ndarray, "n n"]
) -> Float[Array, " n"]:
    """Return 1 - exp(-c^2 / 2) of the boundary connectivity c."""
    neighbours = grid.steps == 1
    # What neighbours differ by anyway is no distance.
    usual = jnp.mean(jnp.min(jnp.where(neighbours, difference, FAR), axis=1))
    edges = jnp.where(neighbours | linked, jnp.maximum(difference - usual, 0), FAR)
    near = jnp.exp(-0.5 * (shortest_ways(jnp.where(grid.steps == 0, 0, edges)) / SAME_REGION) ** 2)
    connectivity = jnp.sum(near * grid.on_edge[None].astype(near.dtype), axis=1) / jnp.sqrt(jnp.sum(near, axis=1))
    return 1 - jnp.exp(-0.5 * connectivity**2)


def shortest_ways(edges: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Return the length of the shortest way between any two nodes (Floyd, Warshall)."""

    def through(node: Array, lengths: Array) -> Array:
        return jnp.minimum(lengths, lengths[:, node, None] + lengths[None, node])

    return jax.lax.fori_loop(0, edges.shape[0], through, edges)


def solve(smooth: Float[Array, "n n"], pull: Float[Array, " n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """Solve (D - W + diag(pull)) s = right, D the row sums of W = smooth, by conjugate gradients with D as a scale."""
    diagonal = jnp.maximum(jnp.sum(smooth, axis=1) + pull, 1e-6)

    def times(vector: Array) -> Array:
        return diagonal * vector - jnp.matmul(smooth, vector, precision=HIGHEST)

    def improve(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        solution, residual, direction = carry
        image, size = times(direction), jnp.sum(residual**2 / diagonal)
        length = size / jnp.maximum(jnp.sum(direction * image), 1e-30)
        after = residual - length * image
        growth = jnp.sum(after**2 / diagonal) / jnp.maximum(size, 1e-30)
        return (solution + length * direction, after, after / diagonal + growth * direction), None

    start = (right * 0, right, right / diagonal)
    return jax.lax.scan(improve, start, length=STEPS)[0][0]


def _stretch(values: Float[Array, " n"]) -> Float[Array, " n"]:
    return stretch(values[None], jnp.ones((1, values.shape[0]), bool))[0]
