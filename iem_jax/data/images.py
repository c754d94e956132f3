"""One picture of a data set: decode, resize, crop (SPEC section 1). NumPy and Pillow only."""

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from iem_jax.data.colour import lay_on_white as lay_on_white
from iem_jax.data.colour import to_colour
from iem_jax.data.sample import PixelRule
from iem_jax.data.source import ReadError as ReadError
from iem_jax.data.source import Source, load, open_picture

HALF = 127  # the largest level that is no more than a half of white


def read_image(source: Source, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Read a picture as RGB and bring it to size x size.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    return np.asarray(resize_and_crop(read_rgb(source), size))


def read_mask(source: Source, size: int, rule: PixelRule) -> Bool[np.ndarray, "size size"]:
    """Read a ground truth: `rule` decides at full size, then the same resize and crop as for the picture.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    mask = Image.fromarray(rule(read_levels(source)).astype(np.uint8))
    return np.asarray(resize_and_crop(mask, size)).astype(bool)


def read_levels(source: Source) -> UInt8[np.ndarray, "h w 3"]:
    """Return the levels of a ground truth as they stand in the file: an alpha beside them counts for nothing.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(source) as image:
        return np.asarray(to_colour(load(image)).convert("RGB"))


def is_white(pixels: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Return where a ground truth of levels shows the object: more than a half of white in its first channel."""
    return pixels[..., 0] > HALF


def read_rgb(source: Source) -> Image.Image:
    """Decode a picture of any kind to RGB as the reference does, EXIF and profile not looked at; alpha goes on white.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(source) as image:
        return lay_on_white(to_colour(load(image)))


def resize_and_crop(image: Image.Image, size: int) -> Image.Image:
    """Bring the short side to `size` by nearest neighbour, then cut out the centred square."""
    width, height = image.size
    scaled = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    if image.size != scaled:
        image = image.resize(scaled, Image.Resampling.NEAREST)
    left, top = (round((length - size) / 2) for length in scaled)
    return image.crop((left, top, left + size, top + size))
