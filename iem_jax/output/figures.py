"""Pictures of results by Pillow: outlines, cut-outs, overlays, panels, contact sheets."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from iem_jax.data.colour import PROFILE

OUTLINE = (255, 0, 200)
TINT = 0.35  # weight of the outline's colour inside an overlay's mask
MARGIN = 6
LONGEST_JPEG = 65_500  # pixels a side; the format has no more


def outline(image: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture with its background paled and the outline of the mask drawn."""
    pale = (image.astype(np.float32) * 0.4 + 153).astype(np.uint8)
    shown = np.where(mask[..., None], image, pale)
    shown[find_outline(mask, 1)] = OUTLINE
    return shown


def find_outline(mask: Bool[np.ndarray, "h w"], width: int) -> Bool[np.ndarray, "h w"]:
    """Return the mask's pixels that are within `width` pixels of the background, along rows or columns."""
    width = min(width, *mask.shape)
    padded = np.pad(mask, width, mode="edge")
    across, down = slice(width, -width), slice(width, -width)
    inner = padded[: -2 * width, across] & padded[2 * width :, across]
    inner &= padded[down, : -2 * width] & padded[down, 2 * width :]
    return mask & ~inner


def cut_out(picture: Image.Image, mask: Bool[np.ndarray, "h w"]) -> Image.Image:
    """Return the object as RGBA: outside of the mask transparent black, inside the picture with its alpha and profile.

    Args:
      picture: RGB or RGBA.
      mask: where the object is.
    """
    result, (left, top, right, bottom) = Image.new("RGBA", picture.size), find_box(mask, 0)
    result.info = {name: value for name, value in picture.info.items() if name == PROFILE}
    if right > left:
        inner = picture.crop((left, top, right, bottom)).convert("RGBA")
        result.paste(inner, (left, top), mask=_to_image(mask[top:bottom, left:right], 255))
    return result


def overlay(picture: Image.Image, mask: Bool[np.ndarray, "h w"]) -> Image.Image:
    """Return an RGB picture with a tint in the mask and its outline."""
    result, width = picture.copy(), max(min(picture.size) // 200, 1)
    left, top, right, bottom = box = find_box(mask, width)
    if right > left:
        inside, inner = mask[top:bottom, left:right], picture.crop(box)
        inner.paste(OUTLINE, mask=_to_image(inside, round(255 * TINT)))
        inner.paste(OUTLINE, mask=_to_image(find_outline(inside, width), 255))
        result.paste(inner, (left, top))
    return result


def find_box(mask: Bool[np.ndarray, "h w"], margin: int) -> tuple[int, int, int, int]:
    """Return what holds the mask and so many pixels around it: (left, top, right, bottom); zeros for an empty one."""
    spans = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis=axis))
        if not places.size:
            return 0, 0, 0, 0
        spans.append((max(int(places[0]) - margin, 0), min(int(places[-1]) + 1 + margin, mask.shape[1 - axis])))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def fit_mask(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Bool[np.ndarray, "sh sw"]:
    """Return a mask at another size (width, height)."""
    if mask.shape[::-1] == size:
        return mask
    return np.asarray(_to_image(mask, 255).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)) >= 128


def fit_inside(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size of the same proportions whose long side is `side`, never less than a pixel."""
    scale = side / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def strip(tiles: Sequence[Image.Image], margin: int = MARGIN) -> Image.Image:
    """Return pictures of one size side by side on white."""
    width, height = tiles[0].size
    row = Image.new("RGB", ((width + margin) * len(tiles) - margin, height), "white")
    for column, tile in enumerate(tiles):
        row.paste(tile, ((width + margin) * column, 0))
    return row


def thumbnail(picture: Image.Image, mask: Bool[np.ndarray, "h w"]) -> Image.Image:
    """Return a square on white twice, side by side: with the picture, and with it outlined."""
    side = max(picture.size)
    corner = (side - picture.width) // 2, (side - picture.height) // 2
    tiles = [Image.new("RGB", (side, side), "white") for _ in range(2)]
    tiles[0].paste(picture, corner)
    tiles[1].paste(Image.fromarray(outline(np.asarray(picture), mask)), corner)
    return strip(tiles, margin=0)


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "h w 3"]], masks: Sequence[Bool[np.ndarray, "h w"]]
) -> Image.Image:
    """Return one picture with a column per image: the image, its mask, its outline."""
    columns = [
        (image, np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), outline(image, mask))
        for image, mask in zip(images, masks, strict=True)
    ]
    return grid([[Image.fromarray(column[row]) for column in columns] for row in range(3)])


def grid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Return rows of pictures of one size as one picture, on white; rows may be of different lengths."""
    width, height = rows[0][0].size
    longest = max(len(row) for row in rows)
    sheet = Image.new("RGB", (MARGIN + (width + MARGIN) * longest, MARGIN + (height + MARGIN) * len(rows)), "white")
    for down, row in enumerate(rows):
        for across, tile in enumerate(row):
            sheet.paste(tile, (MARGIN + (width + MARGIN) * across, MARGIN + (height + MARGIN) * down))
    return sheet


def _to_image(mask: Bool[np.ndarray, "h w"], value: int) -> Image.Image:
    return Image.fromarray(mask.view(np.uint8) * np.uint8(value))
