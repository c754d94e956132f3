"""Files that end too early."""

import io

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from iem_jax.data.damaged import END
from iem_jax.data.pictures import read_original, read_small
from iem_jax.data.source import ReadError, load, open_picture

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"quality": 95, "optimize": True, "subsampling": 0},
    "restarts": {"restart_marker_blocks": 3},
}
PHOTO = draw(3, 333, 251)


def jpeg(picture: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_end_marker_is_whole(kind, mode):
    data = jpeg(PHOTO.convert(mode), **KINDS[kind])
    assert data.endswith(END)
    for cut in (data[:-2], data[:-1]):
        np.testing.assert_array_equal(np.asarray(read_original(cut)), np.asarray(read_original(data)))
        for at_least in ((16, 16), (100, 80)):  # decoded at an eighth and at a half
            got, size = read_small(cut, at_least)
            expected, expected_size = read_small(data, at_least)
            assert size == expected_size
            np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.98])
def test_missing_rows_fail_unless_allowed(kind, kept):
    data = jpeg(PHOTO, **KINDS[kind])
    cut = data[: int(kept * len(data))]
    for read in (read_original, lambda source, **how: read_small(source, (40, 40), **how)[0]):
        with pytest.raises(ReadError, match="truncated: `truncated` takes what is there"):
            read(cut)
        got = np.asarray(read(cut, truncated=True), int)
        whole = np.asarray(read(data), int)
        assert got.shape == whole.shape
        rows = 5 if kept < 0.5 else len(got) // 2
        if kind != "progressive":
            np.testing.assert_array_equal(got[: rows * len(got) // 251], whole[: rows * len(got) // 251])


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "tiff", "ppm"])
def test_what_is_there_of_other_kinds(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    PHOTO.save(path, **({"interlace": 0} if ending == "gif" else {}))
    whole = np.asarray(read_original(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadError, match="truncated"):
        read_original(path)
    with open_picture(path) as image:
        image = load(image, truncated=True)
        assert image.info["truncated"]
    got = np.asarray(read_original(path, truncated=True))
    assert got.shape == whole.shape
    rows = slice(200, 250) if ending == "bmp" else slice(50)  # BMPs begin below
    np.testing.assert_array_equal(got[rows], whole[rows])
