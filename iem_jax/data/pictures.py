"""Pictures as people have them: turned as their EXIF orientation says, at any size, decoded as far as is needed."""

from typing import NamedTuple

from PIL import Image

from iem_jax.data.budget import DECODING
from iem_jax.data.colour import PROFILE, find_conversion, lay_on_white, settle
from iem_jax.data.source import Source, load, open_picture

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


class Small(NamedTuple):
    """A picture decoded as far as was needed.

    Attributes:
      picture: RGB, upright.
      size: (width, height) of the whole picture, upright.
      turn: how the stored picture was turned to stand upright; None if it did.
      is_truncated: some of it is missing, since its file ends too early.
    """

    picture: Image.Image
    size: Size
    turn: Image.Transpose | None
    is_truncated: bool


def read_small(source: Source, at_least: Size, truncated: bool = False) -> tuple[Image.Image, Size]:
    """Read a picture for a use that needs no more than `at_least` pixels.

    JPEGs are decoded at a half, a quarter or an eighth, which costs a third of the time; large pictures of other kinds
    are averaged over blocks. Transparency is laid on white.

    Args:
      source: the picture.
      at_least: what is returned has at least these pixels along its longer and its shorter side, or the picture's.
      truncated: take what is there of a file that ends too early.

    Returns:
      The picture as RGB and its own size (width, height), both upright.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    return read_with_turn(source, at_least, truncated)[:2]


def read_with_turn(source: Source, at_least: Size, truncated: bool = False) -> Small:
    """Read as `read_small` does, and say more about the picture."""
    with open_picture(source) as image:
        width, height = image.size
        needed = at_least if width >= height else (at_least[1], at_least[0])
        image.draft(None, needed)
        stored_turn = find_turn(image) if image.format == "TIFF" else None  # which Pillow turns itself
        with DECODING.share(image.size[0] * image.size[1]):
            image = load(image, truncated)
            turn, is_truncated = find_turn(image), "truncated" in image.info
            small = _reduce(settle(image), needed)
            if image is not source:
                image.close()  # its memory must be free before others take their share
    size = (height, width) if is_quarter(turn) else (width, height)
    return Small(turned(small, turn), size, stored_turn if turn is None else turn, is_truncated)


def read_original(source: Source, truncated: bool = False) -> Image.Image:
    """Read a picture at its own size, upright, as RGB, or as RGBA if it has transparency; the caller holds a share.

    Args:
      source: the picture.
      truncated: take what is there of a file that ends too early.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(source) as image:
        image = load(image, truncated)
        turn = find_turn(image)
        settled = settle(image)
        colour = find_conversion(settled)(settled)
        colour = colour.copy() if colour is source else colour  # the caller of `read_original` may change it
    return turned(colour, turn)


def find_turn(image: Image.Image) -> Image.Transpose | None:
    """Return how a loaded picture must be turned to stand upright; damaged EXIF data count as none."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # whatever Pillow raises; the pixels are fine
        return None


def turned(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """Return a picture that is turned, or as it is."""
    return image if turn is None else image.transpose(turn)


def is_quarter(turn: Image.Transpose | None) -> bool:
    """Return whether a turn exchanges width and height."""
    return turn is not None and turn >= Image.Transpose.ROTATE_90 and turn != Image.Transpose.ROTATE_180


def _reduce(image: Image.Image, needed: Size) -> Image.Image:
    """Convert to RGB and average over blocks, so that at least the needed pixels stay.

    Works in bands, since there may be no room for a second picture of 178 megapixels.
    """
    across, down = (max(length // least, 1) for length, least in zip(image.size, needed, strict=True))
    convert = find_conversion(image)
    small = Image.new("RGB", (-(-image.width // across), -(-image.height // down)))
    step = down * max(BAND // down, 1)
    for top in range(0, image.height, step):
        band = lay_on_white(convert(image.crop((0, top, image.width, min(top + step, image.height)))))
        small.paste(band.reduce((across, down)), (0, top // down))
        small.info = {name: value for name, value in band.info.items() if name == PROFILE}
    return small
