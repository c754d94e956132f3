"""Figures of many masks: how confidence ranks, how well a flag warns, intervals of differences."""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

DRAWS = 4000


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
