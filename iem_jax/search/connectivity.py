"""How much a region is joined to the border, and how it stands out from those that are. One picture, pure, vmappable.

Zhu et al., Saliency Optimization from Robust Background Detection (CVPR 2014), with the blocks of a regular grid in
place of superpixels: 1. geodesic distances between blocks, in colour; 2. boundary connectivity, the length of border
that a block's soft region touches over the square root of its area; 3. the contrast of a block with blocks that are
background; 4. the saliency s that minimises the squared deviations from all of it, a linear system.

Differs: 1. the grid; 2. the border counts as far as `background` says; 3. the system is solved by conjugate gradients,
a fixed number of steps.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iem_jax.search.places import from_blocks, stretch, to_blocks

SIDE = 12  # of the grid
SAME_REGION = 10.0  # geodesic distance, CIELAB, at which a block leaves a soft region
NEAR = 0.25  # distance at which contrast counts, in sides of the picture
SMOOTH_BELOW = 7.0  # colour difference, CIELAB, across which saliency is smoothed
LEAST_SMOOTH = 0.1
BACKGROUND_WEIGHT = 5.0
LEAST_BACKGROUND = 0.1  # probability that counts
STEPS = 40  # of conjugate gradients
FAR = 1e6  # between blocks that are not neighbours

_ROW, _COLUMN = np.divmod(np.arange(SIDE**2), SIDE)
_ON_EDGE = np.isin(_ROW, (0, SIDE - 1)) | np.isin(_COLUMN, (0, SIDE - 1))
_DOWN, _ACROSS = _ROW[:, None] - _ROW[None], _COLUMN[:, None] - _COLUMN[None]
_STEPS_BETWEEN = np.maximum(abs(_DOWN), abs(_ACROSS))
_NEARNESS = np.exp(-0.5 * (_DOWN**2 + _ACROSS**2) / (SIDE * NEAR) ** 2).astype(np.float32)


def connected_saliency(
    lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"], background: Float[Array, "h w"]
) -> Float[Array, "h w"]:
    """Return saliency by boundary connectivity.

    Args:
      lab: CIELAB.
      valid: the picture's own pixels.
      background: in [0, 1], how far the border's blocks are background.
    """
    blocks = to_blocks(jnp.concatenate([lab, background[..., None]], axis=-1), valid, SIDE).reshape(-1, 4)
    colours, border_weight = blocks[:, :3], jnp.where(_ON_EDGE, blocks[:, 3], 0)
    difference = jnp.sqrt(jnp.sum((colours[:, None] - colours[None]) ** 2, axis=-1))
    is_border = border_weight > 0.5
    linked = is_border[:, None] & is_border[None]  # the border is one region, whatever interrupts it
    chance = background_chance(difference, linked, border_weight)
    contrast = jnp.sum(difference * _NEARNESS * chance[None], axis=1)
    contrast = _stretch(contrast)
    smooth = jnp.exp(-0.5 * (difference / SMOOTH_BELOW) ** 2) + LEAST_SMOOTH
    smooth = jnp.where(((_STEPS_BETWEEN <= 2) | linked) & (_STEPS_BETWEEN > 0), smooth, 0)
    weight = BACKGROUND_WEIGHT * jnp.where(chance < LEAST_BACKGROUND, 0, chance)
    return from_blocks(_stretch(solve(smooth, weight + contrast, contrast)).reshape(SIDE, SIDE), valid)


def background_chance(
    difference: Float[Array, "n n"], linked: Bool[Array, "n n"], border_weight: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Return 1 - exp(-c^2 / 2) of the boundary connectivity c."""
    neighbours = _STEPS_BETWEEN == 1
    # What neighbours differ by anyway is no distance.
    usual = jnp.mean(jnp.min(jnp.where(neighbours, difference, FAR), axis=1))
    edges = jnp.where(neighbours | linked, jnp.maximum(difference - usual, 0), FAR)
    near = jnp.exp(-0.5 * (shortest_ways(jnp.where(_STEPS_BETWEEN == 0, 0, edges)) / SAME_REGION) ** 2)
    connectivity = jnp.sum(near * border_weight[None], axis=1) / jnp.sqrt(jnp.sum(near, axis=1))
    return 1 - jnp.exp(-0.5 * connectivity**2)


def shortest_ways(edges: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Return the length of the shortest way between any two nodes (Floyd, Warshall)."""

    def through(node: Array, lengths: Array) -> Array:
        return jnp.minimum(lengths, lengths[:, node, None] + lengths[None, node])

    return jax.lax.fori_loop(0, edges.shape[0], through, edges)


def solve(smooth: Float[Array, "n n"], pull: Float[Array, " n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """Solve (D - W + diag(pull)) s = right, D the row sums of W = smooth: conjugate gradients, scaled by the diagonal."""
    diagonal = jnp.maximum(jnp.sum(smooth, axis=1) + pull, 1e-6)

    def times(vector: Array) -> Array:
        return diagonal * vector - jnp.sum(smooth * vector[None], axis=1)

    def improve(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        solution, residual, direction = carry
        image, size = times(direction), jnp.sum(residual**2 / diagonal)
        length = size / jnp.maximum(jnp.sum(direction * image), 1e-30)
        after = residual - length * image
        growth = jnp.sum(after**2 / diagonal) / jnp.maximum(size, 1e-30)
        return (solution + length * direction, after, after / diagonal + growth * direction), None

    start = (jnp.zeros_like(right), right, right / diagonal)
    return jax.lax.scan(improve, start, length=STEPS)[0][0]


def _stretch(values: Float[Array, " n"]) -> Float[Array, " n"]:
    return stretch(values[None], jnp.ones((1, values.shape[0]), bool))[0]
