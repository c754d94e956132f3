"""CVAT, "Segmentation mask 1.1": exports/cvat.zip, whose masks are grey PNGs of 0 and 1.

Grey values count the lines of labelmap.txt from 0. Without SegmentationObject CVAT takes the background for an object.
"""

import io
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows

PATH = f"{FOLDER}/cvat.zip"
BEGINNING = (1980, 1, 1, 0, 0, 0)  # the time of all files, so that the same masks give the same bytes


def export(ledger: Ledger, rows: Rows, options: Options) -> None:
    """Write the archive; names are those of the pictures without their endings, as CVAT looks for them."""
    ledger.write(PATH, lambda file: _save(file, rows, options))


def _save(file: Any, rows: Rows, options: Options) -> None:
    head = f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{options.category}:255,0,0::\n"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("labelmap.txt", BEGINNING), head)
        with archive.open(zipfile.ZipInfo("ImageSets/Segmentation/default.txt", BEGINNING), "w") as names:
            names.writelines(f"{_name(row)}\n".encode() for row in rows)
        for row in rows:
            png = io.BytesIO()
            Image.fromarray(row.mask().view(np.uint8)).save(png, "PNG")
            for folder in ("SegmentationClass", "SegmentationObject"):
                archive.writestr(zipfile.ZipInfo(f"{folder}/{_name(row)}.png", BEGINNING), png.getvalue())


def _name(row: Row) -> str:
    return row.name.encode("utf-8", "replace").decode()
