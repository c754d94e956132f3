"""Profiles and alpha: what goes into cut-outs, overlays and previews looks like the picture."""

import io

import numpy as np
import pytest
from drawings import draw
from PIL import Image, ImageCms

from iem_jax.data.colour import to_srgb
from iem_jax.data.pictures import read_original, read_small

SRGB = ImageCms.createProfile("sRGB")


def save(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def profile(space: bytes) -> bytes:
    """A real RGB profile, which says that it is of another space: damaged for LittleCMS, but not for a glance."""
    data = bytearray(ImageCms.ImageCmsProfile(SRGB).tobytes())
    data[16:20] = space
    return bytes(data)


def swapped_profile() -> bytes:
    """A profile whose red is sRGB's green and the other way round."""
    data = bytearray(ImageCms.ImageCmsProfile(SRGB).tobytes())
    red, green = data.index(b"rXYZ", 128), data.index(b"gXYZ", 128)
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


@pytest.mark.parametrize(("mode", "space"), [("CMYK", b"CMYK"), ("L", b"GRAY"), ("RGB", b"Lab ")])
def test_no_profile_but_one_of_rgb_is_kept(mode, space):
    data = save(draw(0).convert(mode), "JPEG", icc_profile=profile(space), quality=95)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    for picture in (read_original(data), read_small(data, (60, 60))[0]):
        assert picture.mode == "RGB"
        assert "icc_profile" not in picture.info
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_of_rgb_is_kept(mode):
    data = save(draw(0).convert(mode), "PNG", icc_profile=swapped_profile())
    for picture in (read_original(data), read_small(data, (60, 60))[0], read_small(data, (16, 16))[0]):
        assert picture.info["icc_profile"] == swapped_profile()


def test_to_srgb_shows_the_colours_of_the_profile():
    plain = Image.new("RGB", (8, 8), (220, 40, 40))
    shown = read_small(save(plain, "PNG", icc_profile=swapped_profile()), (8, 8))[0]
    red, green, _ = to_srgb(shown).getpixel((4, 4))
    assert green > 150 > red
    assert "icc_profile" not in to_srgb(shown).info
    assert to_srgb(plain) is plain


def test_a_damaged_profile_is_dropped():
    data = save(draw(0), "PNG", icc_profile=b"\0" * 16 + b"RGB " + b"\0" * 200)
    np.testing.assert_array_equal(np.asarray(to_srgb(read_original(data))), np.asarray(draw(0)))


def test_grey_with_its_profile_becomes_srgb():
    """Gamma 1.0, made by hand: half of the light is 188 in sRGB."""
    tags = b""
    white = b"XYZ \0\0\0\0" + bytes.fromhex("0000f6d6000100000000d32d")
    curve = b"curv\0\0\0\0\0\0\0\0"
    start = 128 + 4 + 2 * 12
    tags = b"\0\0\0\2" + b"wtpt" + start.to_bytes(4, "big") + len(white).to_bytes(4, "big")
    tags += b"kTRC" + (start + len(white)).to_bytes(4, "big") + len(curve).to_bytes(4, "big")
    body = tags + white + curve
    header = bytearray(128)
    header[0:4] = (128 + len(body)).to_bytes(4, "big")
    header[8:12], header[12:16], header[16:20], header[20:24] = b"\x04\x20\0\0", b"mntr", b"GRAY", b"XYZ "
    header[36:40] = b"acsp"
    header[68:80] = bytes.fromhex("0000f6d6000100000000d32d")
    data = save(Image.new("L", (8, 8), 128), "PNG", icc_profile=bytes(header) + body)
    for picture in (read_original(data), read_small(data, (8, 8))[0]):
        np.testing.assert_allclose(picture.getpixel((4, 4)), (188,) * 3, atol=2)
        assert "icc_profile" not in picture.info


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF"])
def test_alpha_that_is_0_everywhere_is_none(kind):
    picture = draw(0).convert("RGBA")
    picture.putalpha(0)
    data = save(picture, kind)
    if kind == "BMP":
        assert data[28:30] == b"\x20\0"  # 32 bits
    original = read_original(data)
    assert original.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(original), np.asarray(draw(0)))
    np.testing.assert_array_equal(np.asarray(read_small(data, (60, 60))[0]), np.asarray(draw(0)))
