"""Which pixels of a ground truth are the object, and which way up it is."""

import io

import numpy as np
import pytest
from drawings import draw, draw_truth
from PIL import Image

from iem_jax.data.loader import load_sample
from iem_jax.data.pictures import TURNS
from iem_jax.data.sample import Sample
from iem_jax.data.source import ReadError
from iem_jax.data.truths import EITHER_WAY, LOSSY, read_truth

DRAWN = draw_truth(0)
TRUTH = np.asarray(DRAWN) > 0
SIZE = DRAWN.size


def save(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def read(data: bytes, **how) -> np.ndarray:
    return np.asarray(read_truth(data, SIZE, **how).mask) > 0


def indexed(palette: list[int], swapped: bool = False) -> Image.Image:
    """The truth with index 1 for the object, or 0 if swapped."""
    picture = Image.fromarray((TRUTH ^ swapped).astype(np.uint8))
    picture.putpalette(palette)
    return picture


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_palette_of_greys_counts_by_colour(kind, swapped):
    black, white = [0, 0, 0], [255, 255, 255]
    picture = indexed(white + black if swapped else black + white, swapped)
    np.testing.assert_array_equal(read(save(picture, kind)), TRUTH)
    adaptive = DRAWN.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    np.testing.assert_array_equal(read(save(adaptive, kind)), TRUTH)


@pytest.mark.parametrize("palette", [[0, 0, 0, 128, 0, 0], [224, 224, 192, 0, 0, 0], [128, 0, 0, 0, 0, 0]])
def test_a_palette_of_colours_counts_by_index(palette):
    np.testing.assert_array_equal(read(save(indexed(palette), "PNG")), TRUTH)


def test_classes_of_a_palette_are_all_objects():
    labels = TRUTH.astype(np.uint8) * 5
    labels[TRUTH[:, ::-1] & TRUTH & (np.arange(SIZE[0]) > 30)] = 15
    picture = Image.fromarray(labels)
    picture.putpalette([index * 7 % 256 for index in range(768)])
    np.testing.assert_array_equal(read(save(picture, "PNG")), TRUTH)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_lossy_truths_are_split_at_half_of_their_range(mode, quality):
    truth = read_truth(save(DRAWN.convert(mode), "JPEG", quality=quality), SIZE)
    assert truth.notes == {LOSSY}
    agreement = ((np.asarray(truth.mask) > 0) == TRUTH).mean()
    assert agreement > (0.99 if quality > 50 else 0.98)
    ringing = np.asarray(Image.open(io.BytesIO(save(DRAWN, "JPEG", quality=quality)))) > 0
    assert (ringing == TRUTH).mean() < 0.97


def test_half_of_the_range_is_not_half_of_255():
    dim = Image.fromarray(TRUTH.astype(np.uint8) * 60)
    assert (read(save(dim, "JPEG", quality=90)) == TRUTH).mean() > 0.99
    for value in (0, 255):
        flat = read(save(Image.new("L", SIZE, value), "JPEG"))
        assert flat.all() if value else not flat.any()


@pytest.mark.parametrize(("lossless", "notes"), [(True, set()), (False, {LOSSY})])
def test_webp_is_lossy_if_it_lost_something(lossless, notes):
    labels = Image.fromarray(TRUTH.astype(np.uint8) + (np.arange(SIZE[0]) > 30) * TRUTH)
    picture = labels if lossless else DRAWN
    truth = read_truth(save(picture.convert("RGB"), "WEBP", lossless=lossless, quality=60), SIZE)
    assert truth.notes == notes
    assert ((np.asarray(truth.mask) > 0) == TRUTH).mean() > (0.999 if lossless else 0.98)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 10, 10)])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_alpha_is_the_mask_where_colours_say_nothing(colour, kind):
    picture = Image.new("RGBA", SIZE)
    picture.paste((*colour, 255), mask=DRAWN)
    if kind == "P":
        picture = indexed([9, 9, 9, *colour])
        np.testing.assert_array_equal(read(save(picture, "PNG", transparency=0)), TRUTH)
    else:
        np.testing.assert_array_equal(read(save(picture.convert(kind), "PNG")), TRUTH)


def test_colours_are_the_mask_where_alpha_says_nothing():
    for alpha in (0, 255):
        picture = DRAWN.convert("RGBA")
        picture.putalpha(alpha)
        np.testing.assert_array_equal(read(save(picture, "PNG")), TRUTH)


def turned_pair(orientation: int, width: int, height: int) -> tuple[bytes, Image.Image, Image.Image]:
    """A JPEG that is stored turned, its truth as it is stored and as it is seen."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = draw_truth(0, width, height)
    data = save(draw(0, width, height), "JPEG", quality=95, exif=exif)
    return data, stored, stored.transpose(TURNS[orientation])


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("said", [None, "upright", "stored"])
@pytest.mark.parametrize("drawn", ["stored", "upright"])
def test_truths_of_turned_pictures(tmp_path, orientation, said, drawn):
    data, stored, upright = turned_pair(orientation, 60, 44)
    (tmp_path / "a.jpg").write_bytes(data)
    (stored if drawn == "stored" else upright).save(tmp_path / "m.png")
    sample = Sample("a", tmp_path / "a.jpg", tmp_path / "m.png", mask_orientation=said)
    loaded = load_sample(sample, 32, "pad")
    assert loaded.problem == ""
    one_way = orientation >= 5  # a quarter turn: there is one way to fit
    assert loaded.notes == (set() if one_way or said else {EITHER_WAY})
    right = one_way or (said or "upright") == drawn
    seen = upright if right else stored if drawn == "stored" else upright.transpose(TURNS[orientation])
    upright.save(tmp_path / "seen.png")
    expected = read_truth(save(seen, "PNG"), upright.size).mask
    whole = read_truth(tmp_path / "m.png", upright.size, loaded.turn, said).mask
    np.testing.assert_array_equal(np.asarray(whole), np.asarray(expected))


def test_a_square_that_is_turned_fits_both_ways():
    _, stored, upright = turned_pair(6, 50, 50)
    for said, expected in ((None, stored), ("stored", upright)):
        truth = read_truth(save(stored, "PNG"), (50, 50), TURNS[6], said)
        np.testing.assert_array_equal(np.asarray(truth.mask), np.asarray(expected))
        assert truth.notes == (set() if said else {EITHER_WAY})


def test_a_truth_with_an_orientation_of_its_own_is_turned_by_that():
    exif = Image.Exif()
    exif[0x0112] = 3
    _, stored, upright = turned_pair(3, 60, 44)
    for said in (None, "stored"):
        truth = read_truth(save(stored, "PNG", exif=exif), SIZE, TURNS[3], said)
        np.testing.assert_array_equal(np.asarray(truth.mask), np.asarray(upright))
        assert not truth.notes


def test_a_turned_tiff_has_a_turn_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(0).save(tmp_path / "a.tif", exif=exif)
    draw_truth(0).save(tmp_path / "m.png")
    loaded = load_sample(Sample("a", tmp_path / "a.tif", tmp_path / "m.png"), 32, "pad")
    assert loaded.turn == TURNS[6]
    assert loaded.ground_truth is not None


def test_a_truth_that_fits_no_way_says_so():
    with pytest.raises(ReadError, match="has 30 x 22 pixels, its picture 44 x 60"):
        read_truth(save(Image.new("L", (30, 22)), "PNG"), (44, 60), TURNS[6])
