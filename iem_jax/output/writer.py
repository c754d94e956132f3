"""Masks and tables, written so that a file is either whole or not there."""

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.output.png import encode_mask

METRICS_COLUMNS = (
    *("name", "status", "inp_error", "accuracy", "iou", "dice"),
    *("accuracy_fixed", "iou_fixed", "dice_fixed", "confidence"),
)
COMPARISON_COLUMNS = (
    "name",
    *(f"{side}_{score}" for score in ("accuracy", "iou", "iou_fixed", "dice") for side in ("iem", "net")),
)
HISTORY_COLUMNS = ("iteration", "inp_error", "accuracy", "iou", "miou", "dice")
FOLDERS = ("masks", "cutouts", "overlays", "panels", "thumbnails", "figures")  # all that a run writes lies in these
FILES = (
    "manifest.jsonl",
    "metrics.csv",
    "history.csv",
    "summary.json",
    "report.html",
    "contact_sheet.png",
    "comparison.csv",
)
UNFINISHED = ".writing-"  # how files are called while they are written
LARGE = 1_000_000  # pixels from which a PNG is compressed for speed
FORMATS = {".png": "PNG", ".jpg": "JPEG"}


class OutputError(Exception):
    """A file that cannot be written; the text says which and why."""


class Writer:
    """Writes into one output folder, and nowhere else. May be used by several threads."""

    def __init__(self, folder: Path):
        """Make the folder.

        Raises:
          UsageError: it cannot be made or written.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(f"`output_dir` must be a folder that can be written, got {folder}: {error}.") from error

    def write_mask(self, name: str, mask: Bool[np.ndarray, "h w"]) -> None:
        """Write masks/NAME.png: 8 bit, 0 background and 255 foreground."""
        path = f"masks/{name}.png"
        if mask.size > LARGE:
            self.write(path, lambda file: file.writelines(encode_mask(mask)))
        else:
            self.write_image(path, Image.fromarray(mask.astype(np.uint8) * 255))

    def write_image(self, name: str, image: Image.Image) -> None:
        """Write a picture as .png or .jpg."""
        kind = FORMATS[Path(name).suffix]
        large = kind == "PNG" and image.width * image.height > LARGE
        profile = image.info.get("icc_profile")  # which Pillow keeps in PNGs alone
        options = {"compress_level": 1} if large else {"quality": 90, "icc_profile": profile} if kind == "JPEG" else {}
        self.write(name, lambda file: image.save(file, kind, **options))

    def write_text(self, name: str, chunks: Iterable[str]) -> None:
        """Write a text in UTF-8 piece by piece; bytes of file names that are no UTF-8 become question marks."""
        self.write(name, lambda file: file.writelines(chunk.encode("utf-8", "replace") for chunk in chunks))

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write metrics.csv, a row per image; absent values are empty fields."""
        self._write_csv("metrics.csv", METRICS_COLUMNS, rows)

    def write_history(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write history.csv, a row per iteration; absent values are empty fields."""
        self._write_csv("history.csv", HISTORY_COLUMNS, rows)

    def write_comparison(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write comparison.csv, a row per image; absent values are empty fields."""
        self._write_csv("comparison.csv", COMPARISON_COLUMNS, rows)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json; NaN, which JSON does not know, becomes null."""
        text = json.dumps(_finite(summary), indent=2) + "\n"
        self.write_text("summary.json", [text])

    def _write_csv(self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows({column: _field(row.get(column)) for column in columns} for row in rows)
        # Names that are no UTF-8 keep their bytes, so that a table's row finds its file.
        self.write(name, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))

    def write(self, name: str, save: Callable[[IO[bytes]], Any]) -> None:
        """Write a file by `save`; it appears under its name when it is whole.

        Raises:
          OutputError: it cannot be written, for instance because the disk is full.
        """
        path = self.path_of(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path_of(name, real=True)
            self._write_whole(path, save)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error

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

    def remove_unfinished(self) -> None:
        """Remove what a run that was killed left half written."""
        places = [self.folder.glob(f"{UNFINISHED}*")]
        places += [(self.folder / folder).rglob(f"{UNFINISHED}*") for folder in FOLDERS]
        for path in [path for place in places for path in place]:
            path.unlink(missing_ok=True)

    def _write_whole(self, path: Path, save: Callable[[IO[bytes]], Any]) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                save(file)
            os.chmod(temporary, 0o666 & ~_UMASK)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _read_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


_UMASK = _read_umask()


def _field(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
