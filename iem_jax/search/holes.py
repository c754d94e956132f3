"""Background that the object encloses: mostly a part of it that has other colours. One picture, pure, vmappable."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from iem_jax.core.masks import on_border

PARTS = 5  # holes are at most one in so many of the object's pixels: more is a ring


def fill_holes(mask: Bool[Array, "h w"], valid: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Make foreground of what the mask encloses, unless it is much.

    A hole is background from which no path of 4-neighbours leads to the picture's border. All are filled, or none where
    they are together more than one in `PARTS` pixels of the mask, or more than the open background: then the mask may
    well be the wrong side.
    """
    open_background = _reachable(on_border(valid) & ~mask, ~mask & valid)
    holes = ~mask & valid & ~open_background
    area, of_holes, outside = (jnp.sum(x, dtype=jnp.int32) for x in (mask, holes, open_background))
    return jnp.where((PARTS * of_holes <= area) & (of_holes <= outside), mask | holes, mask)


def _reachable(seeds: Bool[Array, "h w"], region: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Return all of the region that is joined to the seeds."""

    def grow(state: tuple[Array, Array]) -> tuple[Array, Array]:
        reached, _ = state
        near = jnp.pad(reached, 1)
        beside = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
        grown = reached | (beside & region)
        return grown, jnp.any(grown != reached)

    return jax.lax.while_loop(lambda state: state[1], grow, (seeds, jnp.any(seeds)))[0]
