r"""Tables as CSV that any program reads as it was meant: one cell a value, and none that a spreadsheet would run.

How names are written, so that a row still leads to its files:
1. A name that begins, spaces aside, with one of = + - @ ' gets one apostrophe in front; whoever reads the table takes
   one leading apostrophe away. Spreadsheets run what begins with the first four.
2. Names with commas, semicolons, quotes, tabs or line ends stand in quotes, and quotes in them are doubled.
3. Bytes that are no UTF-8 are kept: read with `errors="surrogateescape"`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MARKED = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # some take the wide ones for the others
QUOTED = frozenset(',;"\t\r\n\v\f')


def table_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the lines of a table with a heading; absent values are empty fields, floats have six digits."""
    yield ",".join(columns).encode() + b"\n"
    for row in rows:
        line = ",".join(_cell(row.get(column)) for column in columns) + "\n"
        yield line.encode("utf-8", "surrogateescape")


def write_name(name: str) -> str:
    """Return a name as a cell that is no formula."""
    return f"'{name}" if name.lstrip().startswith(MARKED) else name


def read_name(cell: str) -> str:
    """Return the name that `write_name` made a cell of."""
    return cell.removeprefix("'")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    text = write_name(value) if isinstance(value, str) else str(value)
    return '"' + text.replace('"', '""') + '"' if QUOTED.intersection(text) else text
