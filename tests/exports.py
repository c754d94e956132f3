"""Finished pictures of all shapes and names, to be exported without a run."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from drawings import draw
from PIL import Image

from iem_jax.output.formats.ledger import Ledger
from iem_jax.output.formats.rows import Options, Row, Rows
from iem_jax.output.writer import Writer

SIZE = (60, 44)  # width, height


def make_masks() -> dict[str, np.ndarray]:
    """Return masks (44, 60) by the names of their pictures' files."""
    masks = {name: np.zeros(SIZE[::-1], bool) for name in ("empty.jpg", "one pixel.jpg", "parts/a.jpg", "parts/a.png")}
    masks["one pixel.jpg"][43, 59] = True
    masks["parts/a.jpg"][3:20, 4:30] = masks["parts/a.jpg"][20:40, 30:50] = True  # two that touch at a corner
    masks["parts/a.jpg"][10, 40:58] = True
    rows, columns = np.mgrid[:44, :60]
    ring = (rows - 22) ** 2 + (columns - 30) ** 2
    masks["parts/a.png"] = (ring < 400) & (ring > 120) | (ring < 30)  # an island in a hole
    masks["übung/große Blüte é.jpg"] = ((ring < 440) & ~((rows % 9 < 3) & (columns % 7 < 3))) | (
        rows > 40
    )  # many holes
    masks["images/full.png"] = np.ones(SIZE[::-1], bool)
    specks = masks["images/images/a 'b', \"c\".png"] = np.zeros(SIZE[::-1], bool)
    specks[:12, :14] = np.random.default_rng(0).random((12, 14)) < 0.4
    return masks


def make_rows(folder: Path) -> Rows:
    """Write pictures to in/ and masks to out/ below a folder; return their rows."""
    rows: list[Row] = []
    for number, (file_name, mask) in enumerate(make_masks().items()):
        name = file_name if file_name.startswith("parts") else file_name.rsplit(".", 1)[0]
        picture, path = folder / "in" / file_name, folder / "out/masks" / f"{name}.png"
        for place in (picture, path):
            place.parent.mkdir(parents=True, exist_ok=True)
        draw(number, *SIZE).save(picture)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
        rows.append(Row(name, file_name, picture, path, 0.25 + number / 100, "ok"))
    return Rows(lambda: iter(rows))


def write_export(folder: Path, kind: str, rows: Rows, **changes: object) -> Ledger:
    """Write one format to out/exports/."""
    import importlib

    options = Options("cat", False, "iem_jax 1", folder / "in")._replace(**changes)
    with Ledger(Writer(folder / "out"), kind) as ledger:
        importlib.import_module(f"iem_jax.output.formats.{kind}").export(ledger, rows, options)
    return ledger


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Return the IoU of two masks, 1 if both are empty."""
    return float((one & other).sum() / max((one | other).sum(), 1)) if (one | other).any() else 1.0


def many_rows(folder: Path, number: int) -> Rows:
    """Return rows that share a picture and a mask."""
    first = next(iter(make_rows(folder)))

    def make() -> Iterator[Row]:
        return (first._replace(name=f"a/{n:07d}", file_name=f"a/{n:07d}.jpg") for n in range(number))

    return Rows(make)
