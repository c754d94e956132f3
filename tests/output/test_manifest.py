"""The manifest: damage costs the picture that it strikes, and nothing but what was written is ever removed."""

import json
import os
import random
import shutil
import zlib
from pathlib import Path

import pytest
from drawings import draw_folder, read_tree

from iem_jax.app.config import RunConfig, run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.config import IEMConfig, UsageError
from iem_jax.output.lines import decode_line
from iem_jax.output.writer import Writer

SMALL = IEMConfig(size=32, iters=2)


def settings(folder: Path, output: Path, **changes) -> RunConfig:
    named = {"iem": SMALL, "images": str(folder), "output_dir": str(output), "quiet": True}
    return run_config(**named | changes)


def comparable(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in read_tree(folder).items() if name != "summary.json"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("pictures"), 6)


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole") / "out"
    assert run_pipeline(settings(pictures, output)) == 0
    return comparable(output)


@pytest.fixture
def output(whole, tmp_path) -> Path:
    """A copy of a finished run."""
    for name, data in whole.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(data)
    return tmp_path / "out"


def forge(record: object) -> bytes:
    """A line whose checksum is right, whatever stands in it."""
    body = json.dumps(record).encode()
    return b'{"crc":"%08x",' % zlib.crc32(body) + body[1:] + b"\n"


def test_any_flipped_bit_costs_one_picture_at_most(pictures, output, whole, capsys):
    choice = random.Random(0)
    data = whole["manifest.jsonl"]
    head = data.index(b"\n") + 1
    for _ in range(12):
        damaged = bytearray(data)
        damaged[choice.randrange(head, len(data))] ^= 1 << choice.randrange(8)
        (output / "manifest.jsonl").write_bytes(damaged)
        assert run_pipeline(settings(pictures, output, quiet=False)) == 0
        assert capsys.readouterr().err.splitlines()[1][:1] in "456"  # of 6 pictures; a lost line end costs two
        assert comparable(output) == whole


@pytest.mark.parametrize("name", ["curves.bin", "masks/00.png"])
def test_damage_of_what_a_record_names(pictures, output, whole, name, capsys):
    for damage in (lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1])):
        (output / name).write_bytes(damage(whole[name]))
        assert run_pipeline(settings(pictures, output)) == 0
        assert comparable(output) == whole
    (output / name).unlink()
    assert run_pipeline(settings(pictures, output)) == 0
    assert comparable(output) == whole


HUGE = 10**400
FORGED = [
    {"name": None},
    {"name": "00"},
    {"name": "00", "status": []},
    {"name": "00", "status": "ok", "curve": 5},
    {"name": "00", "status": "ok", "curve": "zz", "iterations": 2},
    {"name": "00", "status": "ok", "curve": "f" * 40, "iterations": HUGE},
    {"name": "00", "status": "ok", "curve": "ff", "iterations": -1},
    {"name": "00", "status": "ok", "files": {"masks": [HUGE, {}]}},
    {"name": "00", "status": "ok", "files": {"../../x": [1, 2], "masks": 7}, "source": {}},
    {"tables": 5},
    {"tables": [5, None]},
    [1],
]


@pytest.mark.parametrize("record", FORGED)
def test_forged_lines_cost_their_own_picture(pictures, output, whole, record):
    with (output / "manifest.jsonl").open("ab") as file:
        file.write(forge(record) if isinstance(record, dict) else b"[1]\n")
    assert run_pipeline(settings(pictures, output)) == 0
    assert comparable(output) == whole


@pytest.mark.parametrize("changes", [{"truth_area": "x"}, {"confidence": "x"}, {"status": "x"}, {"pixels": HUGE}])
def test_forged_fields_of_a_true_record(pictures, output, whole, changes):
    lines = whole["manifest.jsonl"].splitlines(keepends=True)
    record = decode_line(lines[1])
    (output / "manifest.jsonl").write_bytes(b"".join([lines[0], forge(record | changes), *lines[2:]]))
    assert run_pipeline(settings(pictures, output)) == 0
    assert comparable(output) == whole


