"""One file of each kind that docs/files.md names, all of them of the picture `draw(0)`."""

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw
from PIL import Image, ImageCms, TiffImagePlugin

SIZE = (120, 88)
PHOTO = draw(0, *SIZE)
GREY = np.asarray(PHOTO.convert("L"))
FLOAT = GREY.astype(np.float32)
CHANNELS = np.asarray(PHOTO)


def save(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    try:
        (PHOTO if picture is None else picture).save(file, kind, **options)
    except (KeyError, OSError, ValueError) as error:
        pytest.skip(f"this Pillow writes no {kind}: {error}")
    return file.getvalue()


def jpeg(**options: Any) -> bytes:
    return save("JPEG", quality=95, **options)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return save("JPEG", PHOTO.transpose(Image.Transpose.ROTATE_90), quality=95, exif=exif)


def qoi() -> bytes:
    """The drawing, every pixel written out: older versions of Pillow read the format only."""
    pixels = np.pad(CHANNELS, ((0, 0), (0, 0), (1, 0)), constant_values=0xFE)
    return b"qoif" + struct.pack(">IIBB", *SIZE, 3, 0) + pixels.tobytes() + bytes(7) + b"\1"


def rgb_profile(space: bytes = b"RGB ") -> bytes:
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[16:20] = space
    return bytes(data)


def clear() -> bytes:
    """The drawing on a transparent ground."""
    picture = PHOTO.convert("RGBA")
    picture.putalpha(Image.fromarray((GREY > 60).astype(np.uint8) * 255))
    return save("PNG", picture)


def empty_alpha() -> bytes:
    picture = PHOTO.convert("RGBA")
    picture.putalpha(0)
    return save("BMP", picture)


def tiff(values: np.ndarray, tags: dict[int, object] | None = None) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        directory[tag] = value
    return save("TIFF", Image.fromarray(values), tiffinfo=directory)


def without_data() -> bytes:
    values = FLOAT / 255
    values[:9, :9], values[0, 20], values[1, 20], values[2, 20] = -9999, np.inf, np.nan, -3.4e38
    return tiff(values)


def rgb_tiff(values: np.ndarray, **options: Any) -> bytes:
    tifffile = pytest.importorskip("tifffile", reason="it comes with the extra `formats`")
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", **options)
    return file.getvalue()


def png_of_16_bits(values: np.ndarray) -> bytes:
    """Encode (H, W, 3) or (H, W, 4), which Pillow does not."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, 2 if channels == 3 else 6, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def plugin(kind: str) -> bytes:
    module = {"HEIF": "pillow_heif", "JXL": "pillow_jxl"}[kind]
    plugin = pytest.importorskip(module, reason="it comes with the extra `formats`")
    with contextlib.suppress(AttributeError):
        plugin.register_heif_opener()
    return save(kind, quality=95)


DONE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "JPEG": ("jpg", jpeg),
    "JPEG, progressive": ("jpeg", lambda: jpeg(progressive=True)),
    "JPEG with an EXIF orientation": ("jpg", turned),
    "JPEG in grey or CMYK with a profile": (
        "jpg",
        lambda: save("JPEG", PHOTO.convert("CMYK"), quality=95, icc_profile=rgb_profile(b"CMYK")),
    ),
    "JPEG with a wide-gamut RGB profile": ("jpg", lambda: jpeg(icc_profile=rgb_profile())),
    "JPEG without its end marker": ("jpg", lambda: jpeg()[:-2]),
    "PNG": ("png", lambda: save("PNG", PHOTO.quantize(16))),
    "PNG with transparency": ("png", clear),
    "BMP with an alpha of 0 everywhere": ("bmp", empty_alpha),
    "PNG, grey, 16 bits": ("png", lambda: save("PNG", Image.fromarray(GREY.astype(np.uint16) * 4))),
    "PNG, RGB, 16 bits": ("png", lambda: png_of_16_bits(CHANNELS.astype(np.uint16) * 16)),
    "TIFF, 32-bit integers": ("tif", lambda: tiff(GREY.astype(np.int32))),
    "TIFF, floating point": ("tiff", lambda: tiff(FLOAT / 255)),
    "TIFF, heat or depth in a narrow range": ("tif", lambda: tiff(GREY.astype(np.uint16) * 8 + 29_000)),
    "TIFF with values that hold no data": ("tif", without_data),
    "TIFF, white is zero, 16 bits or floats": ("tif", lambda: tiff((255 - GREY).astype(np.uint16) * 257, {262: 0})),
    "TIFF, RGB, floating point": ("tif", lambda: rgb_tiff(CHANNELS.astype(np.float32) / 255)),
    "TIFF, RGB, 16 bits, channels one by one": (
        "tif",
        lambda: rgb_tiff(np.moveaxis(CHANNELS, -1, 0).astype(np.uint16) * 257, planarconfig="separate"),
    ),
    "GIF, animated": ("gif", lambda: save("GIF", save_all=True, append_images=[Image.new("RGB", SIZE, "red")])),
    "WebP": ("webp", lambda: save("WEBP", lossless=True)),
    "MPO": ("mpo", lambda: save("MPO", save_all=True, append_images=[Image.new("RGB", SIZE, "red")], quality=95)),
    "BMP": ("bmp", lambda: save("BMP")),
    "PPM": ("ppm", lambda: save("PPM")),
    "TGA": ("tga", lambda: save("TGA")),
    "QOI": ("qoi", qoi),
    "AVIF": ("avif", lambda: save("AVIF", quality=95)),
    "JPEG 2000": ("jp2", lambda: save("JPEG2000")),
    "HEIC": ("heic", lambda: plugin("HEIF")),
    "JPEG XL": ("jxl", lambda: plugin("JXL")),
    "PCX, SGI, DDS": ("sgi", lambda: save("SGI")),
}
FAILED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "JPEG without its last rows": ("jpg", lambda path: path.write_bytes(jpeg()[:-900]), "truncated"),
    "PNG without its last rows": ("png", lambda path: path.write_bytes(save("PNG")[:-2000]), "truncated"),
    "more than 178 million pixels": (
        "png",
        lambda path: Image.new("1", (20_000, 10_000)).save(path),
        "too many pixels to be decoded safely",
    ),
    "a file that is empty, text, or of another kind": (
        "jpg",
        lambda path: path.write_bytes(save("EPS")),
        "not a picture, or of an unknown kind",
    ),
    "a pipe, a link that leads nowhere": ("jpg", os.mkfifo, "not a regular file"),
}
