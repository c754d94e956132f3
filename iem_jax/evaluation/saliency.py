"""The measures of salient object detection, on maps of 256 levels: precision and recall, max F, mean absolute error."""

import numpy as np
from jaxtyping import Bool, Float, UInt8

Curve = Float[np.ndarray, "2 256"]

BETA_SQUARED = 0.3  # precision counts for more, as in all tables of the field
LEVELS = 256


def precision_and_recall(levels: UInt8[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> Curve:
    """Return precision and recall of the pixels at each level or above; a precision of nothing is 0.

    Args:
      levels: the map, 0 to 255.
      truth: the object; not empty.
    """
    found, hit = (np.bincount(x, minlength=LEVELS)[::-1].cumsum()[::-1] for x in (levels.ravel(), levels[truth]))
    return np.stack([hit / np.maximum(found, 1), hit / truth.sum()])


def max_f(curves: Float[np.ndarray, "n 2 t"]) -> float:
    """Return the greatest F over thresholds, of precision and recall in the mean over pictures."""
    precision, recall = curves.mean(axis=0)
    bottom = BETA_SQUARED * precision + recall
    return float(np.max((1 + BETA_SQUARED) * precision * recall / np.where(bottom > 0, bottom, 1)))


def absolute_error(levels: UInt8[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """Return the mean absolute difference of map and ground truth, both from 0 to 1."""
    return float(np.abs(levels / (LEVELS - 1) - truth).mean())
