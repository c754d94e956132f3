"""Decoding of any kind of picture, and the way into the square and back."""

import threading

import numpy as np
import pytest
from drawings import draw, draw_truth
from PIL import Image

from iem_jax.data import pictures
from iem_jax.data.budget import PixelBudget
from iem_jax.data.fit import FITS, Placement, fit_image, place, restore_mask
from iem_jax.data.images import ReadError
from iem_jax.data.loader import load_sample
from iem_jax.data.pictures import TURNS, read_original, read_small
from iem_jax.data.sample import Sample
from iem_jax.data.truths import read_foreground

RED, GREEN = (250, 10, 10), (10, 250, 10)


def two_halves(mode: str = "RGB") -> Image.Image:
    picture = Image.new("RGB", (64, 32), RED)
    picture.paste(GREEN, (0, 0, 32, 32))
    return picture.quantize(8) if mode == "P" else picture.convert(mode, dither=Image.Dither.NONE)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "bmp", "gif"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "LA", "RGBA"])
def test_every_format_and_mode_reads_as_its_rgb(tmp_path, ending, mode):
    path = tmp_path / f"a.{ending}"
    picture = two_halves(mode)
    try:
        picture.save(path, **({"lossless": True} if ending == "webp" else {}))
    except (OSError, KeyError, ValueError):
        pytest.skip(f"Pillow writes no {mode} as {ending}")
    small, size = read_small(path, (16, 16))
    assert (small.mode, size) == ("RGB", (64, 32))
    expected = two_halves("L" if mode == "LA" else mode).convert("RGB")
    for x in (0.1, 0.9):
        got = small.getpixel((int(x * small.width), small.height // 2))
        wanted = expected.getpixel((int(x * 64), 16))
        np.testing.assert_allclose(got, wanted, atol=12)


def test_sixteen_bits_are_scaled_by_257(tmp_path):
    values = np.repeat(np.array([[0, 257 * 100, 65535]], np.uint16), 8, axis=0)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        for picture in (read_small(tmp_path / name, (8, 8))[0], read_original(tmp_path / name)):
            np.testing.assert_array_equal(np.asarray(picture)[0, :, 0], [0, 100, 255])


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_transparency_is_white_for_the_algorithm_and_stays_for_the_cutout(tmp_path, kind):
    picture = two_halves("RGBA")
    picture.paste((0, 0, 255, 0), (0, 0, 32, 32))
    path = tmp_path / "a.png"
    if kind == "P":
        indices = Image.new("P", (64, 32), 1)
        indices.putpalette([0, 0, 255, *RED])
        indices.paste(0, (0, 0, 32, 32))
        indices.save(path, transparency=0)
    else:
        picture.convert(kind).save(path)
    assert read_small(path, (64, 64))[0].getpixel((5, 5)) == (255, 255, 255)
    original = read_original(path)
    assert original.mode == "RGBA"
    assert original.getpixel((5, 5))[3] == 0
    assert original.getpixel((60, 5))[3] == 255


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_exif_orientation_is_obeyed(tmp_path, orientation, ending):
    upright = draw(3, 64, 32)
    stored = upright
    if orientation in TURNS:
        inverse = {6: 8, 8: 6}.get(orientation, orientation)
        stored = upright.transpose(TURNS[inverse])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    stored.save(
        path, exif=exif, **{"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(ending, {})
    )
    small, size = read_small(path, (64, 64))
    assert size == (64, 32)
    for picture in (small, read_original(path)):
        assert np.abs(np.asarray(picture, int) - np.asarray(upright, int)).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_counts_as_none(tmp_path):
    path = tmp_path / "a.jpg"
    draw(0).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05garbage")
    assert read_small(path, (64, 64))[1] == (60, 44)


def test_first_frame_of_a_gif(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(read_small(tmp_path / "a.gif", (20, 20))[0].getpixel((3, 3)), RED, atol=6)


def test_large_jpegs_are_decoded_small(tmp_path):
    draw(0, 2000, 1200).save(tmp_path / "a.jpg")
    small, size = read_small(tmp_path / "a.jpg", (256, 256))
    assert size == (2000, 1200)
    assert (small.width, small.height) == (500, 300)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
def test_bands_make_no_difference(tmp_path, monkeypatch, mode):
    picture = draw(0, 210, 330)
    picture = picture.quantize(8) if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "a.tif")
    whole = np.asarray(read_small(tmp_path / "a.tif", (40, 40))[0])
    monkeypatch.setattr(pictures, "BAND", 20)
    assert whole.shape == (42, 42, 3)
    np.testing.assert_array_equal(np.asarray(read_small(tmp_path / "a.tif", (40, 40))[0]), whole)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("zero.jpg", b"", "not a picture"),
        ("text.png", b"hello", "not a picture"),
        ("absent.jpg", None, "file not found"),
        ("half.jpg", "half", "truncated"),
    ],
)
def test_reasons(tmp_path, name, data, reason):
    path = tmp_path / name
    if data == "half":
        draw(0, 400, 300).save(path)
        path.write_bytes(path.read_bytes()[:3000])
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(ReadError, match=reason):
        read_small(path, (64, 64))


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ReadError, match="not a regular file"):
        read_small(tmp_path / "a.jpg", (64, 64))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bomb_is_not_read(tmp_path):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(ReadError, match="too many pixels"):
        read_small(tmp_path / "bomb.png", (64, 64))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_nonzero_is_the_object(tmp_path, mode):
    values = np.zeros((6, 8), np.uint8)
    values[2:4, 3:6] = 1
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16))
    elif mode == "P":
        picture = Image.fromarray(values)
        picture.putpalette([224, 224, 192, 0, 0, 0])  # the indices count, not their colours
    else:
        picture = Image.fromarray(values * (255 if mode == "1" else 1)).convert(mode)
    picture.save(tmp_path / "m.png")
    np.testing.assert_array_equal(np.asarray(read_foreground(tmp_path / "m.png", (8, 6))) > 0, values > 0)


