"""Inpainting error, diversity, objective, and the closed form of its gradient."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from pictures import make_image, make_images, make_mask, random_mask

from iem_jax import IEMConfig, diversity, inpainting_error, objective

SIZES = {1: [(16, 16), (12, 19), (21, 21)], 2: [(16, 16), (12, 22)], 4: [(16, 16), (20, 12)]}
MATRIX = [  # every filter; sizes and channels go around
    (
        SIZES[scale_factor][index % len(SIZES[scale_factor])],
        (1, 3, 5)[(index + reps) % 3],
        kernel_size,
        reps,
        scale_factor,
    )
    for index, (scale_factor, kernel_size, reps) in enumerate(itertools.product(SIZES, (3, 7, 11), (1, 2, 3)))
]


def both(seed: int, height: int, width: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return make_image(seed, height, width, channels), random_mask(seed, height, width).astype(np.float32)


def test_error_by_hand():
    """On 4 x 4 each half is one colour, so each is predicted with the other's: |1 - (-0.5)| twice."""
    image = jnp.full((4, 4, 2), -0.5).at[:, :2].set(1.0)
    mask = jnp.zeros((4, 4)).at[:, :2].set(1.0)
    np.testing.assert_allclose(inpainting_error(image, mask, IEMConfig()), 3.0, rtol=1e-5)


def test_diversity_by_hand():
    """Foreground 1 and 0 (mean 1/2), background 0 but for one -1 among 14 (mean -1/14)."""
    image = jnp.zeros((4, 4, 1)).at[1, 1].set(1.0).at[3, 3].set(-1.0)
    mask = jnp.zeros((4, 4)).at[1, 1:3].set(1.0)
    expected = 0.25 + 0.25 + 13 / 14**2 + (13 / 14) ** 2
    np.testing.assert_allclose(diversity(image, mask), expected, rtol=1e-6)


@pytest.mark.parametrize(("size", "channels", "kernel_size", "reps", "scale_factor"), MATRIX[::4])
def test_equals_reference(size, channels: int, kernel_size: int, reps: int, scale_factor: int):
    image, mask = both(1, *size, channels)
    config = IEMConfig(sigma=kernel_size / 2.2, kernel_size=kernel_size, reps=reps, scale_factor=scale_factor)
    exact = image.astype(np.float64), mask.astype(np.float64)
    np.testing.assert_allclose(inpainting_error(image, mask, config), reference.inpainting_error(*exact, config), 1e-5)
    np.testing.assert_allclose(diversity(image, mask), reference.diversity(*exact), 1e-5)
    np.testing.assert_allclose(objective(image, mask, config), reference.objective(*exact, config), 1e-5)


@pytest.mark.parametrize(("size", "channels", "kernel_size", "reps", "scale_factor"), MATRIX)
def test_closed_form_is_the_gradient(
    objective_gradient, size, channels: int, kernel_size: int, reps: int, scale_factor: int
):
    """In float64 the closed form of SPEC section 4 equals `jax.grad` of the objective as SPEC section 2 writes it."""
    config = IEMConfig(
        sigma=kernel_size / 2.2, kernel_size=kernel_size, reps=reps, scale_factor=scale_factor, lmbda=0.01
    )
    image = make_image(3, *size, channels).astype(np.float64)
    gradient = reference.make_gradient(config)
    for mask in (random_mask(3, *size), make_mask(3, *size), reference.centred_square(*size)):
        expected = gradient(image, mask)
        with jax.enable_x64(True):
            slope, error = objective_gradient(jnp.asarray(image), jnp.asarray(mask, jnp.float64), config)
            assert slope.dtype == jnp.float64
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
        np.testing.assert_allclose(error, reference.inpainting_error(image, mask.astype(float), config), rtol=1e-6)


