"""Small data sets in the layouts that people have on disk, made up for the tests."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pictures import make_image, make_mask, to_uint8
from PIL import Image

BIRDS = tuple(f"{kind:03d}.Bird_{kind}/Bird_{kind}_{number:04d}" for kind in (1, 2) for number in (1, 2, 3))
SIZE = 32


def picture(seed: int) -> Image.Image:
    return Image.fromarray(to_uint8(make_image(seed, SIZE, SIZE + 8)))


def truth(seed: int) -> Image.Image:
    return Image.fromarray(make_mask(seed, SIZE, SIZE + 8).astype(np.uint8) * 255)


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def write_cub(root: Path, inside: bool = False, redo: bool = False) -> Path:
    """Six birds, one of them grey, and a stray picture that is not in the list; odd numbers are for training."""
    folder = root / "CUB_200_2011"
    masks = (folder if inside else root) / "segmentations"
    for number, name in enumerate(BIRDS, 1):
        bird = picture(number)
        save(bird.convert("L") if number == 2 else bird, folder / "images" / f"{name}.jpg")
        save(truth(number), masks / f"{name}.png")
    save(picture(9), folder / "images" / f"{BIRDS[0]}_rgb.jpg")
    write_lines(folder / "images.txt", [f"{number} {name}.jpg" for number, name in enumerate(BIRDS, 1)])
    write_lines(folder / "train_test_split.txt", [f"{number} {number % 2}" for number in range(1, 7)])
    if redo:
        write_lines(folder / "train_val_test_split.txt", [f"{number} {(number - 1) // 2}" for number in range(1, 7)])
    return root


def write_pairs(root: Path, images: str = "images", masks: str = "ground_truth_mask", number: int = 3) -> Path:
    for seed in range(1, number + 1):
        save(picture(seed), root / images / f"{seed:04d}.jpg")
        save(truth(seed), root / masks / f"{seed:04d}.png")
    return root


def write_lmdb(folder: Path, keys: Sequence[str], extra: dict[bytes, bytes] | None = None) -> Path:
    """A real database of LSUN's kind; `extra` goes in as it is."""
    import lmdb

    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for seed, key in enumerate(keys, 1):
            transaction.put(key.encode(), encoded(seed))
        for key, value in (extra or {}).items():
            transaction.put(key, value)
    return folder


def encoded(seed: int) -> bytes:
    data = io.BytesIO()
    picture(seed).save(data, "WEBP", lossless=True)
    return data.getvalue()


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
