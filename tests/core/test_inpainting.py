"""The inpainter: a case by hand, the float64 reference, invariances, transforms, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from pictures import make_image, make_images, random_mask

from iem_jax import IEMConfig, inpaint

# With this sigma the three taps are 1/4, 1/2, 1/4.
QUARTERS = IEMConfig(sigma=float(np.sqrt(0.5 / np.log(2))), kernel_size=3, reps=1)
MATRIX = [
    # height, width, channels, kernel_size, reps, scale_factor
    (12, 12, 3, 3, 1, 1),
    (9, 15, 1, 7, 2, 1),
    (17, 11, 5, 11, 3, 1),
    (16, 12, 3, 7, 2, 2),
    (24, 16, 1, 3, 3, 4),
    (20, 20, 3, 11, 1, 4),
]


def config_of(kernel_size: int, reps: int, scale_factor: int) -> IEMConfig:
    return IEMConfig(sigma=kernel_size / 2.2, kernel_size=kernel_size, reps=reps, scale_factor=scale_factor)


def test_by_hand():
    """On 4 x 4: two known pixels in the first row, 1 and -0.5, two columns apart."""
    image = jnp.zeros((4, 4, 1)).at[0, 0].set(1.0).at[0, 2].set(-0.5)
    mask = jnp.zeros((4, 4)).at[0, 0].set(1.0).at[0, 2].set(1.0)
    predicted = inpaint(image, mask, QUARTERS)[..., 0]
    expected = [
        [1.0, 0.25, -0.5, -0.5],
        [1.0, 0.25, -0.5, -0.5],
        [0.25, 0.25, 0.25, 0.25],  # out of the kernel's reach only eps is left: the mean of the known pixels
        [0.25, 0.25, 0.25, 0.25],
    ]
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


@pytest.mark.parametrize("case", MATRIX)
@pytest.mark.parametrize("real", [False, True])
def test_equals_reference(case: tuple[int, ...], real: bool):
    height, width, channels, *settings = case
    image, mask = make_image(1, height, width, channels), random_mask(2, height, width).astype(np.float32)
    if real:
        mask = mask * 0.75 + 0.125
    config = config_of(*settings)
    expected = reference.inpaint(image.astype(np.float64), mask.astype(np.float64), config)
    np.testing.assert_allclose(inpaint(image, mask, config), expected, rtol=1e-4, atol=2e-5)


def test_defaults_equal_reference():
    image, mask = make_image(3, 40, 48), random_mask(3, 40, 48).astype(np.float32)
    expected = reference.inpaint(image.astype(np.float64), mask.astype(np.float64), IEMConfig())
    np.testing.assert_allclose(inpaint(image, mask), expected, rtol=1e-4, atol=2e-5)


def test_hidden_pixels_do_not_matter():
    image, mask = make_image(4, 16, 20), random_mask(4, 16, 20).astype(np.float32)
    other = np.where(mask[..., None] == 1, image, 0.9).astype(np.float32)
    np.testing.assert_array_equal(inpaint(image, mask), inpaint(other, mask))


def test_prediction_is_a_mean():
    """Colours can be scaled and shifted, and no prediction leaves the range of the known pixels."""
    image, mask = make_image(5, 16, 20) / 2, random_mask(5, 16, 20).astype(np.float32)
    predicted = inpaint(image, mask)
    np.testing.assert_allclose(inpaint(image * 0.5 + 0.25, mask), predicted * 0.5 + 0.25, atol=1e-5)
    known = image[mask == 1]
    assert predicted.min() >= known.min() - 1e-5
    assert predicted.max() <= known.max() + 1e-5


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, lambda x: x.swapaxes(0, 1)])
@pytest.mark.parametrize("scale_factor", [1, 2])
def test_turned_image(turn, scale_factor: int):
    image, mask = make_image(6, 16, 20), random_mask(6, 16, 20).astype(np.float32)
    config = config_of(7, 2, scale_factor)
    turned = inpaint(turn(image).copy(), turn(mask).copy(), config)
    np.testing.assert_allclose(turned, turn(np.asarray(inpaint(image, mask, config))), atol=1e-5)


def test_channels_are_independent():
    image, mask = make_image(7, 16, 16, 5), random_mask(7, 16, 16).astype(np.float32)
    one_by_one = [inpaint(image[..., c : c + 1], mask)[..., 0] for c in range(5)]
    np.testing.assert_allclose(inpaint(image, mask), np.stack(one_by_one, -1), atol=1e-6)


def test_vmap_and_jit():
    images = make_images(3, 12, 16)
    masks = np.stack([random_mask(seed, 12, 16) for seed in range(3)]).astype(np.float32)
    config = config_of(7, 2, 1)
    loop = np.stack([inpaint(image, mask, config) for image, mask in zip(images, masks, strict=True)])
    mapped = jax.vmap(lambda image, mask: inpaint(image, mask, config))(images, masks)
    np.testing.assert_allclose(mapped, loop, atol=1e-6)
    with jax.disable_jit():
        np.testing.assert_allclose(inpaint(jnp.asarray(images[0]), jnp.asarray(masks[0]), config), loop[0], atol=1e-6)


def test_no_second_compilation(compilations: list[str]):
    image, mask = make_image(8, 13, 17), random_mask(8, 13, 17).astype(np.float32)
    inpaint(image, mask, IEMConfig())
    compilations.clear()
    inpaint(image * 0.5, mask, IEMConfig(sigma=2.0, lmbda=0.5))
    assert compilations == []


def test_dtype_is_kept():
    image, mask = make_image(9, 12, 12), random_mask(9, 12, 12).astype(np.float32)
    assert inpaint(image, mask).dtype == jnp.float32
    with jax.enable_x64(True):
        assert inpaint(image.astype(np.float64), mask.astype(np.float64)).dtype == jnp.float64


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (IEMConfig(kernel_size=4), "`kernel_size` must be a positive odd integer, got 4"),
        (IEMConfig(reps=0), "`reps` must be"),
        (IEMConfig(scale_factor=5), "must be divisible by `scale_factor`"),
    ],
)
def test_bad_settings(config: IEMConfig, message: str):
    with pytest.raises(ValueError, match=message):
        inpaint(make_image(0, 12, 12), random_mask(0, 12, 12).astype(np.float32), config)
