"""Whole runs in this process, on small data sets made for them."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import reference
from pictures import to_uint8, write_flowers, write_setid
from PIL import Image

from iem_jax import IEMConfig, UsageError, segment
from iem_jax.app.config import change, run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.data.flowers import list_flowers
from iem_jax.data.loader import load_samples

SMALL = IEMConfig(size=24, sigma=3.0, kernel_size=7, iters=6)
ROOT = Path(__file__).parents[2]


def run(root: Path, output: Path, status: int = 0, **settings: object) -> None:
    config = run_config(iem=SMALL, dataset_path=str(root), output_dir=str(output))
    assert run_pipeline(change(config, **settings)) == status


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the summary, which holds times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "summary.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_files_hold_what_segment_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = write_flowers(tmp_path / "set", 11)
    run(root, tmp_path / "out")
    loaded = list(load_samples(list_flowers(root, "test"), SMALL.size))
    truths = np.stack([item.ground_truth for item in loaded])
    result = segment(np.stack([item.image for item in loaded]), SMALL, ground_truths=truths)
    masks = np.asarray(result.mask)

    rows = table(tmp_path / "out" / "metrics.csv")
    assert [row["name"] for row in rows] == [f"image_{n:05d}" for n in range(1, 12)]
    for row, mask, truth, errors in zip(rows, masks, truths, result.info.inp_error, strict=True):
        written = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{row['name']}.png"))
        np.testing.assert_array_equal(written, np.where(mask, 255, 0))
        expected = reference.scores(mask, truth) | {"inp_error": float(errors[-1])}
        for key in (key for key in row if key not in ("name", "status", "confidence")):
            np.testing.assert_allclose(float(row[key]), expected[key], atol=2e-6)

    history = table(tmp_path / "out" / "history.csv")
    assert [int(row["iteration"]) for row in history] == list(range(6))
    np.testing.assert_allclose(
        [float(row["inp_error"]) for row in history], np.mean(result.info.inp_error, axis=0), atol=2e-6
    )
    scores = [reference.scores(mask, truth) for mask, truth in zip(masks, truths, strict=True)]
    for key in ("accuracy", "iou", "miou", "dice"):
        np.testing.assert_allclose(float(history[-1][key]), np.mean([score[key] for score in scores]), atol=2e-6)
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("\tIter")][-1]
    expected_line = "\tIter   5: InpError {inp_error:.3f} IoU {iou:.3f} DICE {dice:.3f}"
    assert last == expected_line.format(**{key: float(value) for key, value in history[-1].items()})

    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(summary["seconds"]) == {"import", "load", "compile", "compute", "write", "total"}
    assert summary["counts"]["ok"] + summary["counts"]["uncertain"] == 11
    assert summary["config"]["kernel_size"] == 7
    assert summary["versions"]["jax"] == jax.__version__
    assert "cpu" in summary["device"].lower()
    np.testing.assert_allclose(summary["scores"]["iou"], float(history[-1]["iou"]), atol=2e-6)


def test_batch_size_changes_only_the_printed_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = write_flowers(tmp_path / "set", 96)
    for size in (1, 7, 96):
        run(root, tmp_path / f"out{size}", batch_size=size)
        headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Batch")]
        number = -(-96 // size)
        assert headings == [f"Batch {index + 1}/{number}" for index in range(number)]
    assert len(contents(tmp_path / "out96")) == 100  # masks, tables, manifest, curves
    assert contents(tmp_path / "out1") == contents(tmp_path / "out96")
    assert contents(tmp_path / "out7") == contents(tmp_path / "out96")


def test_order_changes_only_the_order_of_rows(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 21)
    run(root, tmp_path / "forward")
    write_setid(root, list(np.random.default_rng(0).permutation(21) + 1))
    run(root, tmp_path / "shuffled")
    forward, shuffled = contents(tmp_path / "forward"), contents(tmp_path / "shuffled")
    assert [name for name in forward if forward[name] != shuffled[name]] in (
        ["curves.bin", "manifest.jsonl", "metrics.csv"],
        ["curves.bin", "history.csv", "manifest.jsonl", "metrics.csv"],
    )
    assert sorted(forward["metrics.csv"].splitlines()) == sorted(shuffled["metrics.csv"].splitlines())


def test_trouble_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Broken pictures, broken and missing masks, a uniform picture, an empty ground truth."""
    root = write_flowers(tmp_path / "set", 12)
    run(root, tmp_path / "whole")
    pictures, masks = root / "jpg", root / "segmim"
    content = (pictures / "image_00003.jpg").read_bytes()
    (pictures / "image_00003.jpg").write_bytes(content[: len(content) // 2])
    (pictures / "image_00004.jpg").write_bytes(b"")
    (pictures / "image_00005.jpg").unlink()
    (pictures / "image_00006.jpg").write_text("not a picture")
    (masks / "segmim_00007.jpg").write_bytes(b"")
    (masks / "segmim_00008.jpg").unlink()
    Image.new("RGB", (40, 32), (9, 99, 200)).save(pictures / "image_00009.jpg")
    Image.new("RGB", (40, 32), (0, 0, 254)).save(masks / "segmim_00010.jpg", quality=100, subsampling=0)
    capsys.readouterr()
    run(root, tmp_path / "out", status=1)
    printed = capsys.readouterr()

    rows = {int(row["name"][-5:]): row for row in table(tmp_path / "out" / "metrics.csv")}
    whole = {int(row["name"][-5:]): row for row in table(tmp_path / "whole" / "metrics.csv")}
    assert {n for n, row in rows.items() if row["status"] == "failed"} == {3, 4, 5, 6}
    assert {n for n, row in rows.items() if row["status"] == "uniform"} == {9}
    assert {n for n, row in rows.items() if row["inp_error"] == ""} == {3, 4, 5, 6}
    assert {n for n, row in rows.items() if row["iou"] in ("", "nan")} == {3, 4, 5, 6, 7, 8, 10}
    assert all(rows[n] == whole[n] for n in (1, 2, 11, 12))
    assert {path.stem for path in (tmp_path / "out" / "masks").iterdir()} == {
        f"image_{n:05d}" for n in (1, 2, 7, 8, 9, 10, 11, 12)
    }
    for n in (7, 8, 10):  # without scores, segmented all the same
        name = f"masks/image_{n:05d}.png"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    for n in (3, 4, 5, 6, 7):  # listed with the reason, on standard error
        name = "image" if n < 7 else "segmim"
        assert re.search(rf"(image|{name})_{n:05d}.*: .+", printed.err)
    assert "image_00003" not in printed.out
    valid = [rows[n] for n in (1, 2, 11, 12)]
    history = table(tmp_path / "out" / "history.csv")
    np.testing.assert_allclose(float(history[-1]["iou"]), np.mean([float(row["iou"]) for row in valid]), atol=2e-6)
    text = (tmp_path / "out" / "summary.json").read_text()
    counts = json.loads(text)["counts"]
    assert (counts["ok"] + counts["uncertain"], counts["failed"], counts["uniform"]) == (7, 4, 1)
    assert "NaN" not in text


def test_no_readable_picture_at_all(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 3)
    for path in (root / "jpg").iterdir():
        path.write_bytes(b"")
    run(root, tmp_path / "out", status=1)
    assert [row["status"] for row in table(tmp_path / "out" / "metrics.csv")] == ["failed"] * 3


def test_no_ground_truth_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = write_flowers(tmp_path / "set", 3)
    for path in (root / "segmim").iterdir():
        path.unlink()
    run(root, tmp_path / "out")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("\tIter")]
    assert all(re.fullmatch(r"\tIter +\d+: InpError \d\.\d{3}", line) for line in lines)
    assert {row["iou"] for row in table(tmp_path / "out" / "metrics.csv")} == {""}


def test_strict_stops_at_the_first(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 20)
    (root / "jpg" / "image_00011.jpg").write_bytes(b"")
    run(root, tmp_path / "out", status=1, strict=True)
    rows = table(tmp_path / "out" / "metrics.csv")
    assert [row["status"] == "failed" for row in rows] == [False] * 10 + [True]


def test_one_compilation(tmp_path: Path, compilations: list[str]):
    """A last chunk and a last batch that are smaller, and pictures that fail, compile nothing more."""
    root = write_flowers(tmp_path / "set", 19)
    write_setid(root, range(1, 9))
    jax.clear_caches()
    run(root, tmp_path / "first")
    first = len(compilations)
    assert first >= 1
    compilations.clear()
    jax.clear_caches()
    write_setid(root, range(1, 20))
    (root / "jpg" / "image_00003.jpg").write_bytes(b"")
    run(root, tmp_path / "second", status=1, batch_size=7)
    assert len(compilations) == first == 2, compilations  # the algorithm, and the judgement of its masks


def test_nothing_is_written_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_flowers(tmp_path / "set", 2)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run_pipeline(run_config(iem=SMALL, dataset_path=str(root))) == 0
    assert list((tmp_path / "here").iterdir()) == []


def test_unknown_platform_names_what_exists(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 2)
    with pytest.raises(UsageError, match=r"`platform` .*cpu.*'gpu'"):
        run_pipeline(run_config(iem=SMALL, dataset_path=str(root), platform="gpu"))


MEASURE = """
import sys
from iem_jax.app.config import change, run_config
from iem_jax.config import IEMConfig
from iem_jax.app.pipeline import run_pipeline

config = run_config(iem=IEMConfig(iters=1), dataset_path=sys.argv[1], output_dir=sys.argv[2])
assert run_pipeline(config) == 0
status = open("/proc/self/status").read()
print("PEAK", status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_data_set(tmp_path: Path):
    """960 pictures (repeated) at the default batch_size need no more than 96 beside rows and masks: 25 MB at most."""
    root = write_flowers(tmp_path / "set", 12, size=128)
    peaks = []
    for number in (96, 960):
        write_setid(root, [index % 12 + 1 for index in range(number)])
        command = [sys.executable, "-c", MEASURE, str(root), str(tmp_path / "out")]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(int(result.stdout.split("PEAK")[1]) / 1000)
    assert peaks[1] - peaks[0] < 25, peaks


def test_uint8_mask_files_are_small(tmp_path: Path):
    """8 bit, one channel."""
    run(write_flowers(tmp_path / "set", 1), tmp_path / "out")
    image = Image.open(tmp_path / "out" / "masks" / "image_00001.png")
    assert image.mode == "L"
    assert set(np.unique(to_uint8(np.asarray(image) / 127.5 - 1))) <= {0, 255}
