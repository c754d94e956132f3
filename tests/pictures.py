"""Pictures and data sets made up for the tests, always the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

BLUE = (0, 0, 254)


def make_mask(seed: int, height: int, width: int) -> np.ndarray:
    """An ellipse off the centre, boolean."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    centre, radius = rng.uniform(0.4, 0.6, 2), rng.uniform(0.2, 0.35, 2)
    distance = ((rows + 0.5) / height - centre[0]) ** 2 / radius[0] ** 2
    return distance + ((columns + 0.5) / width - centre[1]) ** 2 / radius[1] ** 2 < 1


def make_image(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """A mottled ellipse on a mottled ground of another colour, float32 in [-1, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-0.25, 0.25, (height // 4 + 1, width // 4 + 1, channels))
    mottle = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)[:height, :width]
    mottle = mottle + rng.normal(0, 0.05, mottle.shape)
    inside, outside = rng.uniform(0.1, 0.6, channels), rng.uniform(-0.6, -0.1, channels)
    colour = np.where(make_mask(seed, height, width)[..., None], inside, outside)
    return np.clip(colour + mottle, -1, 1).astype(np.float32)


def make_images(number: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.stack([make_image(seed, height, width, channels) for seed in range(number)])


def to_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint((image + 1) * 127.5).astype(np.uint8)


def random_mask(seed: int, height: int, width: int) -> np.ndarray:
    """A binary mask with ragged sides, neither of them empty."""
    mask = make_mask(seed, height, width) ^ (np.random.default_rng(seed).random((height, width)) < 0.1)
    mask[0, 0], mask[height // 2, width // 2] = False, True
    return mask


def write_flowers(root: Path, number: int, size: int = 32, masks: str = "segmim", ids: Sequence[int] = ()) -> Path:
    """Write a data set of `number` pictures, all of them in each split, or `ids` in the test split."""
    (root / "jpg").mkdir(parents=True)
    (root / masks).mkdir()
    numbers = np.arange(1, number + 1)
    for index in numbers:
        pixels = to_uint8(make_image(int(index), size, size + 8))
        Image.fromarray(pixels).save(root / "jpg" / f"image_{index:05d}.jpg", quality=95)
        painted = np.where(make_mask(int(index), size, size + 8)[..., None], (200, 100, 100), BLUE).astype(np.uint8)
        Image.fromarray(painted).save(root / masks / f"segmim_{index:05d}.jpg", quality=100, subsampling=0)
    write_setid(root, ids or numbers)
    return root


def write_setid(root: Path, ids: Sequence[int] | np.ndarray) -> None:
    """Write splits: test has the ids, val too, backwards, train the first one."""
    table = np.asarray(ids, np.uint16)[None]
    scipy.io.savemat(root / "setid.mat", {"trnid": table, "valid": table[:, ::-1], "tstid": table[:, :1]})


def write_splits(root: Path, train: Sequence[int], test: Sequence[int]) -> None:
    splits = {"tstid": train, "valid": test, "trnid": test}  # as ReDO calls them
    scipy.io.savemat(root / "setid.mat", {key: np.asarray(ids, np.uint16)[None] for key, ids in splits.items()})
