"""One Segmenter: every kind of picture, one at a time or many, from the command line or from Python, the same bits."""

import dataclasses
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from drawings import draw, draw_folder, draw_truth
from PIL import Image

from iem_jax import IEMConfig, Segmenter, UsageError, segment_image
from iem_jax.app.command import main

SMALL = IEMConfig(size=32, iters=8, sigma=2.0, kernel_size=5)
SETTINGS = ["--size=32", "--iters=8", "--sigma=2.0", "--kernel_size=5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_folder(tmp_path_factory.mktemp("segmenter") / "in", 5)
    Image.fromarray(np.asarray(draw(7))[:30]).save(folder / "wide.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("resolution", ["original", "model"])
def test_command_line_and_all_ways_from_python_give_the_same(folder: Path, tmp_path: Path, resolution: str):
    flags = [f"--images={folder}", f"--output_dir={tmp_path / 'out'}", f"--resolution={resolution}", *SETTINGS]
    assert main(["iem-jax", *flags, "--quiet"]) == 1
    paths = sorted(path for path in folder.rglob("*.*") if path.is_file())
    segmenter = Segmenter(config=SMALL, resolution=resolution)
    streamed = list(segmenter.stream(iter(paths)))
    assert [found.name for found in streamed] == [str(path) for path in paths]
    several = segmenter.batch([*paths[3:], *paths[:3]])
    for path, found, other in zip(paths, streamed, several[-3:] + several[:-3], strict=True):
        if path.name == "broken.jpg":
            assert (found.mask, found.status, found.confidence) == (None, "failed", None)
            assert found.problem == "not a picture, or of an unknown kind"
            continue
        with Image.open(tmp_path / "out/masks" / path.relative_to(folder).with_suffix(".png")) as written:
            expected = np.asarray(written) > 0
        one = segmenter(path)
        finished = segmenter.finish([pickle.loads(pickle.dumps(segmenter.load(path)))])[0]
        for way in (found, other, one, finished):
            np.testing.assert_array_equal(way.mask, expected)
            assert (way.status, way.confidence) == (found.status, found.confidence)
        if resolution == "original":
            np.testing.assert_array_equal(segment_image(path, SMALL), expected)


@pytest.mark.slow
def test_workers_of_grain_read(folder: Path):
    grain = pytest.importorskip("grain")
    paths = sorted(str(path) for path in folder.rglob("*.*") if path.is_file())
    segmenter = Segmenter(config=SMALL)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    loaded = grain.MapDataset.source(paths).map(segmenter.load).to_iter_dataset()
    loaded = loaded.mp_prefetch(grain.MultiprocessingOptions(num_workers=1))
    for found, expected in zip(segmenter.finish_stream(loaded), segmenter.stream(paths), strict=True):
        np.testing.assert_array_equal(found.mask, expected.mask)  # None for what is no picture
        assert dataclasses.replace(found, mask=None) == dataclasses.replace(expected, mask=None)


def test_finishing_begins_before_all_is_loaded(folder: Path):
    segmenter = Segmenter(config=SMALL, devices=1)
    asked = []

    def load():
        for number in range(200):
            asked.append(number)
            yield segmenter.load(draw(number % 3), str(number))

    assert next(segmenter.finish_stream(load())).name == "0"
    assert len(asked) < 200


def test_every_kind_of_picture_gives_the_same(tmp_path: Path):
    path = tmp_path / "a.png"
    draw(2).save(path)
    pixels = np.asarray(draw(2))
    segmenter = Segmenter(config=SMALL)
    expected = segmenter(path).mask
    with path.open("rb") as file:
        file.seek(5)
        kinds = [str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), file, draw(2), pixels, pixels.tolist()]
        kinds[-1] = np.asarray(kinds[-1], np.uint8)[:, ::-1][:, ::-1]  # not contiguous
        for found in segmenter.stream(kinds):
            np.testing.assert_array_equal(found.mask, expected)
        assert (file.closed, file.tell()) == (False, 5)


def test_pillow_pictures_are_treated_as_files_are(tmp_path: Path):
    """A palette picture's indices are no grey values; transparency, CMYK and orientation count."""
    picture = draw(2)
    clear = picture.convert("RGBA")
    clear.putalpha(draw_truth(2).convert("L"))
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    cases = {
        "palette.png": picture.quantize(16),
        "clear.png": clear,
        "cmyk.tif": picture.convert("CMYK"),
        "grey.png": picture.convert("L"),
    }
    segmenter = Segmenter(config=SMALL)
    for name, case in cases.items():
        case.save(tmp_path / name)
        np.testing.assert_array_equal(segmenter(case).mask, segmenter(tmp_path / name).mask, err_msg=name)
    np.testing.assert_array_equal(segmenter(turned).mask, segmenter(picture).mask)
    np.testing.assert_array_equal(segmenter(np.asarray(clear)).mask, segmenter(clear).mask)


def test_own_pictures_get_the_best_preset_in_practice():
    assert Segmenter().method == "fast"
    assert Segmenter(config=SMALL).method == "paper"
    mask = segment_image(draw(2))
    truth = np.asarray(draw_truth(2)) > 0
    assert (mask & truth).sum() > 0.8 * (mask | truth).sum()


def test_pickles_as_its_settings_and_works_in_threads():
    segmenter = Segmenter(config=SMALL)
    expected = [segmenter(draw(index)).mask for index in range(4)]
    copy = pickle.loads(pickle.dumps(segmenter))
    assert copy == segmenter
    assert "computing" not in vars(copy)
    with ThreadPoolExecutor(4) as pool:
        for found, mask in zip(pool.map(copy, map(draw, range(4))), expected, strict=True):
            np.testing.assert_array_equal(found.mask, mask)


def test_compiles_once(compilations: list[str]):
    segmenter = Segmenter(config=SMALL)
    segmenter.batch([draw(0), draw(1)])
    before = len(compilations)
    segmenter.batch([draw(index) for index in range(9)])
    assert len(compilations) == before


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"preset": "slow"}, "`preset` must be one of"),
        ({"preset": "fast", "config": SMALL}, "fixes `"),
        ({"config": IEMConfig(kernel_size=4)}, "kernel_size"),
        ({"fit": "shrink"}, "`fit` must be one of"),
        ({"resolution": "full"}, "`resolution` must be one of"),
        ({"polarity": "up"}, "`polarity` must be one of"),
        ({"network": "somewhere", "preset": "fast"}, "`network` segments without IEM"),
    ],
)
def test_bad_settings(settings: dict, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        Segmenter(**settings)


def test_pictures_that_cannot_be_used(tmp_path: Path):
    segmenter = Segmenter(config=SMALL)
    bad = [tmp_path / "absent.jpg", b"no picture", np.zeros((2,), np.uint8), np.zeros((4, 4, 3), np.int64), None]
    found = segmenter.batch([*bad, draw(1)])
    assert [one.status == "failed" for one in found] == [True] * 5 + [False]
    assert all(one.problem for one in found[:5])
    assert [one.name for one in found[1:]] == ["1", "2", "3", "4", "5"]
    for picture in bad:
        with pytest.raises(UsageError, match="`picture` must"):
            segmenter(picture)


def test_truncated_pictures():
    file = io.BytesIO()
    draw(0, 120, 88).save(file, "JPEG", quality=95)
    cut = file.getvalue()[: len(file.getvalue()) * 9 // 10]
    with pytest.raises(UsageError, match="truncated: `truncated` takes what is there"):
        segment_image(cut, SMALL)
    found = Segmenter(config=SMALL, truncated=True)(cut)
    assert found.mask is not None
    assert found.mask.shape == (88, 120)
    assert found.problem == "truncated, taken as far as it goes"
