"""Label Studio: exports/label_studio.json, tasks with predictions, and label_studio.xml, the labelling that shows them.

Pictures are named as Label Studio serves local files, where LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is the folder that
holds the pictures' folder.
"""

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows, json_lines
from iem_jax.output.formats.runs import encode_label_studio

TASKS, LABELLING = f"{FOLDER}/label_studio.json", f"{FOLDER}/label_studio.xml"


def export(ledger: Ledger, rows: Rows, options: Options) -> None:
    """Write both files; an empty mask is a prediction without regions."""
    ledger.write_text(
        LABELLING,
        [
            '<View>\n  <Image name="image" value="$image" zoom="true"/>\n  <BrushLabels name="tag" toName="image">\n'
            f'    <Label value={quoteattr(options.category)} background="#2563eb"/>\n  </BrushLabels>\n</View>\n'
        ],
    )
    ledger.write_text(TASKS, _chunks(rows, options))


def _chunks(rows: Rows, options: Options) -> Iterator[str]:
    yield "["
    yield from json_lines(_task(number, row, options) for number, row in enumerate(rows, 1))
    yield "\n]\n"


def _task(number: int, row: Row, options: Options) -> dict[str, Any]:
    mask = row.mask()
    region = {
        "id": f"iem{number}",
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": mask.shape[1],
        "original_height": mask.shape[0],
        "image_rotation": 0,
        "score": row.confidence,
        "value": {"format": "rle", "rle": encode_label_studio(mask), "brushlabels": [options.category]},
    }
    prediction = {"model_version": options.model, "score": row.confidence, "result": [region] if mask.any() else []}
    address = f"/data/local-files/?d={quote(os.fsencode(f'{options.root.name}/{row.file_name}'))}"
    return {"data": {"image": address}, "predictions": [prediction]}
