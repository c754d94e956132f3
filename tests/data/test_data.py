"""Listing the Flowers data set, decoding pictures, resizing and cropping them."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from pictures import make_image, make_mask, to_uint8, write_flowers, write_setid
from PIL import Image

from iem_jax import UsageError
from iem_jax.data.flowers import is_foreground, list_flowers
from iem_jax.data.images import ReadError, read_image
from iem_jax.data.loader import in_threads, load_sample, load_samples, make_chunk


def names(samples: list) -> list[str]:
    return [sample.name for sample in samples]


def test_splits_of_flowers17(flowers17: Path):
    """ReDO swaps the official roles of train and test."""
    table = scipy.io.loadmat(flowers17 / "setid.mat")
    for split, key, number in (("test", "trnid", 96), ("val", "valid", 48), ("train", "tstid", 770)):
        samples = list_flowers(flowers17, split)
        assert names(samples) == [f"image_{index:05d}" for index in table[key].ravel()]
        assert len(samples) == number
    assert sum(sample.mask_path is None for sample in list_flowers(flowers17, "train")) == 514


def test_order_is_that_of_setid(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 4, ids=[3, 1, 4, 2])
    assert names(list_flowers(root, "test")) == ["image_00003", "image_00001", "image_00004", "image_00002"]
    assert names(list_flowers(root, "val")) == names(list_flowers(root, "test"))[::-1]


@pytest.mark.parametrize("folder", ["segmim", "segmin"])
def test_both_names_of_the_mask_folder(tmp_path: Path, folder: str):
    root = write_flowers(tmp_path / "set", 2, masks=folder)
    samples = list_flowers(root, "test")
    assert [sample.mask_path for sample in samples] == [root / folder / f"segmim_{n:05d}.jpg" for n in (1, 2)]
    truth = load_sample(samples[0], 32).ground_truth
    assert (truth == make_mask(1, 32, 40)[:, 4:36]).mean() > 0.99  # JPEG blurs its edge


def test_no_masks_at_all(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 2)
    for path in (root / "segmim").iterdir():
        path.unlink()
    (root / "segmim").rmdir()
    assert [sample.mask_path for sample in list_flowers(root, "test")] == [None, None]


def test_foreground_rule():
    """Background is red 0, green 0 or blue 254; dark petals are hit too, as in the reference."""
    pixels = np.array([[[0, 9, 9], [9, 0, 9], [9, 9, 254], [9, 9, 0], [9, 9, 255], [1, 1, 253]]], np.uint8)
    np.testing.assert_array_equal(is_foreground(pixels), [[False, False, False, True, True, True]])


def test_bad_roots(tmp_path: Path):
    with pytest.raises(UsageError, match=r"`dataset_path` must be a folder .* is no folder"):
        list_flowers(tmp_path / "nothing", "test")
    with pytest.raises(UsageError, match=r"there is no .*setid\.mat"):
        list_flowers(tmp_path, "test")


@pytest.mark.parametrize("content", [b"", b"no table\n", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x89HDF\r\n\x1a\n"])
def test_setid_that_is_no_mat_file(tmp_path: Path, content: bytes):
    (tmp_path / "setid.mat").write_bytes(content)
    with pytest.raises(UsageError, match=r"setid\.mat"):
        list_flowers(tmp_path, "test")


def test_truncated_setid(tmp_path: Path):
    write_setid(tmp_path, range(1, 500))
    content = (tmp_path / "setid.mat").read_bytes()
    (tmp_path / "setid.mat").write_bytes(content[:300])
    with pytest.raises(UsageError, match=r"setid\.mat"):
        list_flowers(tmp_path, "test")


def test_setid_without_the_split(tmp_path: Path):
    scipy.io.savemat(tmp_path / "setid.mat", {"valid": np.array([[1]], np.uint16), "other": 3})
    with pytest.raises(UsageError, match="'trnid'; it holds other, valid"):
        list_flowers(tmp_path, "test")
    assert names(list_flowers(tmp_path, "val")) == ["image_00001"]


def nearest(old: int, new: int) -> np.ndarray:
    """Return the old pixel that holds the centre of each new one.

    Pillow walks there by adding; where a centre falls between two pixels the rounding of these sums decides.
    """
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.floor(np.add.accumulate(steps)).astype(int)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """The reference's rule by indices: the short side becomes `size`, then the centred square."""
    height, width = pixels.shape[:2]
    new_height = size if height <= width else int(size * height / width)
    new_width = size if width <= height else int(size * width / height)
    top, left = round((new_height - size) / 2), round((new_width - size) / 2)
    whole = pixels[nearest(height, new_height)][:, nearest(width, new_width)]
    return whole[top : top + size, left : left + size]


