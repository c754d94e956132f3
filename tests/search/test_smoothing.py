"""Smoothing that follows contrast, by hand and against float64."""

import jax
import jax.numpy as jnp
import numpy as np
from pictures import make_image, make_mask

from iem_jax.core.features import srgb_to_lab
from iem_jax.search.colour_model import make_colour_model
from iem_jax.search.places import HALF
from iem_jax.search.smoothing import STEPS, STRENGTH, fit_smoothly, make_bonds, smooth_odds

SIZE = 32
EVERYWHERE = jnp.ones((SIZE, SIZE), bool)


def slow_bonds(lab: np.ndarray, valid: np.ndarray) -> np.ndarray:
    height, width = valid.shape
    squares, lengths = {}, []
    for i, j in np.ndindex(height, width):
        for dy, dx in HALF + tuple((-dy, -dx) for dy, dx in HALF):
            k, n = i + dy, j + dx
            if 0 <= k < height and 0 <= n < width and valid[i, j] and valid[k, n]:
                squares[i, j, dy, dx] = ((lab[i, j] - lab[k, n]) ** 2).sum()
    beta = 1 / (2 * np.mean(list(squares.values())))
    bonds = np.zeros((8, height, width))
    lengths = HALF + tuple((-dy, -dx) for dy, dx in HALF)
    for (i, j, dy, dx), square in squares.items():
        bonds[lengths.index((dy, dx)), i, j] = STRENGTH * np.exp(-beta * square) / np.hypot(dy, dx)
    return bonds


def test_bonds_equal_float64_and_leave_out_what_is_not_valid():
    lab = np.asarray(srgb_to_lab(jnp.asarray(make_image(2, 9, 11))), np.float64)
    valid = np.ones((9, 11), bool)
    valid[:, :2] = valid[4, 4] = False
    bonds = make_bonds(jnp.asarray(lab, jnp.float32), jnp.asarray(valid))
    np.testing.assert_allclose(bonds, slow_bonds(lab, valid), atol=1e-5)


def test_mean_field_equals_float64():
    lab = np.asarray(srgb_to_lab(jnp.asarray(make_image(3, 9, 11))), np.float64)
    odds = np.random.default_rng(0).normal(size=(9, 11))
    bonds, expected = slow_bonds(lab, np.ones((9, 11), bool)), odds
    for _ in range(STEPS):
        side = np.pad(2 / (1 + np.exp(-expected)) - 1, 1)
        near = [side[1 + dy : 10 + dy, 1 + dx : 12 + dx] for dy, dx in HALF + tuple((-dy, -dx) for dy, dx in HALF)]
        expected = odds + (bonds * np.stack(near)).sum(axis=0)
    found = smooth_odds(
        jnp.asarray(odds, jnp.float32), make_bonds(jnp.asarray(lab, jnp.float32), jnp.ones((9, 11), bool))
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_speck_goes_and_an_edge_stays():
    lab = jnp.zeros((SIZE, SIZE, 3)).at[:, 16:].set(50.0)
    odds = jnp.where(jnp.arange(SIZE)[None] < 16, -1.0, 1.0) + jnp.zeros((SIZE, SIZE))
    smoothed = smooth_odds(odds.at[8, 5].set(1.0), make_bonds(lab, EVERYWHERE))
    np.testing.assert_array_equal(smoothed > 0, odds > 0)


def test_the_sides_are_equal():
    lab = srgb_to_lab(jnp.asarray(make_image(4, SIZE, SIZE)))
    odds, bonds = jax.random.normal(jax.random.key(0), (SIZE, SIZE)), make_bonds(lab, EVERYWHERE)
    np.testing.assert_allclose(smooth_odds(-odds, bonds), -smooth_odds(odds, bonds), atol=1e-5)


def test_a_part_grows_to_the_object_and_a_prior_moves_it():
    image, truth = make_image(5, SIZE, SIZE), make_mask(5, SIZE, SIZE)
    lab = srgb_to_lab(jnp.asarray(image))
    model, bonds = make_colour_model(lab, EVERYWHERE), make_bonds(lab, EVERYWHERE)
    part = jnp.asarray(truth & (np.arange(SIZE)[:, None] < np.nonzero(truth)[0].mean()), jnp.float32)
    prior = jnp.zeros((SIZE, SIZE))
    found = np.asarray(fit_smoothly(model, bonds, part, prior, 4) > 0)
    assert (found & truth).sum() / (found | truth).sum() > 0.8
    assert (fit_smoothly(model, bonds, part, prior - 20, 1) < 0).all()
    assert (fit_smoothly(model, bonds, part, prior + 20, 1) > 0).all()
