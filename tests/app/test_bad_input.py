"""Every wrong usage: one sentence on standard error, exit status 2, before any computation."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from pictures import write_flowers

import run

ROOT = Path(__file__).parents[2]

# Arguments beside a data set that is good, and what the sentence must name.
SETTINGS = [
    (["--kernel_size=10"], ["kernel_size", "odd", "10"]),
    (["--kernel-size", "10"], ["kernel_size", "odd", "10"]),
    *[
        ([f"--{name}=0"], [name, "0"])
        for name in ("kernel_size", "reps", "iters", "size", "batch_size", "scale_factor")
    ],
    *[
        ([f"--{name}=-3"], [name, "-3"])
        for name in ("kernel_size", "reps", "iters", "size", "batch_size", "scale_factor")
    ],
    (["--iters=1.5"], ["iters", "1.5"]),
    (["--iters=many"], ["iters", "many"]),
    (["--size=33", "--scale_factor=2"], ["size", "scale_factor", "33", "2"]),
    (["--sigma=0"], ["sigma", "0"]),
    (["--sigma=-1"], ["sigma", "-1"]),
    (["--sigma=nan"], ["sigma", "nan"]),
    (["--sigma=inf"], ["sigma", "inf"]),
    (["--sigma=wide"], ["sigma", "wide"]),
    (["--sigma"], ["sigma"]),
    (["--lmbda=-0.001"], ["lmbda", "-0.001"]),
    (["--lmbda=nan"], ["lmbda", "nan"]),
    (["--split=trainval"], ["split", "trainval", "train", "val", "test"]),
    (["--dataset=roses"], ["dataset", "roses", "flowers"]),
    (["--platform=gpu"], ["platform", "gpu", "cpu"]),
    (["--platform=abacus"], ["platform", "abacus", "cpu"]),
    (["--kernal_size=7"], ["kernal_size", "kernel_size"]),
    (["--kernal-size", "7"], ["kernal_size", "kernel_size"]),
    (["--scale_facto=2"], ["scale_facto", "scale_factor"]),
    (["--flagfile=nowhere.flags"], ["nowhere.flags"]),
    (["another_folder"], ["another_folder"]),
    *[
        (["--refine", f"--refine_{setting}"], [f"refine_{setting.split('=')[0]}", setting.split("=")[1]])
        for setting in (
            *("width=6", "depth=0", "shrink=-1", "steps=0", "steps=1.5", "batch_size=0", "polish=-1", "dtype=int8"),
            *("learning_rate=0", "learning_rate=nan", "warmup=1", "ema=1", "crop_scale=0", "seed=-1"),
        )
    ],
    (["--refine", "--size=30"], ["size", "4", "30"]),
    (["--refine", "--refine_shrink=3"], ["size", "refine_shrink", "12", "128"]),
    (["--refine", "--refine_checkpoint=folder"], ["refine", "refine_checkpoint"]),
    (["--refine"], ["at least 2 pictures", "1"]),
    (["--refine_steps=7"], ["refine_steps", "refine", "7"]),
    (["--refine-width", "8"], ["refine_width", "refine", "8"]),
    (["--refine_checkpoint=nowhere"], ["refine_checkpoint", "nowhere"]),
    (["--refine_checkpoint=nowhere", "--preset=best"], ["refine_checkpoint", "preset", "best"]),
    (["--refine_checkpoint=nowhere", "--sigma=2.0"], ["refine_checkpoint", "sigma", "2.0"]),
]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flowers(tmp_path_factory.mktemp("bad") / "set", 2)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], compilations: list[str]) -> Callable[..., str]:
    """Run, check that it is refused as it should be, and return the sentence."""

    def call(*arguments: object) -> str:
        status = run.main(["run.py", *map(str, arguments)])
        printed = capsys.readouterr()
        assert status == 2
        assert printed.out == ""
        assert printed.err.endswith("\n")
        assert printed.err.count("\n") == 1
        assert compilations == []
        return printed.err

    return call


@pytest.mark.parametrize(("arguments", "words"), SETTINGS, ids=lambda value: " ".join(value))
def test_settings(arguments: list[str], words: list[str], data_set: Path, refused: Callable[..., str], tmp_path: Path):
    sentence = refused(data_set, f"--output_dir={tmp_path / 'out'}", *arguments)
    for word in words:
        assert word in sentence
    assert list(tmp_path.iterdir()) == []


def test_no_such_folder(refused: Callable[..., str], tmp_path: Path):
    sentence = refused(tmp_path / "nothing")
    assert "`dataset_path`" in sentence
    assert "nothing" in sentence


def test_no_setid(refused: Callable[..., str], tmp_path: Path):
    assert "setid.mat" in refused(tmp_path)


def test_setid_without_the_split(refused: Callable[..., str], tmp_path: Path):
    scipy.io.savemat(tmp_path / "setid.mat", {"valid": np.array([[1]], np.uint16)})
    sentence = refused(tmp_path)
    assert "trnid" in sentence
    assert "setid.mat" in sentence


@pytest.mark.parametrize("content", [b"", b"two\nlines\n", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_setid_is_no_mat_file(content: bytes, refused: Callable[..., str], tmp_path: Path):
    (tmp_path / "setid.mat").write_bytes(content)
    assert "setid.mat" in refused(tmp_path)


@pytest.mark.parametrize("flag", ["output_dir", "profile_dir"])
def test_folder_that_cannot_be_written(flag: str, data_set: Path, refused: Callable[..., str], tmp_path: Path):
    """Below a regular file, where not even root can write."""
    (tmp_path / "file").write_text("")
    assert flag in refused(data_set, f"--{flag}={tmp_path / 'file' / 'out'}", "--size=16", "--iters=1")


@pytest.mark.parametrize("arguments", [["--kernel_size=10"], ["--kernal_size=7"], ["--platform=gpu"], ["--sigma=x"]])
def test_in_a_process_of_its_own(arguments: list[str], data_set: Path):
    command = [sys.executable, "run.py", str(data_set), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert arguments[0][2:].split("=")[0] in result.stderr
