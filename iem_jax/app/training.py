"""From IEM's masks of pictures to a trained network, with the files that show how it went."""

import math
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from iem_jax.core.arrays import Device
from iem_jax.data.loader import Loaded
from iem_jax.output.writer import Writer
from iem_jax.refine import ModelState, TrainingError, fit
from iem_jax.refine.checkpoints import NET, remove_checkpoints
from iem_jax.refine.config import RefineConfig
from iem_jax.refine.curves import draw_curves, history_table, read_history
from iem_jax.refine.trainer import Progress
from iem_jax.search.polish import polish_all

HISTORY, CURVES = "history.csv", "curves.png"
MARK = "training"  # of files that are half written


class Learned(NamedTuple):
    """What a network learns from; rows of one another."""

    images: UInt8[np.ndarray, "n h w 3"]
    masks: Bool[np.ndarray, "n h w"]
    valid: Bool[np.ndarray, "n h w"]  # false where a picture was padded


def collect(items: Iterable[Loaded], folder: Path, names: Collection[str]) -> Learned:
    """Read the masks that a run wrote, each beside its picture.

    Args:
      items: the pictures; those that have gone since are left out.
      folder: of the run, whose masks are of the model's resolution.
      names: of the pictures whose masks are to be learned from.

    Raises:
      TrainingError: there are fewer than two.
    """
    found, number = [], 0
    for item in items:
        number += 1
        if item.image is not None and item.sample.name in names:
            found.append((item.image, *_read_mask(item, folder)))
    if len(found) < 2:
        raise TrainingError(
            f"The network needs at least 2 pictures with a mask to learn from: {len(found)} of {number} could be read "
            "and segmented with confidence."
        )
    return Learned(*(np.stack(arrays) for arrays in zip(*found, strict=True)))


def _read_mask(item: Loaded, folder: Path) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Return a mask in its square, and which pixels are the picture's own."""
    with Image.open(folder / "masks" / f"{item.sample.name}.png") as image:
        mask = np.asarray(image) > 0
    if item.placement is None:
        return mask, np.ones_like(mask)
    square = np.zeros((2, *np.asarray(item.image).shape[:2]), bool)
    left, top, right, bottom = item.placement.box
    square[:, top:bottom, left:right] = mask, np.ones_like(mask)
    return square[0], square[1]


def train_on(
    learned: Learned,
    config: RefineConfig,
    folder: Path,
    devices: list[Device],
    tell: Callable[[str], None],
    polish: int,
) -> ModelState:
    """Train, or go on with a training that was killed.

    Args:
      learned: pictures and masks.
      config: settings.
      folder: for checkpoints, `history.csv` and `curves.png`.
      devices: those to train on.
      tell: where progress goes.
      polish: rounds in which the masks are fitted to the colours of their pictures first.

    Raises:
      UsageError: the folder holds another training, or a damaged one.
      TrainingError: a loss that is not finite.
      OutputError: a file cannot be written.
    """
    writer = Writer(folder, MARK)
    writer.remove_unfinished()
    progress = read_history(folder / HISTORY)

    def report(row: Progress) -> None:
        progress[row.step] = row
        writer.write_text(HISTORY, [history_table(progress.values())])
        writer.write_image(CURVES, draw_curves(list(progress.values())))
        held_out = f"; on held-out masks {row.held_out:.4f}, IoU {row.agreement:.3f}"
        tell(f"step {row.step}/{config.steps}: loss {row.loss:.4f}{'' if math.isnan(row.held_out) else held_out}")

    masks = np.asarray(polish_all(learned.images, learned.masks, polish, learned.valid))
    return fit(learned.images, masks, config, devices=devices, folder=folder / NET, report=report)


def remove_training(folder: Path) -> None:
    """Remove what `train_on` wrote to a folder, and nothing else."""
    for name in (HISTORY, CURVES):
        (folder / name).unlink(missing_ok=True)
    remove_checkpoints(folder / NET)
