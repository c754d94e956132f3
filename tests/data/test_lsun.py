"""LSUN Car: a real database, what may be wrong with one, and a folder of exported pictures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import encoded, picture, save, truth, write_lmdb

from iem_jax import UsageError
from iem_jax.data.cache import DecodedCache
from iem_jax.data.loader import load_cached, load_sample, load_samples
from iem_jax.data.lsun import list_lsun_car

lmdb = pytest.importorskip("lmdb")
KEYS = tuple(f"{number:040x}" for number in (11, 12, 13))


@pytest.mark.parametrize("place", [".", "car", "car/data.mdb"])
def test_database(tmp_path: Path, place: str):
    """Found from above, as a folder and as a file; pictures are read when they are wanted, by threads."""
    write_lmdb(tmp_path / "car", KEYS)
    save(truth(2), tmp_path / "masks" / f"{KEYS[1]}.png")
    found = list_lsun_car(tmp_path / place, str(tmp_path / "masks"))
    assert [sample.name for sample in found] == list(KEYS)
    loaded = list(load_samples(found, 32))
    for seed, item in enumerate(loaded, 1):
        np.testing.assert_array_equal(item.image, np.asarray(picture(seed))[:, 4:36])
    assert [item.ground_truth is None for item in loaded] == [True, False, True]
    np.testing.assert_array_equal(loaded[1].ground_truth, np.asarray(truth(2))[:, 4:36] > 127)
    assert str(found[0].image_path) == f"{tmp_path / 'car' / 'data.mdb'}/{KEYS[0]}"
    assert os.stat(found[0].image_path).st_size == (tmp_path / "car" / "data.mdb").stat().st_size


def test_limit_and_cache(tmp_path: Path):
    folder = write_lmdb(tmp_path / "car", KEYS)
    found = list_lsun_car(folder, limit=2)
    assert [sample.name for sample in found] == list(KEYS[:2])
    (tmp_path / "cache").mkdir()
    cache = DecodedCache(tmp_path / "cache", 32, None)
    first = [load_cached(sample, 32, None, cache).image for sample in found]
    again = [load_cached(sample, 32, None, cache).image for sample in found]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])  # each has an entry of its own


def test_records_that_are_no_pictures(tmp_path: Path):
    extra = {b"\xff\x00": encoded(4), b"../up": encoded(5), b"empty": b"", b"text": b"no picture at all"}
    found = list_lsun_car(write_lmdb(tmp_path / "car", KEYS[:1], extra))
    assert [sample.name for sample in found] == ["up", KEYS[0], "empty", "text", "\\xff\\x00"]
    problems = [load_sample(sample, 16).problem for sample in found]
    assert [bool(problem) for problem in problems] == [False, False, True, True, False]
    assert problems[3] == "not a picture, or of an unknown kind"


def test_a_database_that_is_locked_or_cannot_be_written(tmp_path: Path):
    folder = write_lmdb(tmp_path / "car", KEYS)
    (folder / "lock.mdb").unlink()
    (folder / "data.mdb").chmod(0o444)
    folder.chmod(0o555)
    try:
        assert len(list_lsun_car(folder)) == 3
        assert load_sample(list_lsun_car(folder)[0], 16).problem == ""
        assert os.listdir(folder) == ["data.mdb"]
    finally:
        folder.chmod(0o755)
        (folder / "data.mdb").chmod(0o644)
    code = f"import lmdb; t = lmdb.open({str(folder)!r}).begin(write=True); print('locked', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"locked\n"
        assert len(list_lsun_car(folder)) == 3
        writing.communicate(b"\n")


@pytest.mark.parametrize("kept", [0, 100, 4096, -4096])
def test_truncated(tmp_path: Path, kept: int):
    path = write_lmdb(tmp_path / "car", KEYS) / "data.mdb"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UsageError, match=r"data\.mdb (must have|cannot be read).*download it again"):
        list_lsun_car(path)


def test_what_is_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match=r"`dataset_path` must be LSUN's data\.mdb, or a folder"):
        list_lsun_car(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"data\.mdb must hold pictures: it is empty"):
        list_lsun_car(write_lmdb(tmp_path / "none", ()))
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "data.mdb").write_bytes(bytes(range(256)) * 64)
    with pytest.raises(UsageError, match=r"data\.mdb cannot be read as a database"):
        list_lsun_car(tmp_path / "noise")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(UsageError, match=r"needs lmdb, which is not installed: `pip install lmdb`"):
        list_lsun_car(tmp_path / "noise")


def test_exported_pictures(tmp_path: Path):
    for seed, key in enumerate(KEYS, 1):
        save(picture(seed), tmp_path / "cars" / key[:2] / f"{key}.webp")
        save(truth(seed), tmp_path / "masks" / key[:2] / f"{key}.png")
    found = list_lsun_car(tmp_path / "cars", str(tmp_path / "masks"), limit=2)
    assert [sample.name for sample in found] == [f"{key[:2]}/{key}" for key in KEYS[:2]]
    assert load_sample(found[0], 32).ground_truth is not None
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"`dataset_path` must hold pictures"):
        list_lsun_car(tmp_path / "empty")
