"""One picture: decode, resize, crop (SPEC section 1). NumPy and Pillow only."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, UnidentifiedImageError

from iem_jax.data.sample import PixelRule


class ReadError(Exception):
    """A picture that cannot be used; the text is the reason, without the picture's name."""


def read_image(path: Path, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Read a picture as RGB and bring it to size x size.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    return np.asarray(resize_and_crop(read_rgb(path), size))


def read_mask(path: Path, size: int, rule: PixelRule) -> Bool[np.ndarray, "size size"]:
    """Read a ground truth: `rule` decides at full size, then the same resize and crop as for the picture.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    mask = Image.fromarray(rule(np.asarray(read_rgb(path))).astype(np.uint8))
    return np.asarray(resize_and_crop(mask, size)).astype(bool)


def read_rgb(path: Path) -> Image.Image:
    """Decode a picture of any kind to RGB; transparency is laid on white.

    Raises:
      ReadError: the file is absent, truncated or not a picture.
    """
    try:
        with Image.open(path) as image:
            return _to_rgb(image)
    except FileNotFoundError as error:
        raise ReadError("file not found") from error
    except UnidentifiedImageError as error:
        raise ReadError("not a picture, or of an unknown kind") from error
    except Image.DecompressionBombError as error:
        raise ReadError("too many pixels to be decoded safely") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise ReadError(f"cannot be decoded: {error}") from error


def resize_and_crop(image: Image.Image, size: int) -> Image.Image:
    """Bring the short side to `size` by nearest neighbour, then cut out the centred square."""
    width, height = image.size
    scaled = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    if image.size != scaled:
        image = image.resize(scaled, Image.Resampling.NEAREST)
    left, top = (round((length - size) / 2) for length in scaled)
    return image.crop((left, top, left + size, top + size))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_uint8(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _to_uint8(values: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """Bring 16-bit, 32-bit and float grey values to 0 ... 255: by 257 if 16 bits hold them, else by their range."""
    values = np.nan_to_num(values.astype(np.float64))
    low, high = min(values.min(), 0.0), values.max()
    if low < 0 or high > 65535 or (0 < high <= 1):
        values = (values - low) / max(high - low, 1e-12) * 65535
    return np.rint(values / 257).astype(np.uint8)
