"""Pictures of results: outlines and contact sheets, by Pillow."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

OUTLINE = (255, 0, 200)
MARGIN = 6


def outline(image: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture with its background paled and the outline of the mask drawn."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    pale = (image.astype(np.float32) * 0.4 + 153).astype(np.uint8)
    shown = np.where(mask[..., None], image, pale)
    shown[mask & ~inner] = OUTLINE
    return shown


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "h w 3"]], masks: Sequence[Bool[np.ndarray, "h w"]]
) -> Image.Image:
    """Return one picture with a column per image: the image, its mask, its outline."""
    columns = [
        (image, np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), outline(image, mask))
        for image, mask in zip(images, masks, strict=True)
    ]
    height, width = images[0].shape[:2]
    size = (MARGIN + (width + MARGIN) * len(columns), MARGIN + (height + MARGIN) * 3)
    sheet = Image.new("RGB", size, "white")
    for column, tiles in enumerate(columns):
        for row, tile in enumerate(tiles):
            sheet.paste(Image.fromarray(tile), (MARGIN + (width + MARGIN) * column, MARGIN + (height + MARGIN) * row))
    return sheet
