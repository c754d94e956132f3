"""Plots and contact sheets over all pictures of a run."""

import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from iem_jax.config import UsageError
from iem_jax.output.figures import grid
from iem_jax.output.writer import Writer

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


def rank_sheet(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Image.Image | None:
    """Return a contact sheet of thumbnails with a row each of the best, the middle and the worst pictures.

    They are ranked by IoU, or by InpError where there is no ground truth at all; None if no picture has a rank.
    """
    key = "iou" if any(row.get("iou", -1) >= 0 for row in rows) else "inp_error"
    names = [row["name"] for row in sorted(rows, key=lambda row: -row.get(key, -1)) if row.get(key, -1) >= 0]
    names = [name for name in names if (folder / f"thumbnails/{name}.jpg").is_file()]
    if not names:
        return None
    start = max((len(names) - COLUMNS) // 2, 0)
    chosen = [names[:COLUMNS], names[start : start + COLUMNS], names[-COLUMNS:]]
    # With few pictures the three rows would be the same.
    return grid([[_open(folder, name) for name in row] for row in (chosen if len(names) > COLUMNS else chosen[:1])])


def write_figures(writer: Writer, history: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write figures/history.png and figures/contact_sheet.png, as far as there are numbers."""
    if history:
        writer.write("figures/history.png", lambda file: file.write(plot_history(history)))
    sheet = rank_sheet(writer.folder, rows)
    if sheet is not None:
        writer.write_image("figures/contact_sheet.png", sheet)


def _open(folder: Path, name: str) -> Image.Image:
    with Image.open(folder / f"thumbnails/{name}.jpg") as image:
        return image.convert("RGB").resize((2 * 160, 160), Image.Resampling.BICUBIC)
