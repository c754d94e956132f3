"""`--refine` as a user runs it: its stages, its files, what a kill leaves, and what cannot work."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from drawings import draw_folder
from pictures import write_flowers, write_splits
from PIL import Image

from iem_jax.app import pipeline, training
from iem_jax.app.config import change, run_config
from iem_jax.app.stages import run_stages
from iem_jax.config import IEMConfig, UsageError
from iem_jax.evaluation.compare import comparison_lines, mean_scores
from iem_jax.refine import load_model
from iem_jax.refine.config import RefineConfig

ROOT = Path(__file__).parents[2]
IEM = IEMConfig(size=32, iters=3)
REFINE = RefineConfig(
    width=8, depth=1, shrink=2, steps=30, batch_size=4, checkpoint_every=2, learning_rate=0.01, ema=0.8
)
FLAGS = [f"--refine_{name}={value}" for name, value in dataclasses.asdict(REFINE).items()]


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def comparable(output: Path) -> dict[str, bytes]:
    """All files but checkpoints, whose bytes hold times, and the summaries, which hold seconds."""
    found = {str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith("refine/net/") and path.name != "summary.json"
    }


@pytest.fixture(scope="module")
def data_set(tmp_path_factory) -> Path:
    root = write_flowers(tmp_path_factory.mktemp("flowers") / "set", 11)
    write_splits(root, train=range(4, 12), test=(1, 2, 3))
    (root / "jpg/image_00005.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def whole(data_set, tmp_path_factory) -> Path:
    """The output of a run that was never interrupted."""
    output = tmp_path_factory.mktemp("whole") / "out"
    assert run_stages(run_config(iem=IEM, dataset_path=str(data_set), output_dir=str(output)), REFINE) == 1
    return output


def test_files(whole):
    for folder, names in (("", {1, 2, 3}), ("iem", {1, 2, 3}), ("refine/train", {4, 6, 7, 8, 9, 10, 11})):
        assert {path.name for path in (whole / folder / "masks").iterdir()} == {f"image_{n:05d}.png" for n in names}
        assert (whole / folder / "summary.json").is_file()
    rows = table(whole / "refine/history.csv")
    assert [row["step"] for row in rows] == [str(step) for step in range(2, 31, 2)]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    with Image.open(whole / "refine/curves.png") as curves:
        assert np.asarray(curves).std() > 10
    assert {path.name for path in (whole / "refine/net").iterdir()} == {"28", "30"}


def test_scores_side_by_side(whole):
    iem, net = (table(whole / folder / "metrics.csv") for folder in ("iem", "."))
    rows = table(whole / "comparison.csv")
    assert [row["name"] for row in rows] == ["image_00001", "image_00002", "image_00003"]
    for row, ours, theirs in zip(rows, iem, net, strict=True):
        for key in ("accuracy", "iou", "iou_fixed", "dice"):
            assert row[f"iem_{key}"] == ours[key]
            assert row[f"net_{key}"] == theirs[key]
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["refine"] == dataclasses.asdict(REFINE)
    compared = summary["comparison"]
    assert compared["pictures"] == 3
    for side, folder in (("iem", "iem"), ("net", ".")):
        scores = json.loads((whole / folder / "summary.json").read_text())["scores"]
        np.testing.assert_allclose(compared[side]["iou"], scores["iou"], atol=1e-9)
    assert compared["net"]["iou"] > 0.5  # it has learned something: the whole picture has 0.3


def test_means_leave_out_what_one_side_lacks():
    score = {f"{side}_{key}": 0.5 for side in ("iem", "net") for key in ("accuracy", "iou", "iou_fixed", "dice")}
    rows = [score, score | {"iem_iou": 0.75}, score | {"net_iou": float("nan")}, {"name": "failed"}]
    means = mean_scores(rows)
    assert means["pictures"] == 2
    assert means["iem"]["iou"] == 0.625
    assert means["net"]["iou"] == 0.5
    assert comparison_lines(means)[2].split() == ["IoU", "0.625", "0.500"]
    assert mean_scores([{"name": "failed"}]) == {}


def test_a_second_run_does_nothing_anew(data_set, whole, monkeypatch, capsys):
    before, summary = comparable(whole), json.loads((whole / "summary.json").read_text())

    def try_again(items, *_):
        for item in items:
            assert item.sample.name == "image_00005"  # which failed
            yield item, None

    monkeypatch.setattr(pipeline, "segment_stream", try_again)
    monkeypatch.setattr(sys.modules["iem_jax.refine.trainer"], "train_steps", None)
    assert run_stages(run_config(iem=IEM, dataset_path=str(data_set), output_dir=str(whole)), REFINE) == 1
    out, errors = capsys.readouterr()
    assert errors.count("there is no more to do") == 2
    assert out.splitlines()[0] == "Batch 1/1"  # the inner runs print nothing
    assert out.count("Batch") == 1
    assert comparable(whole) == before
    assert json.loads((whole / "summary.json").read_text())["comparison"] == summary["comparison"]


def start(data_set: Path, output: Path) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "run.py"), f"--dataset_path={data_set}", f"--output_dir={output}"]
    command += ["--size=32", "--iters=3", "--devices=1", "--refine", *FLAGS]
    command += [f"--compilation_cache_dir={output.parent / 'compiled'}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_interrupted_and_killed_it_ends_bit_for_bit(data_set, whole, tmp_path):
    output = tmp_path / "out"
    for number, file in ((signal.SIGINT, "refine/net/2"), (signal.SIGKILL, "refine/net/6")):
        with start(data_set, output) as run:
            while run.poll() is None and not (output / file).exists():
                time.sleep(0.001)
            run.send_signal(number)
            _, errors = run.communicate()
        assert run.returncode == (130 if number == signal.SIGINT else -number)
        assert "Traceback" not in errors
        if number == signal.SIGINT:
            assert errors.splitlines()[-1] == "interrupted; the same command goes on from there."
        assert not (output / "refine/net/30").exists()
    with start(data_set, output) as run:
        out, errors = run.communicate()
    assert run.returncode == 1, errors
    assert out.count("Batch") == 1
    assert "\nstep 30/30" in errors
    assert "\nstep 2/30" not in errors
    assert errors.splitlines()[-4].split()[0] == "accuracy"
    assert comparable(output) == comparable(whole)
    ours, theirs = (load_model(folder).parameters for folder in (output, whole))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)), ours, theirs)


@pytest.mark.parametrize("readable", [0, 1])
def test_nothing_to_learn_from(tmp_path, capsys, readable):
    root = write_flowers(tmp_path / "set", 4)
    write_splits(root, train=(1, 2, 3), test=(4,))
    for number in range(1 + readable, 4):
        (root / f"jpg/image_{number:05d}.jpg").write_bytes(b"")
    config = run_config(iem=IEM, dataset_path=str(root), output_dir=str(tmp_path / "out"))
    assert run_stages(config, REFINE) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        f"The network needs at least 2 pictures with a mask to learn from: {readable} of 3 could be read and segmented "
        "with confidence."
    )
    assert not (tmp_path / "out/iem").exists()


def test_masks_that_failed_teach_nothing(tmp_path, capsys):
    root = write_flowers(tmp_path / "set", 3)
    write_splits(root, train=(1, 2), test=(3,))
    for number in (1, 2):
        Image.new("RGB", (40, 32), (9, 99, 200)).save(root / f"jpg/image_{number:05d}.jpg")
    assert run_stages(run_config(iem=IEM, dataset_path=str(root)), REFINE) == 1  # nothing is written
    assert "learn from: 0 of 2 could be" in capsys.readouterr().err.splitlines()[-1]


def test_other_settings_on_the_same_folder_are_refused_at_once(data_set, whole):
    config = run_config(iem=IEM, dataset_path=str(data_set), output_dir=str(whole))
    before = comparable(whole)
    with pytest.raises(UsageError, match=r"another training \(`steps` is 30 there and 14 here\)"):
        run_stages(config, dataclasses.replace(REFINE, steps=14))
    with pytest.raises(UsageError, match=r"other settings \(sigma 5.0 there, 4.0 here\)"):
        run_stages(change(config, iem=dataclasses.replace(IEM, sigma=4.0)), REFINE)
    with pytest.raises(UsageError, match="preset 'network' there, 'paper' here"):
        pipeline.run_pipeline(config)
    with pytest.raises(UsageError, match="preset 'paper' there, 'network' here"):
        run_stages(change(config, output_dir=str(whole / "iem")), REFINE)
    assert comparable(whole) == before


def test_own_pictures_and_overwrite(tmp_path, capsys):
    """A folder teaches and is segmented; what was written inside of it is not read back."""
    folder = draw_folder(tmp_path / "in", 5, width=60, height=44)
    config = run_config(iem=IEM, images=str(folder), output_dir=str(folder / "out"), report=True)
    tiny = dataclasses.replace(REFINE, steps=2)
    assert run_stages(config, tiny) == 0
    assert run_stages(change(config, overwrite=True), dataclasses.replace(tiny, seed=1)) == 0
    assert capsys.readouterr().err.count("stage 4 of 4: the network on 5 pictures") == 2
    with Image.open(folder / "out/masks/sub/02.png") as mask, Image.open(folder / "out/iem/masks/sub/02.png") as other:
        assert mask.size == other.size == (60, 44)
    assert (folder / "out/report.html").is_file()
    assert json.loads((folder / "out/summary.json").read_text())["comparison"] == {}  # there is no ground truth
    assert json.loads((folder / "out/summary.json").read_text())["refine"]["seed"] == 1


def test_without_a_folder_nothing_is_left(data_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_stages(run_config(iem=IEM, dataset_path=str(data_set)), dataclasses.replace(REFINE, steps=2)) == 1
    assert not list(tmp_path.iterdir())
    assert "SegNet" in capsys.readouterr().err


@pytest.mark.parametrize(("preset", "rounds"), [("paper", REFINE.polish), ("fast", 0)])
def test_masks_of_a_search_are_learned_as_they_are(preset, rounds, tmp_path, monkeypatch):
    """Those of the paper's settings are fitted to the colours first."""

    class PolishedError(Exception):
        pass

    def look(images, masks, rounds, valid):
        raise PolishedError(rounds)

    monkeypatch.setattr(training, "polish_all", look)
    draw_folder(tmp_path / "in", 3, width=32, height=32)
    iem = IEM if preset == "paper" else IEMConfig(size=32)
    config = run_config(iem=iem, images=str(tmp_path / "in"), preset=preset, output_dir=str(tmp_path / "out"))
    with pytest.raises(PolishedError) as error:
        run_stages(config, REFINE)
    assert error.value.args == (rounds,)
