"""How masks start, where they may change, and how they are smoothed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from pictures import random_mask

from iem_jax.core import masks as package
from iem_jax.core.frames import make_frame, shifted, to_frame

SIZES = [(4, 4), (5, 5), (16, 16), (9, 17), (23, 8)]


def framed(function):
    """Turn a function of framed planes into one of (H, W) arrays, without padding: all pixels are valid."""

    def plain(mask, *planes):
        height, width = np.shape(mask)[-2:]
        frame = make_frame(height, width, 2, 1)

        def put(plane):
            return to_frame(jnp.asarray(plane)[None].astype(jnp.float32), frame)

        arguments = function(put, frame, jnp.asarray(mask), put(jnp.ones((height, width))), *map(jnp.asarray, planes))
        return arguments[0, :, :width] > 0

    return plain


@framed
def boundary(put, frame, mask, valid):
    return package.boundary(put(mask), valid, frame)


@framed
def smooth(put, frame, mask, valid):
    return package.smooth(shifted(put(mask), frame), valid, frame)


@framed
def update_mask(put, frame, mask, valid, slope):
    edge = package.boundary(put(mask), valid, frame)
    return package.update_mask(put(mask), shifted(put(slope), frame), edge, valid, frame)


def centred_square(height, width):
    return package.centred_square(jnp.ones((height, width), bool))


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


def test_outside_of_the_valid_pixels_is_neither_side():
    valid = np.zeros((12, 14), bool)
    valid[2:9, 3:12] = True
    inner, slope = random_mask(4, 7, 9), np.random.default_rng(4).normal(size=(7, 9)).astype(np.float32)
    mask, wide_slope = np.zeros((12, 14), bool), np.ones((12, 14), np.float32)
    mask[2:9, 3:12], wide_slope[2:9, 3:12] = inner, slope
    frame = make_frame(12, 14, 2, 1)
    m, v, g = (to_frame(jnp.asarray(x, jnp.float32)[None], frame) for x in (mask, valid, wide_slope))
    edge = package.boundary(m, v, frame)
    updated = package.update_mask(m, shifted(g, frame), edge, v, frame)
    smoothed = package.smooth(shifted(m, frame), v, frame)
    pairs = [(updated, update_mask(inner, slope)), (smoothed, smooth(inner))]
    for padded, expected in pairs:
        result = np.asarray(padded[0, :, :14] > 0)
        np.testing.assert_array_equal(result[2:9, 3:12], expected)
        assert not result[~valid].any()
    np.testing.assert_array_equal(edge[0, 2:9, 3:12], boundary(inner))
    square = package.centred_square(jnp.asarray(valid))
    np.testing.assert_array_equal(square[2:9, 3:12], centred_square(7, 9))
    assert not np.asarray(square)[~valid].any()
