"""Pictures of results."""

import importlib.util
import io

import jax
import numpy as np
import pytest
from drawings import draw, draw_truth
from PIL import Image, ImageCms

from iem_jax.config import IEMConfig, UsageError
from iem_jax.data.loader import load_sample
from iem_jax.data.sample import Sample
from iem_jax.output import products, writer
from iem_jax.output.figures import cut_out, find_outline, fit_inside, fit_mask, grid, overlay, strip, thumbnail
from iem_jax.output.plots import check_plots, plot_history, rank_sheet
from iem_jax.output.png import encode_mask, encode_picture
from iem_jax.output.products import inpaint_sides
from iem_jax.output.writer import Writer

MASK = np.asarray(draw_truth(0)) > 0


def test_outline_by_hand():
    mask = np.array([[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
    expected = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(find_outline(mask, 1), expected)
    assert not find_outline(np.ones((1, 1), bool), 5).any()
    assert find_outline(mask, 50).shape == (4, 4)


def test_cut_out_keeps_the_object_and_nothing_else():
    pixels = np.asarray(draw(0))
    cut = np.asarray(cut_out(draw(0), MASK))
    np.testing.assert_array_equal(cut[..., 3] == 255, MASK)
    np.testing.assert_array_equal(cut[MASK][:, :3], pixels[MASK])
    assert not cut[~MASK].any()


def test_cut_out_keeps_the_pictures_own_transparency():
    picture = draw(0).convert("RGBA")
    picture.putalpha(100)
    cut = np.asarray(cut_out(picture, MASK))
    assert set(np.unique(cut[MASK][:, 3])) == {100}
    assert not cut[~MASK].any()


def test_overlay_leaves_the_background_as_it_is():
    shown = np.asarray(overlay(draw(0), MASK))
    pixels = np.asarray(draw(0))
    np.testing.assert_array_equal(shown[~MASK], pixels[~MASK])
    assert (shown[MASK] != pixels[MASK]).any(axis=-1).mean() > 0.9


@pytest.mark.parametrize(("size", "largest"), [((70_000, 4), 10**9), ((600, 400), 60_000)])
def test_overlays_of_large_pictures_are_smaller(tmp_path, monkeypatch, size, largest):
    monkeypatch.setattr(products, "LARGEST_OVERLAY", largest)
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    item = load_sample(Sample("a", tmp_path / "a.png"), 32, "stretch")
    made = products.Products(Writer(tmp_path / "out"), ["overlays"], "model", IEMConfig(), jax.devices()[0])
    assert made.write(item, np.ones((32, 32), bool))[1] == ""
    with Image.open(tmp_path / "out/overlays/a.jpg") as shown:
        assert shown.size == ((35_000, 2) if size[0] == 70_000 else (300, 200))


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 300), (192, 144)), ((20_000, 10), (192, 1)), ((1, 1), (192, 192))]
)
def test_fit_inside(size, expected):
    assert fit_inside(size, 192) == expected


def test_tiles_by_hand():
    red, blue = Image.new("RGB", (2, 3), "red"), Image.new("RGB", (2, 3), "blue")
    assert strip([red, blue], margin=4).size == (8, 3)
    assert grid([[red, blue], [red]]).size == (6 + 8 * 2, 6 + 9 * 2)
    double = thumbnail(draw(0), MASK)
    assert double.size == (120, 60)
    assert double.getpixel((30, 0)) == (255, 255, 255)
    np.testing.assert_array_equal(fit_mask(MASK, MASK.shape[::-1]), MASK)
    assert fit_mask(MASK, (30, 22)).shape == (22, 30)