@pytest.mark.parametrize("scale_factor", [1, 2])
def test_closed_form_in_float32(objective_gradient, scale_factor: int):
    image, mask = both(4, 64, 48)
    config = IEMConfig(scale_factor=scale_factor)
    expected = reference.make_gradient(config)(image, mask)
    slope, _ = objective_gradient(jnp.asarray(image), jnp.asarray(mask), config)
    assert slope.dtype == jnp.float32
    np.testing.assert_allclose(slope, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("function", [inpainting_error, lambda image, mask, _: diversity(image, mask), objective])
def test_sides_can_be_swapped(function):
    image, mask = both(5, 20, 24)
    np.testing.assert_allclose(function(image, 1 - mask, IEMConfig()), function(image, mask, IEMConfig()), rtol=1e-5)


def test_gradient_changes_sign_with_the_sides(objective_gradient):
    image, mask = both(6, 20, 24)
    slope, error = objective_gradient(jnp.asarray(image), jnp.asarray(mask), IEMConfig())
    other, other_error = objective_gradient(jnp.asarray(image), jnp.asarray(1 - mask), IEMConfig())
    np.testing.assert_allclose(other, -slope, atol=1e-4 * float(jnp.abs(slope).max()))
    np.testing.assert_allclose(other_error, error, rtol=1e-5)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, lambda x: x.swapaxes(0, 1)])
def test_turned_image(objective_gradient, turn):
    image, mask = both(7, 20, 24)
    turned = turn(image).copy(), turn(mask).copy()
    np.testing.assert_allclose(objective(*turned), objective(image, mask), rtol=1e-5)
    slope, _ = objective_gradient(jnp.asarray(image), jnp.asarray(mask), IEMConfig())
    turned_slope, _ = objective_gradient(*map(jnp.asarray, turned), IEMConfig())
    np.testing.assert_allclose(turned_slope, turn(np.asarray(slope)), atol=1e-4 * float(jnp.abs(slope).max()))


def test_lmbda_weighs_diversity():
    image, mask = both(8, 20, 24)
    expected = inpainting_error(image, mask) - 0.25 * diversity(image, mask)
    np.testing.assert_allclose(objective(image, mask, IEMConfig(lmbda=0.25)), expected, rtol=1e-5)


def test_vmap_and_jit(objective_gradient):
    images = make_images(3, 16, 20)
    masks = np.stack([random_mask(seed, 16, 20) for seed in range(3)]).astype(np.float32)
    pairs = list(zip(images, masks, strict=True))
    for function in (inpainting_error, objective, lambda *pair: objective_gradient(*pair, IEMConfig())[0]):
        mapped = jax.vmap(function)(jnp.asarray(images), jnp.asarray(masks))
        loop = np.stack([function(jnp.asarray(image), jnp.asarray(mask)) for image, mask in pairs])
        np.testing.assert_allclose(mapped, loop, atol=1e-5 * np.abs(loop).max())
        with jax.disable_jit():
            eager = function(jnp.asarray(images[0]), jnp.asarray(masks[0]))
        np.testing.assert_allclose(eager, loop[0], atol=1e-5 * np.abs(loop).max())


def test_no_second_compilation(compilations: list[str]):
    image, mask = both(9, 13, 18)
    objective(image, mask, IEMConfig())
    compilations.clear()
    objective(image, 1 - mask, IEMConfig(sigma=2.0, lmbda=0.5))
    assert compilations == []


def test_dtype_is_kept():
    image, mask = both(10, 12, 12)
    results = inpainting_error(image, mask), diversity(image, mask), objective(image, mask)
    assert {(result.dtype, result.shape) for result in results} == {(jnp.dtype("float32"), ())}


@pytest.mark.parametrize("function", [inpainting_error, objective])
def test_bad_settings(function):
    image, mask = both(11, 12, 12)
    with pytest.raises(ValueError, match="`kernel_size` must be a positive odd integer, got 4"):
        function(image, mask, IEMConfig(kernel_size=4))
    with pytest.raises(ValueError, match="must be divisible by `scale_factor`"):
        function(image, mask, IEMConfig(scale_factor=5))
