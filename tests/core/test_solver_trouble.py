"""What `segment` does with pictures and settings that cannot work (SPEC section 3)."""

import contextlib
import dataclasses
import math

import jax
import numpy as np
import pytest
import reference
from pictures import make_image, make_images

from iem_jax import IEMConfig, UsageError, segment
from iem_jax.core.solver import STATUSES

SMALL = IEMConfig(sigma=3.0, kernel_size=7, iters=12)


def dot() -> np.ndarray:
    """One bright pixel: the mask shrinks around it and vanishes."""
    image = np.full((8, 8, 1), -1, np.float32)
    image[4, 4] = 1
    return image


def noise() -> np.ndarray:
    """Noise, on which the mask grows over all."""
    return np.random.default_rng(FULL_SEED).uniform(-1, 1, (8, 8, 1)).astype(np.float32)


FULL_SEED = 88
TROUBLE = {
    "empty": (dot, IEMConfig(lmbda=1.0, iters=12), False),
    "full": (noise, IEMConfig(lmbda=0.0, iters=12), True),
}


def plain_masks(image: np.ndarray, config: IEMConfig) -> list[np.ndarray]:
    """Masks of the plain reference up to and with the first that is empty or full."""
    masks = [reference.centred_square(*image.shape[:2])]
    gradient = reference.make_gradient(config)
    for _ in range(config.iters):
        masks.append(reference.smooth(reference.update_mask(masks[-1], gradient(image, masks[-1]))))
        if masks[-1].all() or not masks[-1].any():
            break
    return masks


@pytest.mark.parametrize("status", TROUBLE)
def test_last_valid_mask_is_kept(status: str):
    make, config, fill = TROUBLE[status]
    image = make()
    masks = plain_masks(image, config)
    assert (masks[-1] == fill).all()  # the plain algorithm does get there
    others = make_images(2, 8, 8, 1)
    result = segment(np.stack([others[0], image, others[1]]), config)
    assert STATUSES[int(result.status[1])] == status
    np.testing.assert_array_equal(result.mask[1], masks[-2])
    assert np.isfinite(result.info.inp_error).all()
    # The pictures beside it are what they are without it.
    alone = segment(others, config)
    np.testing.assert_array_equal(result.mask[np.array([0, 2])], alone.mask)
    np.testing.assert_array_equal(result.status[np.array([0, 2])], alone.status)


@pytest.mark.parametrize("level", [0, 77, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_uniform_image_keeps_its_square(level: int, channels: int):
    images = np.full((2, 20, 25, channels), level, np.uint8)
    images[1, 3:9, 4:12] = 128
    result = segment(images, SMALL)
    assert STATUSES[int(result.status[0])] == "uniform"
    assert STATUSES[int(result.status[1])] != "uniform"
    np.testing.assert_array_equal(result.mask[0], reference.centred_square(20, 25))
    assert np.isfinite(result.info.inp_error).all()


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_tiny_images_give_no_nan(size: int):
    """Below 5 pixels a fifth is nothing, and the centred square is the whole image."""
    with contextlib.suppress(UsageError):  # to refuse them would do as well
        result = segment(make_images(2, size, size), SMALL)
        assert np.isfinite(result.info.inp_error).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_size": 10}, "`kernel_size` must be a positive odd integer, got 10"),
        ({"kernel_size": -3}, "`kernel_size` must be .* got -3"),
        ({"reps": 0}, "`reps` must be an integer >= 1, got 0"),
        ({"iters": 0}, "`iters` must be an integer >= 1, got 0"),
        ({"scale_factor": 0}, "`scale_factor` must be an integer >= 1, got 0"),
        ({"scale_factor": 5}, "must be divisible by `scale_factor`, got 16 and 5"),
        ({"sigma": 0.0}, "`sigma` must be a finite number > 0, got 0.0"),
        ({"sigma": math.nan}, "`sigma` must be a finite number > 0, got nan"),
        ({"lmbda": -0.1}, "`lmbda` must be a finite number >= 0, got -0.1"),
        ({"lmbda": math.inf}, "`lmbda` must be a finite number >= 0, got inf"),
        ({"precision": "float8"}, "`precision` must be one of"),
    ],
)
def test_bad_settings(changes: dict, message: str, compilations: list[str]):
    with pytest.raises(UsageError, match=message):
        segment(make_images(2, 16, 16), dataclasses.replace(SMALL, **changes))
    assert compilations == []


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (make_image(0, 16, 16), "images"),
        (np.zeros((1, 0, 16, 3), np.uint8), "none of H, W and C 0"),
        (np.zeros((1, 16, 16, 0), np.uint8), "none of H, W and C 0"),
        (np.zeros((1, 16, 16, 3), np.int32), "must be uint8, or floating point"),
        (np.full((1, 16, 16, 3), 1.5, np.float32), r"in \[-1, 1\]"),
        (np.full((1, 16, 16, 3), np.nan, np.float32), "must be finite"),
    ],
)
def test_bad_images(images: np.ndarray, message: str):
    with pytest.raises(Exception, match=message):
        segment(images, SMALL)


def test_bad_dtype_in_callers_jit():
    """Under a caller's jit values are unknown, the dtype is not."""
    with pytest.raises(UsageError, match="must be uint8, or floating point"):
        jax.jit(lambda batch: segment(batch, SMALL))(np.zeros((1, 16, 16, 3), np.int32))


def test_bad_ground_truths():
    with pytest.raises(Exception, match="ground_truth"):
        segment(make_images(2, 16, 16), SMALL, ground_truths=np.zeros((2, 16, 12), bool))


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_bad_chunk_size(chunk_size: int):
    with pytest.raises(UsageError, match="`chunk_size` must be an integer >= 1"):
        segment(make_images(2, 16, 16), SMALL, chunk_size=chunk_size)