def test_names_with_the_same_checksum(pictures, tmp_path, monkeypatch, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in "ab":  # the same picture, so that only the name tells them apart
        shutil.copy2(min(pictures.iterdir()), folder / f"{name}.png")
    assert run_pipeline(settings(folder, output)) == 0
    before = comparable(output)
    monkeypatch.setattr("iem_jax.output.manifest._key", lambda name: 7)
    assert run_pipeline(settings(folder, output, quiet=False)) == 0
    assert "1 pictures were done before" in capsys.readouterr().err
    assert comparable(output) == before


@pytest.mark.parametrize(
    "data",
    [
        b"[1]\nnot json\n",
        b"\n",
        b"\xff" * 100_000,
        b"[" * 100_000 + b"\n",
        b'{"iem_jax": "0.1.0", "sigma": 5.0}\n{"name": "a", "status": "ok"}\n',
        forge({"format": 99}),
        forge({"format": [[]]}),
    ],
)
def test_heads_that_are_none_are_one_sentence(pictures, output, whole, data):
    (output / "manifest.jsonl").write_bytes(data)
    with pytest.raises(UsageError, match="is damaged, or of another version"):
        run_pipeline(settings(pictures, output))
    assert (output / "manifest.jsonl").read_bytes() == data
    assert read_tree(output).keys() == whole.keys()


def test_what_is_no_file(pictures, output):
    path = output / "manifest.jsonl"
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(output / "metrics.csv")):
        path.unlink(missing_ok=True) if not path.is_dir() else path.rmdir()
        make()
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="must be a file, it is something else"):
                run_pipeline(settings(pictures, output, overwrite=overwrite))


def test_what_may_not_be_read_or_written(pictures, output, monkeypatch):
    """Root may do all, so that the system's answer is made up."""
    path, real_open, real_os_open = output / "manifest.jsonl", Path.open, os.open

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *a, **k: refuse(self) if self == path else real_open(self, *a, **k))
        with pytest.raises(UsageError, match=r"can be read and written \(Permission denied\)"):
            run_pipeline(settings(pictures, output))
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda p, *a, **k: refuse(p) if p == path else real_os_open(p, *a, **k))
        with pytest.raises(UsageError, match=r"can be read and written \(Permission denied\)"):
            run_pipeline(settings(pictures, output))


def test_a_manifest_that_was_begun_and_no_more(pictures, output, whole, tmp_path):
    for length in (0, 3, 20):
        fresh = tmp_path / f"{length}"
        fresh.mkdir()
        (fresh / "manifest.jsonl").write_bytes(whole["manifest.jsonl"][:length])
        assert run_pipeline(settings(pictures, fresh)) == 0
        assert comparable(fresh) == whole


