"""Masks of any tool beside ground truths of the same names: binary ones, and maps that say how salient a pixel is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.data.colour import to_colour
from iem_jax.data.folder import LeftOut, index_masks
from iem_jax.data.images import HALF
from iem_jax.data.source import ReadError, load, open_picture
from iem_jax.data.truths import find_object

BINARY = 2  # levels that a mask has at most
SKEW = 0.02  # by how much the proportions of a mask and its ground truth may differ


class Pair(NamedTuple):
    """A mask beside its ground truth, both of the ground truth's size; None and the reason if that cannot be."""

    name: str
    levels: UInt8[np.ndarray, "h w"] | None = None  # 0 to 255
    truth: Bool[np.ndarray, "h w"] | None = None
    problem: str = ""


def list_pairs_of_masks(masks: Path, truths: str) -> list[tuple[str, Path | None, Path]]:
    """Return name, mask and ground truth of each ground truth, sorted by names; a mask that is absent is None.

    Raises:
      UsageError: one is no folder, or no mask has the name of a ground truth.
    """
    if not masks.is_dir():
        raise UsageError(f"`evaluate` must be folders of masks, {masks} is none.")
    wanted = index_masks(truths, LeftOut((), ()))
    there = index_masks(os.fspath(masks), LeftOut((), ()))
    there = {os.path.splitext(name)[0]: path for name, path in there.items()} | there  # a.jpg.png is that of a, too
    found = [(name, there.get(name), path) for name, path in sorted(wanted.items())]
    if not any(mask for _, mask, _ in found):
        raise UsageError(f"`evaluate` must be masks of the same names as in `masks`, {masks} and {truths} share none.")
    return found


def read_pairs(files: list[tuple[str, Path | None, Path]]) -> Iterator[Pair]:
    """Yield each mask beside its ground truth; never raises for what is wrong with files."""
    for name, mask, truth in files:
        if mask is None:
            yield Pair(name, problem="has no mask")
            continue
        try:
            with open_picture(truth) as image:
                object_ = find_object(load(image))[0]
            yield Pair(name, _fit(_read_levels(mask), object_.shape), object_)
        except ReadError as error:
            yield Pair(name, problem=str(error))


def is_found(levels: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the mask that a map stands for: more than a half."""
    return levels > HALF


def _read_levels(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Read a map; what has two levels, a palette of colours or one bit is a mask, whatever its numbers are."""
    with open_picture(path) as image:
        image = load(image)
        if image.mode in ("1", "P", "PA"):
            return np.where(find_object(image)[0], 255, 0).astype(np.uint8)
        levels = np.asarray(to_colour(image).convert("RGB"))[..., 0]
    is_mask = len(np.unique(levels)) <= BINARY
    return np.where(levels > 0, 255, 0).astype(np.uint8) if is_mask else levels


def _fit(levels: UInt8[np.ndarray, "h w"], shape: tuple[int, ...]) -> UInt8[np.ndarray, "th tw"]:
    if levels.shape == shape:
        return levels
    (height, width), (wanted_height, wanted_width) = levels.shape, shape
    if abs(width * wanted_height / (height * wanted_width) - 1) > SKEW:
        sizes = f"{width} x {height} pixels, its ground truth {wanted_width} x {wanted_height}"
        raise ReadError(f"mask has {sizes}, which is another shape")
    how = Image.Resampling.NEAREST if len(np.unique(levels)) <= BINARY else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(levels).resize((wanted_width, wanted_height), how))
