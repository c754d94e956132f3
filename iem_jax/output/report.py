"""report.html: a searchable and sortable gallery that opens from disk, and the place to go through masks.

Up to `EMBEDDED` pictures everything is in the page itself. With more, the page holds a line of numbers a picture, draws
cards as they are scrolled to, and shows the thumbnails that lie beside it. report.js is the gallery, review.js what is
decided about its pictures: kept by the browser, saved as review.csv.

The page needs no network and allows itself none (its Content-Security-Policy lets in nothing but its own style, its own
script and pictures that are embedded or lie beside it). Whatever comes from a file's name is escaped.
"""

import base64
import hashlib
import html
import importlib.resources
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from iem_jax.data.names import printable
from iem_jax.output.writer import PATTERNS

COLUMNS = {"confidence": "confidence", "inp_error": "InpError", "iou": "IoU", "dice": "DICE", "accuracy": "accuracy"}
LINKED = {"mask": "masks", "cut-out": "cutouts", "overlay": "overlays", "panel": "panels"}
DECISIONS = (
    '<select id="decision" aria-label="Show decision"><option value="">every decision</option>'
    '<option>undecided</option><option value="accept">accepted</option><option value="invert">inside out</option>'
    '<option value="reject">rejected</option></select>'
)
FILES = (
    '<button type="button" id="save">save review.csv</button><button type="button" id="load">load</button>'
    '<input type="file" id="loaded" accept=".csv,text/csv" aria-label="review.csv" hidden>'
)
EMBEDDED = 1000  # pictures; a page of more is too large to load
SHOWN = 3  # numbers on a card

Row = Mapping[str, Any]


class Overview(NamedTuple):
    """What the page says before its pictures."""

    number: int
    columns: tuple[str, ...]  # those of `COLUMNS` that there are
    statuses: tuple[str, ...]


def report_chunks(
    folder: Path, rows: Iterable[Row], problems: Mapping[str, str], summary: Mapping[str, Any], run: str = ""
) -> Iterator[str]:
    """Yield the page piece by piece.

    Args:
      folder: the output folder; thumbnails/NAME.jpg are shown, other files are linked where they exist.
      rows: of metrics.csv; gone through twice.
      problems: by name.
      summary: what is said above the gallery, by label.
      run: identifies the run's settings; decisions about the masks of another run are not taken for this one's.
    """
    overview = _look_over(rows)
    is_large = overview.number > EMBEDDED
    kinds = [kind for kind in PATTERNS if (folder / kind).is_dir()]
    parts = importlib.resources.files("iem_jax.output")
    style, gallery, review, controls = (
        parts.joinpath(name).read_text("utf-8") for name in ("report.css", "report.js", "review.js", "review.html")
    )
    script = gallery + review
    pictures = "data: file: 'self'" if is_large or "overlays" in kinds else "data:"
    policy = f"default-src 'none'; img-src {pictures}; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Masks by IEM</title>\n<style>{style}</style></head>\n<body>\n"
    )
    yield _head(overview, summary)
    yield '<button type="button" id="earlier" hidden>earlier pictures</button>\n'
    yield f'<main id="gallery" data-run="{_text(run)}">\n'
    if is_large:
        yield "</main>\n"
        yield from _data(folder, kinds, rows, problems)
    else:
        for index, row in enumerate(rows):
            yield _card(folder, kinds, index, row, problems.get(row["name"], ""))
        yield "</main>\n"
    yield f'<p id="none" hidden>No picture matches.</p><p id="more"></p>\n{controls}<script>{script}</script>\n'
    yield "</body></html>\n"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _look_over(rows: Iterable[Row]) -> Overview:
    number, columns, statuses = 0, set(), set()
    for row in rows:
        number += 1
        columns.update(key for key in COLUMNS if key in row)
        statuses.add(row["status"])
    return Overview(number, tuple(key for key in COLUMNS if key in columns), tuple(sorted(statuses)))


