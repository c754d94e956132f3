"""Markdown tables of what `bench_subjects.py` measured."""

from collections.abc import Iterable
from typing import Any

NAMES = {"grabcut": "GrabCut", "centred_square": "centred square", "centred_ellipse": "centred ellipse"}


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def tables(results: dict[str, Any], brief: bool = False) -> str:
    """Return all tables of a record's results; `brief` leaves out intervals but those of the half that reports."""
    text = ""
    for part, found in results.items():
        if part == "time":
            text += f"**Time**\n\n{times(found)}\n"
            continue
        places = _places(found["pictures"])
        text += f"**{part.capitalize()}**, IoU with fixed polarity / the better of mask and complement, percent\n\n"
        text += f"{overlaps(found, places)}\n"
        if part == "report" or not brief:
            text += f"Differences of both IoUs: mean, 95 %\n\n{differences(found, places)}\n"
        text += f"Confidence and the flag `uncertain`\n\n{warnings(found, places)}\n"
    return text


def overlaps(found: dict[str, Any], places: list[str]) -> str:
    """Return the IoU of each method on each subject, and means of the other scores."""
    heads = [f"{place} ({found['pictures'][place]})" if place in found["pictures"] else place for place in places]
    rows = []
    for name, scores in found["methods"].items():
        cells = [f"{scores[place]['iou_fixed']:.1f} / {scores[place]['iou']:.1f}" for place in places]
        mean = scores["mean"]
        accuracy = f"{mean['accuracy_fixed']:.1f} / {mean['accuracy']:.1f}"
        rows.append([NAMES.get(name, name), *cells, accuracy, f"{mean['boundary_f']:.1f}"])
    return table(["", *heads, "mean accuracy", "mean boundary F"], rows)


def differences(found: dict[str, Any], places: list[str]) -> str:
    """Return how far methods are ahead of each other."""
    rows = []
    for pair, scores in found["differences"].items():
        for score, label in (("iou_fixed", "fixed"), ("iou", "better")):
            cells = ["{:+.1f} ({:+.1f} to {:+.1f})".format(*scores[score][place]) for place in places]
            rows.append([f"{pair.replace('grabcut', NAMES['grabcut'])}, {label}", *cells])
    return table(["", *places], rows)


def warnings(found: dict[str, Any], places: list[str]) -> str:
    """Return how confidence ranks the masks of each subject, and what the flag finds, over all pictures."""
    rows = []
    for name, scores in found["methods"].items():
        if "flagged" not in scores["mean"]:
            continue
        ranks = [_two_decimals(scores[place].get("spearman")) for place in places]
        mean = scores["mean"]
        shares = [f"{mean[key]:.0f} %" for key in ("bad", "flagged")]
        rows.append([name, *ranks, *shares, *(_two_decimals(mean.get(key)) for key in ("precision", "recall"))])
    heads = [f"Spearman, {place}".replace("mean", "all pictures") for place in places]
    return table(["", *heads, "IoU < 0.5", "flagged", "precision", "recall"], rows)


def times(found: dict[str, Any]) -> str:
    """Return the time of each method, and relative to paper's."""
    rows = []
    for name, row in found.items():
        cells = []
        for key in ("milliseconds", "compile_seconds"):
            if name == "grabcut" and key == "compile_seconds":
                cells += ["", ""]
                continue
            spread = "{median:.1f} ({min:.1f} to {max:.1f})".format(**row[key])
            cells += [spread, f"{row[f'{key}_of_paper']:.2f}"]
        rows.append([NAMES.get(name, name), *cells])
    return table(["", "processor ms a picture", "of paper's", "processor s to compile", "of paper's"], rows)


def against_grabcut(results: dict[str, Any]) -> str:
    """Return time and IoU of the presets and of GrabCut, on the half of the pictures that reports, in one table."""
    found, places, rows = results["report"], _places(results["report"]["pictures"]), []
    for name, time in results["time"].items():
        scores = found["methods"][name]
        cells = [f"{scores[place]['iou_fixed']:.1f} / {scores[place]['iou']:.1f}" for place in places]
        rows.append([NAMES.get(name, name), f"{time['milliseconds']['median']:.1f}", *cells])
    return table(["", "processor ms a picture", *places], rows)


def _places(pictures: dict[str, int]) -> list[str]:
    return [*(place for place in pictures if place != "flowers"), "mean", *(x for x in pictures if x == "flowers")]


def _two_decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
