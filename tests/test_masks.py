"""How masks start, where they may change, and how they are smoothed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from pictures import random_mask

from iem_jax import masks as package

SIZES = [(4, 4), (5, 5), (16, 16), (9, 17), (23, 8)]


def on_device(function):
    return lambda *arrays: function(*map(jnp.asarray, arrays))


boundary, smooth, update_mask = map(on_device, (package.boundary, package.smooth, package.update_mask))
centred_square = package.centred_square


def bits(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_boundary_by_hand():
    mask = bits("......", ".####.", ".####.", ".####.", ".####.", "......")
    expected = bits("######", "######", "##..##", "##..##", "######", "######")
    np.testing.assert_array_equal(boundary(mask), expected)
    # Far from the mask nothing is boundary but the image's edge.
    empty = bits("....", "....", "....", "....")
    np.testing.assert_array_equal(boundary(empty), bits("####", "#..#", "#..#", "####"))
    np.testing.assert_array_equal(boundary(~empty), bits("####", "#..#", "#..#", "####"))


def test_diagonal_neighbours_do_not_count():
    mask = bits(".....", ".....", ".....", ".....", "....#")
    assert not boundary(mask)[3, 3]
    assert boundary(bits(".....", ".....", ".....", "....#", "....."))[3, 3]


def test_smooth_by_hand():
    # A 2 x 2 block has 4 in reach of each of its pixels; a row of three has at most 3; a lone hole is filled.
    np.testing.assert_array_equal(smooth(bits("##..", "##..", "....", "...."))[:2, :2], bits("##", "##"))
    np.testing.assert_array_equal(smooth(bits("....", "###.", "....", "....")), bits("....", "....", "....", "...."))
    # The hole leaves the corner with 3.
    np.testing.assert_array_equal(smooth(bits("####", "#.##", "####", "####")), bits(".###", "####", "####", "####"))
    # Outside the image counts as background: the corner of a full mask has exactly 4.
    np.testing.assert_array_equal(smooth(np.ones((4, 4), bool)), np.ones((4, 4), bool))
    np.testing.assert_array_equal(smooth(bits("##..", "#...", "....", "....")), np.zeros((4, 4), bool))


def test_update_by_hand():
    mask = bits("......", ".####.", ".####.", ".####.", ".####.", "......")
    slope = np.zeros((6, 6), np.float32)
    slope[1, 1], slope[2, 2], slope[0, 0], slope[5, 5] = -1, -1, 0.5, -0.5
    expected = bits("#.....", "..###.", ".####.", ".####.", ".####.", "......")
    np.testing.assert_array_equal(update_mask(mask, slope), expected)  # (2, 2) is no boundary, the rest has slope 0


def test_centred_square_by_hand():
    np.testing.assert_array_equal(centred_square(5, 5), bits(".....", ".###.", ".###.", ".###.", "....."))
    assert int(centred_square(128, 128).sum()) == (128 - 2 * 25) ** 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_equal_reference(size: tuple[int, int], seed: int):
    rng = np.random.default_rng(seed)
    mask = random_mask(seed, *size) if seed % 2 else rng.random(size) < 0.5
    slope = rng.normal(size=size).astype(np.float32) * (rng.random(size) < 0.8)
    np.testing.assert_array_equal(boundary(mask), reference.boundary(mask))
    np.testing.assert_array_equal(smooth(mask), reference.smooth(mask))
    np.testing.assert_array_equal(update_mask(mask, slope), reference.update_mask(mask, slope))
    np.testing.assert_array_equal(centred_square(*size), reference.centred_square(*size))


def test_sides_can_be_swapped():
    mask, slope = random_mask(1, 12, 15), np.random.default_rng(1).normal(size=(12, 15)).astype(np.float32)
    np.testing.assert_array_equal(boundary(~mask), boundary(mask))
    np.testing.assert_array_equal(update_mask(~mask, -slope), ~update_mask(mask, slope))


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_turned_mask(turn):
    mask = random_mask(2, 12, 15)
    for function in (boundary, smooth):
        np.testing.assert_array_equal(function(turn(mask).copy()), turn(np.asarray(function(mask))))


def test_update_ignores_the_size_of_the_gradient():
    mask, slope = random_mask(3, 12, 15), np.random.default_rng(3).normal(size=(12, 15)).astype(np.float32)
    np.testing.assert_array_equal(update_mask(mask, slope * 1e-30), update_mask(mask, slope))


def test_vmap_and_jit():
    masks = np.stack([random_mask(seed, 9, 14) for seed in range(4)])
    for function in (boundary, smooth):
        loop = np.stack([function(mask) for mask in masks])
        np.testing.assert_array_equal(jax.vmap(function)(masks), loop)
        np.testing.assert_array_equal(jax.jit(function)(masks[0]), loop[0])
        assert function(masks[0]).dtype == jnp.bool_


def test_masks_are_boolean():
    with pytest.raises(Exception, match="mask"):
        smooth(np.ones((4, 4), np.float32))
    with pytest.raises(Exception, match="mask"):
        boundary(np.ones((2, 4, 4), bool))
