"""The presets: named ways to segment, from the paper's algorithm to the best mask we know how to find.

"paper" is `segment` with its defaults. "best" and "fast" are searches (see `search`): no labels, no weights, nothing
learnt; no setting depends on other pictures.
"""

from typing import Any

from iem_jax.config import PRESETS, IEMConfig, UsageError, check_choice
from iem_jax.core.batch import make_batch, segment, segment_batch
from iem_jax.core.solver import Segmentation
from iem_jax.search.search import Search, search

FAST = Search(blocks=12)
BEST = Search(blocks=16, last_rounds=3)
SEARCHES = {"best": BEST, "fast": FAST}
WEIGHT = 4  # times the work of `segment`, for the fast memory of a CPU


def segment_best(
    images: Any,
    preset: str = "best",
    *,
    ground_truths: Any = None,
    valid: Any = None,
    chunk_size: int | None = None,
    devices: Any = None,
) -> Segmentation:
    """Cut the object out of each picture of a batch, better than the paper's algorithm does.

    Pictures are independent of each other, as in `segment`. Foreground is what neither has the
    colours of the picture's border nor is joined to it, rather in the middle than not. Works at any height and width:
    the search is on a grid of about 64 pixels.

    Args:
      images: (B, H, W, 3), sRGB: uint8, or floating point in [-1, 1].
      preset: "best", "fast", or "paper" for `segment` with its defaults.
      ground_truths: (B, H, W), true for foreground; only counted, in `info.overlap`.
      valid: (B, H, W), true for the picture's own pixels where it was padded; sizes in the search follow their
        number, the grid that of all pixels.
      chunk_size: pictures computed side by side; by default what suits the device.
      devices: devices among which to share the batch; by default the one where JAX computes.

    Returns:
      A `Segmentation`, as from `segment`; but for "best" and "fast" `info` has one entry, (B, 1): the numbers of the
      mask itself; and there is `consensus`, (B,): how far the masks that were found on the way agree, in [0, 1].

    Raises:
      UsageError: shapes, dtypes or values that cannot work, no such preset.
    """
    check_choice("preset", preset, PRESETS)
    options: Any = {"chunk_size": chunk_size, "devices": devices}
    if preset == "paper":
        return segment(images, IEMConfig(), ground_truths=ground_truths, valid=valid, **options)
    batch = make_batch(images, ground_truths=ground_truths, valid=valid)
    if batch["image"].shape[3] != 3:
        raise UsageError(f"`images` must have three channels, sRGB, for a preset, got {batch['image'].shape[3]}.")
    return segment_batch(batch, SEARCHES[preset], search, weight=WEIGHT, quicker=True, **options)
