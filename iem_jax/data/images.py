"""One picture of a data set: decode, resize, crop (SPEC section 1). NumPy and Pillow only."""

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from iem_jax.data.sample import PixelRule
from iem_jax.data.source import ReadError as ReadError
from iem_jax.data.source import Source, open_picture


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
    mask = Image.fromarray(rule(np.asarray(read_rgb(source))).astype(np.uint8))
    return np.asarray(resize_and_crop(mask, size)).astype(bool)


def read_rgb(source: Source) -> Image.Image:
    """Decode a picture of any kind to RGB; transparency is laid on white.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    with open_picture(source) as image:
        return _to_rgb(image)


def resize_and_crop(image: Image.Image, size: int) -> Image.Image:
    """Bring the short side to `size` by nearest neighbour, then cut out the centred square."""
    width, height = image.size
    scaled = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    if image.size != scaled:
        image = image.resize(scaled, Image.Resampling.NEAREST)
    left, top = (round((length - size) / 2) for length in scaled)
    return image.crop((left, top, left + size, top + size))


def to_colour(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGBA if it has transparency, else to RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_uint8(np.asarray(image))).convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    image.load()  # or a picture that needs no conversion would be decoded after its file is closed
    return image if image.mode == mode else image.convert(mode)


def lay_on_white(image: Image.Image) -> Image.Image:
    """Return an RGBA picture on white as RGB; an RGB one as it is."""
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    return lay_on_white(to_colour(image))


def _to_uint8(values: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """Bring 16-bit, 32-bit and float grey values to 0 ... 255: by 257 if 16 bits hold them, else by their range."""
    blocks = [slice(row, row + 256) for row in range(0, len(values), 256)]  # float64 for a block, not for the whole

    def block_of(rows: slice) -> np.ndarray:
        return np.nan_to_num(values[rows].astype(np.float64))

    low, high = min(0.0, *(block_of(rows).min() for rows in blocks)), max(block_of(rows).max() for rows in blocks)
    scale = 65535 / max(high - low, 1e-12) if low < 0 or high > 65535 or 0 < high <= 1 else None
    result = np.empty(values.shape, np.uint8)
    for rows in blocks:
        block = block_of(rows)
        result[rows] = np.rint((block if scale is None else (block - low) * scale) / 257)
    return result
