"""Decoded pictures kept on disk, so that a second run on the same files does not decode them again.

A file of the cache is named after the paths, sizes and times of what was decoded and the settings. It holds a checksum
over all that follows, the shapes, and the arrays one after the other; one that is not exactly so counts as absent.
"""

import contextlib
import hashlib
import os
import stat
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from iem_jax.data.fit import Box, Placement

VERSION = 2  # of what is kept
UNFINISHED = ".writing-iem_jax-cache-"
HEAD = struct.Struct("<16sBB10q")  # checksum, whether there is a ground truth, a placement, the placement
LARGEST = 1 << 30  # pixels a side of a picture, when it was decoded


class DecodedCache:
    """Arrays by a key of files and settings, in one folder; failing to write is no error."""

    def __init__(self, folder: Path, size: int, *settings: Any):
        """Keep squares of a size, made with these settings, in a folder that exists."""
        self._folder, self._size, self._settings = folder, size, (size, *settings)

    def key(self, *paths: str | os.PathLike[str] | None) -> str | None:
        """Return the name for arrays decoded from files as they are now, None if they cannot be looked at."""
        try:
            stats = [(os.path.abspath(str(path)), os.stat(path)) for path in paths if path is not None]
        except (OSError, ValueError):
            return None
        files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        return hashlib.sha256(repr((VERSION, self._settings, len(paths), files)).encode()).hexdigest()

    def get(self, key: str) -> tuple[np.ndarray, np.ndarray | None, Placement | None] | None:
        """Return picture, ground truth and placement, None if they are absent or damaged."""
        data = self._read(self._path(key))
        pixels = self._size**2
        if data is None or len(data) not in (HEAD.size + 3 * pixels, HEAD.size + 4 * pixels):
            return None
        checksum, has_truth, has_placement, *placed = HEAD.unpack_from(data)
        if checksum != _checksum(data) or {has_truth, has_placement} - {0, 1}:
            return None
        placement = _placement(placed, self._size) if has_placement else None
        if len(data) != HEAD.size + (3 + has_truth) * pixels or (has_placement and placement is None):
            return None
        arrays = np.frombuffer(data, np.uint8, offset=HEAD.size)
        image, truth = arrays[: 3 * pixels], arrays[3 * pixels :]
        if has_truth and truth.max() > 1:
            return None
        square = (self._size, self._size)
        return image.reshape(*square, 3), truth.reshape(square).view(bool) if has_truth else None, placement

    def put(self, key: str, image: np.ndarray, truth: np.ndarray | None, placement: Placement | None) -> None:
        """Keep what was decoded."""
        placed = [0] * 10 if placement is None else [*placement.picture_size, *placement.region, *placement.box]
        head = HEAD.pack(bytes(16), truth is not None, placement is not None, *placed)
        data = head + image.tobytes() + (b"" if truth is None else truth.tobytes())
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=UNFINISHED, delete=False) as file:
                temporary = file.name
                file.write(_checksum(data) + data[16:])
            os.replace(temporary, self._path(key))
        except OSError:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    def _read(self, path: Path) -> bytes | None:
        """Return what is in a file, None if it is absent or of a size that none of ours has."""
        longest = HEAD.size + 4 * self._size**2
        try:
            with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
                found = os.fstat(file.fileno())
                return file.read(longest) if stat.S_ISREG(found.st_mode) and found.st_size <= longest else None
        except OSError:
            return None

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.square"


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(memoryview(data)[16:], digest_size=16).digest()


def _placement(placed: list[int], size: int) -> Placement | None:
    """Return a placement, None if its parts do not lie in one another."""
    width, height, *corners = placed
    region: Box = corners[0], corners[1], corners[2], corners[3]
    box: Box = corners[4], corners[5], corners[6], corners[7]
    inside = _is_inside(region, width, height) and _is_inside(box, size, size)
    return Placement((width, height), region, box) if inside and max(width, height) <= LARGEST else None


def _is_inside(box: Box, width: int, height: int) -> bool:
    left, top, right, bottom = box
    return 0 <= left < right <= width and 0 <= top < bottom <= height