def test_sides_are_inpainted_from_each_other():
    image = np.full((32, 32, 3), 50, np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    image[mask] = 200
    sides = inpaint_sides(image, mask, IEMConfig(size=32, sigma=2.0, kernel_size=5))
    assert sides[8, 8].tolist() == [50, 50, 50]  # the object's corner, predicted from the background
    assert sides[7, 7].tolist() == [200, 200, 200]


def test_plot_and_ranking(tmp_path):
    history = [{"iteration": index, "inp_error": 0.5 + index, "iou": 0.1 * index} for index in range(5)]
    assert plot_history(history)[:4] == b"\x89PNG"
    assert plot_history(history) == plot_history(history)
    (tmp_path / "thumbnails").mkdir()
    rows = []
    for index in range(30):
        Image.new("RGB", (320, 160), (index * 8, 0, 0)).save(tmp_path / f"thumbnails/{index}.jpg", quality=100)
        rows.append({"name": str(index), "iou": index / 30 if index != 3 else float("nan")})
    sheet = rank_sheet(tmp_path, rows)
    assert sheet is not None
    first, last = (sheet.getpixel((10, y))[0] for y in (10, sheet.height - 10))
    assert abs(first - 29 * 8) < 4  # the best comes first, the worst last
    assert abs(sheet.getpixel((sheet.width - 10, sheet.height - 10))[0]) < 4
    assert last > 0
    assert rank_sheet(tmp_path, [{"name": "x", "status": "failed"}]) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (700, 3), (256, 256), (257, 40), (1200, 1000)])
def test_png_of_a_large_mask(shape):
    mask = np.random.default_rng(0).random(shape) < 0.3
    with Image.open(io.BytesIO(b"".join(encode_mask(mask)))) as image:
        image.verify()
    with Image.open(io.BytesIO(b"".join(encode_mask(mask)))) as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), mask * np.uint8(255))


def test_figures_without_matplotlib(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="`figures` needs matplotlib"):
        check_plots()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("shape", [(1, 1), (256, 3), (257, 40), (700, 9)])
def test_png_of_a_large_picture(mode, shape):
    channels = () if mode == "L" else (len(mode),)
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, *channels), np.uint8)
    picture = Image.fromarray(pixels)
    picture.info["icc_profile"] = b"any bytes"
    with Image.open(io.BytesIO(b"".join(encode_picture(picture)))) as image:
        assert (image.mode, image.info["icc_profile"]) == (mode, b"any bytes")
        np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("large", [1, 10**6])
def test_products_keep_the_profile(tmp_path, monkeypatch, large):
    monkeypatch.setattr(writer, "LARGE", large)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    draw(0).save(tmp_path / "a.png", icc_profile=profile)
    item = load_sample(Sample("a", tmp_path / "a.png"), 32, "pad")
    wanted = ["cutouts", "overlays", "report"]
    made = products.Products(Writer(tmp_path / "out"), wanted, "original", IEMConfig(), jax.devices()[0])
    found = np.zeros((32, 32), bool)
    found[8:20, 8:20] = True
    assert made.write(item, found)[1] == ""
    for path, expected in (("cutouts/a.png", profile), ("overlays/a.jpg", profile), ("thumbnails/a.jpg", None)):
        with Image.open(tmp_path / "out" / path) as image:
            assert image.info.get("icc_profile") == expected


def test_one_decode_for_all_products(tmp_path, monkeypatch):
    from iem_jax.data import original

    read = []
    monkeypatch.setattr(original, "read_original", lambda *source: read.append(source) or draw(0))
    monkeypatch.setattr(original, "read_small", lambda *source: read.append(source))
    draw(0).save(tmp_path / "a.jpg")
    item = load_sample(Sample("a", tmp_path / "a.jpg"), 32, "pad")
    wanted = ["cutouts", "overlays", "panels", "report"]
    config = IEMConfig(size=32, sigma=2.0, kernel_size=5)
    made = products.Products(Writer(tmp_path / "out"), wanted, "original", config, jax.devices()[0])
    assert made.write(item, np.arange(32 * 32).reshape(32, 32) % 32 > 12)[1] == ""
    assert len(read) == 1
    assert len(list((tmp_path / "out").rglob("a.*"))) == 5
