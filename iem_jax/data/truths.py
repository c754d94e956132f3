"""Ground truths as people have them: which pixels are the object, and which way up it is.

1. Palettes: where all colours that occur are grey, they count as grey levels do; else index 0 is the background.
2. Kinds that lose detail (JPEG, and lossy WebP, AVIF, JPEG 2000, HEIC, JPEG XL): a pixel is the object from half of the
   greatest level on, since there is ringing around the edges.
3. All others: what is not 0 is the object; where there is transparency, of that what can be seen. Where nothing that
   can be seen has a colour, all that can be seen is the object. An alpha that is 0 everywhere is none.
4. A truth that has its picture's size only as the picture is stored, before it is turned by its EXIF orientation, is
   turned with it. One that fits both ways is upright, unless it is said that truths are as stored.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.data.budget import DECODING
from iem_jax.data.pictures import Size, find_turn, is_quarter, turned
from iem_jax.data.source import ReadError, Source, load, open_picture

ORIENTATIONS = ("upright", "stored")
LOSSY, EITHER_WAY = "lossy", "either way"  # notes
NOTES = {
    LOSSY: "{} ground truths are of a kind that loses detail (JPEG): the object is from half of the greatest level on",
    EITHER_WAY: "{} pictures are turned by their EXIF orientation, and their ground truths fit turned or not: taken as "
    "upright (`--mask_orientation=stored` turns them with the pictures)",
}
INKS = ("CMYK", "YCbCr", "LAB", "HSV")  # modes in which 0 is no darkness
JPEGS = ("JPEG", "MPO")
MAYBE_LOSSY = ("WEBP", "AVIF", "JPEG2000", "HEIF", "JXL")
FEW = 16  # levels; a mask that lost no detail has no more


class Truth(NamedTuple):
    """A ground truth.

    Attributes:
      mask: mode L, 0 and 255, upright.
      notes: LOSSY if it was split at half of its range; EITHER_WAY if it would fit turned, too, and nothing says how.
    """

    mask: Image.Image
    notes: frozenset[str]


def read_foreground(source: Source, size: Size) -> Image.Image:
    """Return the mask of `read_truth`, of a picture that was not turned."""
    return read_truth(source, size).mask


def read_truth(
    source: Source, size: Size, turn: Image.Transpose | None = None, orientation: str | None = None
) -> Truth:
    """Read a ground truth by the rules above.

    Args:
      source: the mask, of any kind.
      size: (width, height) that it must have, upright.
      turn: how its picture was turned to stand upright.
      orientation: one of `ORIENTATIONS`, of truths that fit both ways; None is "upright", and noted.

    Raises:
      ReadError: the file is absent, truncated, not a picture, or of another size.
    """
    with open_picture(source) as image, DECODING.share(image.size[0] * image.size[1]):
        image = load(image)
        own_turn = find_turn(image)
        pixels, is_lossy = find_object(image)
        mask = turned(Image.fromarray(pixels.view(np.uint8) * np.uint8(255)), own_turn)
    mask, fits_both = _stand_up(mask, size, None if own_turn is not None else turn, orientation)
    notes = {LOSSY} if is_lossy else set()
    return Truth(mask, frozenset(notes | ({EITHER_WAY} if fits_both and orientation is None else set())))


def find_object(image: Image.Image) -> tuple[Bool[np.ndarray, "h w"], bool]:
    """Return where a loaded ground truth has the object, and whether it was split at half of its range."""
    kind = image.format
    if image.mode in INKS or (image.mode in ("P", "PA") and _is_grey(image)):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    visible = None
    if image.has_transparency_data:
        visible = np.asarray(image.convert("RGBA").getchannel("A")) != 0
        image = image.convert(image.mode[:-1]) if image.mode in ("RGBA", "LA") else image
    pixels = np.asarray(image)
    pixels = np.nan_to_num(pixels) if pixels.dtype.kind == "f" else pixels
    levels = pixels if pixels.ndim == 2 else pixels.max(axis=-1)
    is_lossy = kind in JPEGS or (kind in MAYBE_LOSSY and len(np.unique(levels)) > FEW)
    found = (levels != 0) & (levels >= levels.max() / 2) if is_lossy else levels != 0
    if visible is not None and visible.any():
        found &= visible
        if not found.any() and not visible.all():
            found = visible
    return found, is_lossy


def _stand_up(
    mask: Image.Image, size: Size, turn: Image.Transpose | None, orientation: str | None
) -> tuple[Image.Image, bool]:
    """Turn a truth with its picture if it fits so alone, or is said to be; return it, and whether it fits both ways."""
    stored = size[::-1] if is_quarter(turn) else size
    fits_upright, fits_stored = mask.size == size, turn is not None and mask.size == stored
    if not fits_upright and not fits_stored:
        raise ReadError(f"has {mask.width} x {mask.height} pixels, its picture {size[0]} x {size[1]}")
    if fits_stored and (not fits_upright or orientation == "stored"):
        mask = turned(mask, turn)
    return mask, fits_upright and fits_stored


def _is_grey(image: Image.Image) -> bool:
    """Return whether a palette picture shows several colours, all of them grey."""
    palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    used = [index for index, count in enumerate(image.histogram()[: len(palette)]) if count]
    return len(used) > 1 and bool((palette[used] == palette[used, :1]).all())