@pytest.mark.parametrize(
    "shape", [(64, 64), (32, 32), (64, 97), (101, 64), (50, 33), (16, 16), (8, 13), (21, 10), (1, 1)]
)
@pytest.mark.parametrize("size", [32, 15])
def test_resize_and_crop(tmp_path: Path, shape: tuple[int, int], size: int):
    """Square, landscape and portrait; reduced, kept and enlarged."""
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", size), resized(pixels, size))


def test_image_modes(tmp_path: Path):
    """Grey, palette, CMYK, transparency and 16 bits all become RGB of the same picture."""
    pixels = to_uint8(make_image(0, 32, 32))
    rgb = Image.fromarray(pixels)
    grey = np.asarray(rgb.convert("L"))
    expected_grey = np.repeat(grey[..., None], 3, axis=2)

    def read(image: Image.Image, name: str) -> np.ndarray:
        image.save(tmp_path / name)
        result = read_image(tmp_path / name, 32)
        assert result.shape == (32, 32, 3)
        assert result.dtype == np.uint8
        return result

    np.testing.assert_array_equal(read(rgb, "rgb.png"), pixels)
    np.testing.assert_array_equal(read(rgb.convert("L"), "grey.png"), expected_grey)
    np.testing.assert_array_equal(read(Image.fromarray(grey.astype(np.uint16) * 257), "grey16.png"), expected_grey)
    palette = rgb.quantize(64)
    np.testing.assert_array_equal(read(palette, "palette.png"), np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(read(rgb.convert("CMYK"), "cmyk.tiff"), pixels)
    np.testing.assert_array_equal(read(rgb.convert("1"), "bits.png"), np.asarray(rgb.convert("1").convert("RGB")))
    rgba, grey_alpha = rgb.convert("RGBA"), rgb.convert("LA")
    np.testing.assert_array_equal(read(rgba, "rgba.png"), pixels)
    np.testing.assert_array_equal(read(grey_alpha, "la.png"), expected_grey)
    rgba.putalpha(0)
    np.testing.assert_array_equal(read(rgba, "clear.png"), np.full((32, 32, 3), 255))


def test_unreadable_pictures(tmp_path: Path):
    Image.fromarray(to_uint8(make_image(0, 64, 64))).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "folder.jpg").mkdir()
    reasons = {"missing": "not found", "truncated": "truncated", "empty": "not a picture", "text": "not a picture"}
    for name, reason in reasons.items():
        with pytest.raises(ReadError, match=reason):
            read_image(tmp_path / f"{name}.jpg", 32)
    with pytest.raises(ReadError):
        read_image(tmp_path / "folder.jpg", 32)


def test_loader_keeps_order_and_reports_problems(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 9)
    (root / "jpg" / "image_00004.jpg").write_bytes(b"")
    (root / "segmim" / "segmim_00006.jpg").write_bytes(b"")
    (root / "segmim" / "segmim_00007.jpg").unlink()
    loaded = list(load_samples(list_flowers(root, "test"), 32, ahead=3))
    assert names([item.sample for item in loaded]) == [f"image_{n:05d}" for n in range(1, 10)]
    assert [item.image is None for item in loaded] == [n == 4 for n in range(1, 10)]
    assert [item.ground_truth is None for item in loaded] == [n in (4, 6, 7) for n in range(1, 10)]
    assert [bool(item.problem) for item in loaded] == [n in (4, 6) for n in range(1, 10)]


def test_loader_can_be_left_early(tmp_path: Path):
    stream = load_samples(list_flowers(write_flowers(tmp_path / "set", 9), "test"), 32, ahead=2)
    assert next(stream).sample.name == "image_00001"
    stream.close()


def test_reading_ahead_ends_without_waiting():
    """Or a signal that comes meanwhile is lost: what a generator that is thrown away raises goes nowhere."""
    goes_on = threading.Event()
    results = in_threads(lambda number: number == 0 or goes_on.wait(10), range(9), ahead=4)
    assert next(results)
    start = time.monotonic()
    results.close()
    is_quick = time.monotonic() - start < 5
    goes_on.set()
    assert is_quick


def test_chunks_have_one_shape(tmp_path: Path):
    loaded = list(load_samples(list_flowers(write_flowers(tmp_path / "set", 3), "test"), 24))
    chunk = make_chunk(loaded, 8)
    assert list(chunk) == ["images", "ground_truths"]
    images, truths = chunk.values()
    assert (images.shape, images.dtype, truths.shape, truths.dtype) == ((8, 24, 24, 3), np.uint8, (8, 24, 24), bool)
    np.testing.assert_array_equal(images[:3], [item.image for item in loaded])
    np.testing.assert_array_equal(truths[:3], [item.ground_truth for item in loaded])
    assert not images[3:].any()
    assert not truths[3:].any()
