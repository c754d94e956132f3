"""What the border says: places, strips, barriers and regions, by hand and against slow references."""

import functools
import heapq

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.csgraph
from pictures import make_image, make_mask

from iem_jax.core.features import srgb_to_lab
from iem_jax.core.masks import on_border
from iem_jax.search.barrier import barrier_distance
from iem_jax.search.border import NOISE, border_log_odds, strip_distance
from iem_jax.search.connectivity import connected_saliency, shortest_ways, solve
from iem_jax.search.places import enlarge, from_blocks, places, stretch, to_blocks

SIZE = 48
EVERYWHERE = jnp.ones((SIZE, SIZE), bool)
MAPS = (
    jax.jit(strip_distance),
    jax.jit(barrier_distance),
    jax.jit(functools.partial(connected_saliency, side=12)),
    jax.jit(functools.partial(border_log_odds, blocks=12)),
)


@pytest.fixture(scope="module")
def lab() -> jax.Array:
    return srgb_to_lab(jnp.asarray(make_image(1, SIZE, SIZE)))


def ring(object_colour: float = 60.0) -> jax.Array:
    """A square of one colour in the middle of another."""
    return jnp.full((SIZE, SIZE, 3), 20.0).at[16:32, 16:32].set(object_colour)


@pytest.mark.parametrize("function", MAPS)
def test_an_object_in_the_middle_stands_out(function):
    result = function(ring(), EVERYWHERE)
    assert float(result[20:28, 20:28].min()) > float(result[:8].max()) + 0.5


@pytest.mark.parametrize("function", MAPS)
def test_one_colour_says_nothing(function):
    result = np.asarray(function(jnp.full((SIZE, SIZE, 3), 50.0), EVERYWHERE))
    assert np.isfinite(result).all()
    assert np.ptp(result) < 1e-3


@pytest.mark.parametrize("function", MAPS)
def test_mirrored_pictures_give_mirrored_maps(function, lab):
    mirrored = function(lab[:, ::-1], EVERYWHERE)[:, ::-1]
    # Barriers are approximate, and depend on the order of the sweeps.
    assert float(jnp.abs(mirrored - function(lab, EVERYWHERE)).mean()) < 0.02


@pytest.mark.parametrize("function", MAPS)
def test_padding_changes_nothing(function, lab):
    padding = ((3, 7), (5, 2))
    wide = jnp.pad(lab, (*padding, (0, 0)))
    result = function(wide, jnp.pad(EVERYWHERE, padding))[3 : 3 + SIZE, 5 : 5 + SIZE]
    np.testing.assert_allclose(result, function(lab, EVERYWHERE), atol=2e-3)


@pytest.mark.parametrize("function", MAPS)
def test_vmap_is_a_loop(function):
    labs = srgb_to_lab(jnp.stack([jnp.asarray(make_image(seed, SIZE, SIZE)) for seed in range(3)]))
    together = jax.vmap(lambda x: function(x, EVERYWHERE))(labs)
    for one, result in zip(labs, together, strict=True):
        np.testing.assert_allclose(result, function(one, EVERYWHERE), atol=1e-3)
    assert together.dtype == jnp.float32


def test_strips_equal_float64(lab):
    expected = np.zeros((SIZE, SIZE))
    maps = []
    for strip in (np.s_[:5], np.s_[-5:], np.s_[:, :5], np.s_[:, -5:]):
        # Places are (i + 1/2) / 48: five rows lie below 0.1, five from 0.9 on.
        colours = np.asarray(lab, np.float64)[strip].reshape(-1, 3)
        covariance = np.cov(colours.T, bias=True) + NOISE * np.eye(3)
        offset = np.asarray(lab, np.float64) - colours.mean(axis=0)
        distance = np.sqrt((offset @ np.linalg.inv(covariance) * offset).sum(axis=-1))
        maps.append((distance - distance.min()) / np.ptp(distance))
    expected = np.sum(maps, axis=0) - np.max(maps, axis=0)
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(strip_distance(lab, EVERYWHERE), expected, atol=1e-4)


