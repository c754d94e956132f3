"""How a picture of any shape becomes a square for the algorithm, and how its mask comes back.

`fit_image` makes the square and a `Placement`, which says what went where; `restore_mask` is its inverse.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Shaped
from PIL import Image

FITS = ("crop", "pad", "stretch")
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the square's pixels come from.

    Attributes:
      picture_size: (width, height) of the picture, upright.
      region: the part of the picture that is in the square, in the picture's pixels.
      box: where that part lies in the square, in the square's pixels.
    """

    picture_size: tuple[int, int]
    region: Box
    box: Box

    def valid_pixels(self, size: int) -> Bool[np.ndarray, "s s"]:
        """Return where in the square the picture is."""
        left, top, right, bottom = self.box
        valid = np.zeros((size, size), bool)
        valid[top:bottom, left:right] = True
        return valid


def place(picture_size: tuple[int, int], size: int, fit: str) -> Placement:
    """Decide what of a picture goes where in a size x size square.

    Args:
      picture_size: (width, height).
      size: side of the square.
      fit: "crop": the centred square; "stretch": everything, the sides out of proportion; "pad": everything, in
        proportion, centred, with a border outside the picture.
    """
    width, height = picture_size
    whole, square = (0, 0, width, height), (0, 0, size, size)
    if fit == "stretch":
        return Placement(picture_size, whole, square)
    if fit == "crop":
        return Placement(picture_size, _centred(min(width, height), min(width, height), width, height), square)
    longest = max(width, height)
    inner_width, inner_height = (max(round(length * size / longest), 1) for length in picture_size)
    return Placement(picture_size, whole, _centred(inner_width, inner_height, size, size))


def fit_image(picture: Image.Image, placement: Placement, size: int) -> Image.Image:
    """Return the square: the placement's region, averaged where it shrinks, with black outside of its box.

    Args:
      picture: the picture at its own size or smaller, RGB or L.
      placement: of `place`, with the same `size`.
      size: side of the square.
    """
    across, down = picture.width / placement.picture_size[0], picture.height / placement.picture_size[1]
    left, top, right, bottom = placement.region
    region = left * across, top * down, right * across, bottom * down
    left, top, right, bottom = placement.box
    fitted = picture.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=region, reducing_gap=3.0)
    if fitted.size == (size, size):
        return fitted
    square = Image.new(picture.mode, (size, size))
    square.paste(fitted, (left, top))
    return square


def restore_mask(mask: Bool[np.ndarray, "s s"], placement: Placement) -> Bool[np.ndarray, "h w"]:
    """Return the mask at the picture's own size, with smooth edges; what the square did not show is background."""
    left, top, right, bottom = placement.region
    seen = Image.fromarray(mask.view(np.uint8) * np.uint8(255)).crop(placement.box)
    inside = _resize_smoothly(seen, right - left, bottom - top)
    if (right - left, bottom - top) == placement.picture_size:
        return inside
    restored = np.zeros(placement.picture_size[::-1], bool)
    restored[top:bottom, left:right] = inside
    return restored


def cut(square: Shaped[np.ndarray, "s s *c"], box: Box) -> Shaped[np.ndarray, "h w *c"]:
    """Return what is in the box of a square, the inverse of padding."""
    left, top, right, bottom = box
    return square[top:bottom, left:right]


def _resize_smoothly(mask: Image.Image, width: int, height: int) -> Bool[np.ndarray, "h w"]:
    """Return where the mask, interpolated linearly, or averaged where it shrinks, is at least a half.

    Rows are enlarged here, since Pillow takes ten times as long for 12 megapixels: between two rows of the mask a pixel
    is inside if slope * fraction >= -value, which is one product and one comparison.
    """
    if height < 2 * mask.height or mask.height < 2:
        return np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) >= 128
    across = np.asarray(mask.resize((width, mask.height), Image.Resampling.BILINEAR)).astype(np.float32) - 127.5
    position = np.clip((np.arange(height) + 0.5) * (mask.height / height) - 0.5, 0, mask.height - 1)
    above = np.minimum(position.astype(int), mask.height - 2)
    fraction = (position - above).astype(np.float32)[:, None]
    ends = np.searchsorted(above, np.arange(mask.height))
    inside = np.empty((height, width), bool)
    for row in range(mask.height - 1):
        rows = slice(ends[row], ends[row + 1])
        slope = across[row + 1] - across[row]
        np.greater_equal(slope * fraction[rows], -across[row], out=inside[rows])
    return inside


def _centred(width: int, height: int, outer_width: int, outer_height: int) -> Box:
    left, top = (outer_width - width) // 2, (outer_height - height) // 2
    return left, top, left + width, top + height
