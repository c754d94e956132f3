"""Two sibling folders, pictures and ground truths by the same names: DUTS, ECSSD and other sets for saliency."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from iem_jax.config import UsageError
from iem_jax.data.folder import LeftOut, find_truth, index_masks, walk
from iem_jax.data.images import is_white
from iem_jax.data.layout import subfolders
from iem_jax.data.names import name_pictures
from iem_jax.data.sample import Sample

TRUTHS = re.compile(r"mask|truth|segm|label|annot|(^|[^a-z])gt([^a-z]|$)", re.IGNORECASE)
PICTURES = re.compile(r"ima?ge?|jpe?g|photo|picture", re.IGNORECASE)


def list_pairs(root: Path, masks: str | None = None, tell: Callable[[str], object] = lambda text: None) -> list[Sample]:
    """List the pictures of one folder, with the ground truths of the other.

    Args:
      root: the folder of both, or with `masks` that of the pictures.
      masks: folder of the ground truths; None finds both by their names.
      tell: is called with a line that says which folders were found.

    Raises:
      UsageError: there are no two such folders, or no picture has a ground truth.
    """
    images, truths = _find(root) if masks is None else (root, Path(masks))
    samples = list_folder(images, os.fspath(truths))
    paired = sum(sample.mask_path is not None for sample in samples)
    if not paired:
        raise UsageError(f"`dataset_path` must hold pairs, none of {images} has a ground truth in {truths}.")
    tell(f"pictures of {images}, {paired} of {len(samples)} with a ground truth in {truths}")
    return samples


def list_folder(images: Path, masks: str | None, limit: int | None = None) -> list[Sample]:
    """List the pictures below a folder, sorted, to be read and scored as a data set's.

    Raises:
      UsageError: there are none, or `masks` is no folder.
    """
    if not images.is_dir():
        raise UsageError(f"`dataset_path` must be a folder: {images} is none.")
    truths = index_masks(masks, LeftOut((), ()))
    around = None if masks is None else os.path.realpath(masks)
    left_out = LeftOut([] if around is None or around == os.path.realpath(images) else [Path(around)], ())
    _, relatives, problems = walk(images, left_out)
    relatives = relatives[:limit]
    if not relatives:
        raise UsageError(f"`dataset_path` must hold pictures, found none in {images}.")
    return [
        Sample(name, str(images / path), find_truth(path, truths), is_white, problem=problems.get(path, ""))
        for name, path in zip(name_pictures(relatives), relatives, strict=True)
    ]


def _find(root: Path) -> tuple[Path, Path]:
    if not root.is_dir():
        raise UsageError(f"`dataset_path` must be a folder that holds two folders: {root} is none.")
    folders = subfolders(root)
    truths = [folder for folder in folders if TRUTHS.search(folder.name)]
    images = [folder for folder in folders if folder not in truths and PICTURES.search(folder.name)]
    if len(images) != 1 or len(truths) != 1:
        found = ", ".join(folder.name for folder in folders) or "none"
        raise UsageError(
            "`dataset_path` must hold one folder of pictures (called images or so) and one of ground truths (masks or "
            f"so), found {found} in {root}: name them as `dataset_path` and `masks`."
        )
    return images[0], truths[0]
