"""Feature channels: CIELAB against scikit-image, scaling, and their way through `segment`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.color
from pictures import make_images, to_uint8

from iem_jax import IEMConfig, UsageError, run, segment
from iem_jax.core.batch import normalise
from iem_jax.core.features import srgb_to_lab, to_features
from iem_jax.core.frames import make_frame, shifted, to_frame
from iem_jax.core.masks import smooth

EVERY_CORNER = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), axis=-1).reshape(18, -1, 3)
SETTINGS = IEMConfig(sigma=2.0, kernel_size=5, iters=20, features="lab", smooth_threshold=5)


def test_lab_agrees_with_scikit_image():
    ours = srgb_to_lab(normalise(jnp.asarray(EVERY_CORNER)))
    np.testing.assert_allclose(ours, skimage.color.rgb2lab(EVERY_CORNER), atol=1e-3)


def test_lab_of_white_grey_and_red_by_hand():
    lab = srgb_to_lab(normalise(jnp.asarray([[[255, 255, 255], [119, 119, 119], [255, 0, 0]]], jnp.uint8)))
    np.testing.assert_allclose(lab[0], [[100, 0, 0], [50.03, 0, 0], [53.24, 80.09, 67.20]], atol=0.02)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rgb", (1, 1, 1)), ("lab", (1, 0, 0)), ("lab100", (0.5, 0, 0))],
    ids=["rgb", "lab", "lab100"],
)
def test_features_of_white(name, expected):
    np.testing.assert_allclose(to_features(jnp.ones((2, 2, 3)), name)[0, 0], expected, atol=1e-3)


def test_rgb_is_the_picture_itself_with_any_channels():
    image = jnp.asarray(make_images(1, 8, 8, channels=5)[0])
    assert to_features(image, "rgb") is image


def test_vmap_and_jit_give_what_one_picture_gives():
    images = jnp.asarray(make_images(3, 12, 16))
    together = jax.jit(jax.vmap(lambda image: to_features(image, "lab")))(images)
    for image, features in zip(images, together, strict=True):
        np.testing.assert_allclose(features, to_features(image, "lab"), atol=1e-6)


def test_segment_converts_pictures_itself():
    images = to_uint8(make_images(2, 32, 32))
    result = segment(images, SETTINGS)
    for image, mask in zip(images, result.mask, strict=True):
        alone = jax.jit(run)(to_features(normalise(jnp.asarray(image)), "lab"), SETTINGS)
        np.testing.assert_array_equal(mask, alone.mask)


def test_features_and_threshold_change_masks():
    images = to_uint8(make_images(4, 32, 32))
    masks = [
        np.asarray(segment(images, IEMConfig(2.0, kernel_size=5, iters=20, **changes)).mask)
        for changes in ({}, {"features": "lab"}, {"smooth_threshold": 5})
    ]
    assert (masks[0] != masks[1]).any()
    assert (masks[0] != masks[2]).any()


@pytest.mark.parametrize(("threshold", "kept"), [(1, 25), (3, 13), (4, 9), (5, 5), (6, 5), (7, 1), (9, 1)])
def test_threshold_on_a_square_by_hand(threshold, kept):
    frame = make_frame(7, 7, 1, 1)
    square = to_frame(jnp.zeros((1, 7, 7)).at[:, 2:5, 2:5].set(1.0), frame)
    everywhere = to_frame(jnp.ones((1, 7, 7)), frame)
    assert smooth(shifted(square, frame), everywhere, frame, threshold).sum() == kept


@pytest.mark.parametrize("threshold", [0, 10, True])
def test_bad_threshold_is_one_sentence(threshold):
    with pytest.raises(UsageError, match=r"`smooth_threshold` must be an integer"):
        segment(np.zeros((1, 16, 16, 3), np.uint8), IEMConfig(smooth_threshold=threshold))


def test_unknown_features_and_wrong_channels_are_one_sentence():
    with pytest.raises(UsageError, match=r"`features` must be one of rgb, lab, lab100, got 'hsv'"):
        segment(np.zeros((1, 16, 16, 3), np.uint8), IEMConfig(features="hsv"))
    with pytest.raises(UsageError, match=r"`images` must have three channels.* got 4"):
        segment(np.zeros((1, 16, 16, 4), np.uint8), IEMConfig(features="lab"))
