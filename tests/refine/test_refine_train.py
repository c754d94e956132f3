"""The training: its step against its other forms, the views it learns from, and how it stops."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iem_jax.config import UsageError
from iem_jax.refine import NetConfig, RefineConfig, TrainingError, fit, predict
from iem_jax.refine.augment import augment, resampling_matrix
from iem_jax.refine.train import Pictures, init_training, train_step, train_steps
from iem_jax.refine.trainer import _program

NET = NetConfig(width=8, depth=1)
TINY = RefineConfig(width=8, depth=1, steps=4, batch_size=4, checkpoint_every=2, learning_rate=3e-3, shrink=1)


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def make_pictures(number: int = 8, size: int = 16) -> Pictures:
    """Bright squares on dark noise."""
    random = np.random.default_rng(3)
    images = random.integers(0, 90, (number, size, size, 3), np.uint8)
    masks = np.zeros((number, size, size), bool)
    for image, mask in zip(images, masks, strict=True):
        top, left = random.integers(1, size // 2, 2)
        mask[top : top + size // 2, left : left + size // 2] = True
        image[mask] += np.uint8(120)
    return Pictures(images, masks.astype(np.uint8) * 255)


def assert_moved_alike(start, ours, theirs, tolerance=0.01):
    """Compare how weights moved; biases in front of a norm, whose gradient is rounding noise, are left out."""
    for (path, begin), one, two in zip(
        jax.tree_util.tree_leaves_with_path(start), *map(jax.tree.leaves, (ours, theirs)), strict=True
    ):
        if "'second']['bias'" not in jax.tree_util.keystr(path):
            moved = np.linalg.norm(np.asarray(two) - np.asarray(begin))
            assert np.linalg.norm(np.asarray(one) - np.asarray(two)) <= tolerance * moved
            assert moved > 0


def assert_same(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)), ours, theirs)


@pytest.mark.slow  # the fast sample of these is in test_refine_run.py
def test_loss_falls_and_masks_are_learned():
    pictures = make_pictures()
    losses = []
    config = RefineConfig(
        width=8, depth=1, shrink=1, steps=60, batch_size=4, learning_rate=1e-2, checkpoint_every=10, crop_scale=0.8
    )
    masks = pictures.targets > 0
    model = fit(pictures.images, masks, config, report=lambda row: losses.append(row.loss))
    assert len(losses) == 6
    assert losses[-1] < 0.5 * losses[0]
    assert ((np.asarray(predict(model, pictures.images)) > 0.5) == masks).mean() > 0.9


@pytest.mark.slow
def test_scan_and_unrolled_steps_equal_plain_ones():
    pictures = make_pictures()
    begin = init_training(jax.random.key(1), NET, TINY)
    plain, losses = begin, []
    step = jax.jit(train_step, static_argnums=(2, 3))
    for _ in range(2):
        plain, info = step(plain, pictures, NET, TINY)
        losses.append(float(info.loss))
    for unroll in (False, True):
        state, info = train_steps(jax.tree.map(jnp.copy, begin), pictures, NET, TINY, 2, unroll=unroll)
        assert int(state.step) == 2
        np.testing.assert_allclose(np.asarray(info.loss), losses, rtol=1e-5)
        assert_moved_alike(begin.parameters, state.parameters, plain.parameters)
        assert_moved_alike(begin.average, state.average, plain.average)


SHARDED = """
import jax, numpy as np
from test_refine_train import NET, TINY, assert_moved_alike, make_pictures
from iem_jax.refine.train import init_training, make_mesh, place, train_steps

