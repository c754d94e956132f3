"""Masks and tables, written so that a file is either whole or not there."""

import contextlib
import io
import json
import math
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.data.colour import PROFILE
from iem_jax.output.cells import table_lines
from iem_jax.output.durable import BINARY, Sink, sync
from iem_jax.output.png import COLOUR_TYPES, encode_mask, encode_picture

METRICS_COLUMNS = (
    *("name", "status", "inp_error", "accuracy", "iou", "dice"),
    *("accuracy_fixed", "iou_fixed", "dice_fixed", "confidence"),
)
COMPARISON_COLUMNS = (
    "name",
    *(f"{side}_{score}" for score in ("accuracy", "iou", "iou_fixed", "dice") for side in ("iem", "net")),
)
HISTORY_COLUMNS = ("iteration", "inp_error", "accuracy", "iou", "miou", "dice")
PATTERNS = {  # the files of a picture, by what its record calls them
    "masks": "masks/{}.png",
    "cutouts": "cutouts/{}.png",
    "overlays": "overlays/{}.jpg",
    "panels": "panels/{}.jpg",
    "thumbnails": "thumbnails/{}.jpg",
}
EXPORTS = "exports"
FOLDERS = (*PATTERNS, "figures", EXPORTS)  # all that a run writes lies in these
FILES = (
    "manifest.jsonl",
    "curves.bin",
    "metrics.csv",
    "history.csv",
    "summary.json",
    "report.html",
    "contact_sheet.png",
    "comparison.csv",
)
UNFINISHED = ".writing-"  # how files are called while they are written, followed by the run's mark
BUFFER = 1 << 18  # bytes written at a time
LARGE = 1_000_000  # pixels from which a PNG is compressed for speed
FORMATS = {".png": "PNG", ".jpg": "JPEG"}


class OutputError(Exception):
    """A file that cannot be written; the text says which and why."""


class Written(NamedTuple):
    """What a file was when it was written."""

    size: int
    crc: int  # CRC-32


