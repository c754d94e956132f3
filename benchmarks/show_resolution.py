"""Draw docs/resolution.png: a mask enlarged by nearest neighbour, and refined, on a photograph of scikit-image.

python benchmarks/show_resolution.py
"""

from pathlib import Path

import numpy as np
import skimage.data
from absl import app
from bench_resolution import MODEL_SIZE, enlarge_pixels
from PIL import Image

import iem_jax
from iem_jax.data.fit import fit_image, place
from iem_jax.finishing.edges import refine_to, restore_refined

# name, centre of the cut-out as shares of height and width
SHOWN = (("retina", 0.16, 0.22),)
SIDE = 340
COLOUR = (255, 0, 255)


def show(name: str, down: float, right: float) -> np.ndarray:
    """Return the picture with its refined outline, and a part of it enlarged with either outline."""
    picture = np.asarray(getattr(skimage.data, name)())
    height, width = picture.shape[:2]
    placement = place((width, height), MODEL_SIZE, "pad")
    box = placement.box
    square = np.asarray(fit_image(Image.fromarray(picture), placement, MODEL_SIZE))[None]
    mask = np.asarray(iem_jax.segment(square, valid=placement.valid_pixels(MODEL_SIZE)[None]).mask[0])
    left, top, right_end, bottom = box
    small = mask[top:bottom, left:right_end]
    refined = restore_refined(picture, mask, (0, 0, width, height), box)
    assert (refined == refine_to(picture, small)).all()
    part = max(height, width) // 6
    y, x = int(down * height), int(right * width)
    window = slice(max(y - part // 2, 0), y + part // 2), slice(max(x - part // 2, 0), x + part // 2)
    panels = [Image.fromarray(_outlined(picture, refined, width // 250)).resize((SIDE * width // height, SIDE))]
    for shown in (enlarge_pixels(picture, small), refined):
        cut = Image.fromarray(picture[window]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        outline = np.asarray(Image.fromarray(shown[window].astype(np.uint8)).resize((SIDE, SIDE))).astype(bool)
        panels.append(Image.fromarray(_outlined(np.asarray(cut), outline, 1)))
    return np.concatenate([np.pad(np.asarray(p), ((0, 4), (0, 4), (0, 0)), constant_values=255) for p in panels], 1)


def _outlined(picture: np.ndarray, mask: np.ndarray, thickness: int) -> np.ndarray:
    grown = mask.copy()
    for _ in range(max(thickness, 1)):
        padded = np.pad(grown, 1)
        grown = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:] | grown
    return np.where((grown & ~mask)[..., None], np.uint8(COLOUR), picture)


def main(_: list[str]) -> None:
    """Draw."""
    rows = [show(*arguments) for arguments in SHOWN]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    path = Path(__file__).parents[1] / "docs" / "resolution.png"
    Image.fromarray(np.concatenate(rows)).quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    app.run(main)
