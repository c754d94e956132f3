"""What became of a picture."""

import dataclasses

import numpy as np
from jaxtyping import Bool

from iem_jax.core.solver import STATUSES
from iem_jax.finishing.confidence import DECIMALS, UNCERTAIN_BELOW
from iem_jax.finishing.judging import Judged

FAILED, UNCERTAIN = "failed", "uncertain"
VALID = (STATUSES[0], UNCERTAIN)  # of which means are taken


@dataclasses.dataclass(frozen=True)
class Found:
    """A picture's mask and what can be said of it.

    Attributes:
      name: the picture's path as it was given, or its number in the call, from 0.
      mask: (H, W), true where the object is; None if the picture could not be used.
      status: "ok"; "uncertain" for "ok" with a low confidence; "empty" or "full" where a next mask would have had one
        side only, so that the last valid one is kept; "uniform" for a picture of one colour; "failed" if it could not
        be used.
      confidence: how far to believe the mask, in [0, 1]; None if failed.
      problem: what could not be used and why, else "".
    """

    name: str
    mask: Bool[np.ndarray, "h w"] | None
    status: str
    confidence: float | None = None
    problem: str = ""


def status_and_confidence(judged: Judged | None) -> tuple[str, float | None]:
    """Return the status of a picture, None for one that could not be used, and its confidence."""
    if judged is None:
        return FAILED, None
    status, confidence = STATUSES[int(judged.segmentation.status)], round(float(judged.confidence), DECIMALS)
    is_uncertain = status == STATUSES[0] and confidence < UNCERTAIN_BELOW
    return UNCERTAIN if is_uncertain else status, confidence