def exact_barrier(plane: np.ndarray) -> np.ndarray:
    """The cheapest way for each lower bound of its values, by Dijkstra: exact, slow."""
    height, width = plane.shape
    best = np.full(plane.shape, np.inf)
    border = [(i, j) for i in range(height) for j in range(width) if i in (0, height - 1) or j in (0, width - 1)]
    for lowest in np.unique(plane):
        top = np.full(plane.shape, np.inf)
        heap = [(plane[place], place) for place in border if plane[place] >= lowest]
        for value, place in heap:
            top[place] = value
        heapq.heapify(heap)
        while heap:
            value, (i, j) = heapq.heappop(heap)
            if value > top[i, j]:
                continue
            for k, n in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if 0 <= k < height and 0 <= n < width and plane[k, n] >= lowest:
                    longer = max(value, plane[k, n])
                    if longer < top[k, n]:
                        top[k, n] = longer
                        heapq.heappush(heap, (longer, (k, n)))
        best = np.minimum(best, top - lowest)
    return best


def test_barriers_are_at_most_a_little_above_the_exact_ones():
    plane = np.kron(np.random.default_rng(0).integers(0, 6, (4, 4)), np.ones((3, 3))).astype(np.float32) * 10
    plane = np.pad(plane, 1)
    valid = jnp.ones(plane.shape, bool)
    found = np.asarray(barrier_distance(jnp.zeros((*plane.shape, 3)).at[..., 0].set(plane), valid))
    exact = exact_barrier(plane)
    assert (exact[np.asarray(on_border(valid))] == 0).all()
    assert np.mean(np.abs(found * exact.max() - exact) < 1e-3) > 0.9


def test_barrier_by_hand():
    # The way into the middle climbs from 0 to 30 and falls to 10: its barrier is 30; the wall itself costs 30.
    plane = jnp.zeros((5, 5)).at[1:4, 1:4].set(30.0).at[2, 2].set(10.0)
    found = barrier_distance(jnp.zeros((5, 5, 3)).at[..., 0].set(plane), jnp.ones((5, 5), bool))
    np.testing.assert_array_equal(found, (plane > 0).astype(np.float32))


def test_shortest_ways_are_scipys():
    edges = np.random.default_rng(1).random((20, 20)).astype(np.float32)
    edges = edges + edges.T
    np.fill_diagonal(edges, 0)
    np.testing.assert_allclose(shortest_ways(jnp.asarray(edges)), scipy.sparse.csgraph.floyd_warshall(edges), rtol=1e-6)


def test_solve_is_numpys():
    smooth = np.random.default_rng(2).random((60, 60))
    smooth = (smooth + smooth.T) * (1 - np.eye(60))
    pull, right = np.random.default_rng(3).random((2, 60))
    matrix = np.diag(smooth.sum(axis=1) + pull) - smooth
    found = solve(*(jnp.asarray(x, jnp.float32) for x in (smooth, pull, right)))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-3)


def test_places_and_stretch_by_hand():
    valid = jnp.zeros((4, 5), bool).at[1:3, 1:5].set(True)
    rows, columns = places(valid)
    np.testing.assert_allclose(rows, [-0.25, 0.25, 0.75, 1.25])
    np.testing.assert_allclose(columns, [-0.125, 0.125, 0.375, 0.625, 0.875])
    values = jnp.arange(20.0).reshape(4, 5)
    np.testing.assert_allclose(stretch(values, valid)[1], [0, 0, 1 / 8, 2 / 8, 3 / 8])
    assert not stretch(jnp.full((4, 5), 3.0), valid).any()


def test_blocks_are_means_and_come_back():
    values = jnp.arange(16.0).reshape(4, 4)
    valid = jnp.ones((4, 4), bool)
    blocks = to_blocks(values[..., None], valid, 2)[..., 0]
    np.testing.assert_allclose(blocks, [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_allclose(from_blocks(blocks, valid)[0], [2.5, 3.0, 4.0, 4.5])
    assert not from_blocks(blocks, valid.at[0].set(False))[0].any()


def test_enlarging_keeps_constants_and_ignores_unknown_pixels():
    known = jnp.ones((3, 4), bool).at[0, 0].set(False)
    small = jnp.where(known, 2.0, 99.0)
    np.testing.assert_allclose(enlarge(small, known, 2, (6, 7))[1:], 2.0, rtol=1e-6)
    ramp = jnp.arange(3.0)[:, None] + jnp.zeros((3, 4))
    np.testing.assert_allclose(enlarge(ramp, known | True, 2, (5, 8))[:, 0], [0, 0.25, 0.75, 1.25, 1.75])


def test_masks_of_drawn_objects_agree_with_the_border():
    truth = make_mask(1, SIZE, SIZE)
    odds = np.asarray(border_log_odds(srgb_to_lab(jnp.asarray(make_image(1, SIZE, SIZE))), EVERYWHERE, 12))
    assert odds[truth].mean() > odds[~truth].mean() + 0.5
