"""COCO: exports/coco.json, run lengths by default, polygons if they are wanted."""

import json
from collections.abc import Iterator
from typing import Any

from iem_jax.output.figures import find_box
from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.polygons import to_polygons
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows, json_lines
from iem_jax.output.formats.runs import encode_coco

PATH = f"{FOLDER}/coco.json"


def export(ledger: Ledger, rows: Rows, options: Options) -> None:
    """Write the file; a picture with an empty mask is one without annotations."""
    ledger.write_text(PATH, _chunks(rows, options))


def _chunks(rows: Rows, options: Options) -> Iterator[str]:
    info = {"description": "Masks by IEM", "version": options.model}
    categories = [{"id": 1, "name": options.category, "supercategory": ""}]
    yield f'{{"info":{json.dumps(info)},"licenses":[],"categories":{json.dumps(categories)},\n"images":['
    yield from json_lines(_image(number, row) for number, row in enumerate(rows, 1))
    yield '],\n"annotations":['
    yield from json_lines(_annotations(rows, options))
    yield "]}\n"


def _image(number: int, row: Row) -> dict[str, Any]:
    width, height = row.size()
    return {"id": number, "file_name": row.file_name, "width": width, "height": height}


def _annotations(rows: Rows, options: Options) -> Iterator[dict[str, Any]]:
    number = 0
    for image, row in enumerate(rows, 1):
        mask = row.mask()
        if not mask.any():
            continue
        number += 1
        left, top, right, bottom = find_box(mask, 0)
        segmentation = (
            {"size": list(mask.shape), "counts": encode_coco(mask)}
            if not options.polygons
            else [ring.ravel().tolist() for ring in to_polygons(mask)]
        )
        yield {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "iscrowd": 0,
            "area": int(mask.sum()),
            "bbox": [left, top, right - left, bottom - top],
            "score": row.confidence,
            "segmentation": segmentation,
        }
