"""Polishing: a mask that is somewhat off finds the edge of what it means."""

import jax
import numpy as np
import pytest
from pictures import make_images, make_mask, to_uint8

from iem_jax.core.batch import normalise
from iem_jax.search.polish import polish, polish_all


def make_disc(side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy red disc on noisy green, uint8, and where it is."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    disc = rows**2 + columns**2 < (side / 3) ** 2
    picture = np.where(disc[..., None], (190, 40, 60), (60, 130, 50))
    return (picture + np.random.default_rng(0).integers(-15, 16, (side, side, 3))).astype(np.uint8), disc


@pytest.mark.parametrize("rounds", [1, 3])
def test_finds_the_edge(rounds):
    picture, disc = make_disc()
    rough = np.roll(disc, (4, -3), (0, 1))
    assert (rough != disc).mean() > 0.1
    found = np.asarray(jax.jit(polish, static_argnums=2)(normalise(picture), rough, rounds))
    assert (found != disc).mean() < 0.002


def test_no_rounds_change_nothing():
    picture, disc = make_disc()
    rough = np.roll(disc, 4, 0)
    np.testing.assert_array_equal(polish(normalise(picture), rough, 0), rough)


def test_padding_is_never_foreground_and_does_not_count():
    picture, disc = make_disc()
    rough = np.roll(disc, 4, 0)
    padded = np.pad(picture, [(8, 8), (0, 0), (0, 0)])
    valid = np.pad(np.ones_like(disc), [(8, 8), (0, 0)])
    found = np.asarray(polish(normalise(padded), np.pad(rough, [(8, 8), (0, 0)], constant_values=True), 2, valid))
    assert not found[~valid].any()
    assert (found[8:-8] != disc).mean() < 0.002


def test_a_picture_of_one_colour_keeps_two_sides():
    _, disc = make_disc()
    found = np.asarray(polish(normalise(np.full((48, 48, 3), 90, np.uint8)), disc, 3))
    assert 0 < found.sum() < found.size


def test_in_any_company():
    images = to_uint8(make_images(5, 32, 24))
    masks = np.stack([make_mask(seed, 32, 24) for seed in range(5)])
    valid = np.ones_like(masks)
    together = np.asarray(polish_all(images, masks, 3, valid))
    alone = jax.jit(lambda image, mask: polish(normalise(image), mask, 3))
    for row in range(5):
        np.testing.assert_array_equal(together[row], alone(images[row], masks[row]))
    np.testing.assert_array_equal(together, jax.jit(jax.vmap(alone))(images, masks))
    np.testing.assert_array_equal(together[2:3], polish_all(images[2:3], masks[2:3], 3, valid[:1]))
