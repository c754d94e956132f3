"""run.py as a user runs it: its output, its files, its exit status."""

import csv
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from pictures import write_flowers, write_setid
from PIL import Image

from iem_jax.__main__ import main as entry
from iem_jax.app.command import parse
from iem_jax.app.config import fill_in

ROOT = Path(__file__).parents[2]
SCOPES = ("inpaint", "inpainting_error", "diversity", "gradient", "boundary", "update", "smooth")
LINES = r"""Batch 1/1
(\tIter +\d+: InpError \d\.\d{3} IoU [01]\.\d{3} DICE [01]\.\d{3}
)+IEM finished in \d+\.\d seconds
"""


def command_line(*arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "run.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)


def linked(flowers17: Path, root: Path, number: int) -> Path:
    """flowers17 with the first pictures of its test split only."""
    import scipy.io

    root.mkdir()
    for name in ("jpg", "segmim"):
        (root / name).symlink_to(flowers17 / name)
    write_setid(root, scipy.io.loadmat(flowers17 / "setid.mat")["trnid"].ravel()[:number])
    return root


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_sample_of_photographs(flowers17: Path, golden, tmp_path: Path):
    """The defaults on 10 photographs: the reference's lines, masks and numbers."""
    root, output = linked(flowers17, tmp_path / "set", 10), tmp_path / "out"
    result = command_line(f"--dataset_path={root}", "--sigma=5.0", f"--output_dir={output}", "--platform=cpu")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(LINES, result.stdout)
    lines = result.stdout.splitlines()
    assert len(lines) == 152
    assert lines[1].startswith("\tIter   0: InpError ")
    assert lines[11].startswith("\tIter  10: InpError ")
    assert lines[150].startswith("\tIter 149: InpError ")
    assert "cpu" in result.stderr

    rows = table(output / "metrics.csv")
    assert [row["name"] for row in rows] == [
        f"image_{number:05d}" for number in golden("flowers17_default")["ids"][:10]
    ]
    masks = np.stack([np.asarray(Image.open(output / "masks" / f"{row['name']}.png")) for row in rows])
    assert set(np.unique(masks)) == {0, 255}
    expected = np.unpackbits(golden("flowers17_default")["masks"][:10], axis=-1)
    assert np.mean((masks == 255) == expected) >= 0.9999
    assert len(table(output / "history.csv")) == 150
    summary = json.loads((output / "summary.json").read_text())
    assert "cpu" in summary["device"].lower()
    assert lines[150].split()[5] == f"{summary['scores']['iou']:.3f}"


@pytest.mark.slow
def test_all_photographs(flowers17: Path, golden, tmp_path: Path):
    result = command_line(flowers17, "--output-dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    expected = golden("flowers17_default")["history"]
    for line, (error, _, iou, _, dice) in zip(result.stdout.splitlines()[1:-1], expected, strict=True):
        printed = [float(word) for word in re.findall(r"\d\.\d{3}", line)]
        np.testing.assert_allclose(printed, [error, iou, dice], rtol=0, atol=1.5e-3)


def test_spellings_agree(tmp_path: Path):
    """Ours, the reference's own, and a file of flags."""
    root = write_flowers(tmp_path / "set", 3)
    small = "--size=32", "--iters=3"
    ours = command_line(f"--dataset_path={root}", *small, "--sigma=2.5", "--kernel_size=7", "--scale_factor=2")
    theirs = command_line(root, *small, "--sigma", "2.5", "--kernel-size", "7", "--scale-factor", "2")
    file = command_line(root, *small, "--flagfile=configs/flowers_scale2.flags")
    assert (ours.returncode, theirs.returncode, file.returncode) == (0, 0, 0), (ours, theirs, file)
    printed = [re.sub(r"in [\d.]+ seconds", "", result.stdout) for result in (ours, theirs, file)]
    assert printed[0] == printed[1] == printed[2]


def test_broken_picture(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 4)
    (root / "jpg" / "image_00002.jpg").write_bytes(b"")
    result = command_line(root, "--size=24", "--iters=2", f"--output_dir={tmp_path / 'out'}")
    assert result.returncode == 1
    assert re.search(r"image_00002\.jpg: not a picture", result.stderr)
    assert "Traceback" not in result.stderr
    assert [row["status"] for row in table(tmp_path / "out" / "metrics.csv")] == ["ok", "failed", "ok", "ok"]


def test_demo(tmp_path: Path):
    """Without a data set: photographs that come with scikit-image, and one contact sheet."""
    pytest.importorskip("skimage")
    result = command_line("--iters=3", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    output = tmp_path / "output" / "demo"
    rows = table(output / "metrics.csv")
    assert len(rows) >= 3
    for row in rows:
        assert size_of(output / "masks" / f"{row['name']}.png") == (128, 128)
    sheets = [path for path in output.iterdir() if path.suffix in (".png", ".jpg")]
    assert len(sheets) == 1
    assert size_of(sheets[0])[0] > 128 * len(rows)
    assert len({path.name for path in tmp_path.iterdir()}) == 1


def test_profile_reads_like_the_specification(tmp_path: Path):
    root = write_flowers(tmp_path / "set", 2)
    result = command_line(root, "--size=24", "--iters=2", f"--profile_dir={tmp_path / 'profile'}")
    assert result.returncode == 0, result.stderr
    traces = list((tmp_path / "profile").rglob("*.xplane.pb"))
    assert len(traces) == 1
    trace = traces[0].read_bytes()
    found = [scope for scope in SCOPES if re.search(rb"[/(]" + scope.encode() + rb"[/)]", trace)]
    assert found == list(SCOPES)


def test_help():
    result = command_line("--help")
    assert result.returncode == 0
    for flag in ("dataset_path", "kernel_size", "output_dir", "strict"):
        assert f"--{flag}" in result.stdout or f"--[no]{flag}" in result.stdout


def test_running_from_elsewhere(tmp_path: Path):
    result = command_line("--kernel_size=4", folder=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_all_commands_are_the_same(tmp_path):
    """`python -m iem_jax` from another folder, with a flag file of the package."""
    draw(2).save(tmp_path / "a.png")
    flags = ["--flagfile=configs/fast.flags", "--images=a.png", "--output_dir=out", "--size=32", "--quiet"]
    done = subprocess.run([sys.executable, "-m", "iem_jax", *flags], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "out/summary.json").read_text())["config"]["preset"] == "fast"
    scripts = importlib.metadata.entry_points(group="console_scripts", name="iem-jax")
    assert [script.load() for script in scripts] in ([], [entry])  # not installed, or this


def test_own_pictures_get_fast_unless_the_algorithm_is_set():
    own = ["run.py", "--images=a", "--output_dir=b"]
    for flags, preset in (
        ([], "fast"),
        (["--sigma=5.0"], "paper"),
        (["--size=64"], "fast"),
        (["--preset=best"], "best"),
    ):
        assert fill_in(parse([*own, *flags])[0]).algorithm.preset == preset
    assert fill_in(parse(["run.py", "a"])[0]).algorithm.preset == "paper"
    assert fill_in(parse(["run.py"])[0]).algorithm.preset == "paper"
