"""Decoded pictures on disk: what comes back is what was kept, or nothing."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from iem_jax.data.cache import HEAD, DecodedCache, _checksum
from iem_jax.data.fit import place

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
TRUTH = IMAGE[..., 0] > 100
PLACEMENT = place((300, 200), 16, "pad")


def fill(folder: Path, truth=TRUTH, placement=PLACEMENT) -> tuple[DecodedCache, Path]:
    cache = DecodedCache(folder, 16, "pad")
    cache.put("key", IMAGE, truth, placement)
    (path,) = folder.iterdir()
    return cache, path


@pytest.mark.parametrize("truth", [TRUTH, None])
@pytest.mark.parametrize("placement", [PLACEMENT, None])
def test_what_was_kept_comes_back(tmp_path, truth, placement):
    image, found, placed = fill(tmp_path, truth, placement)[0].get("key")
    np.testing.assert_array_equal(image, IMAGE)
    assert image.dtype == np.uint8
    assert placed == placement
    assert (found is None) == (truth is None)
    if truth is not None:
        assert found.dtype == bool
        np.testing.assert_array_equal(found, truth)


def test_any_flipped_bit_is_known(tmp_path):
    cache, path = fill(tmp_path)
    data = path.read_bytes()
    choice = random.Random(0)
    for place_ in [*range(HEAD.size), *(choice.randrange(len(data)) for _ in range(300))]:
        damaged = bytearray(data)
        damaged[place_] ^= 1 << choice.randrange(8)
        path.write_bytes(damaged)
        assert cache.get("key") is None


@pytest.mark.parametrize("length", [0, 5, HEAD.size, -1, 10])
def test_other_lengths(tmp_path, length):
    cache, path = fill(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:length] if length < 10 else data + bytes(length))
    assert cache.get("key") is None


@pytest.mark.parametrize("numbers", [[2**62] * 10, [-1] * 10, [0] * 10, [300, 200, 0, 0, 300, 200, 0, 0, 17, 16]])
def test_forged_placements_with_a_right_checksum(tmp_path, numbers):
    cache, path = fill(tmp_path)
    data = HEAD.pack(bytes(16), 1, 1, *numbers) + path.read_bytes()[HEAD.size :]
    path.write_bytes(_checksum(data) + data[16:])
    assert cache.get("key") is None


def test_what_is_no_file(tmp_path):
    cache, path = fill(tmp_path)
    path.unlink()
    path.mkdir()
    assert cache.get("key") is None
    path.rmdir()
    os.mkfifo(path)
    assert cache.get("key") is None  # and does not wait
    path.unlink()
    path.write_bytes(b"")
    os.truncate(path, 10**12)  # a hole: reading it would take 931 GiB
    assert cache.get("key") is None
