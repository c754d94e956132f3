"""Nothing is lost: whatever ends a run, the same command goes on and gives the same bytes."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from drawings import draw, draw_folder, read_tree

from iem_jax.app import pipeline
from iem_jax.app.config import RunConfig, fill_in, run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.app.progress import settings_of
from iem_jax.config import IEMConfig, UsageError
from iem_jax.output.manifest import Manifest
from iem_jax.output.opening import mark_of, open_manifest
from iem_jax.output.queue import WriteQueue
from iem_jax.output.writer import OutputError, Writer

ROOT = Path(__file__).parents[2]
SMALL = IEMConfig(size=32, iters=3)
PRODUCTS = {"cutouts": True, "overlays": True, "panels": True, "figures": True, "report": True}


def settings(folder: Path, output: Path, **changes) -> RunConfig:
    return run_config(**{"iem": SMALL, "images": str(folder), "output_dir": str(output), "batch_size": 5} | changes)


def comparable(folder: Path) -> dict[str, bytes]:
    """Return all files; of summary.json without the seconds, the devices and the folder's own name."""
    tree = read_tree(folder)
    summary = json.loads(tree["summary.json"])
    del summary["seconds"], summary["device"], summary["config"]["output_dir"]
    return tree | {"summary.json": json.dumps(summary).encode()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = draw_folder(tmp_path_factory.mktemp("pictures"), 14)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory) -> dict[str, bytes]:
    """A run that was never interrupted."""
    output = tmp_path_factory.mktemp("whole") / "out"
    assert run_pipeline(settings(pictures, output, **PRODUCTS)) == 1
    return comparable(output)


def test_a_second_run_computes_nothing_and_says_so(tmp_path, capsys, monkeypatch):
    config = settings(draw_folder(tmp_path / "in", 6), tmp_path / "out")
    assert run_pipeline(config) == 0
    out, _ = capsys.readouterr()
    before = comparable(tmp_path / "out")
    monkeypatch.setattr(pipeline, "segment_stream", None)  # would fail
    assert run_pipeline(config) == 0
    again, errors = capsys.readouterr()
    assert "6 pictures were done before; there is no more to do" in errors
    assert out.splitlines()[:-1] == again.splitlines()[:-1]  # the last one has the seconds
    assert before == comparable(tmp_path / "out")


def test_what_changed_is_done_again_and_what_failed_is_tried_again(tmp_path, capsys):
    folder = draw_folder(tmp_path / "in", 4)
    (folder / "broken.jpg").write_bytes(b"no picture")
    config = settings(folder, tmp_path / "out", report=True)
    assert run_pipeline(config) == 1
    draw(7).save(folder / "broken.jpg", quality=95)
    draw(8).save(folder / "00.jpg", quality=95)
    (tmp_path / "out/thumbnails/01.jpg").unlink()
    draw(9).save(folder / "new.jpg", quality=95)
    capsys.readouterr()
    assert run_pipeline(config) == 0
    assert "2 pictures were done before" in capsys.readouterr().err
    assert run_pipeline(settings(folder, tmp_path / "anew", report=True)) == 0
    assert comparable(tmp_path / "out") == comparable(tmp_path / "anew")
    page = (tmp_path / "out/report.html").read_text()
    assert (
        f'data-run="{mark_of(settings_of(fill_in(config)))}"' in page
    )  # by which decisions outlive a page that is made anew


def test_new_products_of_an_old_run(pictures, whole, tmp_path):
    assert run_pipeline(settings(pictures, tmp_path)) == 1
    assert run_pipeline(settings(pictures, tmp_path, **PRODUCTS)) == 1
    assert comparable(tmp_path) == whole


@pytest.mark.parametrize("cut", [0, 3000, -7])
def test_a_manifest_cut_off_anywhere(pictures, whole, tmp_path, cut):
    """As a kill leaves it: tables absent, a line cut off, masks without a record, a half-written file."""
    config = settings(pictures, tmp_path, **PRODUCTS)
    assert run_pipeline(config) == 1
    data = (tmp_path / "manifest.jsonl").read_bytes()
    first = data.index(b"\n") + 1
    (tmp_path / "manifest.jsonl").write_bytes(data[: first + cut] if cut >= 0 else data[:cut])
    for name in ("metrics.csv", "summary.json", "masks/sub/02.png"):
        (tmp_path / name).unlink()
    (tmp_path / f"masks/.writing-{data[8:16].decode()}-abc").write_bytes(b"half")
    assert run_pipeline(config) == 1
    assert comparable(tmp_path) == whole


