"""Pictures whose files end too early: whether a pixel is missing, and what can be shown all the same."""

import io

import numpy as np
from PIL import Image

END = b"\xff\xd9"  # the marker at the end of a JPEG
STANDALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
START_OF_SCAN, FRAMES = 0xDA, (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
ALL = (1 << 64) - 1  # a bit per coefficient


def finish_jpeg(image: Image.Image) -> tuple[Image.Image, bool]:
    """Decode a JPEG that lacks its end, at the scale at which it was to be decoded.

    What lies behind the last pixel has no influence on a picture; where pixels are missing, it is taken for them.
    Therefore the picture is decoded with two different endings.

    Returns:
      The picture, and whether it is whole.
    """
    file = image.fp  # pyright: ignore[reportAttributeAccessIssue]
    file.seek(0)
    data = file.read().removesuffix(b"\xff")  # which may be half of a marker
    scale = image.decoderconfig[0] if image.decoderconfig else 1  # pyright: ignore[reportAttributeAccessIssue]
    noise = np.random.default_rng(0).integers(0, 255, 4096, np.uint8).tobytes()  # no 255, which begins a marker
    picture, other = (_decode(data + ending, scale) for ending in (END, noise + END))
    return picture, picture.tobytes() == other.tobytes() and _has_all_scans(data)


def _decode(data: bytes, scale: int) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.draft(None, (max(image.width // scale, 1), max(image.height // scale, 1)))
    image.load()
    return image


def _has_all_scans(data: bytes) -> bool:
    """Return whether every coefficient of every component was sent to its last bit; progressive JPEGs send in turns."""
    left: dict[int, int] = {}
    position = 2
    while (position := data.find(b"\xff", position)) >= 0 and position + 4 <= len(data):
        marker = data[position + 1]
        if marker in (0, 0xFF, *STANDALONE):
            position += 1 if marker == 0xFF else 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        body = data[position + 4 : end]
        if marker in FRAMES:
            left = {body[6 + 3 * index]: ALL for index in range(body[5])}
        elif marker == START_OF_SCAN:
            first, last, low_bit = body[-3], body[-2], body[-1] & 15
            sent = (1 << last + 1) - (1 << first) if low_bit == 0 else 0
            for component in body[1 : 1 + 2 * body[0] : 2]:
                left[component] &= ~sent
        position = end
    return bool(left) and not any(left.values())