class Writer:
    """Writes into one output folder, and nowhere else. May be used by several threads.

    Attributes:
      folder: the output folder.
      mark: in the names of half-written files, so that no others are ever removed.
    """

    def __init__(self, folder: Path, mark: str = "iem_jax"):
        """Make the folder.

        Raises:
          UsageError: it cannot be made or written.
        """
        self.folder: Path = folder
        self.mark: str = mark
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            self._identity = _identify(folder)
        except OSError as error:
            raise UsageError(f"`output_dir` must be a folder that can be written, got {folder}: {error}.") from error

    def write_mask(self, name: str, mask: Bool[np.ndarray, "h w"]) -> Written:
        """Write masks/NAME.png: 8 bit, 0 background and 255 foreground."""
        path = PATTERNS["masks"].format(name)
        if mask.size > LARGE:
            return self.write(path, lambda file: file.writelines(encode_mask(mask)), kept=False)
        return self.write_image(path, Image.fromarray(mask.astype(np.uint8) * 255), kept=False)

    def write_image(self, name: str, image: Image.Image, kept: bool = True) -> Written:
        """Write a picture as .png or .jpg; `kept` as for `write`."""
        kind = FORMATS[Path(name).suffix]
        if kind == "PNG" and image.mode in COLOUR_TYPES and image.width * image.height > LARGE:
            return self.write(name, lambda file: file.writelines(encode_picture(image)), kept)
        profile = image.info.get(PROFILE)  # which Pillow keeps in PNGs alone
        options = {"quality": 90, "icc_profile": profile} if kind == "JPEG" else {}
        return self.write(name, lambda file: image.save(file, kind, **options), kept)

    def write_text(self, name: str, chunks: Iterable[str]) -> Written:
        """Write a text in UTF-8 piece by piece; bytes of file names that are no UTF-8 become question marks."""
        return self.write(name, lambda file: file.writelines(chunk.encode("utf-8", "replace") for chunk in chunks))

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write metrics.csv, a row per image; absent values are empty fields."""
        self._write_table("metrics.csv", METRICS_COLUMNS, rows)

    def write_history(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write history.csv, a row per iteration; absent values are empty fields."""
        self._write_table("history.csv", HISTORY_COLUMNS, rows)

    def write_comparison(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write comparison.csv, a row per image; absent values are empty fields."""
        self._write_table("comparison.csv", COMPARISON_COLUMNS, rows)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json; NaN, which JSON does not know, becomes null."""
        text = json.dumps(_finite(summary), indent=2) + "\n"
        self.write_text("summary.json", [text])

    def _write_table(self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
        self.write(name, lambda file: file.writelines(table_lines(columns, rows)))

    def write(self, name: str, save: Callable[[IO[bytes]], Any], kept: bool = True) -> Written:
        """Write a file by `save`; it appears under its name when it is whole.

        Args:
          name: relative to the folder.
          save: writes to an open file.
          kept: whether it is to outlive a power cut from now on; if not, the caller says so later by `sync`.

        Raises:
          OutputError: it cannot be written, for instance because the disk is full.
        """
        path = self.path_of(name)
        try:
            self.check_there()
            self.path_of(name, real=True)
            for parent in reversed(Path(name).parents[:-1]):  # without the run's own, which somebody may have removed
                (self.folder / parent).mkdir(exist_ok=True)
            written = self._write_whole(path, save, kept)
            if kept:
                sync([path.parent])
            return written
        except OSError as error:
            self.check_there()
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error

    def sync(self, names: Iterable[str]) -> None:
        """Return when files that were written, and the folders that they lie in, are on the disk.

        Raises:
          OutputError: one of them is not there any more, or cannot be brought to the disk.
        """
        self.check_there()
        paths = [self.folder / name for name in names]
        parents = {parent for name in names for parent in Path(name).parents}
        try:
            sync([*paths, *(self.folder / parent for parent in parents)])
        except FileNotFoundError as error:
            raise OutputError(f"{error.filename} was moved or removed during the run") from error
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be written: {error.strerror or error}") from error

    def is_whole(self, name: str, written: Written, by_bytes: bool = True) -> bool:
        """Return whether a file is there as it was written; by its size alone unless `by_bytes`."""
        try:
            path = f"{self.folder}/{name}"  # a Path takes longer than the rest
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size != written.size:
                return False
            if not by_bytes:
                return True
            descriptor = os.open(path, os.O_RDONLY | BINARY)  # `open` takes twice as long
            try:
                return zlib.crc32(os.read(descriptor, written.size + 1)) == written.crc
            finally:
                os.close(descriptor)
        except (OSError, ValueError):
            return False

    def check_there(self) -> None:
        """Check that the folder is still the one that was opened.

        Raises:
          OutputError: it was moved or removed.
        """
        with contextlib.suppress(OSError):
            if _identify(self.folder) == self._identity:
                return
        raise OutputError(f"{self.folder} was moved or removed during the run")

    def path_of(self, name: str, real: bool = False) -> Path:
        """Return where a file lies.

        Args:
          name: relative to the folder.
          real: follow links, too.

        Raises:
          OutputError: that is outside of the folder.
        """
        path = self.folder / name
        folder = os.path.realpath(self.folder) if real else os.path.normpath(self.folder)
        inside = os.path.realpath(path.parent) if real else os.path.normpath(path)
        if os.path.commonpath([os.path.abspath(folder), os.path.abspath(inside)]) != os.path.abspath(folder):
            raise OutputError(f"{path} would be written outside of {self.folder}")
        return path

    def remove(self, name: str) -> bool:
        """Remove a file of this folder if it is there and no link, nor in a folder that leads elsewhere."""
        try:
            path = self.path_of(name, real=True)
            if stat.S_ISREG(os.lstat(path).st_mode):
                path.unlink()
                return True
        except (OSError, OutputError, ValueError):
            return False
        return False

    def remove_unfinished(self) -> None:
        """Remove what a run with this mark that was killed left half written."""
        for folder in (".", *FOLDERS):
            if os.path.islink(self.folder / folder):  # what lies there is not ours
                continue
            for parent, subfolders, files in os.walk(self.folder / folder):
                if folder == ".":
                    subfolders.clear()
                for name in files:
                    if name.startswith(f"{UNFINISHED}{self.mark}-"):
                        self.remove(os.path.relpath(os.path.join(parent, name), self.folder))

    def _write_whole(self, path: Path, save: Callable[[IO[bytes]], Any], kept: bool) -> Written:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{UNFINISHED}{self.mark}-")
        try:
            sink = Sink(descriptor)
            with io.BufferedWriter(sink, BUFFER) as file:
                save(file)
                file.flush()
                if kept:
                    sink.sync()
            os.chmod(temporary, 0o666 & ~_UMASK)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):  # gone with its folder
                os.unlink(temporary)
            raise
        return Written(sink.size, sink.crc)


def _identify(folder: Path) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _read_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


_UMASK = _read_umask()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