def command(folder: Path, output: Path) -> list[str]:
    flags = ["--size=32", "--iters=3", "--batch_size=5", *(f"--{name}" for name in PRODUCTS)]
    return [sys.executable, str(ROOT / "run.py"), f"--images={folder}", f"--output_dir={output}", *flags]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_moment(pictures, whole, tmp_path, seed):
    """Kill -9 as soon as a random number of files is there, again and again."""
    choice = random.Random(seed)
    for _ in range(3):
        wanted = len(list(tmp_path.rglob("*.*"))) + choice.randrange(1, 30)
        with subprocess.Popen(command(pictures, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and len(list(tmp_path.rglob("*.*"))) < wanted:
                time.sleep(0.001)
            run.kill()
    assert subprocess.run(command(pictures, tmp_path), capture_output=True).returncode == 1
    assert comparable(tmp_path) == whole


def test_ctrl_c_finishes_what_is_in_flight(tmp_path):
    folder = draw_folder(tmp_path / "in", 200)
    output = tmp_path / "out"
    with subprocess.Popen(command(folder, output), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None and len(list(output.rglob("masks/*.png"))) < 3:
            time.sleep(0.001)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate()
    assert run.returncode == 130
    assert errors.splitlines()[-1].endswith("the same command goes on from there.")
    assert "Traceback" not in errors
    records = [line for line in (output / "manifest.jsonl").read_text().splitlines()[1:] if '"name"' in line]
    masks = {str(path.relative_to(output / "masks"))[:-4] for path in (output / "masks").rglob("*.png")}
    assert {json.loads(record)["name"] for record in records} == masks
    assert 3 <= len(masks) < 200
    assert not list(output.rglob(".writing-*"))


def test_full_disk(pictures, whole, tmp_path, monkeypatch, capsys):
    real, room = Writer._write_whole, [9]

    def write(self, path, save, kept):
        room[0] -= 1
        if room[0] < 0:

            def save_half(file):
                file.write(b"half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            save = save_half
        return real(self, path, save, kept)

    config = settings(pictures, tmp_path, **PRODUCTS)
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_write_whole", write)
        assert run_pipeline(config) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written: No space left on device" in last
    assert not list(tmp_path.rglob(".writing-*"))
    for path, data in read_tree(tmp_path).items():
        is_part = path == "curves.bin" and whole[path].startswith(data)
        assert path == "manifest.jsonl" or is_part or data == whole[path]
    assert run_pipeline(config) == 1
    assert comparable(tmp_path) == whole


def test_other_settings_are_named(tmp_path):
    folder = draw_folder(tmp_path / "in", 2)
    output = tmp_path / "out"
    assert run_pipeline(settings(folder, output)) == 0
    other = IEMConfig(size=32, iters=3, sigma=4.0)
    with pytest.raises(UsageError, match=r"other settings \(sigma 5.0 there, 4.0 here\)"):
        run_pipeline(settings(folder, output, iem=other))
    with pytest.raises(UsageError, match=r"images .* there"):
        run_pipeline(settings(folder / "sub" if (folder / "sub").exists() else folder / "00.jpg", output))
    (output / "masks/mine.txt").write_text("not the tool's")
    assert run_pipeline(settings(folder / "00.jpg", output, iem=other, overwrite=True)) == 0
    left = {str(path.relative_to(output)) for path in output.rglob("*.*") if path.is_file()}
    assert left == {
        *("manifest.jsonl", "curves.bin", "metrics.csv", "history.csv", "summary.json"),
        *("masks/00.png", "masks/mine.txt"),
    }


def test_files_of_unknown_origin_are_not_overwritten(tmp_path):
    folder = draw_folder(tmp_path / "in", 1)
    (folder / "masks").mkdir()
    (folder / "masks/00.png").write_bytes(b"my own work")
    with pytest.raises(UsageError, match=r"holds masks but no manifest.jsonl"):
        run_pipeline(settings(folder, folder))
    assert (folder / "masks/00.png").read_bytes() == b"my own work"


def test_damaged_manifest(tmp_path):
    folder = draw_folder(tmp_path / "in", 1)
    config = settings(folder, tmp_path / "out")
    assert run_pipeline(config) == 0
    (tmp_path / "out/manifest.jsonl").write_text("[1]\nnot json\n")
    with pytest.raises(UsageError, match="is damaged"):
        run_pipeline(config)


def test_records_after_a_line_that_was_cut_off_count(tmp_path):
    """As after two kills."""
    writer, names = Writer(tmp_path), ["a", "b", "c"]

    def known(manifest: Manifest) -> list[str]:
        return [found[0]["name"] for number in range(3) if (found := manifest[number]) is not None]

    with open_manifest(writer, {"sigma": 5.0}, names) as manifest:
        manifest.add([0], [{"name": "a"}], [None])
    with open(tmp_path / "manifest.jsonl", "ab") as file:
        file.write(b'{"crc":"00000000","name": "b", "sta')
    with open_manifest(writer, {"sigma": 5.0}, names) as manifest:
        assert known(manifest) == ["a"]
        manifest.add([2], [{"name": "c"}], [None])
    with open_manifest(writer, {"sigma": 5.0}, names) as manifest:
        assert known(manifest) == ["a", "c"]


def test_two_runs_in_one_folder(tmp_path):
    writer = Writer(tmp_path)
    with (
        open_manifest(writer, {}),
        pytest.raises(UsageError, match="by another run"),
        open_manifest(writer, {}),
    ):
        pass


@pytest.mark.parametrize("name", ["../out2/a", "/etc/a", "masks/../../a", "link/a", "link/deep/a"])
def test_nothing_is_written_outside(tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")
    writer = Writer(tmp_path / "out")
    with pytest.raises(OutputError, match="outside of"):
        writer.write_text(f"{name}.csv", ["x"])
    assert not list((tmp_path / "elsewhere").iterdir())


def test_data_sets_go_on_too(tmp_path):
    (tmp_path / "flowers/jpg").mkdir(parents=True)
    (tmp_path / "flowers/segmim").mkdir()
    for number in range(1, 9):
        draw(number).save(tmp_path / f"flowers/jpg/image_{number:05d}.jpg")
        draw(number).save(tmp_path / f"flowers/segmim/segmim_{number:05d}.jpg")
    scipy.io.savemat(tmp_path / "flowers/setid.mat", {"trnid": np.arange(1, 9, dtype=np.uint16)[None]})
    outputs = [tmp_path / "whole", tmp_path / "resumed"]
    configs = [run_config(iem=SMALL, dataset_path=str(tmp_path / "flowers"), output_dir=str(out)) for out in outputs]
    assert run_pipeline(configs[0]) == 0
    assert run_pipeline(configs[1]) == 0
    lines = (outputs[1] / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (outputs[1] / "manifest.jsonl").write_bytes(b"".join(lines[:4]))
    (outputs[1] / "metrics.csv").unlink()
    assert run_pipeline(configs[1]) == 0
    assert comparable(outputs[0]) == comparable(outputs[1])
    assert ",0." in (outputs[1] / "metrics.csv").read_text()  # there are scores


def test_queue_reports_in_order_and_raises():
    done = []
    with WriteQueue(done.extend, ahead=3) as queue:
        for number in range(20):
            queue.submit(lambda number=number: time.sleep(0.002 * (number % 3)) or number)
        queue.wait()
        assert done == list(range(20))
        queue.submit(lambda: 20)
    assert done == list(range(21))
    jobs = [lambda: 21, _fail]
    with pytest.raises(OutputError, match="full"), WriteQueue(done.extend) as queue:
        list(map(queue.submit, jobs))
    assert done == list(range(22))  # what was finished before counts


def _fail() -> None:
    raise OutputError("full")
