"""What the mask encloses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import make_mask, random_mask
from scipy import ndimage

from iem_jax.search.holes import fill_holes

fill = jax.jit(fill_holes)


def by_scipy(mask: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The rule again, with SciPy's holes: beyond the valid pixels all is open."""
    height, width = mask.shape
    around = np.zeros((height + 2, width + 2), bool)
    around[1:-1, 1:-1] = mask & valid
    # A border pixel of the picture is open itself; so are its neighbours outside, by which no path may lead.
    filled = ndimage.binary_fill_holes(around)[1:-1, 1:-1] & valid
    holes, outside = (filled & ~mask).sum(), (~filled & valid).sum()
    return filled | mask if holes <= 0.2 * mask.sum() and holes <= outside else mask


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("height", "width"), [(24, 31), (16, 9)])
def test_equal_scipy(seed: int, height: int, width: int):
    valid = np.ones((height, width), bool)
    valid[:, : seed % 3] = valid[height - seed % 2 :] = False
    for mask in (make_mask(seed, height, width) & valid, random_mask(seed, height, width) & valid, valid & False):
        np.testing.assert_array_equal(fill(jnp.asarray(mask), jnp.asarray(valid)), by_scipy(mask, valid))


def ring(hole: int) -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    mask[10 : 10 + hole, 10 : 10 + hole] = False
    return mask


def test_a_small_hole_is_filled_and_a_ring_stays():
    everywhere = jnp.ones((20, 20), bool)
    np.testing.assert_array_equal(fill(jnp.asarray(ring(4)), everywhere), ring(0))  # 16 of 84 pixels
    np.testing.assert_array_equal(fill(jnp.asarray(ring(5)), everywhere), ring(5))  # 25 of 75


def test_a_gap_that_leads_outside_is_no_hole():
    mask = ring(2)
    mask[10, 12:15] = False
    np.testing.assert_array_equal(fill(jnp.asarray(mask), jnp.ones((20, 20), bool)), mask)
    corner = ring(2)
    corner[12:15, 12:15] &= ~np.eye(3, dtype=bool)  # a diagonal of pixels that only touch at corners
    filled = np.asarray(fill(jnp.asarray(corner), jnp.ones((20, 20), bool)))
    assert filled[10:12, 10:12].all()
    assert not filled[14, 14]


def test_a_mask_of_the_wrong_side_keeps_its_object():
    inverse = np.ones((20, 20), bool)
    inverse[8:12, 8:12] = False
    np.testing.assert_array_equal(fill(jnp.asarray(inverse), jnp.ones((20, 20), bool)), inverse)


def test_alone_or_in_a_batch():
    masks, everywhere = np.stack([ring(n) for n in range(6)]), jnp.ones((20, 20), bool)
    together = jax.jit(jax.vmap(fill_holes, (0, None)))(jnp.asarray(masks), everywhere)
    np.testing.assert_array_equal(together, [fill(jnp.asarray(mask), everywhere) for mask in masks])
