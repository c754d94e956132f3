"""Hugging Face: exports/huggingface/, which `load_dataset("imagefolder", data_dir=...)` opens as images with masks.

Copies are called by a digest of the picture's name, which stands in the column `name`: a picture called test.jpg, or in
a folder train, would be taken for a split of its own.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import FOLDER, Options, Row, Rows

ROOT = f"{FOLDER}/huggingface"


def export(ledger: Ledger, rows: Rows, options: Options) -> None:
    """Write copies of pictures and masks, then metadata.jsonl, which names them."""
    for row in rows:
        ledger.copy(f"{ROOT}/{_image(row)}", row.picture)
        ledger.copy(f"{ROOT}/{_mask(row)}", row.mask_path)
    ledger.write_text(f"{ROOT}/metadata.jsonl", _lines(rows, options))


def _lines(rows: Rows, options: Options) -> Iterator[str]:
    for row in rows:
        columns = {"name": row.file_name, "category": options.category}
        columns |= {"status": row.status, "confidence": row.confidence}
        yield json.dumps({"file_name": _image(row), "mask_file_name": _mask(row), **columns}) + "\n"


def _image(row: Row) -> str:
    return f"images/{_digest(row)}{PurePosixPath(row.file_name).suffix.lower()}"


def _mask(row: Row) -> str:
    return f"masks/{_digest(row)}.png"


def _digest(row: Row) -> str:
    return hashlib.blake2b(row.name.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
