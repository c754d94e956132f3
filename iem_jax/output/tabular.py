"""The table over several runs as text, CSV, LaTeX and a plot."""

import io
import math
import re
from collections.abc import Iterator, Sequence

from iem_jax.data.names import printable
from iem_jax.evaluation.bootstrap import Mean
from iem_jax.evaluation.table import DIFFERENCE, LABELS, MEASURED, PAPER, Row, columns_of
from iem_jax.output.cells import table_lines

WIDTH = 15  # of a column
CSV_COLUMNS = ("run", "kind", "against", "pictures", "scored", "measure", "mean", "low", "high")
PAPERS = "published: Savarese et al., CVPR 2021, on the whole data sets; no intervals are given there"
HEADINGS = {DIFFERENCE: "difference from the first run, on the pictures that both have", PAPER: PAPERS}


def text_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table for a terminal, 95 % intervals below their means."""
    columns = columns_of(rows)
    wide = max(len(_label(row)) for row in rows) + 2
    yield " " * wide + f"{'pictures':>{WIDTH}}" + "".join(f"{LABELS[key]:>{WIDTH}}" for key in columns)
    kind = MEASURED
    for row in rows:
        if row.kind != kind:
            kind = row.kind
            yield HEADINGS[kind]
        means = (_mean(row, key) for key in columns)
        yield f"{_label(row):<{wide}}{_pictures(row):>{WIDTH}}" + "".join(f"{mean:>{WIDTH}}" for mean in means)
        if kind != PAPER:
            ends = (_ends(row.cells.get(key), " to ") for key in columns)
            yield (" " * (wide + WIDTH) + "".join(f"{end:>{WIDTH}}" for end in ends)).rstrip()


def csv_lines(rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield the lines of a table with a row a number, in percent."""
    table = (
        {"run": row.label, "kind": row.kind, "against": row.against, "pictures": row.pictures, "scored": row.scored}
        | {"measure": key, "mean": mean.value, "low": _known(mean.low), "high": _known(mean.high)}
        for row in rows
        for key, mean in row.cells.items()
    )
    return table_lines(CSV_COLUMNS, table)


def latex_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a tabular for LaTeX (package booktabs), 95 % intervals in small type."""
    columns = columns_of(rows)
    yield f"\\begin{{tabular}}{{l{'r' * (len(columns) + 1)}}}\n\\toprule\n"
    yield " & ".join(["", "pictures", *(LABELS[key] for key in columns)]) + " \\\\\n\\midrule\n"
    kind = MEASURED
    for row in rows:
        if row.kind != kind:
            kind = row.kind
            yield f"\\midrule\n\\multicolumn{{{len(columns) + 2}}}{{l}}{{\\emph{{{HEADINGS[kind]}}}}} \\\\\n"
        cells = [_escape(_label(row)), _pictures(row), *(_latex_cell(row, key) for key in columns)]
        yield " & ".join(cells) + " \\\\\n"
    yield "\\bottomrule\n\\end{tabular}\n"


def plot_table(rows: Sequence[Row]) -> bytes:
    """Return a PNG: a panel a measure, a point and its interval a run; published ones are hollow."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.kind != DIFFERENCE]
    columns = columns_of(shown)
    figure = Figure(figsize=(2 + 2 * len(columns), 1.2 + 0.3 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, key in zip(figure.subplots(1, len(columns), sharey=True, squeeze=False)[0], columns, strict=True):
        for place, row in enumerate(shown):
            if (mean := row.cells.get(key)) is not None:
                ends = [[mean.value - mean.low], [mean.high - mean.value]]
                error = None if math.isnan(mean.low) else ends
                face = "white" if row.kind == PAPER else "black"
                axes.errorbar([mean.value], [place], xerr=error, fmt="o", color="black", markerfacecolor=face)
        axes.set(xlabel=LABELS[key], yticks=range(len(shown)), yticklabels=[_label(row) for row in shown])
        axes.grid(axis="x", alpha=0.3)
    figure.axes[0].invert_yaxis()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()


def _label(row: Row) -> str:
    return printable(row.label) + (" (published)" if row.kind == PAPER else "")


def _pictures(row: Row) -> str:
    return "" if row.kind == PAPER else f"{row.scored} of {row.pictures}"


def _mean(row: Row, key: str) -> str:
    mean = row.cells.get(key)
    if mean is None:
        return "-"
    return f"{mean.value:+.1f}" if row.kind == DIFFERENCE else f"{mean.value:.1f}"


def _ends(mean: Mean | None, between: str) -> str:
    return "" if mean is None or math.isnan(mean.low) else f"{mean.low:.1f}{between}{mean.high:.1f}"


def _latex_cell(row: Row, key: str) -> str:
    ends = _ends(row.cells.get(key), ", ")
    mean = _mean(row, key)
    return f"${mean}$" + (f" {{\\scriptsize $[{ends}]$}}" if ends else "") if mean != "-" else "--"


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[\\~^&%$#_{}]", lambda found: special.get(found[0], "\\" + found[0]), text)
