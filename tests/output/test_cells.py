"""Tables that csv, pandas and spreadsheets read as they were meant."""

import csv
import io
import itertools
import random
from pathlib import Path

import pytest

from iem_jax.output.cells import read_name, table_lines, write_name
from iem_jax.output.writer import Writer

EVIL = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''=1", "'", "''", " =1", "\t=1", "\r=1", "\n=1", "\uff1d1"),
    *(
        "a,b",
        "a;b",
        'a"b',
        '"',
        '""',
        "a\nb",
        "a\rb",
        "a\r\nb",
        "\r",
        "\n",
        "a\tb",
        "=cmd|'/c calc'!A1",
        '=HYPERLINK("x")',
    ),
    *("plain", "sub/plain", "a b", "ü", "a\udcff", "NA", "001"),
]


def write(names: list[str]) -> bytes:
    return b"".join(table_lines(("name", "status", "iou"), [{"name": n, "status": "ok", "iou": 0.5} for n in names]))


def test_each_name_is_one_cell_and_leads_back_to_its_file():
    text = write(EVIL).decode("utf-8", "surrogateescape")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["name", "status", "iou"]
    assert [len(row) for row in rows] == [3] * len(rows)
    assert [read_name(row[0]) for row in rows[1:]] == EVIL


def test_no_cell_is_a_formula():
    text = write(EVIL).decode("utf-8", "surrogateescape")
    for name, status, _ in csv.reader(io.StringIO(text, newline="")):
        assert name.strip()[:1] not in ("=", "+", "-", "@", "\uff1d")
        assert status.isalpha()


def test_any_text_comes_back():
    choice = random.Random(0)
    letters = "=+-@'\"\t\r\n ,;a"
    texts = ["".join(choice.choices(letters, k=choice.randrange(1, 6))) for _ in range(3000)]
    texts += map("".join, itertools.product(letters, repeat=2))
    assert [read_name(write_name(text)) for text in texts] == texts
    found = list(csv.reader(io.StringIO(write(texts).decode(), newline="")))[1:]
    assert [read_name(row[0]) for row in found] == texts


def test_pandas_reads_the_same():
    pandas = pytest.importorskip("pandas")
    found = pandas.read_csv(
        io.BytesIO(write(EVIL)), keep_default_na=False, encoding_errors="surrogateescape", dtype=str
    )
    assert [read_name(name) for name in found["name"]] == EVIL


def test_ordinary_tables_are_as_the_csv_module_writes_them(tmp_path: Path):
    """Data sets' tables are read by other programs."""
    rows = [{"name": f"image_{n:05d}", "status": "ok", "iou": n / 7, "inp_error": float("nan")} for n in range(5)]
    Writer(tmp_path).write_metrics(rows)
    expected = io.StringIO(newline="")
    from iem_jax.output.writer import METRICS_COLUMNS

    table = csv.DictWriter(expected, METRICS_COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({key: f"{value:.6f}" if isinstance(value, float) else value for key, value in row.items()})
    assert (tmp_path / "metrics.csv").read_text() == expected.getvalue()
