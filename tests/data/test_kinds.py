"""Which files can be decoded, and what is said of others."""

import importlib.util
import io
import struct

import numpy as np
import PIL
import pytest
from drawings import draw
from PIL import Image, features

from iem_jax.data import kinds
from iem_jax.data.kinds import endings, package_for
from iem_jax.data.pictures import read_original, read_small
from iem_jax.data.source import ReadError

PLAIN = [
    "bmp",
    "dib",
    "gif",
    "jpg",
    "jfif",
    "pcx",
    "pgm",
    "png",
    "apng",
    "pnm",
    "ppm",
    "qoi",
    "sgi",
    "tga",
    "tif",
    "dds",
]
HAS = {kind: importlib.util.find_spec(module) is not None for kind, (module, _) in kinds.PLUGINS.items()}


def write(path, ending: str) -> Image.Image:
    picture = draw(0, 96, 64).convert("L" if ending == "pgm" else "RGB")
    options = {"jp2": {}, "webp": {"lossless": True}, "avif": {"quality": 95}, "heic": {"quality": 95}}.get(ending, {})
    picture.save(path, **options)
    return picture.convert("RGB")


@pytest.mark.parametrize("ending", [*PLAIN, "webp", "jp2", "avif", "heic", "jxl"])
def test_what_can_be_decoded_is(tmp_path, ending):
    if ending in ("heic", "jxl"):
        kind = "HEIF" if ending == "heic" else "JXL"
        if not HAS[kind]:
            pytest.skip(f"there is no {kinds.PLUGINS[kind][1]}: it comes with the extra `formats`")
        kinds._others()
    codec = {"jp2": "jpg_2000", "avif": "avif"}.get(ending)
    if codec and not (codec in (*features.modules, *features.codecs) and features.check(codec)):
        pytest.skip(f"this Pillow has no {codec}")
    path = tmp_path / f"a.{ending}"
    try:
        picture = write(path, ending)
    except (KeyError, ValueError, OSError):
        pytest.skip(f"this Pillow writes no {ending}")
    assert f".{ending}" in endings()
    assert package_for(f".{ending}") is None
    assert read_small(path, (96, 64))[1] == (96, 64)
    difference = np.abs(np.asarray(read_original(path), int) - np.asarray(picture, int)).mean()
    assert difference < 6


def test_mpo_is_its_first_picture(tmp_path):
    draw(0).save(tmp_path / "a.mpo", save_all=True, append_images=[Image.new("RGB", (60, 44), "red")])
    assert np.abs(np.asarray(read_original(tmp_path / "a.mpo"), int) - np.asarray(draw(0), int)).mean() < 8


@pytest.mark.parametrize("ending", ["png", "webp", "tiff", "gif"])
def test_of_several_pictures_the_first_is_taken(tmp_path, ending):
    path, options = tmp_path / f"a.{ending}", {"webp": {"lossless": True}}.get(ending, {})
    draw(0).save(path, save_all=True, append_images=[Image.new("RGB", (60, 44), "red")] * 2, **options)
    for picture in (read_original(path), read_small(path, (60, 44))[0]):
        assert np.abs(np.asarray(picture, int) - np.asarray(draw(0), int)).mean() < 8


def test_photoshop():
    values = np.asarray(draw(0))
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 44, 60, 8, 3) + bytes(12) + b"\0\0"
    data = head + np.moveaxis(values, -1, 0).tobytes()
    np.testing.assert_array_equal(np.asarray(read_original(data)), values)


@pytest.mark.parametrize(("bits", "kind"), [(8, ">u1"), (16, ">i2"), (-32, ">f4")])
def test_fits(bits, kind):
    if bits < 0 and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("older Pillows take the bytes of floats in FITS the wrong way round")
    grey = np.asarray(draw(0).convert("L"))
    cards = ["SIMPLE  =                    T", f"BITPIX  = {bits:20}", "NAXIS   =                    2"]
    cards += ["NAXIS1  =                   60", "NAXIS2  =                   44", "END"]
    head = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    data = head + grey[::-1].astype(kind).tobytes()  # rows from below
    got = np.asarray(read_original(data), int)[..., 0]
    expected = grey if bits != -32 else np.rint(grey * (255 / grey.max()))
    np.testing.assert_allclose(got, expected, atol=1)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40
JXL = b"\xff\x0a" + b"\0" * 40


@pytest.mark.parametrize(("data", "kind"), [(HEIC, "HEIF"), (JXL, "JXL")])
def test_what_is_missing_is_named(monkeypatch, data, kind):
    monkeypatch.setattr(kinds.importlib.util, "find_spec", lambda name: None)
    kinds._others.cache_clear()
    kinds.endings.cache_clear()
    try:
        package = kinds.PLUGINS[kind][1]
        monkeypatch.setattr(kinds, "_others", lambda: ("TGA",))
        with pytest.raises(ReadError, match=f"{kind} needs `pip install {package}`"):
            read_small(data, (9, 9))
        assert not set(kinds.ENDINGS[kind]) & kinds.endings()
        assert package_for(kinds.ENDINGS[kind][0]) == package
    finally:
        kinds.endings.cache_clear()


@pytest.mark.parametrize(
    "data", [HEIC, JXL, b"II*\0" + b"\0" * 40, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_damaged_files_are_no_pictures(data):
    with pytest.raises(ReadError):
        read_small(data, (9, 9))


def test_no_other_program_is_started_for_a_picture(monkeypatch):
    """Pillow gives EPS to Ghostscript."""
    eps = io.BytesIO()
    draw(0).save(eps, "EPS")
    with pytest.raises(ReadError, match="not a picture, or of an unknown kind"):
        read_small(eps.getvalue(), (9, 9))


FLOAT = np.asarray(draw(0), np.float32)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.uint32])
def test_tiffs_that_pillow_cannot_read(kind, planar):
    tifffile = pytest.importorskip("tifffile")
    file, values = io.BytesIO(), FLOAT.astype(kind)
    stored = np.moveaxis(values, -1, 0) if planar == "separate" else values
    tifffile.imwrite(file, stored, photometric="rgb", planarconfig=planar)
    expected = FLOAT if kind == np.uint32 else np.rint(FLOAT * (255 / FLOAT.max()))
    np.testing.assert_allclose(np.asarray(read_original(file), int), expected, atol=1)
    assert read_small(file, (60, 44))[1] == (60, 44)


def test_tiffs_of_float_have_an_orientation_and_values_without_data():
    tifffile = pytest.importorskip("tifffile")
    file, values = io.BytesIO(), FLOAT / 255
    values[:4, :4] = np.nan
    tifffile.imwrite(file, values.astype(np.float32), photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    picture = read_original(file)
    assert picture.size == (44, 60)
    upright = np.asarray(picture.transpose(Image.Transpose.ROTATE_90), int)
    np.testing.assert_allclose(upright[4:], np.rint(FLOAT * (255 / FLOAT.max()))[4:], atol=1)


def test_without_tifffile_the_reason_is_true(monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, FLOAT, photometric="rgb")
    monkeypatch.setattr(kinds.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ReadError, match="a TIFF of a kind that needs `pip install tifffile`"):
        read_original(file)
