"""run.py on folders, as a user runs it: every kind of trouble, the files and the exit status."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_folder, draw_truth, read_tree
from PIL import Image

from iem_jax.app.config import RunConfig, run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.config import IEMConfig, UsageError

ROOT = Path(__file__).parents[2]
SMALL = IEMConfig(size=32, iters=8, sigma=2.0, kernel_size=5)


def settings(folder: Path, output: Path, **changes) -> RunConfig:
    return run_config(**{"iem": SMALL, "images": str(folder), "output_dir": str(output)} | changes)


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--size=32", "--iters=8", *flags], capture_output=True, text=True
    )


def rows(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "metrics.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_masks_have_the_pictures_size_and_show_the_object(tmp_path):
    folder = draw_folder(tmp_path / "in", 5, width=300, height=200)
    assert run_pipeline(settings(folder, tmp_path / "out")) == 0
    assert sorted(rows(tmp_path / "out")) == ["00", "01", "03", "04", "sub/02"]
    for name in rows(tmp_path / "out"):
        with Image.open(tmp_path / f"out/masks/{name}.png") as mask:
            assert (mask.mode, mask.size) == ("L", (300, 200))
            values = np.asarray(mask)
        assert set(np.unique(values)) == {0, 255}
        truth = np.asarray(draw_truth(int(name[-2:]), 300, 200)) > 0
        assert ((values > 0) & truth).sum() / ((values > 0) | truth).sum() > 0.85


def test_scores_with_masks(tmp_path, capsys):
    folder = draw_folder(tmp_path / "in", 4)
    for name in ("00", "01", "sub/02"):
        (tmp_path / "truth/sub").mkdir(parents=True, exist_ok=True)
        draw_truth(int(name[-2:])).save(tmp_path / f"truth/{name}.png")
    Image.new("L", (9, 9)).save(tmp_path / "truth/01.png")
    assert run_pipeline(settings(folder, tmp_path / "out", masks=str(tmp_path / "truth"))) == 0
    out, errors = capsys.readouterr()
    assert " IoU " in out
    assert "01.jpg: ground truth has 9 x 9 pixels, its picture 60 x 44" in errors
    assert "3 of them with a ground truth" in errors
    table = rows(tmp_path / "out")
    assert [bool(table[name]["iou"]) for name in ("00", "01", "sub/02", "03")] == [True, False, True, False]
    assert float(table["00"]["iou"]) > 0.75
    assert table["01"]["status"] == "ok"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_pictures_are_listed_and_the_others_done(tmp_path):
    folder = tmp_path / "in"
    draw_folder(folder, 2)
    draw(1, 1, 1).save(folder / "one.png")
    draw(1, 20_000, 10).save(folder / "long.png")
    Image.new("1", (20_000, 10_000)).save(folder / "bomb.png")
    Image.new("1", (12_000, 8_000)).save(folder / "large.png")  # Pillow warns, and reads it
    (folder / "zero.jpg").touch()
    (folder / "gone.jpg").symlink_to(folder / "nowhere")
    draw(1).save(folder / "a name with\nnewline & <script>alert(1)<_script> ü 日本.png")
    (folder / "b\udcff.png").write_bytes((folder / "one.png").read_bytes())
    (folder / "loop").symlink_to(folder)
    before = read_tree(folder)
    everything = ["--cutouts", "--overlays", "--panels", "--figures", "--report"]
    done = run(f"--images={folder}", f"--output_dir={folder / 'out'}", *everything)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert f"{folder}/bomb.png: too many pixels to be decoded safely" in done.stderr
    assert f"{folder}/zero.jpg: not a picture, or of an unknown kind" in done.stderr
    assert f"{folder}/gone.jpg: file not found" in done.stderr
    assert {name: row["status"] for name, row in rows(folder / "out").items()} == {
        "00": "ok",
        "01": "ok",
        "a name with\nnewline & <script>alert(1)<_script> ü 日本": "ok",
        "b\udcff": "uniform",
        "bomb": "failed",
        "gone": "failed",
        "large": "uniform",
        "long": "empty",
        "one": "uniform",
        "zero": "failed",
    }
    sizes = {name: size_of(folder / f"out/masks/{name}.png") for name in ("one", "long", "large")}
    assert sizes == {"one": (1, 1), "long": (20_000, 10), "large": (12_000, 8_000)}
    after = read_tree(folder)
    assert {path for path in after if path not in before and not path.startswith("out/")} == set()
    assert all(after[path] == data for path, data in before.items())
    again = run(f"--images={folder}", f"--output_dir={folder / 'out'}", *everything)
    assert "10 pictures on" in again.stderr  # the output inside of the input was not read back
    assert "7 pictures were done before" in again.stderr


def test_no_readable_picture(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.png"):
        (tmp_path / "in" / name).write_bytes(b"x")
    everything = {"cutouts": True, "overlays": True, "panels": True, "figures": True, "report": True}
    assert run_pipeline(settings(tmp_path / "in", tmp_path / "out", **everything)) == 1
    assert "2 failed: not a picture" in capsys.readouterr().err
    assert json.loads((tmp_path / "out/summary.json").read_text())["counts"]["failed"] == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": "absent"}, "there is no absent"),
        ({"output_dir": None}, "`images` needs an `output_dir`"),
        ({"dataset_path": "flowers"}, "`images` or a data set"),
        ({"masks": "absent"}, "`masks` must be a folder"),
        ({"images": None, "dataset_path": "x", "masks": "y"}, "`masks` needs `images`"),
        ({"images": None, "dataset_path": "x", "output_dir": None, "report": True}, "`report` needs an `output_dir`"),
        ({"images": None, "dataset_path": "x", "output_dir": None, "overwrite": True}, "`overwrite` needs"),
    ],
)
def test_wrong_usage(tmp_path, changes, sentence):
    folder = draw_folder(tmp_path / "in", 1)
    with pytest.raises(UsageError, match=sentence):
        run_pipeline(settings(folder, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_usage_errors_exit_with_2(tmp_path):
    (tmp_path / "empty").mkdir()
    done = run(f"--images={tmp_path / 'empty'}", f"--output_dir={tmp_path / 'out'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "`images` must hold pictures" in done.stderr


def test_quiet_prints_errors_only(tmp_path):
    folder = draw_folder(tmp_path / "in", 2)
    (folder / "broken.jpg").touch()
    done = run(f"--images={folder}", f"--output_dir={tmp_path / 'out'}", "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{folder}/broken.jpg: not a picture, or of an unknown kind\n"


def test_a_picture_that_goes_away_is_a_problem_of_its_products_only(tmp_path, monkeypatch, capsys):
    from iem_jax.data import original
    from iem_jax.data.images import ReadError

    def gone(path, truncated=False):
        raise ReadError("file not found")

    monkeypatch.setattr(original, "read_original", gone)
    folder = draw_folder(tmp_path / "in", 1)
    for resolution, problem in (("model", "cutouts: file not found"), ("original", "masks: file not found")):
        output = tmp_path / resolution
        assert run_pipeline(settings(folder, output, cutouts=True, resolution=resolution)) == 1
        assert (output / "masks/00.png").is_file()  # enlarged, where it cannot be refined
        assert json.loads((output / "summary.json").read_text())["problems"] == {"00": problem}
        assert problem in capsys.readouterr().err
