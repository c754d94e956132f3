"""RGB of 16 bits."""

import io
import struct
import zlib

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from iem_jax.data.pictures import read_original, read_small

RGB = np.asarray(draw(0))


def png(values: np.ndarray) -> bytes:
    """Encode (H, W, 3) or (H, W, 4) uint16."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, 2 if channels == 3 else 6, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, **options) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", **options)
    return file.getvalue()


ENCODERS = {
    "png": png,
    "tiff": tiff,
    "big endian": lambda values: tiff(values, byteorder=">"),
    "deflated": lambda values: tiff(values, compression="zlib"),
    "planar": lambda values: tiff(np.moveaxis(values, -1, 0), planarconfig="separate"),
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
def test_values_of_fewer_bits_are_levels_of_these(kind, white):
    values = np.rint(RGB * (white / 255)).astype(np.uint16)
    values[0, 0] = white
    data = ENCODERS[kind](values)
    expected = np.rint(values * (255 / white))
    for picture in (read_original(data), read_small(data, (60, 44))[0]):
        np.testing.assert_allclose(np.asarray(picture, int), expected, atol=white == 65535)  # or the upper half


def test_alpha_keeps_its_upper_half():
    values = np.dstack([RGB.astype(np.uint16), np.full(RGB.shape[:2], 0x80FF, np.uint16)])
    picture = read_original(png(values))
    assert picture.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(picture), np.dstack([RGB, np.full(RGB.shape[:2], 0x80)]))


def test_an_orientation_is_obeyed():
    data = tiff(RGB.astype(np.uint16), extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(np.asarray(read_original(data)), np.rot90(RGB, -1))


def test_a_pillow_picture_is_as_its_file(tmp_path):
    with Image.open(io.BytesIO(png(RGB.astype(np.uint16)))) as picture:
        np.testing.assert_array_equal(np.asarray(read_original(picture)), RGB)
