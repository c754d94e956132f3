"""Masks and tables, written so that a file is either whole or not there."""

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.config import UsageError

METRICS_COLUMNS = (
    *("name", "status", "inp_error", "accuracy", "iou", "dice"),
    *("accuracy_fixed", "iou_fixed", "dice_fixed"),
)
HISTORY_COLUMNS = ("iteration", "inp_error", "accuracy", "iou", "miou", "dice")


class Writer:
    """Writes into one output folder, and nowhere else."""

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
        self.write_image(f"masks/{name}.png", Image.fromarray(mask.astype(np.uint8) * 255))

    def write_image(self, name: str, image: Image.Image) -> None:
        """Write a picture in the format of its name's ending."""
        data = io.BytesIO()
        image.save(data, format=Path(name).suffix[1:])
        self._write(name, data.getvalue())

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write metrics.csv, a row per image; absent values are empty fields."""
        self._write_csv("metrics.csv", METRICS_COLUMNS, rows)

    def write_history(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write history.csv, a row per iteration; absent values are empty fields."""
        self._write_csv("history.csv", HISTORY_COLUMNS, rows)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json; NaN, which JSON does not know, becomes null."""
        self._write("summary.json", json.dumps(_finite(summary), indent=2).encode() + b"\n")

    def _write_csv(self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows({column: _field(row.get(column)) for column in columns} for row in rows)
        self._write(name, text.getvalue().encode())

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
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
