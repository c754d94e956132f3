"""YOLO: exports/yolo/, a line of normalised points for each part of a mask, copies of the pictures, data.yaml."""

import json

from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.polygons import to_polygons
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows

ROOT = f"{FOLDER}/yolo"


def export(ledger: Ledger, rows: Rows, options: Options) -> None:
    """Write labels and pictures, then what names the folder; an empty mask is a label without lines."""
    for row in rows:
        ledger.copy(f"{ROOT}/images/{row.copy_name}", row.picture)
        ledger.write_text(_label(row), list(_lines(row)))
    head = "# Training and validation are the same pictures: split them before you measure.\n"
    names = f"train: images\nval: images\nnames:\n  0: {json.dumps(options.category)}\n"
    ledger.write_text(f"{ROOT}/data.yaml", [head, names])


def _lines(row: Row) -> list[str]:
    mask = row.mask()
    height, width = mask.shape
    rings = ([f"{x / width:.7g} {y / height:.7g}" for x, y in ring.tolist()] for ring in to_polygons(mask))
    return [f"0 {' '.join(points)}\n" for points in rings]


def _label(row: Row) -> str:
    """Return where YOLO looks for a picture's label: the last folder called images becomes labels."""
    before, after = f"/images/{row.name}".rsplit("/images/", 1)
    return f"{ROOT}{before}/labels/{after}.txt"
