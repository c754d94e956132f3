"""Figures of many masks: boundary F-score, how confidence ranks, how well a flag warns, intervals of differences."""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

DRAWS = 4000


def boundary_f_score(mask: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"], tolerance: int = 2) -> float:
    """Return the harmonic mean of the shares of each boundary that lie within `tolerance` pixels of the other."""
    edges = [_inner_edge(side) for side in (mask, truth)]
    if not (edges[0].any() and edges[1].any()):
        return 0.0
    precision, recall = (np.mean(_dilate(b, tolerance)[a]) for a, b in (edges, edges[::-1]))
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def rank_correlation(confidence: Float[np.ndarray, " n"], iou: Float[np.ndarray, " n"]) -> float:
    """Return Spearman's coefficient, equal values sharing their mean rank; NaN where either never changes."""
    if len(iou) < 2 or np.ptp(confidence) == 0 or np.ptp(iou) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(confidence, iou).statistic)


def warning_scores(is_flagged: Bool[np.ndarray, " n"], is_bad: Bool[np.ndarray, " n"]) -> dict[str, float]:
    """Return how many are flagged and how many are bad, in percent, and the flag's precision and recall of the bad.

    Precision is NaN if nothing is flagged, recall if nothing is bad.
    """
    both, flagged, bad = (int(np.sum(x)) for x in (is_flagged & is_bad, is_flagged, is_bad))
    return {
        "flagged": 100 * flagged / len(is_bad),
        "bad": 100 * bad / len(is_bad),
        "precision": both / flagged if flagged else float("nan"),
        "recall": both / bad if bad else float("nan"),
    }


def interval(groups: Sequence[Float[np.ndarray, " n"]], draws: int = DRAWS) -> tuple[float, float]:
    """Return the 95 % interval of the mean of the groups' means of paired differences.

    Percentile bootstrap: pictures are drawn anew within each group, groups are fixed.
    """
    random = np.random.default_rng(0)
    means = [x[random.integers(0, len(x), (draws, len(x)))].mean(axis=1) for x in groups]
    low, high = np.percentile(np.mean(means, axis=0), [2.5, 97.5])
    return float(low), float(high)


def _inner_edge(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    inner = mask.copy()
    for axis in (0, 1):
        view, source = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        view[1:] &= source[:-1]
        view[:-1] &= source[1:]
    return mask & ~inner


def _dilate(edge: Bool[np.ndarray, "h w"], tolerance: int) -> Bool[np.ndarray, "h w"]:
    height, width = edge.shape
    padded, reach = np.pad(edge, tolerance), range(-tolerance, tolerance + 1)
    near = np.zeros_like(edge)
    for dy, dx in ((y, x) for y in reach for x in reach if y * y + x * x <= tolerance**2):
        near |= padded[tolerance + dy : tolerance + dy + height, tolerance + dx : tolerance + dx + width]
    return near
