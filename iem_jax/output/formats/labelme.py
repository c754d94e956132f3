"""labelme: exports/labelme/NAME.json, a shape of type mask: a PNG of its box in base64."""

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.output.figures import find_box
from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows

ROOT = f"{FOLDER}/labelme"
VERSION = "5.5.0"  # of the form; the first that knows masks is 5.3


def export(ledger: Ledger, rows: Rows, options: Options) -> None:
    """Write a file a picture; an empty mask is one without shapes."""
    for row in rows:
        ledger.write_text(
            f"{ROOT}/{row.name}.json", [json.dumps(_describe(ledger.folder, row, options), indent=2) + "\n"]
        )


def _describe(output: Path, row: Row, options: Options) -> dict[str, Any]:
    mask = row.mask()
    folder = (output / f"{ROOT}/{row.name}.json").absolute().parent
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [_shape(mask, row, options)] if mask.any() else [],
        "imagePath": os.path.relpath(row.picture, folder).replace(os.sep, "/"),
        "imageData": None,
        "imageHeight": mask.shape[0],
        "imageWidth": mask.shape[1],
    }


def _shape(mask: Bool[np.ndarray, "h w"], row: Row, options: Options) -> dict[str, Any]:
    left, top, right, bottom = find_box(mask, 0)
    file = io.BytesIO()
    Image.fromarray(mask[top:bottom, left:right].view(np.uint8)).save(file, "PNG")
    return {
        "label": options.category,
        "points": [[left, top], [right - 1, bottom - 1]],  # the last pixels that belong to it
        "group_id": None,
        "description": f"confidence {row.confidence}",
        "shape_type": "mask",
        "flags": {},
        "mask": base64.b64encode(file.getvalue()).decode(),
    }
