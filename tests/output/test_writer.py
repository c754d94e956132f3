"""Masks and tables on disk."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import make_mask
from PIL import Image

from iem_jax import UsageError
from iem_jax.output.writer import OutputError, Writer

METRICS = ["name", "status", "inp_error", "accuracy", "iou", "dice", "accuracy_fixed", "iou_fixed", "dice_fixed"]
METRICS += ["confidence"]


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_mask(tmp_path: Path):
    mask = make_mask(0, 12, 15)
    Writer(tmp_path).write_mask("sub/folder/image.1", mask)
    image = Image.open(tmp_path / "masks" / "sub" / "folder" / "image.1.png")
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), np.where(mask, 255, 0))


def test_metrics(tmp_path: Path):
    values = dict(zip(METRICS[2:], np.linspace(0, 1, 8).tolist(), strict=True))
    Writer(tmp_path).write_metrics([{"name": 'a,"b', "status": "ok", **values}, {"name": "c", "status": "failed"}])
    header, first, second = rows(tmp_path / "metrics.csv")
    assert header == METRICS
    assert first[:2] == ['a,"b', "ok"]
    np.testing.assert_allclose([float(field) for field in first[2:]], list(values.values()), atol=1e-6)
    assert second == ["c", "failed"] + [""] * 8


def test_history(tmp_path: Path):
    Writer(tmp_path).write_history([{"iteration": 0, "inp_error": 0.5}])
    assert rows(tmp_path / "history.csv") == [
        ["iteration", "inp_error", "accuracy", "iou", "miou", "dice"],
        ["0", "0.500000", "", "", "", ""],
    ]


def test_summary_is_valid_json(tmp_path: Path):
    Writer(tmp_path).write_summary({"scores": {"iou": float("nan"), "dice": 0.5}, "config": {"sigma": float("inf")}})
    text = (tmp_path / "summary.json").read_text()
    assert "NaN" not in text
    assert json.loads(text) == {"scores": {"iou": None, "dice": 0.5}, "config": {"sigma": None}}


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A write that fails leaves the old file, and nothing else."""
    writer = Writer(tmp_path)
    writer.write_summary({"run": 1})

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OutputError, match="disk full"):
        writer.write_summary({"run": 2})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"run": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_files_are_readable_by_others(tmp_path: Path):
    """As any new file would be, though written through a temporary one."""
    (tmp_path / "plain").write_text("")
    Writer(tmp_path).write_summary({})
    assert (tmp_path / "summary.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_folder_is_made(tmp_path: Path):
    Writer(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_is_removed_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Be it just after it was looked for."""
    writer, real = Writer(tmp_path / "out"), Writer.check_there
    monkeypatch.setattr(Writer, "check_there", lambda self: (real(self), shutil.rmtree(self.folder)))
    with pytest.raises(OutputError, match="out was moved or removed during the run"):
        writer.write_mask("sub/a", make_mask(0, 4, 4))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="`output_dir` must be a folder that can be written"):
        Writer(tmp_path / "file" / "below")
    with pytest.raises(UsageError, match="`output_dir` must be a folder that can be written"):
        Writer(tmp_path / "file")
