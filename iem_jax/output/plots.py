"""Plots and contact sheets over all pictures of a run."""

import importlib.util
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.output.figures import grid
from iem_jax.output.writer import PATTERNS, Writer

SCORES = {"iou": "IoU", "dice": "DICE", "accuracy": "accuracy", "miou": "mIoU"}
COLUMNS = 8  # pictures in a row of the contact sheet


def check_plots() -> None:
    """Check that matplotlib is there.

    Raises:
      UsageError: it is not.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("`figures` needs matplotlib, which is not installed: `pip install iem_jax[figures]`.")


def plot_history(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a PNG with InpError and, where there are any, the scores over iterations."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scores = [key for key in SCORES if key in history[0]]
    figure = Figure(figsize=(9 if scores else 5, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    iterations = [row["iteration"] for row in history]
    axes[0].plot(iterations, [row["inp_error"] for row in history], color="black")
    axes[0].set(xlabel="iteration", ylabel="InpError", title="inpainting error (large is good)")
    for key in scores:
        axes[1].plot(iterations, [row[key] for row in history], label=SCORES[key])
    if scores:
        axes[1].set(xlabel="iteration", ylabel="score", title="scores", ylim=(0, 1))
        axes[1].legend()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()


def rank_sheet(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Image.Image | None:
    """Return a contact sheet of thumbnails with a row each of the best, the middle and the worst pictures.

    They are ranked by IoU, or by InpError where there is no ground truth at all; None if no picture has a rank. `rows`
    are gone through several times.
    """
    key = "iou" if any(row.get("iou", -1) >= 0 for row in rows) else "inp_error"
    ranked = (row for row in rows if row.get(key, -1) >= 0 and _path(folder, row["name"]).is_file())
    ranks = np.fromiter((row[key] for row in ranked), np.float64)
    if not len(ranks):
        return None
    order = np.argsort(-ranks, kind="stable")
    start = max((len(order) - COLUMNS) // 2, 0)
    # With few pictures the three rows would be the same.
    parts = [slice(COLUMNS), slice(start, start + COLUMNS), slice(-COLUMNS, None)][: 3 if len(order) > COLUMNS else 1]
    chosen = [order[part].tolist() for part in parts]
    wanted = {index for part in chosen for index in part}
    ranked = (row for row in rows if row.get(key, -1) >= 0 and _path(folder, row["name"]).is_file())
    names = {index: row["name"] for index, row in enumerate(ranked) if index in wanted}
    return grid([[_open(folder, names[index]) for index in part] for part in chosen])


def write_figures(writer: Writer, history: Sequence[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write figures/history.png and figures/contact_sheet.png, as far as there are numbers."""
    if history:
        writer.write("figures/history.png", lambda file: file.write(plot_history(history)))
    sheet = rank_sheet(writer.folder, rows)
    if sheet is not None:
        writer.write_image("figures/contact_sheet.png", sheet)


def _path(folder: Path, name: str) -> Path:
    return folder / PATTERNS["thumbnails"].format(name)


def _open(folder: Path, name: str) -> Image.Image:
    with Image.open(_path(folder, name)) as image:
        return image.convert("RGB").resize((2 * 160, 160), Image.Resampling.BICUBIC)
