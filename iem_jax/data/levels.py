"""Samples of more than 8 bits or of floating point as levels 0 ... 255: one rule for masks, cut-outs and previews.

1. Values that are not finite, or of 1e30 and more, the value that the file itself declares (GDAL's tag), and -9999,
   -99999, -32767, -32768 and -2147483648 hold no data: they set no range and take the mean level of the others.
2. Black is 0, or the least value where there are negative ones. White is, for integers, the smallest of 1, 255, 1023,
   4095, 16383 and 65535 that holds all values; for floating point and for integers beyond, the greatest value.
3. Values that lie within an eighth of that (cameras that see heat or depth) are spread from the least to the greatest.
4. Where a TIFF says that zero is white, the levels are turned round.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Shaped, UInt8
from PIL import Image

DEPTHS = (1, 255, 1023, 4095, 16383, 65535)
NO_DATA = (-9999, -99999, -32767, -32768, -2147483648)
HUGE = 1e30
ROWS = 256  # worked on at a time, in float64
PHOTOMETRIC, WHITE_IS_ZERO, GDAL_NODATA = 262, 0, 42113  # tags of TIFF


def is_deep(image: Image.Image) -> bool:
    """Return whether a picture's samples are no levels of 0 ... 255."""
    return image.mode.startswith("I") or image.mode == "F"


def to_levels(image: Image.Image) -> Image.Image:
    """Bring a picture of mode I, I;16 or F to mode L."""
    tags = getattr(image, "tag_v2", {})
    levels = find_levels(np.asarray(image), _declared(tags))
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        np.subtract(255, levels, out=levels)
    return Image.fromarray(levels)


def find_levels(values: Shaped[np.ndarray, "h w *c"], no_data: float | None = None) -> UInt8[np.ndarray, "h w *c"]:
    """Bring values to 0 ... 255, all channels by the same rule.

    Args:
      values: integers or floating point.
      no_data: a value that holds none, besides those of rule 1.
    """
    low, high, mean = _range(values, no_data)
    black, white = min(0.0, low), high
    if np.issubdtype(values.dtype, np.integer):
        white = next((depth for depth in DEPTHS if high <= depth), high)
    if low < high and high - low < (white - black) / 8:
        black, white = low, high
    scale = 255 / (white - black) if white > black else 0.0
    levels = np.empty(values.shape, np.uint8)
    for rows, block, present in _blocks(values, no_data):
        levels[rows] = np.rint((np.where(present, block, mean) - black) * scale)
    return levels


def _range(values: Shaped[np.ndarray, "h w *c"], no_data: float | None) -> tuple[float, float, float]:
    """Return the least, the greatest and the mean value of the data; zeros if there are none."""
    low, high, total, count = math.inf, -math.inf, 0.0, 0
    for _, block, present in _blocks(values, no_data):
        data = block[present]
        if data.size:
            low, high = min(low, float(data.min())), max(high, float(data.max()))
            total, count = total + float(data.sum()), count + data.size
    return (low, high, total / count) if count else (0.0, 0.0, 0.0)


def _blocks(
    values: Shaped[np.ndarray, "h w *c"], no_data: float | None
) -> Iterator[tuple[slice, Shaped[np.ndarray, "..."], Bool[np.ndarray, "..."]]]:
    """Yield rows, their values in float64, and which of these are data."""
    absent = [float(value) for value in NO_DATA]
    if no_data is not None:
        is_float = np.issubdtype(values.dtype, np.floating)
        absent.append(float(values.dtype.type(no_data)) if is_float else no_data)  # 0.1 is another number in float32
    for start in range(0, len(values), ROWS):
        rows = slice(start, start + ROWS)
        block = values[rows].astype(np.float64)
        yield rows, block, (np.abs(block) < HUGE) & ~np.isin(block, absent)


def _declared(tags: object) -> float | None:
    try:
        return float(str(tags.get(GDAL_NODATA)).strip("\0 "))  # pyright: ignore[reportAttributeAccessIssue]
    except ValueError:
        return None
