"""`--refine` on a disk that is full, and what a kill leaves of its own files."""

import contextlib
import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import write_flowers, write_splits

from faults.injection import Faults, Killed
from iem_jax.app.config import change, run_config
from iem_jax.app.stages import run_stages
from iem_jax.config import IEMConfig, UsageError
from iem_jax.refine.config import RefineConfig

REFINE = RefineConfig(width=8, depth=1, shrink=2, steps=6, batch_size=4, checkpoint_every=2, ema=0.8)


def comparable(output: Path) -> dict[str, bytes]:
    """All files but checkpoints, whose bytes hold times, and the summaries, which hold seconds."""
    found = {str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith("refine/net/") and path.name != "summary.json"
    }


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = write_flowers(tmp_path_factory.mktemp("flowers") / "set", 9)
    write_splits(root, train=range(4, 10), test=(1, 2, 3))
    return run_config(iem=IEMConfig(size=32, iters=3), dataset_path=str(root), quiet=True)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole") / "out"
    assert run_stages(change(config, output_dir=str(output)), REFINE) == 0
    return comparable(output)


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """An empty folder that may be given a size."""
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(tmp_path / "disk")]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("this user may not mount a small disk")
    except FileNotFoundError:
        pytest.skip("there is no mount")
    yield tmp_path / "disk"
    subprocess.run(["umount", "-l", str(tmp_path / "disk")], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(config, whole, disk, capfd, request):
    sizes = [40, 64, 100, 140, 200, 260, 320, 400, 500] if request.config.getoption("--slow") else [64, 200]
    there = change(config, output_dir=str(disk / "out"))
    failed = 0
    for size in sizes:
        resize(disk, f"{size}k")
        try:
            status = run_stages(there, REFINE)
        except UsageError as error:
            assert "can be" in str(error)  # noqa: PT017
            continue
        _, errors = capfd.readouterr()
        assert "Traceback" not in errors
        if status:
            failed += 1
            assert status == 1
            assert errors.splitlines()[-1].endswith("and the same command goes on from there.")
            assert len(errors.splitlines()) == 1
    assert failed
    resize(disk, "20m")
    assert run_stages(there, REFINE) == 0
    assert comparable(disk / "out") == whole


def test_a_kill_at_any_event_of_the_trainings_own_files(config, whole, tmp_path, request):
    """history.csv and curves.png; orbax looks after the checkpoints."""
    output = tmp_path / "out"
    for at in range(0, 40, 1 if request.config.getoption("--slow") else 19):
        with Faults(output / "refine", "kill", at).injected(), contextlib.suppress(Killed):
            run_stages(change(config, output_dir=str(output)), REFINE)
    (output / "refine/.writing-mine").write_bytes(b"mine")
    (output / "refine/.writing-training-x").write_bytes(b"half")
    assert run_stages(change(config, output_dir=str(output)), REFINE) == 0
    found = comparable(output)
    assert found.pop("refine/.writing-mine") == b"mine"
    assert found == whole


@pytest.mark.slow
def test_the_comparison_is_known_as_the_runs_own(config, tmp_path):
    there = change(config, output_dir=str(tmp_path / "out"))
    assert run_stages(there, REFINE) == 0
    assert (tmp_path / "out/comparison.csv").exists()
    (tmp_path / "out/iem/masks/mine.png").write_bytes(b"mine")
    assert run_stages(change(there, overwrite=True), dataclasses.replace(REFINE, seed=3)) == 0
    assert (tmp_path / "out/iem/masks/mine.png").read_bytes() == b"mine"
    assert json.loads((tmp_path / "out/summary.json").read_text())["refine"]["seed"] == 3
