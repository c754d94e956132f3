"""The reader of MATLAB 5 files against SciPy's, and against damage."""

import contextlib
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from pictures import write_flowers

from iem_jax import UsageError
from iem_jax.data.flowers import list_flowers
from iem_jax.data.matlab import read_matlab

TABLES = {
    "trnid": np.arange(1, 1021, dtype=np.uint16)[None],
    "short": np.array([[7]], np.uint16),
    "real": np.array([[0.5, -2.0], [1e9, 3.0]]),
    "bytes": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "long": np.array([[-1, 2**40]], np.int64),
}


def save(path: Path, compressed: bool, **tables: object) -> bytes:
    scipy.io.savemat(path, tables, do_compression=compressed)
    return path.read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_agrees_with_scipy(tmp_path, compressed):
    found = read_matlab(save(tmp_path / "a.mat", compressed, **TABLES))
    assert list(found) == list(TABLES)
    for name, expected in scipy.io.loadmat(tmp_path / "a.mat").items():
        if not name.startswith("__"):
            np.testing.assert_array_equal(found[name], expected)
            assert found[name].shape == expected.shape


def test_the_real_one(flowers17):
    data = (flowers17 / "setid.mat").read_bytes()
    for name, expected in scipy.io.loadmat(flowers17 / "setid.mat").items():
        if not name.startswith("__"):
            np.testing.assert_array_equal(read_matlab(data)[name], expected)


def test_what_holds_no_real_numbers_is_named_only(tmp_path):
    data = save(tmp_path / "a.mat", False, text="abc", complex=np.array([[1j]]), cell=np.array([[1, "a"]], object), n=1)
    assert {name: value is None for name, value in read_matlab(data).items()} == {
        **{"text": True, "complex": True, "cell": True},
        "n": False,
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_is_an_error_or_other_numbers_and_nothing_else(tmp_path, compressed):
    data = save(tmp_path / "a.mat", compressed, trnid=TABLES["trnid"], real=TABLES["real"])
    choice = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(choice.choice((1, 1, 3))):
            damaged[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
        if choice.random() < 0.2:
            del damaged[choice.randrange(len(data)) :]
        with contextlib.suppress(ValueError):
            read_matlab(bytes(damaged))


def test_lengths_are_checked_before_memory_is_taken():
    header = b" " * 124 + struct.pack("<H", 0x0100) + b"IM"
    flags = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, 2**31 - 1, 2**31 - 1)
    matrix = flags + struct.pack("<II", 1, 0) + struct.pack("<II", 9, 8) + bytes(8)
    with pytest.raises(ValueError, match="has 1 values"):
        read_matlab(header + struct.pack("<II", 14, len(matrix)) + matrix)


@pytest.mark.parametrize("value", [np.inf, np.nan, -1.0, 1e5, 0.5])
def test_numbers_that_name_no_file(tmp_path, value):
    root = write_flowers(tmp_path, 1)
    scipy.io.savemat(root / "setid.mat", {"trnid": np.array([[1.0, value]])})
    with pytest.raises(UsageError, match="must hold image numbers under 'trnid', from 0 to 99999"):
        list_flowers(root, "test")