def test_mask_of_another_size_is_a_problem_of_the_mask_only(tmp_path):
    draw(0).save(tmp_path / "a.jpg")
    Image.new("L", (30, 22)).save(tmp_path / "m.png")
    loaded = load_sample(Sample("a", tmp_path / "a.jpg", tmp_path / "m.png"), 32, "stretch")
    assert loaded.image is not None
    assert loaded.ground_truth is None
    assert loaded.problem == "ground truth has 30 x 22 pixels, its picture 60 x 44"


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(60, 44), (44, 60), (1, 1), (500, 3), (128, 128), (700, 500)])
def test_restored_mask_is_where_the_object_was(fit, size):
    truth = np.asarray(draw_truth(0, *size)) > 0 if min(size) > 10 else np.ones(size[::-1], bool)
    placement = place(size, 32, fit)
    square = np.asarray(fit_image(Image.fromarray(truth.astype(np.uint8) * 255), placement, 32)) >= 128
    assert square.shape == (32, 32)
    restored = restore_mask(square, placement)
    assert restored.shape == truth.shape
    left, top, right, bottom = placement.region
    agreement = (restored == truth)[top:bottom, left:right].mean()
    assert agreement > 0.96
    assert not np.delete(np.delete(restored, range(top, bottom), 0), range(left, right), 1).any()


@pytest.mark.parametrize("size", [(400, 300), (65, 64), (64, 1000), (31, 90), (1, 700)])
def test_enlarged_mask_is_the_bilinear_one(size):
    mask = np.random.default_rng(0).random((32, 32)) < 0.5
    soft = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    restored = restore_mask(mask, place(size, 32, "stretch"))
    clear = np.abs(np.asarray(soft, float) - 127.5) > 2  # Pillow rounds in between
    np.testing.assert_array_equal(restored[clear], np.asarray(soft)[clear] > 127)


def test_placements_by_hand():
    assert place((40, 20), 10, "stretch") == Placement((40, 20), (0, 0, 40, 20), (0, 0, 10, 10))
    assert place((40, 20), 10, "crop") == Placement((40, 20), (10, 0, 30, 20), (0, 0, 10, 10))
    assert place((40, 20), 10, "pad") == Placement((40, 20), (0, 0, 40, 20), (0, 2, 10, 7))
    assert place((20000, 10), 10, "pad").box == (0, 4, 10, 5)


def test_budget_lets_in_what_fits_and_everything_when_alone():
    budget, inside, most = PixelBudget(10), 0, 0
    lock = threading.Lock()

    def use(pixels: int) -> None:
        nonlocal inside, most
        with budget.share(pixels), budget.share(1000):  # what a holder asks for is free
            with lock:
                inside += pixels
                most = max(most, inside)
            with lock:
                inside -= pixels

    threads = [threading.Thread(target=use, args=(pixels,)) for pixels in [4, 4, 4, 30, 4, 6] * 20]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert most in range(4, 31)
    assert inside == 0
