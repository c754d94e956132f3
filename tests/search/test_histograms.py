"""Histograms of two sides, and the texture that goes into one, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import make_image, random_mask
from scipy import ndimage

from iem_jax.core.features import srgb_to_lab
from iem_jax.search.colour_model import roughness
from iem_jax.search.histograms import BINS, LEVELS, bins, histogram_log_odds, make_histogram
from iem_jax.search.presets import segment_best

EVERYWHERE = jnp.ones((24, 31), bool)


def test_bins_by_hand():
    values = jnp.asarray([[-1.0, 0.0], [0.0, 0.99], [0.5, 0.5], [2.0, 2.0]])
    np.testing.assert_array_equal(bins(values), [0, BINS - 1, BINS**2 // 2 + BINS // 2, BINS**2 - 1])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_log_odds_equal_float64(axes: int):
    values = np.random.default_rng(axes).random((24, 31, axes)).astype(np.float32)
    soft = np.round(make_image(1, 24, 31, 1)[..., 0] / 2 * LEVELS + LEVELS / 2).astype(int)
    valid = random_mask(3, 24, 31)
    soft = np.where(valid, np.clip(soft, 0, LEVELS), 0)

    def density(weights: np.ndarray) -> np.ndarray:
        counts = np.histogramdd(values.reshape(-1, axes), BINS, [(0, 1)] * axes, weights=weights.ravel())[0]
        for axis in range(axes):
            # A weighted mean of the bins around: at the ends it has fewer of them.
            sigma = 1.5 if axis == 0 else 1.2
            offsets = np.arange(BINS)[:, None] - np.arange(BINS)
            matrix = np.exp(-0.5 * (offsets / sigma) ** 2)
            matrix /= matrix.sum(axis=1, keepdims=True)
            counts = np.moveaxis(np.tensordot(counts, matrix, axes=(axis, 1)), -1, axis)
        return counts

    inside, total = density(soft), density(np.where(valid, LEVELS, 0))
    pseudo = 2 / valid.sum()
    foreground = inside / soft.sum() + pseudo
    background = (total - inside) / (LEVELS * valid.sum() - soft.sum()) + pseudo
    expected = np.clip(np.log(foreground / background), -4, 4)
    index = bins(jnp.asarray(values))
    histogram = make_histogram(index, jnp.asarray(valid), axes)
    found = histogram_log_odds(histogram, jnp.asarray(soft, jnp.int32), jnp.asarray(valid), index, 2.0)
    np.testing.assert_allclose(found, expected.ravel()[np.asarray(index)], atol=2e-4)


def test_roughness_equals_float64_and_asks_valid_pixels_only():
    lab = np.asarray(srgb_to_lab(jnp.asarray(make_image(2, 24, 31))), np.float64)[..., 1:]
    valid = np.ones((24, 31), bool)
    valid[:, :3] = valid[10, 10] = False
    squares, number = np.zeros((24, 31)), np.zeros((24, 31))
    for dy, dx in np.argwhere(np.ones((3, 3))) - 1:
        if dy or dx:
            moved = ndimage.shift(lab, (dy, dx, 0), order=0)
            there = ndimage.shift(valid.astype(int), (dy, dx), order=0) * valid
            squares += there * ((lab - moved) ** 2).sum(axis=-1)
            number += there
    found = roughness(jnp.asarray(lab, jnp.float32), jnp.asarray(valid))
    np.testing.assert_allclose(found[valid], np.sqrt(squares / np.maximum(number, 1))[valid], atol=1e-3)
    np.testing.assert_array_equal(np.asarray(found)[~valid], 0)
    np.testing.assert_array_equal(roughness(jnp.full((24, 31, 3), 7.0), EVERYWHERE), 0)


def test_texture_finds_what_no_colour_tells():
    """Object and background have the same greys as often; only how they are mixed differs."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128]
    disc = (rows - 60) ** 2 + (columns - 70) ** 2 < 35**2
    fine, coarse = np.kron(rng.random((64, 64)), np.ones((2, 2))), ndimage.zoom(rng.random((8, 8)), 16, order=1)
    fine, coarse = (grey.ravel().argsort().argsort().reshape(128, 128) / 128**2 for grey in (fine, coarse))
    grey = np.where(disc, fine, coarse)
    image = np.repeat((255 * grey[..., None]).astype(np.uint8), 3, axis=-1)
    mask = np.asarray(jax.device_get(segment_best(image[None], "fast").mask))[0]
    assert (mask & disc).sum() / (mask | disc).sum() > 0.8