def _head(overview: Overview, summary: Mapping[str, Any]) -> str:
    options = "".join(
        f'<option value="{key}">{COLUMNS.get(key, key)}</option>' for key in ("name", "status", *overview.columns)
    )
    statuses = "".join(f"<option>{html.escape(status)}</option>" for status in overview.statuses)
    facts = "".join(f"<div><dt>{_text(key)}</dt><dd>{_text(value)}</dd></div>" for key, value in summary.items())
    return (
        f'<header><div class="tools"><h1>Masks by IEM</h1>{FILES}</div><dl class="facts">{facts}</dl>'
        '<div class="tools"><input id="search" type="search" placeholder="Search names" aria-label="Search names">'
        '<select id="status" aria-label="Show status"><option value="">every status</option>'
        f'{statuses}</select><label>confidence up to <input id="confidence" type="number" min="0" max="1" step="0.05">'
        f'</label><label>sort by <select id="sort"><option value="">order of the run</option>{options}'
        '</select></label><button type="button" id="direction" aria-label="Ascending">&#8593;</button>'
        f'{DECISIONS}<output id="count">{overview.number} of {overview.number}</output></div></header>\n'
    )


def _card(folder: Path, kinds: list[str], index: int, row: Row, problem: str) -> str:
    name, status, path = _text(row["name"]), _text(row["status"]), quote(os.fsencode(row["name"]))
    numbers = _numbers(row)
    data = "".join(f' data-{key.replace("_", "-")}="{value:.6g}"' for key, value in numbers.items())
    shown = " ".join(f"<span>{COLUMNS[key]} <b>{value:.3f}</b></span>" for key, value in list(numbers.items())[:SHOWN])
    return (
        f'<article tabindex="-1" role="button" data-index="{index}" data-name="{name}" data-path="{path}" '
        f'data-status="{status}"{data}>'
        f'{_picture(folder, row["name"])}<h3 title="{name}">{name}</h3>'
        f'<p><em class="{status}">{status}</em> {shown}</p>'
        f"{f'<small>{_text(problem)}</small>' if problem else ''}"
        f'<p class="links" hidden>{_links(folder, kinds, row["name"])}</p></article>\n'
    )


def _numbers(row: Row) -> dict[str, float]:
    """Return the columns that have a number, not NaN."""
    return {key: row[key] for key in COLUMNS if row.get(key) is not None and not math.isnan(row[key])}


def _data(folder: Path, kinds: list[str], rows: Iterable[Row], problems: Mapping[str, str]) -> Iterator[str]:
    """Yield the rows as JSON for the script: name, status, numbers, files by their labels, the problem, the path."""
    labels = {**LINKED, "": "thumbnails"}
    yield f'<script type="application/json" id="rows">{{"columns":{json.dumps(COLUMNS)},'
    yield f'"patterns":{json.dumps({label: PATTERNS[kind] for label, kind in labels.items()})},"rows":['
    for index, row in enumerate(rows):
        name, numbers = row["name"], _numbers(row)
        files = [label for label, kind in labels.items() if kind in kinds and _exists(folder, kind, name)]
        values = [round(numbers[key], 6) if key in numbers else None for key in COLUMNS]
        path = quote(os.fsencode(name))
        line = [printable(name), row["status"], values, files, problems.get(name, ""), path if path != name else 0]
        text = json.dumps(line, separators=(",", ":")).replace("<", "\\u003c")  # nothing may end the script
        yield f"{',' if index else ''}\n{text}"
    yield "]}</script>\n"


def _exists(folder: Path, kind: str, name: str) -> bool:
    return os.path.isfile(f"{folder}/{PATTERNS[kind].format(name)}")


def _picture(folder: Path, name: str) -> str:
    try:
        data = (folder / PATTERNS["thumbnails"].format(name)).read_bytes()
    except OSError:
        return '<div class="absent">no picture</div>'
    return (
        f'<img loading="lazy" decoding="async" alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'
    )


def _links(folder: Path, kinds: list[str], name: str) -> str:
    return " ".join(
        f'<a href="{html.escape(quote(os.fsencode(PATTERNS[kind].format(name))))}" target="_blank" rel="noopener">'
        f"{label}</a>"
        for label, kind in LINKED.items()
        if kind in kinds and _exists(folder, kind, name)
    )


def _text(value: Any) -> str:
    """Escape a text for HTML, in attributes too; what cannot be shown is written as Python would."""
    return html.escape(printable(str(value)))
