"""report.html: one page with everything in it, a searchable and sortable gallery that opens from disk.

The page needs no network and allows itself none (its Content-Security-Policy lets in nothing but its own style, its own
script and embedded pictures). Whatever comes from a file's name is escaped.
"""

import base64
import hashlib
import html
import importlib.resources
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from iem_jax.data.names import printable

COLUMNS = {"inp_error": "InpError", "iou": "IoU", "dice": "DICE", "accuracy": "accuracy"}
LINKED = {"mask": "masks/{}.png", "cut-out": "cutouts/{}.png", "overlay": "overlays/{}.jpg", "panel": "panels/{}.jpg"}


def report_chunks(
    folder: Path, rows: Iterable[Mapping[str, Any]], problems: Mapping[str, str], summary: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the page piece by piece.

    Args:
      folder: the output folder; thumbnails/NAME.jpg are embedded, other files are linked where they exist.
      rows: of metrics.csv.
      problems: by name.
      summary: what is said above the gallery, by label.
    """
    parts = importlib.resources.files("iem_jax.output")
    style, script = (parts.joinpath(name).read_text("utf-8") for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Masks by IEM</title>\n<style>{style}</style></head>\n<body>\n"
    )
    rows = list(rows)
    yield _head(rows, summary)
    yield '<main id="gallery">\n'
    for index, row in enumerate(rows):
        yield _card(folder, index, row, problems.get(row["name"], ""))
    yield f'</main>\n<p id="none" hidden>No picture matches.</p>\n{_DIALOG}<script>{script}</script>\n</body></html>\n'


_DIALOG = """<dialog id="view" aria-labelledby="view-name">
<form method="dialog"><h2 id="view-name"></h2><button aria-label="Close">&#10005;</button></form>
<div id="view-body"></div>
<nav><button type="button" id="previous">&#8592; previous</button>
<button type="button" id="next">next &#8594;</button></nav>
</dialog>
"""


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _head(rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    keys = ["name", "status", *(key for key in COLUMNS if any(key in row for row in rows))]
    options = "".join(f'<option value="{key}">{COLUMNS.get(key, key)}</option>' for key in keys)
    statuses = "".join(f"<option>{html.escape(status)}</option>" for status in sorted({row["status"] for row in rows}))
    facts = "".join(f"<div><dt>{_text(key)}</dt><dd>{_text(value)}</dd></div>" for key, value in summary.items())
    return (
        f'<header><h1>Masks by IEM</h1><dl class="facts">{facts}</dl><div class="tools">'
        '<input id="search" type="search" placeholder="Search names" aria-label="Search names">'
        '<select id="status" aria-label="Show status"><option value="">every status</option>'
        f'{statuses}</select><label>sort by <select id="sort"><option value="">order of the run</option>{options}'
        '</select></label><button type="button" id="direction" aria-label="Ascending">&#8593;</button>'
        f'<output id="count">{len(rows)} of {len(rows)}</output></div></header>\n'
    )


def _card(folder: Path, index: int, row: Mapping[str, Any], problem: str) -> str:
    name, status = _text(row["name"]), _text(row["status"])
    scores = {key: row[key] for key in COLUMNS if row.get(key, math.nan) == row.get(key)}  # no NaN
    data = "".join(f' data-{key.replace("_", "-")}="{value:.6g}"' for key, value in scores.items())
    shown = " ".join(f"<span>{COLUMNS[key]} <b>{value:.3f}</b></span>" for key, value in list(scores.items())[:2])
    return (
        f'<article tabindex="0" role="button" data-index="{index}" data-name="{name}" data-status="{status}"{data}>'
        f'{_picture(folder, row["name"])}<h3 title="{name}">{name}</h3>'
        f'<p><em class="{status}">{status}</em> {shown}</p>'
        f"{f'<small>{_text(problem)}</small>' if problem else ''}"
        f'<p class="links" hidden>{_links(folder, row["name"])}</p></article>\n'
    )


def _picture(folder: Path, name: str) -> str:
    try:
        data = (folder / f"thumbnails/{name}.jpg").read_bytes()
    except OSError:
        return '<div class="absent">no picture</div>'
    return (
        f'<img loading="lazy" decoding="async" alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'
    )


def _links(folder: Path, name: str) -> str:
    paths = {label: pattern.format(name) for label, pattern in LINKED.items()}
    return " ".join(
        f'<a href="{html.escape(quote(os.fsencode(path)))}" target="_blank" rel="noopener">{label}</a>'
        for label, path in paths.items()
        if (folder / path).is_file()
    )


def _text(value: Any) -> str:
    """Escape a text for HTML, in attributes too; what cannot be shown is written as Python would."""
    return html.escape(printable(str(value)))
