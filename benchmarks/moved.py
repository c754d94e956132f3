"""The same pictures with the object elsewhere: cut out of them, so that every pixel is a photograph's own.

    aside: as much is cut off beside the object as puts it farthest from the middle, along both axes; it stays whole.
    cut: an edge cuts away a part of the object, about three tenths of its pixels; the edges take turns.

Nothing is drawn by chance.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.data import Sample
from iem_jax.data.folder import list_images
from iem_jax.data.pictures import read_original
from iem_jax.data.truths import read_foreground

KINDS = ("aside", "cut")
AIR = 0.02  # of the picture's side, left between the object and the new edge
CUT_AWAY = 0.3  # of the object's pixels
LEAST_SIDE = 32  # pixels that are left


def write_moved(samples: Sequence[Sample], kind: str, folder: Path) -> list[Sample]:
    """Write moved pictures and ground truths to a new folder.

    Args:
      samples: pictures with ground truths; those without an object stay as they are.
      kind: one of `KINDS`.
      folder: gets images/NUMBER.png and masks/NUMBER.png.

    Returns:
      The moved pictures, in the same order.
    """
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index, sample in enumerate(samples):
        picture, truth = _read(sample)
        if truth.any():
            box = aside(truth) if kind == "aside" else cut_by(truth, index // 2 % 4)
            picture, truth = picture.crop(box), np.asarray(Image.fromarray(truth).crop(box))
        picture.save(folder / "images" / f"{index:05d}.png", compress_level=1)
        Image.fromarray(truth).save(folder / "masks" / f"{index:05d}.png")
    return list_images(str(folder / "images"), str(folder / "masks"))


def aside(truth: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) that keeps the object whole and puts it farthest from the middle."""
    (left, right), (top, bottom) = (_keep_beside(truth.any(axis=axis)) for axis in (0, 1))
    return left, top, right, bottom


def cut_by(truth: Bool[np.ndarray, "h w"], edge: int) -> tuple[int, int, int, int]:
    """Return the box whose left (edge 0), top (1), right (2) or bottom (3) edge cuts the object."""
    height, width = truth.shape
    box = [0, 0, width, height]
    share = np.cumsum(truth.sum(axis=edge % 2)) / truth.sum()  # of the object, up to each column or row
    if edge < 2:
        box[edge] = max(min(int(np.searchsorted(share, CUT_AWAY, "right")), box[edge + 2] - LEAST_SIDE), 0)
    else:
        box[edge] = max(int(np.searchsorted(share, 1 - CUT_AWAY, "right")), min(LEAST_SIDE, box[edge]))
    left, top, right, bottom = box
    return left, top, right, bottom


def _keep_beside(present: Bool[np.ndarray, " n"]) -> tuple[int, int]:
    """Return the end points of the stretch, from either end of the side, in which the object is farthest aside."""
    length, (first, *_, last) = len(present), np.flatnonzero(present)[[0, 0, -1]]
    air, middle = round(AIR * length), (first + last + 1) / 2
    choices = [(max(int(first) - air, 0), length), (0, min(int(last) + 1 + air, length))]
    choices = [choice for choice in choices if choice[1] - choice[0] >= LEAST_SIDE] or [(0, length)]
    return max(choices, key=lambda ends: abs(middle - sum(ends) / 2) / (ends[1] - ends[0]))


def _read(sample: Sample) -> tuple[Image.Image, Bool[np.ndarray, "h w"]]:
    assert sample.mask_path is not None, "pictures without a ground truth cannot be moved"
    picture = read_original(sample.image_path).convert("RGB")
    if sample.mask_rule is None:
        return picture, np.asarray(read_foreground(sample.mask_path, picture.size)) > 0
    return picture, sample.mask_rule(np.asarray(Image.open(sample.mask_path).convert("RGB")))
