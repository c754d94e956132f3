"""One picture in, one mask out; arrays of other libraries."""

import jax.numpy as jnp
import numpy as np
import pytest
from drawings import draw, draw_truth
from PIL import Image

from iem_jax.config import IEMConfig, UsageError
from iem_jax.core.arrays import as_array
from iem_jax.segmenter.segmenter import segment_image

SMALL = IEMConfig(size=64, iters=30, sigma=3.0, kernel_size=7)
TRUTH = np.asarray(draw_truth(2)) > 0


def iou(mask):
    return (mask & TRUTH).sum() / (mask | TRUTH).sum()


class Wrapped:
    """Has `__array__` and nothing else."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


class DLPackOnly:
    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **kwargs):
        return self._array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def test_path_and_array_give_the_same_mask(tmp_path):
    draw(2).save(tmp_path / "a.png")
    mask = segment_image(tmp_path / "a.png", SMALL)
    assert (mask.shape, mask.dtype) == ((44, 60), bool)
    assert iou(mask) > 0.8
    np.testing.assert_array_equal(segment_image(str(tmp_path / "a.png"), SMALL), mask)
    np.testing.assert_array_equal(segment_image(np.asarray(draw(2)), SMALL), mask)
    np.testing.assert_array_equal(segment_image(draw(2), SMALL), mask)  # Pillow's pictures have an array


def test_floats_greys_and_more_channels():
    pixels = np.asarray(draw(2))
    for picture in (
        pixels.astype(np.float32) / 127.5 - 1,
        pixels.astype(np.float64) / 127.5 - 1,
        jnp.asarray(pixels / 127.5 - 1, jnp.bfloat16),
        pixels[..., 0],
        np.concatenate([pixels, pixels], axis=-1),
    ):
        assert iou(segment_image(picture, SMALL)) > 0.8


def test_as_array_takes_what_others_have():
    values = np.asarray(draw(2))
    assert as_array(values) is values
    for other in (Wrapped(values), DLPackOnly(values.copy()), values.tolist(), Image.fromarray(values)):
        np.testing.assert_array_equal(as_array(other), values)


def test_torch():
    torch = pytest.importorskip("torch")
    values = np.asarray(draw(2)).copy()
    tensor = torch.from_numpy(values)
    np.testing.assert_array_equal(as_array(tensor), values)
    channels_first = tensor.permute(2, 0, 1).contiguous()
    np.testing.assert_array_equal(as_array(channels_first.permute(1, 2, 0)), values)
    wanting = (tensor.float() / 127.5 - 1).requires_grad_()
    np.testing.assert_allclose(as_array(wanting), values / np.float32(127.5) - 1, atol=1e-6)
    np.testing.assert_array_equal(segment_image(tensor, SMALL), segment_image(values, SMALL))


def test_jax_arrays_and_tracers_stay():
    import jax

    values = jax.numpy.ones((2, 2))
    assert as_array(values) is values
    assert jax.jit(lambda x: as_array(x) + 1)(values).shape == (2, 2)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        ("absent.jpg", "got absent.jpg: file not found"),
        (np.zeros((3,), np.uint8), "must have shape"),
        (np.zeros((0, 4, 3), np.uint8), "must have shape"),
        (np.zeros((4, 4, 3), np.int64), "must be uint8, or floating point"),
        (np.full((4, 4, 3), 2.0), "must be finite and in"),
        (np.full((4, 4, 3), np.nan), "must be finite and in"),
        (np.zeros((3, 44, 60), np.uint8), r"channels last, \(H, W, C\), got \(3, 44, 60\): `np.moveaxis"),
        (np.zeros((1, 44, 60), np.float32), "must have its channels last"),
        (object(), "must be an array of numbers"),
        (None, "must be an array of numbers"),
    ],
)
def test_bad_pictures(picture, sentence):
    with pytest.raises(UsageError, match=sentence):
        segment_image(picture, SMALL)


def test_bad_settings():
    with pytest.raises(UsageError, match="kernel_size"):
        segment_image(np.zeros((4, 4), np.uint8), IEMConfig(kernel_size=4))
