"""The training's progress: a table, and a picture of the curves."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from iem_jax.refine.trainer import Progress

WIDTH, HEIGHT, MARGIN = 640, 360, 48
LINES = 4  # across the picture
CURVES = {
    "loss": ("training loss in nats", "#1f77b4"),
    "held_out": ("loss on held-out masks", "#ff7f0e"),
    "agreement": ("IoU with held-out masks", "#2ca02c"),
}


def history_table(progress: Iterable[Progress]) -> str:
    """Return the progress as CSV: step, loss, held_out, agreement."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in dataclasses.fields(Progress)])
    for row in progress:
        values = (row.loss, row.held_out, row.agreement)
        table.writerow([row.step, *("" if math.isnan(value) else f"{value:.6f}" for value in values)])
    return text.getvalue()


def read_history(path: Path) -> dict[int, Progress]:
    """Read the table of an earlier training back, by step; empty where there is none that can be read."""
    if not path.is_file():
        return {}
    try:
        rows = list(csv.reader(path.read_text().splitlines()))[1:]
        found = [Progress(int(step), *(float(value or "nan") for value in values)) for step, *values in rows]
    except (TypeError, ValueError):
        return {}
    return {row.step: row for row in found}


def draw_curves(progress: Sequence[Progress]) -> Image.Image:
    """Draw the losses, and the agreement with held-out masks, against the step."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    top = max([1.0, *(value for row in progress for value in (row.loss, row.held_out) if not math.isnan(value))])
    last = max((row.step for row in progress), default=1)
    draw.rectangle((MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN), outline="black")
    draw.text((WIDTH - 2 * MARGIN, HEIGHT - MARGIN + 6), f"step {last}", fill="black")

    def place(step: int, value: float) -> tuple[float, float]:
        across = MARGIN + step / last * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN)

    for part in range(LINES + 1):
        y = place(0, top * part / LINES)[1]
        draw.line((MARGIN, y, WIDTH - MARGIN, y), fill="black" if part in (0, LINES) else "lightgrey")
        draw.text((6, y - 6), f"{top * part / LINES:.2f}", fill="black")
    for index, (name, (label, colour)) in enumerate(CURVES.items()):
        values = [(row.step, getattr(row, name)) for row in progress]
        points = [place(step, value) for step, value in values if not math.isnan(value)]
        draw.line(points, fill=colour, width=2)
        for x, y in points:
            draw.rectangle((x - 1, y - 1, x + 1, y + 1), fill=colour)
        draw.text((MARGIN + 8 + 190 * index, MARGIN - 18), label, fill=colour)
    return image
