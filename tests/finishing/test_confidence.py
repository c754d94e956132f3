"""How far a mask can be believed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import make_image, make_mask, random_mask
from scipy import ndimage

from iem_jax.finishing.colours import NOISE
from iem_jax.finishing.confidence import UNCERTAIN_BELOW
from iem_jax.finishing.confidence import confidence as eager

confidence = jax.jit(eager)


def slow_confidence(image: np.ndarray, mask: np.ndarray, consensus: float | None = None) -> float:
    """The rule again, slowly, in float64."""
    image = image.astype(np.float64)

    def log_gaussian(side: np.ndarray) -> np.ndarray:
        mean = image[side].mean(axis=0)
        spread = np.cov((image[side] - mean).T, bias=True).reshape(image.shape[-1], -1)
        spread = spread + NOISE * np.eye(image.shape[-1])
        offset = image - mean
        distance = (offset @ np.linalg.inv(spread) * offset).sum(axis=-1)
        return -0.5 * distance - 0.5 * np.linalg.slogdet(spread)[1]

    chance = 1 / (1 + np.exp(np.clip(log_gaussian(~mask) - log_gaussian(mask), -500, 500)))
    soft_iou = (chance * mask).sum() / (mask.sum() + (chance * ~mask).sum())
    agreement = soft_iou if consensus is None else (soft_iou + consensus) / 2
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    perimeter = (mask & ~ndimage.binary_erosion(mask)).sum()  # beyond the picture nothing is the object's
    ragged = max(perimeter / np.sqrt(mask.sum()) - 3.2, 0)
    return np.clip(agreement - 0.3 * border.mean() - 0.015 * ragged, 0, 1)


def test_by_hand():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    image = np.where(mask[..., None], 0.5, -0.5).astype(np.float32)
    assert float(confidence(jnp.asarray(image), jnp.asarray(mask))) == 1.0
    # On a uniform picture p = 1/2 everywhere: (4 / 2) / (4 + 12 / 2).
    assert float(confidence(jnp.zeros((4, 4, 1)), jnp.asarray(mask))) == pytest.approx(0.2)
    # Both sides are half dark, half light: the same Gaussian, p = 1/2 again.
    striped = np.tile([[[-0.5], [0.5]]], (4, 2, 1)).astype(np.float32)
    assert float(confidence(jnp.asarray(striped), jnp.asarray(mask))) == pytest.approx(0.2)


@pytest.mark.parametrize(("height", "width", "channels"), [(24, 31, 3), (16, 16, 1), (20, 12, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_equal_float64(seed: int, height: int, width: int, channels: int):
    image = make_image(seed, height, width, channels)
    for mask in (make_mask(seed, height, width), random_mask(seed + 1, height, width)):
        assert float(confidence(jnp.asarray(image), jnp.asarray(mask))) == pytest.approx(
            slow_confidence(image, mask), abs=2e-4
        )
        agreed = float(confidence(jnp.asarray(image), jnp.asarray(mask), consensus=jnp.float32(0.7)))
        assert agreed == pytest.approx(slow_confidence(image, mask, 0.7), abs=2e-4)


def test_a_ragged_mask_is_believed_less_than_a_smooth_one():
    rows, columns = np.mgrid[:40, :40]
    disc = (rows - 20) ** 2 + (columns - 20) ** 2 < 12**2
    comb = (rows >= 8) & (rows < 32) & (columns >= 4) & (columns < 36) & (columns % 2 == 0)
    found = []
    for mask in (disc, comb):
        image = np.where(mask[..., None], 0.5, -0.5).astype(np.float32)
        found.append(float(confidence(jnp.asarray(image), jnp.asarray(mask))))
    # All of the comb's 384 pixels are on its perimeter.
    assert found == [1.0, pytest.approx(1 - 0.015 * (384**0.5 - 3.2), abs=1e-4)]


def test_consensus_and_border_by_hand():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    image = np.where(mask[..., None], 0.5, -0.5).astype(np.float32)
    agreed = confidence(jnp.asarray(image), jnp.asarray(mask), consensus=jnp.float32(0.5))
    assert float(agreed) == pytest.approx(0.75)
    mask[0, 1] = True  # one of the border's twelve pixels
    image = np.where(mask[..., None], 0.5, -0.5).astype(np.float32)
    assert float(confidence(jnp.asarray(image), jnp.asarray(mask))) == pytest.approx(1 - 0.3 / 12, abs=1e-4)


def test_good_above_bad():
    image, truth = make_image(5, 48, 48), make_mask(5, 48, 48)
    good = float(confidence(jnp.asarray(image), jnp.asarray(truth)))
    shifted = float(confidence(jnp.asarray(image), jnp.asarray(np.roll(truth, 12, axis=1))))
    assert shifted < UNCERTAIN_BELOW < good


@pytest.mark.parametrize("full", [False, True])
def test_empty_side(full: bool):
    assert float(confidence(jnp.asarray(make_image(1, 8, 8)), jnp.full((8, 8), full))) == 0.0


@pytest.mark.parametrize("fill", [0.7, np.nan])
def test_padding(fill: float):
    image, mask = make_image(3, 20, 24), make_mask(3, 20, 24)
    padding = ((7, 2), (0, 11))
    valid = jnp.asarray(np.pad(np.ones_like(mask), padding))
    wide = jnp.asarray(np.pad(image, (*padding, (0, 0)), constant_values=fill))
    padded = float(confidence(wide, jnp.asarray(np.pad(mask, padding, constant_values=True)), valid))
    assert padded == pytest.approx(float(confidence(jnp.asarray(image), jnp.asarray(mask))), abs=1.1e-4)


def test_channels_can_be_permuted():
    image, mask = make_image(4, 16, 16), make_mask(4, 16, 16)
    plain = float(confidence(jnp.asarray(image), jnp.asarray(mask)))
    assert float(confidence(jnp.asarray(image[..., ::-1].copy()), jnp.asarray(mask))) == pytest.approx(
        plain, abs=1.1e-4
    )


def test_vmap_and_jit():
    images = np.stack([make_image(seed, 16, 20) for seed in range(4)])
    masks = np.stack([make_mask(seed, 16, 20) for seed in range(4)])
    loop = np.stack([eager(jnp.asarray(x), jnp.asarray(m)) for x, m in zip(images, masks, strict=True)])
    np.testing.assert_allclose(jax.vmap(confidence)(images, masks), loop, atol=1.1e-4)
    assert loop.dtype == np.float32
