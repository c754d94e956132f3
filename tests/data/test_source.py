"""Pictures from paths, bytes, open files and Pillow pictures: the same pixels, and nothing of the caller's changed."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_truth
from PIL import Image

from iem_jax.data.pictures import read_original, read_small
from iem_jax.data.source import ReadError, hold
from iem_jax.data.truths import read_foreground

TURNED = Image.Exif()
TURNED[0x0112] = 6


def save(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def sources(path: Path):
    data = path.read_bytes()
    wide = np.zeros(2 * len(data), np.uint8)
    wide[::2] = np.frombuffer(data, np.uint8)
    yield from (path, str(path), data, bytearray(data), memoryview(data), memoryview(wide)[::2], io.BytesIO(data))
    with Image.open(io.BytesIO(data)) as picture:  # of a path, Pillow itself confuses the sides of turned raw TIFFs
        yield picture


KINDS = {
    "jpeg": (draw(0, 400, 300), {"exif": TURNED}),
    "png": (draw(0, 90, 70).quantize(8), {}),
    "tiff": (draw(0, 90, 70).convert("CMYK"), {"exif": TURNED}),
    "webp": (draw(0, 90, 70).convert("RGBA"), {"exif": TURNED}),
    "gif": (draw(0, 90, 70).convert("L"), {}),
    "png16": (Image.fromarray(np.asarray(draw(0).convert("L"), np.uint16) * 257), {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_sources_give_the_same_picture(tmp_path, kind):
    picture, options = KINDS[kind]
    path = tmp_path / f"a.{kind.removesuffix('16')}"
    picture.save(path, **options)
    small, size = read_small(path, (64, 64))
    original = read_original(path)
    assert (size == picture.size) == (not options)
    for source in sources(path):
        for _ in range(2):  # the source is as it was, and can be read again
            got, got_size = read_small(source, (64, 64))
            assert got_size == size
            if not isinstance(source, Image.Image):  # which is not decoded at a half
                np.testing.assert_array_equal(np.asarray(got), np.asarray(small))
            np.testing.assert_array_equal(np.asarray(read_original(source)), np.asarray(original))


def test_a_pillow_picture_is_treated_as_its_file_is():
    picture = Image.open(io.BytesIO(save(draw(0, 400, 300), "JPEG", exif=TURNED, quality=95)))
    small, size = read_small(picture, (400, 400))
    assert size == (300, 400)
    assert (
        np.abs(np.asarray(small, int) - np.asarray(draw(0, 400, 300).transpose(Image.Transpose.ROTATE_270))).mean() < 4
    )
    assert picture.size == (400, 300)


@pytest.mark.parametrize("position", [0, 3, 2**20])
def test_an_open_file_stays_open_and_where_it_was(tmp_path, position):
    path = tmp_path / "a.png"
    draw(0).save(path)
    for file in (path.open("rb"), io.BytesIO(path.read_bytes())):
        with file:
            file.seek(position)
            np.testing.assert_array_equal(np.asarray(read_original(file)), np.asarray(draw(0)))
            read_small(file, (16, 16))
            assert file.tell() == position
            assert not file.closed


def test_a_pillow_picture_is_not_changed():
    picture = draw(0)
    read_small(picture, (16, 16))
    copy = read_original(picture)
    copy.paste((1, 2, 3), (0, 0, 30, 30))
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(draw(0)))


def test_truths_come_from_any_source_too():
    data = save(draw_truth(0), "PNG")
    for source in (data, io.BytesIO(data), draw_truth(0)):
        np.testing.assert_array_equal(np.asarray(read_foreground(source, (60, 44))), np.asarray(draw_truth(0)))


@pytest.mark.parametrize("kind", ["file", "pillow"])
def test_one_source_is_read_by_many_threads(kind):
    data = save(draw(0, 300, 200), "JPEG", exif=TURNED)
    expected = np.asarray(read_original(data))
    for _ in range(5):
        source = io.BytesIO(data) if kind == "file" else Image.open(io.BytesIO(data))
        with ThreadPoolExecutor(8) as pool:
            for got in pool.map(read_original, [source] * 16):
                np.testing.assert_array_equal(np.asarray(got), expected)


def test_what_comes_through_a_pipe_can_be_held():
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(save(Image.new("RGB", (9, 9), "red"), "PNG"))
    with open(reading, "rb") as file:
        held = hold(file)
    assert read_small(held, (9, 9))[1] == read_original(held).size == (9, 9)


def test_sources_that_are_none(tmp_path):
    draw(0).save(tmp_path / "a.png")
    with (tmp_path / "a.png").open() as text, pytest.raises(ReadError, match="mode 'rb'"):
        read_small(text, (9, 9))
    closed = io.BytesIO(save(draw(0), "PNG"))
    closed.close()
    with pytest.raises(ReadError, match="closed file"):
        read_small(closed, (9, 9))
    with pytest.raises(ReadError, match="not a picture"):
        read_small(b"", (9, 9))
    with pytest.raises(ReadError, match="an open file or a Pillow picture, is IOBase"):
        hold(io.IOBase())
