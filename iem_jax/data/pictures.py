"""Pictures as people have them: turned as their EXIF orientation says, at any size, decoded as far as is needed."""

import numpy as np
from PIL import Image

from iem_jax.data.budget import DECODING
from iem_jax.data.images import lay_on_white, to_colour
from iem_jax.data.source import ReadError, Source, open_picture

ORIENTATION = 0x0112  # the EXIF tag
Size = tuple[int, int]
BAND = 1024  # rows converted at a time
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_small(source: Source, at_least: Size) -> tuple[Image.Image, tuple[int, int]]:
    """Read a picture for a use that needs no more than `at_least` pixels.

    JPEGs are decoded at a half, a quarter or an eighth, which costs a third of the time; large pictures of other kinds
    are averaged over blocks. Transparency is laid on white.

    Args:
      source: the picture.
      at_least: what is returned has at least these pixels along its longer and its shorter side, or the picture's.

    Returns:
      The picture as RGB and its own size (width, height), both upright.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(source) as image:
        width, height = image.size
        needed = at_least if width >= height else (at_least[1], at_least[0])
        image.draft(None, needed)
        with DECODING.share(image.size[0] * image.size[1]):
            image.load()
            turn = _turn(image)
            small = _reduce(image, needed)
            if image is not source:
                image.close()  # its memory must be free before others take their share
    small = small if turn is None else small.transpose(turn)
    return small, (height, width) if _is_quarter(turn) else (width, height)


def read_original(source: Source) -> Image.Image:
    """Read a picture at its own size, upright, as RGB, or as RGBA if it has transparency; the caller holds a share.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(source) as image:
        image.load()
        turn = _turn(image)
        colour = to_colour(image)
        colour = colour.copy() if colour is source else colour  # the caller of `read_original` may change it
    return colour if turn is None else colour.transpose(turn)


def read_foreground(source: Source, size: tuple[int, int]) -> Image.Image:
    """Read a ground truth: non-zero pixels are the object, in RGBA and LA those of them that are not transparent.

    Args:
      source: the mask, of any kind; a palette picture counts by its indices.
      size: (width, height) that it must have, upright.

    Returns:
      A picture of mode L, 0 and 255.

    Raises:
      ReadError: the file is absent, truncated, not a picture, or of another size.
    """
    with open_picture(source) as image, DECODING.share(image.size[0] * image.size[1]):
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


def _reduce(image: Image.Image, needed: Size) -> Image.Image:
    """Convert to RGB and average over blocks, so that at least the needed pixels stay.

    Works in bands, since there may be no room for a second picture of 178 megapixels.
    """
    across, down = (max(length // least, 1) for length, least in zip(image.size, needed, strict=True))
    if image.mode.startswith("I") or image.mode == "F":
        image = image.convert("I") if image.mode.startswith("I;16") else image
        return to_colour(image.convert("F").reduce((across, down)))
    small = Image.new("RGB", (-(-image.width // across), -(-image.height // down)))
    step = down * max(BAND // down, 1)
    for top in range(0, image.height, step):
        band = image.crop((0, top, image.width, min(top + step, image.height)))
        small.paste(lay_on_white(to_colour(band)).reduce((across, down)), (0, top // down))
    return small
