"""Small pictures with an object in them, made when a test needs them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw(seed: int, width: int = 60, height: int = 44) -> Image.Image:
    """Return a bright ellipse on a dark noisy background; of less than 11 pixels a side only the noise."""
    noise = np.random.default_rng(seed).integers(0, 20, (height, width, 3), np.uint8)
    picture = Image.fromarray(noise)
    box = (width // 4 + seed % 5, height // 4, width * 3 // 4, height * 3 // 4)
    if min(width, height) > 10:
        ImageDraw.Draw(picture).ellipse(box, fill=(200, 180 + seed % 60, 40))
    return picture


def draw_truth(seed: int, width: int = 60, height: int = 44) -> Image.Image:
    """Return the ellipse of `draw`, 0 and 255."""
    mask = Image.new("L", (width, height))
    box = (width // 4 + seed % 5, height // 4, width * 3 // 4, height * 3 // 4)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


def draw_folder(folder: Path, number: int, **size: int) -> Path:
    """Write pictures 00.jpg, 01.jpg, ... into a new folder, every third in a subfolder."""
    for index in range(number):
        path = folder / ("sub" if index % 3 == 2 else "") / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(index, **size).save(path, quality=95)
    return folder


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
