"""Which side of a mask is the object."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import random_mask

from iem_jax.finishing import polarity

orient = jax.jit(polarity.orient)


def bits(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


KEPT = [
    bits("....", ".##.", ".##.", "...."),  # b = 0
    bits("#...", "#...", "#...", "#..."),  # b = 4 / 12
    bits("####", "####", "....", "...."),  # b = 1/2: a tie
    bits("....", "....", "....", "...."),
]


@pytest.mark.parametrize("mask", KEPT)
def test_kept_by_hand(mask: np.ndarray):
    np.testing.assert_array_equal(orient(jnp.asarray(mask)), mask)


def test_flipped_by_hand():
    # The frame holds the whole border: b = 1, a = 3/4.
    frame = bits("####", "#..#", "#..#", "####")
    np.testing.assert_array_equal(orient(jnp.asarray(frame)), ~frame)
    # Three rows of four: b = 8/12, a = 12/16: b / sqrt(a) = .770 > (1 - b) / sqrt(1 - a) = .667.
    rows = bits("....", "####", "####", "####")
    np.testing.assert_array_equal(orient(jnp.asarray(rows)), ~rows)


def test_large_object_that_leaves_corners_is_kept():
    mask = np.zeros((9, 9), bool)
    mask[1:8] = mask[:, 2:7] = True  # b = 17 / 32 > 1/2, but a = 73 / 81: .560 < 1.492
    mask[0, 2], mask[8, 6] = True, True
    share = mask[[0, -1]].sum() + mask[1:-1, [0, -1]].sum()
    assert share > 16
    np.testing.assert_array_equal(orient(jnp.asarray(mask)), mask)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
@pytest.mark.parametrize("seed", range(4))
def test_turned_and_twice(turn, seed: int):
    mask = random_mask(seed, 14, 11)
    mask = ~mask if seed % 2 else mask
    once = np.asarray(orient(jnp.asarray(mask)))
    np.testing.assert_array_equal(orient(jnp.asarray(turn(mask).copy())), turn(once))
    np.testing.assert_array_equal(orient(jnp.asarray(once)), once)
    np.testing.assert_array_equal(orient(jnp.asarray(~mask)), once)  # no ties here: the start does not decide


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_padding(seed: int, outside: bool):
    mask = random_mask(seed, 14, 11)
    mask = ~mask if seed % 2 else mask
    padding = ((3, 0), (5, 9))
    valid = np.pad(np.ones_like(mask), padding)
    result = np.asarray(orient(jnp.asarray(np.pad(mask, padding, constant_values=outside)), jnp.asarray(valid)))
    np.testing.assert_array_equal(result[3:, 5:16], orient(jnp.asarray(mask)))
    assert not result[~valid].any()


def test_vmap_and_jit():
    masks = np.stack([random_mask(seed, 9, 14) ^ bool(seed % 2) for seed in range(4)])
    loop = np.stack([polarity.orient(jnp.asarray(mask)) for mask in masks])
    np.testing.assert_array_equal(jax.vmap(orient)(masks), loop)
    assert loop.dtype == bool
