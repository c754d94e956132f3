"""How far a mean over pictures is to be believed: percentile bootstrap, always with the same draws."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

DRAWS, BLOCK, SEED = 4000, 50, 0
SHARE = 95.0  # percent of the draws


class Mean(NamedTuple):
    """A mean, and the ends of its interval; NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def means_of(values: Float[np.ndarray, "n k"]) -> list[Mean]:
    """Return the mean of each of k measures over n pictures, with 95 % intervals.

    Pictures are drawn anew with all their measures; draws depend on n alone, so that paired differences are paired.
    """
    number = len(values)
    random, drawn = np.random.default_rng(SEED), []
    for _ in range(DRAWS // BLOCK):
        places = random.integers(0, number, (BLOCK, number)) + number * np.arange(BLOCK)[:, None]
        counts = np.bincount(places.ravel(), minlength=BLOCK * number).reshape(BLOCK, number)
        drawn.append(counts @ values / number)
    low, high = np.percentile(np.concatenate(drawn), [(100 - SHARE) / 2, (100 + SHARE) / 2], axis=0)
    return [Mean(*map(float, ends)) for ends in zip(values.mean(axis=0), low, high, strict=True)]