# What is removed


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["masks", "masks/sub"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_behind_a_link_is_touched(pictures, output, tmp_path, place, overwrite):
    """The pictures' names, an empty folder and half-written files, all of them somebody else's."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "empty").mkdir(parents=True)
    (elsewhere / "sub/empty").mkdir(parents=True)
    mark = (output / "manifest.jsonl").read_bytes()[8:16].decode()
    for name in ("00.png", "02.jpg", "sub/02.png", ".writing-other", f".writing-{mark}-x", f"sub/.writing-{mark}-x"):
        (elsewhere / name).write_bytes(b"mine")
    for path in sorted((output / place).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (output / place).rmdir()
    (output / place).symlink_to(elsewhere)
    before = snapshot(elsewhere)
    config = settings(pictures, output, overwrite=overwrite)
    if place == "masks":
        with pytest.raises(UsageError, match="masks leads out of it"):
            run_pipeline(config)
    else:
        assert run_pipeline(config) == 1  # when the first file is to be written there
    assert snapshot(elsewhere) == before
    assert (elsewhere / "empty").is_dir()
    assert (elsewhere / "sub/empty").is_dir()


def test_overwrite_leaves_what_it_did_not_write(pictures, output):
    mine = {
        **{"masks/mine.png": b"1", "overlays/00.jpg": b"2", "report.html": b"3", ".writing-mine": b"4"},
        **{"masks/.writing-x": b"5", "masks/sub/empty/keep": b"6", "comparison.csv": b"7"},
    }
    for name, data in mine.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(data)
    (output / "masks/nothing").mkdir()
    (output / "masks/00.png").write_bytes(b"painted by hand")
    assert run_pipeline(settings(pictures / "03.jpg", output, overwrite=True)) == 0
    found = read_tree(output)
    assert mine.items() <= found.items()
    assert found["masks/00.png"] == b"painted by hand"
    assert (output / "masks/nothing").is_dir()
    ours = {"manifest.jsonl", "curves.bin", "metrics.csv", "history.csv", "summary.json", "masks/03.png"}
    assert set(found) == {*mine, *ours, "masks/00.png"}


def test_overwrite_of_a_damaged_manifest_removes_what_it_still_names(pictures, output, whole):
    lines = whole["manifest.jsonl"].splitlines(keepends=True)
    (output / "manifest.jsonl").write_bytes(b"".join([b"damaged\n", lines[1], b"damaged\n", *lines[3:]]))
    assert run_pipeline(settings(pictures / "01.jpg", output, overwrite=True)) == 0
    left = {name for name in read_tree(output) if name.startswith("masks")}
    assert left == {"masks/01.png", f"masks/{decode_line(lines[2])['name']}.png"}


def test_overwrite_of_an_older_version(pictures, output, whole):
    """Whose lines had no checksums, and did not say which files there are."""
    old = [{"iem_jax": "0.1.0", "sigma": 5.0}, *({"name": f"0{n}", "status": "ok"} for n in range(6))]
    (output / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    assert run_pipeline(settings(pictures / "01.jpg", output, overwrite=True)) == 0
    assert {name for name in read_tree(output) if name.startswith("masks")} == {
        *("masks/01.png", "masks/sub/02.png", "masks/sub/05.png")  # which that manifest does not name
    }


def test_overwrite_without_a_manifest_is_an_error(pictures, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/00.png").write_bytes(b"my own work")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"holds masks but no manifest.jsonl"):
            run_pipeline(settings(pictures, tmp_path, overwrite=overwrite))
    assert read_tree(tmp_path) == {"masks/00.png": b"my own work"}


def test_half_written_files_of_other_settings_are_no_business_of_this_run(pictures, output, whole):
    (output / "masks/.writing-00000000-x").write_bytes(b"another run's")
    mark = whole["manifest.jsonl"][8:16].decode()
    (output / f"masks/sub/.writing-{mark}-x").write_bytes(b"ours")
    assert run_pipeline(settings(pictures, output)) == 0
    assert [path.name for path in output.rglob(".writing-*")] == [".writing-00000000-x"]


# What happens during the run


@pytest.mark.parametrize("name", ["masks", "."])
@pytest.mark.parametrize("moved", [True, False])
def test_a_folder_that_goes_away_is_said(pictures, tmp_path, name, moved, capsys, monkeypatch):
    output = tmp_path / "out"
    real, seen = Writer.write_history, []

    def move(self, rows):
        if moved:
            os.replace(output / name, tmp_path / "elsewhere")
        else:
            for path in sorted((output / name).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            (output / name).rmdir()
        seen.append(1)
        real(self, rows)

    monkeypatch.setattr(Writer, "write_metrics", lambda self, rows: (move(self, []), list(rows)))
    assert run_pipeline(settings(pictures, output)) == 1
    assert "moved or removed during the run" in capsys.readouterr().err
    monkeypatch.undo()
    assert seen == [1]
    assert run_pipeline(settings(pictures, output)) == 0


def remove_on_the_way(path: Path, monkeypatch) -> None:
    """Remove a file when its first picture is written."""
    real = Writer.write_mask
    monkeypatch.setattr(Writer, "write_mask", lambda *args: (real(*args), path.unlink(missing_ok=True))[0])


@pytest.mark.parametrize("name", ["manifest.jsonl", "curves.bin"])
def test_a_file_of_records_that_goes_away_is_said(pictures, tmp_path, name, capsys, monkeypatch):
    remove_on_the_way(tmp_path / "out" / name, monkeypatch)
    assert run_pipeline(settings(pictures, tmp_path / "out")) == 1
    assert f"{name} cannot be written: it was moved or removed during the run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["manifest.jsonl", "curves.bin"])
def test_a_file_of_records_that_goes_away_after_all_is_done_is_written_anew(pictures, output, whole, name, monkeypatch):
    real = Writer.write_metrics
    monkeypatch.setattr(Writer, "write_metrics", lambda *args: (real(*args), (output / name).unlink()))
    assert run_pipeline(settings(pictures, output)) == 0
    assert comparable(output) == whole


def test_a_record_is_short_and_says_what_was_written(output, whole):
    lines = whole["manifest.jsonl"].splitlines(keepends=True)[1:-1]
    assert len(lines) == 6
    for line in lines:
        record = decode_line(line)
        assert len(line) <= 400
        size, crc = record["files"]["masks"]
        data = whole[f"masks/{record['name']}.png"]
        assert (size, crc) == (len(data), zlib.crc32(data))
