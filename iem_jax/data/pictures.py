"""Pictures as people have them: turned as their EXIF orientation says, at any size, decoded as far as is needed."""

from pathlib import Path

import numpy as np
from PIL import Image

from iem_jax.data.budget import DECODING
from iem_jax.data.images import ReadError, lay_on_white, open_picture, to_colour

ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_small(path: Path, at_least: int) -> tuple[Image.Image, tuple[int, int]]:
    """Read a picture for a use that needs no more than `at_least` pixels a side.

    JPEGs are decoded at a half, a quarter or an eighth, which costs a third of the time; large pictures of other kinds
    are averaged over blocks. Transparency is laid on white.

    Args:
      path: the picture.
      at_least: both sides of what is returned have at least this many pixels, or those of the picture.

    Returns:
      The picture as RGB and its own size (width, height), both upright.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(path) as image:
        width, height = image.size
        image.draft(None, (at_least, at_least))
        with DECODING.share(image.size[0] * image.size[1]):
            image.load()
            turn = _turn(image)
            small = lay_on_white(_reduce(image, at_least))
    small = small if turn is None else small.transpose(turn)
    return small, (height, width) if _is_quarter(turn) else (width, height)


def read_original(path: Path) -> Image.Image:
    """Read a picture at its own size, upright, as RGB, or as RGBA if it has transparency; the caller holds a share.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(path) as image:
        image.load()
        turn = _turn(image)
        colour = to_colour(image)
    return colour if turn is None else colour.transpose(turn)


def read_foreground(path: Path, size: tuple[int, int]) -> Image.Image:
    """Read a ground truth: non-zero pixels are the object, in RGBA and LA those of them that are not transparent.

    Args:
      path: the mask, of any kind; a palette picture counts by its indices.
      size: (width, height) that it must have, upright.

    Returns:
      A picture of mode L, 0 and 255.

    Raises:
      ReadError: the file is absent, truncated, not a picture, or of another size.
    """
    with open_picture(path) as image, DECODING.share(image.size[0] * image.size[1]):
        image.load()
        turn = _turn(image)
        own = image.size[::-1] if _is_quarter(turn) else image.size
        if own != size:
            raise ReadError(f"has {own[0]} x {own[1]} pixels, its picture {size[0]} x {size[1]}")
        mask = _nonzero(np.asarray(image), image.getbands())
    return mask if turn is None else mask.transpose(turn)


def _nonzero(pixels: np.ndarray, bands: tuple[str, ...]) -> Image.Image:
    if pixels.ndim == 2:
        mask = pixels != 0
    elif bands[-1] == "A":
        mask = (pixels[..., :-1] != 0).any(axis=-1) & (pixels[..., -1] != 0)
    else:
        mask = (pixels != 0).any(axis=-1)
    return Image.fromarray(mask.view(np.uint8) * np.uint8(255))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return how a loaded picture must be turned to stand upright; damaged EXIF data count as none."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # whatever Pillow raises; the pixels are fine
        return None


def _is_quarter(turn: Image.Transpose | None) -> bool:
    return turn is not None and turn >= Image.Transpose.ROTATE_90 and turn != Image.Transpose.ROTATE_180


def _reduce(image: Image.Image, at_least: int) -> Image.Image:
    """Convert to colour and average over blocks, so that at least `at_least` pixels a side stay."""
    factors = max(image.width // at_least, 1), max(image.height // at_least, 1)
    if image.mode.startswith("I") or image.mode == "F":
        image = image.convert("I") if image.mode.startswith("I;16") else image
        return to_colour(image.convert("F").reduce(factors))
    colour = to_colour(image)
    return colour if factors == (1, 1) else colour.reduce(factors)
