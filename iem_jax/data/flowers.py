"""The Oxford Flowers 102: setid.mat, jpg/ and segmim/ (SPEC section 1), or torchvision's folder of them."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from iem_jax.config import UsageError
from iem_jax.data.layout import find_with
from iem_jax.data.matlab import read_matlab
from iem_jax.data.sample import Sample

LAST, LARGEST = 99_999, 1 << 24  # the largest number that file names hold; bytes of setid.mat
TORCHVISION = "flowers-102"  # its folder, below the one that it was given
SPLITS = {"train": "tstid", "val": "valid", "test": "trnid"}  # ReDO swaps the official train and test


def list_flowers(root: Path, split: str) -> list[Sample]:
    """List the pictures of a split, in the order of setid.mat.

    Args:
      root: folder with setid.mat, jpg/ and segmim/ (or segmin/), or one level above or below it; without a segmim/
        there are no ground truths. Torchvision's flowers-102/ may have it beside.
      split: "train", "val" or "test", as ReDO assigns them.

    Raises:
      UsageError: no such folder, or a setid.mat that is absent, unreadable or without the split.
    """
    root = _find_root(root)
    places = [root, root.parent] if root.name == TORCHVISION else [root]
    folders = [place / name for place in places for name in ("segmim", "segmin")]
    folder = next((folder for folder in folders if folder.is_dir()), root / "segmim")
    samples = []
    for number in _read_ids(root, SPLITS[split]):
        mask_path = folder / f"segmim_{number:05d}.jpg"
        name = f"image_{number:05d}"
        exists = mask_path.exists()
        samples.append(Sample(name, root / "jpg" / f"{name}.jpg", mask_path if exists else None, is_foreground))
    return samples


def is_foreground(pixels: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Return where a segmim picture, whose background is painted blue, shows the flower."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return ~((red == 0) | (green == 0) | (blue == 254))


def _find_root(root: Path) -> Path:
    """Return where setid.mat is: in the folder itself, in one inside of it, or in the one around it."""
    if not root.is_dir():
        raise UsageError(f"`dataset_path` must be a folder with setid.mat, jpg/ and segmim/: {root} is no folder.")
    return find_with(root, "setid.mat", TORCHVISION) or root


def _read_ids(root: Path, key: str) -> list[int]:
    path = root / "setid.mat"
    if not path.is_file():
        raise UsageError(f"`dataset_path` must hold setid.mat, jpg/ and segmim/: there is no {path}.")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        table = read_matlab(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a MATLAB 5 file ({error}); download it again.") from error
    if key not in table:
        raise UsageError(f"{path} must hold image numbers under {key!r}; it holds {_keys(table)}.")
    found = table[key]
    numbers = np.zeros(0) if found is None else found.ravel()
    if not numbers.size or not ((numbers >= 0) & (numbers <= LAST) & (numbers == np.rint(numbers))).all():
        raise UsageError(f"{path} must hold image numbers under {key!r}, from 0 to {LAST}; download it again.")
    return [int(number) for number in numbers]


def _keys(table: dict) -> str:
    return ", ".join(sorted(key for key in table if not key.startswith("__"))) or "nothing"
