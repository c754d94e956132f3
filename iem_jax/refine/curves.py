"""The training's progress: a table, and a picture of the curves."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from iem_jax.refine.fit import Progress

WIDTH, HEIGHT, MARGIN = 640, 360, 48
LINES = 4  # across the picture
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")


def history_table(progress: Iterable[Progress]) -> str:
    """Return the progress as CSV: stage, step, loss, held_out."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in dataclasses.fields(Progress)])
    for row in progress:
        held_out = "" if math.isnan(row.held_out) else f"{row.held_out:.6f}"
        table.writerow([row.stage, row.step, f"{row.loss:.6f}", held_out])
    return text.getvalue()


def read_history(path: Path | None) -> dict[tuple[str, int], Progress]:
    """Read the table of an earlier training back, by stage and step; empty where there is none that can be read."""
    if path is None or not path.is_file():
        return {}
    try:
        rows = list(csv.reader(path.read_text().splitlines()))[1:]
        found = [Progress(stage, int(step), float(loss), float(held or "nan")) for stage, step, loss, held in rows]
    except ValueError:
        return {}
    return {(row.stage, row.step): row for row in found}


def draw_curves(progress: Sequence[Progress]) -> Image.Image:
    """Draw the loss of each stage against the step, and the held-out loss as circles."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    values = [value for row in progress for value in (row.loss, row.held_out) if not math.isnan(value)]
    top, last = max(values, default=1.0), max((row.step for row in progress), default=1)
    draw.rectangle((MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN), outline="black")
    draw.text((WIDTH - 2 * MARGIN, HEIGHT - MARGIN + 6), f"step {last}", fill="black")

    def place(step: int, value: float) -> tuple[float, float]:
        across = MARGIN + step / last * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN)

    for part in range(LINES + 1):
        y = place(0, top * part / LINES)[1]
        draw.line((MARGIN, y, WIDTH - MARGIN, y), fill="black" if part in (0, LINES) else "lightgrey")
        draw.text((6, y - 6), f"{top * part / LINES:.3f}", fill="black")
    for index, stage in enumerate(dict.fromkeys(row.stage for row in progress)):
        colour = COLOURS[index % len(COLOURS)]
        rows = [row for row in progress if row.stage == stage]
        points = [place(row.step, row.loss) for row in rows]
        draw.line(points, fill=colour, width=2)
        for x, y in points:
            draw.rectangle((x - 1, y - 1, x + 1, y + 1), fill=colour)
        for x, y in (place(row.step, row.held_out) for row in rows if not math.isnan(row.held_out)):
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), outline=colour)
        draw.text((MARGIN + 8 + 90 * index, MARGIN - 16), stage, fill=colour)
    draw.text((MARGIN, 8), "cross-entropy in nats: lines in training, circles on held-out IEM masks", fill="black")
    return image
