"""Scores of masks against ground truths."""

import jax
import numpy as np
import pytest
import reference
from pictures import make_mask, random_mask

from iem_jax import score_masks

NAMES = ("accuracy", "iou", "miou", "dice", "accuracy_fixed", "iou_fixed", "dice_fixed")


def test_by_hand():
    """On 4 x 4: the mask is the upper half, the truth the left three quarters."""
    mask, truth = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    mask[:2], truth[:, :3] = True, True
    scores = score_masks(mask[None], truth[None])
    # Both 6, only mask 2, only truth 6, neither 2; the complement of the mask fits exactly as well.
    expected = (0.5, 6 / 14, (6 / 14 + 2 / 10) / 2, 12 / 20, 0.5, 6 / 14, 12 / 20)
    np.testing.assert_allclose([value[0] for value in scores], expected, rtol=1e-6)


def test_perfect_and_inverse():
    truth = make_mask(0, 8, 8)
    np.testing.assert_allclose(np.array(score_masks(truth, truth)), 1)
    scores = score_masks(~truth, truth)
    np.testing.assert_allclose([scores.accuracy, scores.iou, scores.miou, scores.dice], 1)
    np.testing.assert_allclose([scores.accuracy_fixed, scores.iou_fixed, scores.dice_fixed], 0)


@pytest.mark.parametrize("size", [(12, 12), (9, 15)])
def test_equals_reference(size: tuple[int, int]):
    masks = np.stack([random_mask(seed, *size) for seed in range(6)])
    masks[3:] = ~masks[3:]
    truths = np.stack([make_mask(seed, *size) for seed in range(6)])
    scores = score_masks(masks, truths)
    for row, (mask, truth) in enumerate(zip(masks, truths, strict=True)):
        expected = reference.scores(mask, truth)
        np.testing.assert_allclose([getattr(scores, name)[row] for name in NAMES], [expected[n] for n in NAMES], 1e-6)


def test_polarity_is_given_away():
    mask, truth = random_mask(1, 12, 12), make_mask(1, 12, 12)
    scores, inverse = score_masks(mask, truth), score_masks(~mask, truth)
    np.testing.assert_allclose(np.array(inverse[:4]), np.array(scores[:4]), rtol=1e-6)
    assert not np.allclose(inverse.iou_fixed, scores.iou_fixed)
    # mIoU alone does not change with the polarity of the ground truth either.
    np.testing.assert_allclose(score_masks(mask, ~truth).miou, scores.miou, rtol=1e-6)


@pytest.mark.parametrize("turn", [np.flipud, np.rot90, np.transpose])
def test_turned(turn):
    mask, truth = random_mask(2, 12, 15), make_mask(2, 12, 15)
    turned = score_masks(turn(mask).copy(), turn(truth).copy())
    np.testing.assert_array_equal(np.array(turned), np.array(score_masks(mask, truth)))


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full_truths_are_nan(fill: bool):
    """The other images of the batch keep their scores."""
    masks = np.stack([random_mask(seed, 8, 8) for seed in range(3)])
    truths = np.stack([make_mask(0, 8, 8), np.full((8, 8), fill), make_mask(2, 8, 8)])
    scores = np.array(score_masks(masks, truths))
    assert np.isnan(scores[:, 1]).all()
    assert np.isfinite(scores[:, [0, 2]]).all()


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full_masks_are_finite(fill: bool):
    truth = make_mask(0, 8, 8)
    scores = score_masks(np.full((8, 8), fill), truth)
    assert np.isfinite(np.array(scores)).all()
    np.testing.assert_allclose(scores.iou, truth.mean(), rtol=1e-6)


def test_transforms():
    masks = np.stack([random_mask(seed, 8, 8) for seed in range(3)])
    truths = np.stack([make_mask(seed, 8, 8) for seed in range(3)])
    batch = np.array(score_masks(masks, truths))
    np.testing.assert_array_equal(np.array(jax.vmap(score_masks)(masks, truths)), batch)
    np.testing.assert_allclose(np.array(jax.jit(score_masks)(masks, truths)), batch, rtol=1e-6)
    loop = [np.array(score_masks(mask, truth)) for mask, truth in zip(masks, truths, strict=True)]
    np.testing.assert_array_equal(np.stack(loop, 1), batch)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_any_number_is_foreground_unless_zero(dtype):
    mask, truth = random_mask(3, 8, 8), make_mask(3, 8, 8)
    scores = score_masks((mask * 255).astype(dtype), truth.astype(dtype))
    np.testing.assert_array_equal(np.array(scores), np.array(score_masks(mask, truth)))
    assert {value.dtype for value in scores} == {np.dtype("float32")}


def test_shapes_that_differ():
    with pytest.raises(Exception, match="ground_truths"):
        score_masks(np.ones((2, 4, 4), bool), np.ones((3, 4, 4), bool))
