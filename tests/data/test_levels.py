"""Deep samples: TIFFs of floats and of 16 and 32 bits, and PNGs of 16."""

import io

import numpy as np
import pytest
from drawings import draw
from PIL import Image, TiffImagePlugin

from iem_jax.data.levels import find_levels
from iem_jax.data.pictures import read_original, read_small

GREY = np.asarray(draw(0, 60, 44).convert("L"))
FLOAT = GREY.astype(np.float32)


def tiff(values: np.ndarray, tags: dict[int, object] | None = None) -> bytes:
    directory, file = TiffImagePlugin.ImageFileDirectory_v2(), io.BytesIO()
    for tag, value in (tags or {}).items():
        directory[tag] = value
    Image.fromarray(values).save(file, "TIFF", tiffinfo=directory)
    return file.getvalue()


def levels_of(data: bytes) -> np.ndarray:
    """Read by all ways, which must agree, and return the levels."""
    whole = np.asarray(read_original(data))
    np.testing.assert_array_equal(np.asarray(read_small(data, (60, 60))[0]), whole)
    small = np.asarray(Image.fromarray(whole).reduce(2))
    np.testing.assert_allclose(np.asarray(read_small(data, (30, 22))[0], int), small, atol=1)
    return whole[..., 0]


def spread(values: np.ndarray) -> np.ndarray:
    return np.rint((values - values.min()) * (255 / (values.max() - values.min())))


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
@pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
def test_integers_are_levels_of_the_depth_that_holds_them(kind, white):
    values = np.rint(GREY * (white / 255)).astype(kind)
    values[0, 0] = white
    expected = np.rint(values * (255 / white))
    np.testing.assert_array_equal(levels_of(tiff(values)), expected)
    assert np.abs(expected - GREY)[1:].max() <= 1


def test_integers_beyond_sixteen_bits_are_levels_of_their_own_range():
    values = GREY.astype(np.int32) * 1_000_000
    np.testing.assert_array_equal(levels_of(tiff(values)), np.rint(GREY * (255 / GREY.max())))


@pytest.mark.parametrize("factor", [1 / 255, 1, 1 / 1000, 3e4])
def test_floats_are_levels_of_their_own_range(factor):
    expected = np.rint(GREY * (255 / GREY.max()))
    np.testing.assert_allclose(levels_of(tiff((FLOAT * factor).astype(np.float32))), expected, atol=1)


def test_negative_values_move_black():
    values = np.array([[-1, 0, 1]], np.float32)
    np.testing.assert_array_equal(find_levels(values), [[0, 128, 255]])


@pytest.mark.parametrize("values", [GREY * 8.0 + 29_000, FLOAT / 10 + 280], ids=["heat in uint16", "kelvin"])
def test_a_narrow_range_is_spread(values):
    values = values.astype(np.uint16 if values.max() > 1000 else np.float32)
    np.testing.assert_allclose(levels_of(tiff(values)), spread(values), atol=1)


@pytest.mark.parametrize("absent", [np.inf, -np.inf, np.nan, -3.4028235e38, 3.4028235e38, -9999, -32768])
@pytest.mark.parametrize("factor", [1 / 255, 1, 100])
def test_values_that_hold_no_data_set_no_range(absent, factor):
    values = FLOAT * np.float32(factor)
    expected = find_levels(values)
    values[:8, :8] = absent
    got = levels_of(tiff(values))
    np.testing.assert_array_equal(got[8:], expected[8:])
    assert abs(got[0, 0] - expected.mean()) < 12
    if absent == np.inf:
        np.testing.assert_array_equal(find_levels(values)[:, 8:], expected[:, 8:])


@pytest.mark.parametrize("declared", [-1.5, 77777.25, 0.1])
def test_the_value_that_the_file_declares_holds_no_data(declared):
    values, expected = FLOAT + 1000, find_levels(FLOAT + 1000)
    values[:8] = declared
    np.testing.assert_array_equal(levels_of(tiff(values, {42113: str(declared)}))[8:], expected[8:])


def test_nothing_but_absent_values_is_black():
    assert not find_levels(np.full((3, 4), np.nan, np.float32)).any()


@pytest.mark.parametrize("values", [GREY.astype(np.uint16) * 257, FLOAT], ids=["uint16", "float"])
def test_white_is_zero(values):
    plain = levels_of(tiff(values))
    np.testing.assert_array_equal(levels_of(tiff(values, {262: 0})), 255 - plain)


def test_white_is_zero_is_as_in_eight_bits():
    np.testing.assert_array_equal(levels_of(tiff((255 - GREY).astype(np.uint16) * 257, {262: 0})), GREY)