assert make_mesh(5, jax.local_devices()) is None
mesh = make_mesh(4, jax.local_devices())
assert mesh.size == 2
pictures = make_pictures()
begin = jax.device_get(init_training(jax.random.key(1), NET, TINY))
one, first = train_steps(jax.device_put(begin), pictures, NET, TINY, 1, unroll=True)
two, second = train_steps(*place((begin, pictures), mesh, None), NET, TINY, 1, mesh, unroll=True)
np.testing.assert_allclose(first.loss, second.loss, rtol=1e-5)
np.testing.assert_allclose(first.gradient_norm, second.gradient_norm, rtol=1e-4)
assert_moved_alike(begin.parameters, one.parameters, two.parameters, 0.02)
print("same")
"""


@pytest.mark.slow
def test_sharded_step_equals_plain_one():
    folder = Path(__file__).parents[1]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([folder, os.path.dirname(folder)]),
    }
    done = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "same", done.stderr


@pytest.mark.slow
def test_same_seed_same_weights():
    pictures = make_pictures()
    masks = pictures.targets > 0
    first, second = (fit(pictures.images, masks, TINY) for _ in range(2))
    assert_same(first.parameters, second.parameters)
    other = fit(pictures.images, masks, TINY, jax.random.key(7))
    assert any(
        (np.asarray(a) != np.asarray(b)).any() for a, b in zip(*map(jax.tree.leaves, (first, other)), strict=True)
    )


@pytest.mark.slow
def test_fit_in_callers_jit_equals_fit():
    pictures = make_pictures()
    masks = pictures.targets > 0

    within = jax.jit(lambda images, masks: fit(images, masks, TINY, jax.random.key(0)))(pictures.images, masks)
    without = fit(pictures.images, masks, TINY, jax.random.key(0))
    assert within.net == without.net
    np.testing.assert_allclose(*(np.asarray(predict(x, pictures.images)) for x in (within, without)), atol=1e-3)


@pytest.mark.slow
def test_held_out_pictures_are_not_learned_from():
    """Every 16th of 32 or more: what their masks show does not matter to the weights, only to the report."""
    pictures = make_pictures(33)
    masks, seen = pictures.targets > 0, []
    others = masks.copy()
    others[15::16] ^= True
    config = dataclasses.replace(TINY, steps=2)
    first, second = (fit(pictures.images, x, config, report=seen.append) for x in (masks, others))
    assert_same(first.parameters, second.parameters)
    assert [row.loss for row in seen[:1]] == [row.loss for row in seen[1:]]
    assert seen[0].held_out != seen[1].held_out
    assert 0 <= seen[0].agreement <= 1
    few = []
    fit(pictures.images[:31], masks[:31], config, report=few.append)
    assert np.isnan([few[0].held_out, few[0].agreement]).all()


@pytest.mark.slow
def test_loss_that_is_not_finite_stops_and_keeps_the_state():
    pictures = make_pictures()
    images = pictures.images.astype(np.float32) / 127.5 - 1
    images[:, 3, 3] = np.nan
    state = init_training(jax.random.key(1), NET, TINY)
    before = jax.device_get(state)
    after, info = train_steps(state, Pictures(images, pictures.targets), NET, _program(TINY), 1, unroll=True)
    assert not np.isfinite(info.loss).any()
    assert_same(before, after)
    with pytest.raises(TrainingError, match="not finite at step 1; no checkpoint was written"):
        fit(images, pictures.targets > 0, TINY)


def test_view_without_crop_is_the_picture_or_its_mirror():
    image = np.random.default_rng(0).uniform(-1, 1, (8, 12, 2)).astype(np.float32)
    target = (image[..., 0] > 0).astype(np.float32)
    seen = set()
    for seed in range(8):
        view, mask = augment(jax.random.key(seed), image, target, (8, 12), 1.0, 0.0)
        flipped = not np.allclose(view, image, atol=1e-5)
        seen.add(flipped)
        np.testing.assert_allclose(view, image[:, ::-1] if flipped else image, atol=1e-5)
        np.testing.assert_allclose(mask, target[:, ::-1] if flipped else target, atol=1e-5)
    assert seen == {True, False}


def test_turned_views_are_all_eight():
    image = np.random.default_rng(0).uniform(-1, 1, (6, 6, 1)).astype(np.float32)
    target = (image[..., 0] + 1) / 2
    turned = [np.rot90(image[..., 0], number) for number in range(4)]
    expected = [*turned, *(view.T for view in turned)]
    seen = set()
    for seed in range(60):
        view, mask = augment(jax.random.key(seed), image, target, (6, 6), 1.0, 0.0, True)
        seen |= {index for index, one in enumerate(expected) if np.allclose(view[..., 0], one, atol=1e-5)}
        np.testing.assert_allclose((view[..., 0] + 1) / 2, mask, atol=1e-5)
    assert seen == set(range(8))


def test_views_stay_in_range_and_keep_picture_and_target_together():
    image = np.random.default_rng(0).uniform(-1, 1, (16, 16, 1)).astype(np.float32)
    target = (image[..., 0] + 1) / 2
    view, mask = augment(jax.random.key(2), image, target, (12, 8), 0.4, 0.0)
    assert view.shape == (12, 8, 1)
    np.testing.assert_allclose((view[..., 0] + 1) / 2, mask, atol=1e-5)
    loud, _ = augment(jax.random.key(2), image, target, (12, 8), 0.4, 0.9)
    assert float(jnp.max(jnp.abs(loud))) <= 1


def test_resampling_by_hand():
    halved = resampling_matrix(0.0, 1.0, 4, 2)
    np.testing.assert_allclose(halved[0] @ np.ones(4), 1, atol=1e-6)
    second_half = resampling_matrix(0.5, 0.5, 8, 4)
    np.testing.assert_allclose(second_half, np.eye(8)[4:], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 10}, "`refine_width` must be divisible by 4, got 10"),
        ({"steps": 0}, "`refine_steps` must be an integer >= 1, got 0"),
        ({"learning_rate": float("nan")}, "`refine_learning_rate` must be a finite number > 0"),
        ({"ema": 1.0}, "`refine_ema`"),
        ({"dtype": "float16"}, "`refine_dtype` must be one of float32, bfloat16"),
        ({"shrink": 3}, "Sides of `images` must be divisible by 4 times `refine_shrink`, 12"),
        ({"seed": -1}, "`refine_seed`"),
        ({"polish": -1}, "`refine_polish`"),
        ({"scan_steps": -1}, "`refine_scan_steps`"),
    ],
)
def test_bad_settings(change, message):
    pictures = make_pictures(2)
    with pytest.raises(UsageError, match=message):
        fit(pictures.images, pictures.targets > 0, RefineConfig(**change))


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8), bool), "at least 2 pictures to learn from, got 1"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 4), bool), "`masks` must have shape"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8), 2.0), "probabilities"),
        (np.zeros((2, 8, 6, 3), np.uint8), np.zeros((2, 8, 6), bool), "divisible by 4"),
    ],
)
def test_bad_input(images, masks, message):
    with pytest.raises(UsageError, match=message):
        fit(images, masks, TINY)
