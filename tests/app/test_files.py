"""The tables of docs/files.md, walked: one file of each kind, read as a user has it read."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_truth, read_tree
from file_kinds import DONE, FAILED, SIZE, save
from PIL import Image

from iem_jax.app.config import run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.config import IEMConfig
from iem_jax.data.loader import load_sample
from iem_jax.data.pictures import read_original, read_small
from iem_jax.data.sample import Sample

ROOT = Path(__file__).parents[2]
SMALL = IEMConfig(size=64, iters=12, sigma=2.0, kernel_size=5)
TRUTH = np.asarray(draw_truth(0, *SIZE)) > 0
PARTLY = ("JPEG without its last rows", "PNG without its last rows")


def rows_of(title: str) -> list[str]:
    section = (ROOT / "docs/files.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)[1:]


def run(folder: Path, output: Path, **changes):
    return run_pipeline(run_config(iem=SMALL, images=str(folder), output_dir=str(output), **changes))


def agreement(path: Path) -> float:
    with Image.open(path) as mask:
        found = np.asarray(mask) > 0
    return (found & TRUTH).sum() / (found | TRUTH).sum()


def test_all_kinds_are_in_the_table():
    assert [row for row in rows_of("Pictures") if not row.startswith("---")] == sorted(
        [*DONE, *FAILED], key=lambda kind: rows_of("Pictures").index(kind)
    )


@pytest.mark.parametrize("kind", DONE)
def test_what_is_done_is_read_alike(tmp_path, kind):
    ending, make = DONE[kind]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(make())
    small, size = read_small(path, SIZE)
    original = read_original(path)
    assert size == original.size == SIZE
    contrast = np.asarray(small.convert("L"), int)
    ground = np.ones(TRUTH.shape, bool)
    ground[:12, :30] = False  # where values hold no data
    lightness = contrast[TRUTH].mean() - contrast[ground & ~TRUTH].mean()
    assert abs(lightness) > 50
    if kind != "PNG with transparency":  # its ground is white
        assert 110 < lightness < 250  # 160 in the picture itself, more where its range is spread
        shown = np.asarray(original.convert("RGB").convert("L"), int)
        assert np.abs(shown - contrast).mean() < 3


@pytest.mark.parametrize("kind", FAILED)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_fails_says_why(tmp_path, kind):
    ending, make, reason = FAILED[kind]
    path = tmp_path / f"a.{ending}"
    make(path)
    assert reason in load_sample(Sample("a", path), 32, "pad").problem
    loaded = load_sample(Sample("a", path, truncated=True), 32, "pad")
    assert (loaded.image is not None) == (kind in PARTLY)


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Path:
    """A folder with a picture of each kind that can be made here."""
    folder = tmp_path_factory.mktemp("kinds")
    for number, (kind, (ending, make)) in enumerate(DONE.items()):
        try:
            (folder / f"{number:02}.{ending}").write_bytes(make())
        except pytest.skip.Exception:
            print(f"no {kind} here")
    return folder


def test_all_kinds_in_one_folder(everything, tmp_path, capsys):
    folder = shutil.copytree(everything, tmp_path / "in")
    (folder / "notes.txt").write_text("x")
    kinds = sorted(path.stem for path in everything.iterdir())
    assert run(folder, tmp_path / "out", cutouts=True, overlays=True, report=True) == 0
    said = capsys.readouterr().err
    assert f"left out of {folder}, since they cannot be decoded: 1 .txt" in said
    assert sorted(path.stem for path in (tmp_path / "out/masks").iterdir()) == kinds
    for name in kinds:
        assert agreement(tmp_path / f"out/masks/{name}.png") > 0.8, list(DONE)[int(name)]
        with Image.open(tmp_path / f"out/cutouts/{name}.png") as cutout:
            assert cutout.mode == "RGBA"
            assert (cutout.info.get("icc_profile") or b" " * 16 + b"RGB ")[16:20] == b"RGB "
            object_of_cutout = np.asarray(cutout.convert("RGB"))[44, 60]
        assert object_of_cutout.max() > 150, list(DONE)[int(name)]
        with Image.open(tmp_path / f"out/thumbnails/{name}.jpg") as thumbnail:
            middle = thumbnail.height // 2
            assert np.asarray(thumbnail.convert("L"))[middle, middle] > 100, list(DONE)[int(name)]
    assert run(tmp_path, tmp_path / "out2") == 0  # with out below it
    said = capsys.readouterr().err
    assert f"left out: what earlier runs wrote to {tmp_path / 'out'}" in said
    assert f"{len(kinds)} pictures on" in said


def test_wide_gamut_overlays_carry_the_profile(everything, tmp_path):
    index = list(DONE).index("JPEG with a wide-gamut RGB profile")
    assert run(everything / f"{index:02}.jpg", tmp_path / "out", overlays=True, cutouts=True, report=True) == 0
    for name, has_one in (("overlays/{}.jpg", True), ("cutouts/{}.png", True), ("thumbnails/{}.jpg", False)):
        with Image.open(tmp_path / "out" / name.format(f"{index:02}")) as image:
            assert ("icc_profile" in image.info) == has_one


def test_what_is_said_of_ground_truths(tmp_path, capsys):
    for folder in ("in", "truth"):
        (tmp_path / folder).mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("a", "b", "c"):
        draw(0, *SIZE).save(tmp_path / f"in/{name}.jpg", quality=95, **({"exif": exif} if name == "c" else {}))
    for name in ("a", "b"):
        (tmp_path / f"truth/{name}.jpg").write_bytes(save("JPEG", draw_truth(0, *SIZE)))
    draw_truth(0, *SIZE).save(tmp_path / "truth/c.png")
    masks = str(tmp_path / "truth")
    assert run(tmp_path / "in", tmp_path / "out", masks=masks) == 0
    said = capsys.readouterr().err
    assert "2 ground truths are of a kind that loses detail (JPEG)" in said
    assert "1 pictures are turned by their EXIF orientation, and their ground truths fit turned or not" in said
    assert run(tmp_path / "in", tmp_path / "out2", masks=masks, mask_orientation="stored") == 0
    assert "EXIF" not in capsys.readouterr().err


def test_truncated_pictures_are_done_if_wanted(tmp_path, capsys):
    data = save("JPEG", draw(0, *SIZE), quality=95)
    (tmp_path / "a.jpg").write_bytes(data[: len(data) * 9 // 10])
    assert run(tmp_path / "a.jpg", tmp_path / "out") == 1
    assert "a.jpg: truncated: `truncated` takes what is there" in capsys.readouterr().err
    assert run(tmp_path / "a.jpg", tmp_path / "out", truncated=True, cutouts=True) == 0
    assert "a.jpg: truncated, taken as far as it goes" in capsys.readouterr().err
    assert agreement(tmp_path / "out/masks/a.png") > 0.7


def test_what_was_written_of_pictures_that_are_gone(tmp_path, capsys):
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c", "d"):
        draw(0).save(tmp_path / f"in/{name}.png")
    out = tmp_path / "out"
    assert run(tmp_path / "in", out, cutouts=True) == 0
    (tmp_path / "in/a.png").rename(tmp_path / "in/new.png")
    shutil.rmtree(tmp_path / "in/sub")
    (out / "masks/d.png").write_bytes(b"mine")
    (tmp_path / "in/d.png").unlink()
    before = read_tree(out)
    for _ in range(2):  # the second run knows of them, too
        capsys.readouterr()
        assert run(tmp_path / "in", out, cutouts=True) == 0
        said = capsys.readouterr().err
        assert "3 pictures of earlier runs are not among these: what was written of them stays (`--prune`" in said
        assert before["masks/a.png"] == (out / "masks/a.png").read_bytes()
    assert run(tmp_path / "in", out, cutouts=True, prune=True) == 0
    assert "what was written of them is removed at the end" in capsys.readouterr().err
    left = {name for name in read_tree(out) if name.startswith(("masks", "cutouts"))}
    # What was changed since it was written stays.
    assert left == {"masks/b.png", "masks/new.png", "masks/d.png", "cutouts/b.png", "cutouts/new.png"}
    assert not (out / "masks/sub").exists()
    assert run(tmp_path / "in", out, cutouts=True) == 0
    assert "earlier runs" not in capsys.readouterr().err
    assert "b,ok" in (out / "metrics.csv").read_text()


def test_a_latin_1_locale_and_a_list_from_a_pipe(tmp_path):
    localedef, name = shutil.which("localedef"), "日" * 74 + "ab.jpg"
    if localedef is None or not Path("/usr/share/i18n/locales/en_US").is_file():
        pytest.skip("there is no localedef, or nothing to make a locale of")
    subprocess.run([localedef, "-f", "ISO-8859-1", "-i", "en_US", tmp_path / "en_US.ISO-8859-1"], check=True)
    draw(0, *SIZE).save(tmp_path / name)
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", "--images=-", f"--output_dir={tmp_path / 'out'}", "--size=32", "--iters=8"],
        input=f"# pictures\n'{tmp_path / name}'  \n".encode(),
        capture_output=True,
        env={"PATH": "", "LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1", "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 1
