"""Polygons against the masks that they are made of."""

import numpy as np
import pytest
from exports import iou, make_masks

from iem_jax.output.formats.polygons import LEAST_IOU, TOLERANCES, fill, simplify, to_polygons, trace

MASKS = make_masks()


def filled(mask: np.ndarray) -> np.ndarray:
    found = np.zeros_like(mask)
    for ring in to_polygons(mask):
        part = fill(ring, mask.shape)
        assert not (found & part).any()  # parts do not overlap
        found |= part
    return found


@pytest.mark.parametrize("name", MASKS)
def test_polygons_hold_their_mask(name: str):
    assert iou(filled(MASKS[name]), MASKS[name]) >= LEAST_IOU


def test_fill_agrees_with_matplotlib():
    path = pytest.importorskip("matplotlib.path")
    points = [(3.3, 2.2), (50.7, 9.4), (41.1, 40.6), (20.2, 18.3), (8.9, 39.7)]
    rows, columns = np.mgrid[:44, :60]
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1)
    inside = path.Path([*points, points[0]]).contains_points(centres).reshape(44, 60)
    np.testing.assert_array_equal(fill(np.array(points), (44, 60)), inside)


def test_outlines_by_hand():
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    outer, hole = sorted((simplify(ring, 0.0).tolist() for ring in trace(mask)), key=max, reverse=True)
    assert sorted(outer) == [[0, 0], [0, 3], [3, 0], [3, 3]]
    assert sorted(hole) == [[1, 1], [1, 2], [2, 1], [2, 2]]
    (joined,) = to_polygons(mask)
    np.testing.assert_array_equal(fill(joined, mask.shape), mask)


def test_one_pixel_is_its_four_sides():
    mask = np.zeros((5, 7), bool)
    mask[2, 4] = True
    (ring,) = to_polygons(mask)
    assert sorted(ring.tolist()) == [[4, 2], [4, 3], [5, 2], [5, 3]]


def test_few_points_and_none_far_from_the_outline():
    rows, columns = np.mgrid[:400, :500]
    mask = ((rows - 200) / 150) ** 2 + ((columns - 250) / 220) ** 2 < 1
    (ring,) = to_polygons(mask)
    (corners,) = trace(mask)
    assert len(ring) < len(corners) / 20
    for corner in corners[::10]:
        ends = np.roll(ring, -1, axis=0) - ring
        share = np.clip(((corner - ring) * ends).sum(1) / (ends**2).sum(1), 0, 1)
        assert np.hypot(*(corner - ring - share[:, None] * ends).T).min() <= TOLERANCES[0] + 0.5


def test_random_specks_keep_all_their_pixels():
    random = np.random.default_rng(0)
    for _ in range(30):
        mask = random.random(random.integers(1, 20, 2)) < random.random()
        np.testing.assert_array_equal(filled(mask), mask)
