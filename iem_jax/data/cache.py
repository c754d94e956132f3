"""Decoded pictures kept on disk, so that a second run on the same files does not decode them again.

A file of the cache is named after the paths, sizes and times of what was decoded and the settings; it holds
checksums, and one that is damaged counts as absent.
"""

import hashlib
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from iem_jax.data.fit import Placement

VERSION = 1  # of what is kept


class DecodedCache:
    """Arrays by a key of files and settings, in one folder; failing to write is no error."""

    def __init__(self, folder: Path, *settings: Any):
        """Keep arrays made with these settings in a folder that exists."""
        self._folder, self._settings = folder, settings

    def key(self, *paths: Path | None) -> str | None:
        """Return the name for arrays decoded from files as they are now, None if they cannot be looked at."""
        try:
            stats = [(os.path.abspath(path), os.stat(path)) for path in paths if path is not None]
        except (OSError, ValueError):
            return None
        files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        return hashlib.sha256(repr((VERSION, self._settings, len(paths), files)).encode()).hexdigest()

    def get(self, key: str) -> tuple[np.ndarray, np.ndarray | None, Placement | None] | None:
        """Return picture, ground truth and placement, None if they are absent or damaged."""
        try:
            with open(self._path(key), "rb") as file, np.load(file) as arrays:
                truth = arrays.get("ground_truth")
                placed = arrays["placement"].tolist() if "placement" in arrays else None
                image = arrays["image"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
            return None
        placement = Placement(tuple(placed[:2]), tuple(placed[2:6]), tuple(placed[6:])) if placed else None
        return image, truth, placement

    def put(self, key: str, image: np.ndarray, truth: np.ndarray | None, placement: Placement | None) -> None:
        """Keep what was decoded."""
        arrays = {"image": image}
        if truth is not None:
            arrays["ground_truth"] = truth
        if placement is not None:
            arrays["placement"] = np.array([*placement.picture_size, *placement.region, *placement.box])
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".writing-", delete=False) as file:
                temporary = file.name
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, self._path(key))
        except OSError:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npz"
