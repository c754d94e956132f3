"""The network: its size, its numbers against a slow forward pass, its invariances, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iem_jax.config import UsageError
from iem_jax.refine import ModelState, NetConfig, model, predict
from iem_jax.refine.layers import pooling_matrix
from iem_jax.refine.model import apply, init_parameters

NARROW = NetConfig(width=8, depth=1)


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def make_parameters(net: NetConfig, seed: int = 0):
    """Initial weights with biases, scales and shifts that are not 0 and 1."""
    random = np.random.default_rng(seed)
    parameters = jax.jit(init_parameters, static_argnums=1)(jax.random.key(seed), net)
    return jax.tree.map(
        lambda x: x if x.ndim > 1 else x + random.normal(0, 0.3, x.shape).astype(np.float32), parameters
    )


def make_images(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


# The network once more, slowly, in float64, one picture (h, w, c), from the description.


def slow_convolution(x, kernel, stride=1):
    rows, columns = ((side - kernel.shape[0]) // stride + 1 for side in x.shape[:2])
    y = np.zeros((rows, columns, kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            window = x[top : top + kernel.shape[0], left : left + kernel.shape[1]]
            y[row, column] = np.tensordot(window, kernel, 3)
    return y


def slow_pad(x, margin, mode):
    return np.pad(x, [(margin, margin), (margin, margin), (0, 0)], mode)


def slow_norm(x, norm):
    y = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)
    return y * norm["scale"] + norm["shift"]


def slow_bilinear(x, height, width):
    y = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            v = min(max((row + 0.5) * x.shape[0] / height - 0.5, 0), x.shape[0] - 1)
            u = min(max((column + 0.5) * x.shape[1] / width - 0.5, 0), x.shape[1] - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, x.shape[0] - 1), min(left + 1, x.shape[1] - 1)
            upper = x[top, left] * (1 - u + left) + x[top, right] * (u - left)
            lower = x[bottom, left] * (1 - u + left) + x[bottom, right] * (u - left)
            y[row, column] = upper * (1 - v + top) + lower * (v - top)
    return y


def slow_pyramid(x, parameters):
    height, width, _ = x.shape
    maps = [x]
    for index, part in enumerate((1, 2, 3, 6)):
        rows, columns = max(height // part, 1), max(width // part, 1)
        means = np.array(
            [
                [x[i : i + rows, j : j + columns].mean((0, 1)) for j in range(0, width - columns + 1, columns)]
                for i in range(0, height - rows + 1, rows)
            ]
        )
        pooled = means @ parameters["kernel"][:, index] + parameters["bias"][index]
        maps.append(slow_bilinear(pooled, height, width)[..., None])
    return np.concatenate(maps, -1)


def slow_net(x, p):
    def relu(y):
        return np.maximum(y, 0)

    x = relu(slow_norm(slow_convolution(slow_pad(x, 3, "reflect"), p["first"]["kernel"]), p["first_norm"]))
    for name in ("down1", "down2"):
        x = relu(slow_norm(slow_convolution(slow_pad(x, 1, "constant"), p[name]["kernel"], 2), p[name + "_norm"]))
    for _, block in sorted(p["blocks"].items()):
        y = relu(slow_norm(slow_convolution(slow_pad(x, 1, "constant"), block["first"]["kernel"]), block["inner_norm"]))
        y = slow_convolution(slow_pad(y, 1, "constant"), block["second"]["kernel"]) + block["second"]["bias"]
        x = relu(slow_norm(x + y, block["norm"]))
    x = slow_pyramid(x, p["pyramid"])
    for name in ("up1", "up2"):
        x = x.repeat(2, 0).repeat(2, 1)
        x = relu(slow_norm(slow_convolution(slow_pad(x, 1, "constant"), p[name]["kernel"]), p[name + "_norm"]))
    return (slow_convolution(slow_pad(x, 3, "reflect"), p["last"]["kernel"]) + p["last"]["bias"])[..., 0]


@pytest.mark.parametrize(("width", "depth", "channels", "number"), [(64, 3, 3, 274_966), (64, 3, 1, 273_398)])
def test_number_of_parameters(width, depth, channels, number):
    net = NetConfig(channels, width, depth)
    leaves = jax.tree.leaves(jax.eval_shape(lambda: init_parameters(jax.random.key(0), net)))
    assert sum(leaf.size for leaf in leaves) == number


@pytest.mark.parametrize("shape", [(20, 28), (4, 8)])
def test_equals_slow_forward_pass(shape):
    parameters = make_parameters(NARROW)
    images = make_images((2, *shape, 3))
    ours = np.asarray(jax.jit(apply, static_argnums=2)(parameters, images, NARROW))
    double = jax.tree.map(lambda x: np.asarray(x, np.float64), parameters)
    theirs = np.stack([slow_net(image.astype(np.float64), double) for image in images])
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    assert np.abs(theirs).max() > 0.1


def test_kernels_are_orthogonal_with_gain():
    kernel = np.asarray(make_parameters(NARROW)["blocks"][0]["first"]["kernel"]).reshape(-1, 8)
    np.testing.assert_allclose(kernel.T @ kernel, 0.64 * np.eye(8), atol=1e-5)


def test_pooling_by_hand():
    np.testing.assert_allclose(pooling_matrix(4, 1), np.full((4, 4), 0.25))
    halves = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(pooling_matrix(4, 2), weights @ halves)


def test_pictures_are_independent():
    state = ModelState(make_parameters(NARROW), NARROW)
    images = make_images((3, 16, 16, 3))
    together = np.asarray(predict(state, images))
    assert together.shape == (3, 16, 16)
    for index in range(3):
        np.testing.assert_allclose(np.asarray(predict(state, images[[index]]))[0], together[index], atol=1e-5)


def test_predict_in_callers_jit_and_with_bytes():
    state = ModelState(make_parameters(NARROW), NARROW)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 20, 3), np.uint8)
    inside = jax.jit(lambda state, images: predict(state, images) > 0.5)(state, images)
    floats = images.astype(np.float32) / 127.5 - 1
    outside = np.asarray(predict(state, floats))
    assert inside.shape == (2, 16, 20)
    np.testing.assert_array_equal(np.asarray(inside), outside > 0.5)


def test_bfloat16_is_close_and_gives_float32():
    parameters = make_parameters(NARROW)
    images = make_images((2, 32, 32, 3))
    plain = predict(ModelState(parameters, NARROW), images)
    short = predict(ModelState(parameters, NetConfig(width=8, depth=1, dtype="bfloat16")), images)
    assert short.dtype == jnp.float32
    assert 0 < np.abs(np.asarray(plain - short)).mean() < 0.05


def test_shrunk_network_answers_at_full_size():
    parameters = make_parameters(NARROW)
    small = make_images((2, 8, 12, 3))
    large = small.repeat(2, 1).repeat(2, 2)
    shrunk = np.asarray(predict(ModelState(parameters, NetConfig(width=8, depth=1, shrink=2)), large))
    plain = np.asarray(predict(ModelState(parameters, NARROW), small))
    assert shrunk.shape == (2, 16, 24)
    assert np.abs(shrunk.reshape(2, 8, 2, 12, 2).mean((2, 4)) - plain).mean() < 0.1
    with pytest.raises(UsageError, match="divisible by 4 times `refine_shrink`, 8,"):
        predict(ModelState(parameters, NetConfig(width=8, depth=1, shrink=2)), small)


def test_uniform_picture_has_finite_gradient():
    def loss(parameters):
        return jnp.sum(jnp.square(apply(parameters, jnp.ones((1, 16, 16, 3)), NARROW)))

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(make_parameters(NARROW))))


def test_predict_does_not_compile_again():
    state = ModelState(make_parameters(NARROW), NARROW)
    images = make_images((1, 12, 12, 3))
    predict(state, images)
    before = model._predict._cache_size()
    predict(ModelState(make_parameters(NARROW, 5), NARROW), images)
    assert model._predict._cache_size() == before


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 16, 18, 3), np.float32), "divisible by 4"),
        (np.zeros((1, 16, 16, 4), np.float32), "3 channels"),
        (np.zeros((0, 16, 16, 3), np.float32), "shape"),
        (np.zeros((1, 16, 16, 3), np.int32), "uint8"),
    ],
)
def test_refuses(images, message):
    with pytest.raises(UsageError, match=message):
        predict(ModelState({}, NARROW), images)
