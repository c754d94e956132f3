"""CUB-200-2011: images.txt, images/, train_test_split.txt, and segmentations/ beside or inside.

The list says which pictures there are; images/ holds some that are not in it. Splits are ReDO's where its
train_val_test_split.txt is there (10,000 / 788 / 1,000 pictures), else the official ones.
"""

import os
from collections.abc import Callable
from pathlib import Path

from iem_jax.config import UsageError
from iem_jax.data.images import is_white
from iem_jax.data.layout import find_folder, find_with, read_lines
from iem_jax.data.names import safe_path
from iem_jax.data.sample import Sample

LIST, FOLDER = "images.txt", "CUB_200_2011"
REDO, OFFICIAL = "train_val_test_split.txt", "train_test_split.txt"
VALUES = {"train": "0", "val": "1", "test": "2"}  # of ReDO's file
OFFICIAL_VALUES = {"train": "1", "test": "0"}


def list_cub(root: Path, split: str, tell: Callable[[str], object] = lambda text: None) -> list[Sample]:
    """List the birds of a split, in the order of images.txt.

    Args:
      root: CUB_200_2011/, or one level above or below it.
      split: "train", "val" or "test".
      tell: is called with a line that says whose split it is.

    Raises:
      UsageError: no such folder, a list that is absent or damaged, or no such split.
    """
    if not root.is_dir():
        raise UsageError(f"`dataset_path` must be a folder with {FOLDER}: {root} is no folder.")
    folder = find_with(root, LIST, FOLDER)
    if folder is None:
        raise UsageError(f"`dataset_path` must hold {LIST} of CUB-200-2011: there is no {root / LIST}.")
    places = [folder, Path(os.path.abspath(folder)).parent]
    chosen = _read_split(places, split, tell)
    masks = find_folder(places, "segmentations")
    samples = [_sample(folder, masks, path) for number, path in read_lines(folder / LIST, 2) if number in chosen]
    if not samples:
        raise UsageError(f"{folder / LIST} must hold pictures of the split {split}; download it again.")
    return samples


def _sample(folder: Path, masks: Path | None, path: str) -> Sample:
    relative = safe_path(path)  # a list may not lead out of its folder
    mask = None if masks is None else (masks / relative).with_suffix(".png")
    is_there = mask is not None and mask.is_file()
    return Sample(os.path.splitext(relative)[0], folder / "images" / relative, mask if is_there else None, is_white)


def _read_split(places: list[Path], split: str, tell: Callable[[str], object]) -> set[str]:
    """Return the numbers of a split's pictures."""
    redo = next((place / REDO for place in places if (place / REDO).is_file()), None)
    path, values = (places[0] / OFFICIAL, OFFICIAL_VALUES) if redo is None else (redo, VALUES)
    if split not in values:
        raise UsageError(f"`split` {split} needs ReDO's {REDO} in {places[0]}: the official one has train and test.")
    chosen = {number for number, value in read_lines(path, 2) if value.strip() == values[split]}
    tell(f"the split is {'the official one' if redo is None else 'that of ReDO'}: {len(chosen)} pictures of {split}")
    return chosen
