"""Draw docs/quality_sheet.png: generated pictures, their objects, and what each method finds.

python benchmarks/show_quality.py
"""

from pathlib import Path

import numpy as np
from absl import app
from baselines import grabcut
from generated import SIDE, pictures
from PIL import Image, ImageDraw

from iem_jax import Segmenter
from iem_jax.output.figures import MARGIN, grid, outline

LABELS = 92  # pixels of width for the names of the rows
HEAD = 16
PRESETS = ("paper", "fast", "best")


def main(_: list[str]) -> None:
    """Draw."""
    names, images, truths = (list(column) for column in zip(*pictures(), strict=True))
    masks = {"the object": truths, "GrabCut": [grabcut(image) for image in images]}
    for preset in PRESETS:
        masks[preset] = [found.mask for found in Segmenter(preset, resolution="model").stream(images)]
    rows = [[Image.fromarray(image) for image in images]]
    rows += [[Image.fromarray(outline(*pair)) for pair in zip(images, found, strict=True)] for found in masks.values()]
    sheet = grid(rows)
    labelled = Image.new("RGB", (sheet.width + LABELS, sheet.height + HEAD), "white")
    labelled.paste(sheet, (LABELS, HEAD))
    draw = ImageDraw.Draw(labelled)
    for row, label in enumerate(("", *masks)):
        draw.text((MARGIN, HEAD + MARGIN + (SIDE + MARGIN) * row + SIDE // 2 - 6), label, "black")
    for column, name in enumerate(names):
        draw.text((LABELS + MARGIN + (SIDE + MARGIN) * column, MARGIN), name, "black")
    for name, found in masks.items():
        overlaps = [(mask & truth).sum() / (mask | truth).sum() for mask, truth in zip(found, truths, strict=True)]
        print(name, np.round(100 * np.array(overlaps)).astype(int))
    labelled.quantize(256).save(Path(__file__).parents[1] / "docs" / "quality_sheet.png", optimize=True)


if __name__ == "__main__":
    app.run(main)
