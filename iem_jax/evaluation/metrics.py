"""Scores of masks against ground truth, per image (SPEC section 2).

IEM finds two sides and does not say which is the object. As in ReDO and the paper, accuracy, IoU and DICE are the
larger of the value for the mask and the value for its complement; the `_fixed` scores are of the mask as it is.
"""

from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from iem_jax.config import UsageError
from iem_jax.core.arrays import as_array

SCORES = ("accuracy", "iou", "miou", "dice", "accuracy_fixed", "iou_fixed", "dice_fixed")


class Scores(NamedTuple):
    """Scores in [0, 1], all of one shape; NaN where the ground truth is empty or full."""

    accuracy: Any
    iou: Any
    miou: Any
    dice: Any
    accuracy_fixed: Any
    iou_fixed: Any
    dice_fixed: Any


jax.export.register_namedtuple_serialization(Scores, serialized_name="iem_jax.Scores")


def score_masks(masks: Any, ground_truths: Any) -> Scores:
    """Score masks against ground truths.

    Args:
      masks: (..., H, W), true or non-zero for foreground; arrays of any library.
      ground_truths: the same.

    Returns:
      `Scores` of shape B, NaN for images whose ground truth is empty or full.

    Raises:
      UsageError: the shapes differ.
    """
    masks, ground_truths = as_array(masks, "masks"), as_array(ground_truths, "ground_truths")
    if masks.shape != ground_truths.shape:
        raise UsageError(f"`masks` must have shape {ground_truths.shape}, as `ground_truths`, got {masks.shape}.")
    return _score(masks, ground_truths)


@jax.jit
def _score(masks: Shaped[Array | np.ndarray, "*b h w"], ground_truths: Shaped[Array | np.ndarray, "*b h w"]) -> Scores:
    masks, truths = (jnp.asarray(x).astype(bool) for x in (masks, ground_truths))  # NumPy's, where jit is disabled

    def count(x: Array) -> Array:
        return jnp.sum(x, axis=(-2, -1), dtype=jnp.float32)

    return scores_from_counts(count(masks), count(masks & truths), count(truths), masks.shape[-2] * masks.shape[-1])


def scores_from_counts(area: Any, overlap: Any, truth_area: Any, pixels: Any) -> Scores:
    """Score from pixel counts, floating-point arrays of NumPy or JAX that broadcast.

    Args:
      area: foreground pixels of the mask.
      overlap: those of them that are foreground in the ground truth.
      truth_area: foreground pixels of the ground truth.
      pixels: all pixels of the image.
    """
    xp = np if isinstance(area, np.ndarray) else jnp
    truth_area, pixels = xp.asarray(truth_area), xp.asarray(pixels)
    truth_area = xp.where((truth_area > 0) & (truth_area < pixels), truth_area, xp.nan)
    # The four cells of the table mask x ground truth; swapping rows gives the complement of the mask.
    both, only_mask, only_truth = overlap, area - overlap, truth_area - overlap
    neither = pixels - area - only_truth
    accuracy, inverse_accuracy = (both + neither) / pixels, (only_mask + only_truth) / pixels
    iou, inverse_iou = both / (area + only_truth), only_truth / (pixels - area + both)
    # The same against the complement of the ground truth.
    iou_outside, inverse_iou_outside = neither / (pixels - both), only_mask / (pixels - only_truth)
    dice = 2 * both / (area + truth_area)
    inverse_dice = 2 * only_truth / (pixels - area + truth_area)
    best_iou = xp.maximum(iou, inverse_iou)
    return Scores(
        accuracy=xp.maximum(accuracy, inverse_accuracy),
        iou=best_iou,
        miou=(best_iou + xp.maximum(iou_outside, inverse_iou_outside)) / 2,
        dice=xp.maximum(dice, inverse_dice),
        accuracy_fixed=accuracy,
        iou_fixed=iou,
        dice_fixed=dice,
    )
