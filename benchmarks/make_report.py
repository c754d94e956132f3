"""Tables and plots in benchmarks/README.md, docs/quality.md and docs/speed.md: `python benchmarks/make_report.py`."""

import json
import re
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from subject_tables import NAMES, against_grabcut, table, tables

FOLDER = Path(__file__).parent
DOCS = FOLDER.parent / "docs"
MARK = re.compile(r"(<!-- begin results -->\n).*(<!-- end results -->)", re.DOTALL)


def peer(record: dict) -> str:
    """Return the comparison with PyTorch and GrabCut."""
    text = ""
    memory = record["results"]["peak_memory_mib"]
    for variant, sides in record["results"].items():
        if variant == "peak_memory_mib":
            continue
        rows = []
        for name, side in sides.items():
            seconds = side["seconds_per_picture"]
            spread = f"{seconds['min'] * 1e3:.1f} to {seconds['max'] * 1e3:.1f}"
            peak = f"{memory[name]:.0f}" if variant == "default" else ""
            scores = f"{side['iou']:.1f} / {side['miou']:.1f}", f"{side['agreement_with_iem_jax']:.5f}"
            times = f"{seconds['median'] * 1e3:.1f}", spread, f"{side['times_faster_than_pytorch']:.1f}"
            rows.append([f"{name}, {side['pictures']} pictures", *times, *scores, peak])
        header = ["", "ms a picture", "spread", "times PyTorch's speed", "IoU / mIoU", "pixels as ours", "peak MiB"]
        text += f"**{variant}**\n\n{table(header, rows)}\n"
    return text


def scale(record: dict) -> str:
    """Return the growth with batch, size and filter."""
    rows = [
        [*(row[key] for key in ("axis", row["axis"], "batch", "size")), f"{row['milliseconds']:.3f}"]
        for row in record["results"]["rows"]
    ]
    for line, row in zip(rows, record["results"]["rows"], strict=True):
        line.append(f"{row['peak_memory_mib']:.0f}")
    fits = ", ".join(f"{name} {value}" for name, value in record["results"]["exponents"].items())
    header = ["axis", "value", "batch", "size", "ms a picture and iteration", "peak MiB"]
    return f"Fitted exponents of total time (1 is linear): {fits}.\n\n{table(header, rows)}\n"


def end_to_end(record: dict) -> str:
    """Return the parts of whole runs."""
    results = record["results"]
    runs = {name: value for name, value in results.items() if isinstance(value, dict)}
    parts = list(next(iter(runs.values())))
    rows = [[name, *(f"{run[part]:.1f}" for part in parts)] for name, run in runs.items()]
    text = f"Bare decoding: {results['bare_decoding']:.1f} s. Run over decoding and computing, each by itself: "
    return f"{text}{results['ratio_to_sum_of_parts']:.2f}.\n\n{table(['', *parts], rows)}\n"


def quality(record: dict) -> str:
    """Return the scores and times of presets and single changes."""
    paper = record["results"]["paper"]["milliseconds"]["median"]
    rows = []
    for name, result in record["results"].items():
        scores = [f"{result[key]:.1f}" for key in ("accuracy", "iou", "miou", "dice", "iou_fixed")]
        low, high = result["iou_minus_paper"]
        time = result["milliseconds"]
        spread = f"{time['median']:.1f} ({time['min']:.1f} to {time['max']:.1f})"
        rows.append([name, *scores, f"{low:+.1f} to {high:+.1f}", spread, f"{time['median'] / paper:.2f}"])
    header = [
        "",
        "accuracy",
        "IoU",
        "mIoU",
        "DICE",
        "fixed IoU",
        "IoU less paper's, 95 %",
        "ms a picture",
        "of paper's",
    ]
    return table(header, rows) + "\n"


def chunk(record: dict) -> str:
    """Return the time of each chunk size."""
    rows = []
    for name, result in record["results"].items():
        time = result["milliseconds_a_picture"]
        spread = f"{time['median']:.2f} ({time['min']:.2f} to {time['max']:.2f})"
        same = f"{result['pixels_as_the_first']:.5f}"
        rows.append([name, spread, f"{result['seconds']:.3f}", same, f"{result['iou']:.1f}"])
    header = ["precision, pictures side by side", "ms a picture", "seconds in all", "pixels as the first", "IoU"]
    return table(header, rows) + "\n"


def segnet(record: dict) -> str:
    """Return the scores of trained networks, and of IEM."""
    results = record["results"]
    columns = list(results["iem"])
    rows = [[side, *(f"{value:.1f}" for value in results[side].values()), ""] for side in ("iem", "iem polished")]
    for name, trained in results.items():
        for side in ("net", "net polished") if "runs" in trained else ():
            scores = [f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in trained[side].values()]
            seconds = ", ".join(f"{run['seconds']:.0f}" for run in trained["runs"])
            rows.append([f"{side}, {name}", *scores, seconds])
    return table(["", *columns, "seconds of each run"], rows) + "\n"


def refine(record: dict) -> str:
    """Return the speed of the network, against PyTorch and against IEM."""
    rows, text = [], ""
    for name, value in record["results"].items():
        if not isinstance(value, dict):
            text += f"- {name.replace('_', ' ')}: {value}\n"
            continue
        time = value["milliseconds_per_picture"]
        spread = f"{time['median']:.2f} ({time['min']:.2f} to {time['max']:.2f})"
        rows.append([name, spread, value["first_call_seconds"], value.get("peak_memory_mib", "")])
    return f"{table(['', 'ms a picture', 'first call, s', 'peak MiB'], rows)}\n{text}\n"


def _medians(runs: list[dict]) -> list[str]:
    return [f"{statistics.median(run[key] for run in runs):.2f}" for key in ("seconds", "cpu_seconds")]


def folder(record: dict) -> str:
    """Return folders of large pictures against bare work on their files, and first and second runs."""
    rows = []
    names = {"default": "masks; bare: decoding", "cutouts_overlays": "with cut-outs and overlays; bare: and encoding"}
    for name, label in names.items():
        found = record[name]
        bare, runs = (" / ".join(_medians(found[side])) for side in ("bare", "runs"))
        ratios = (found[key] for key in ("ratio", "cpu_ratio", "ratio_of_each_further_picture"))
        rows.append([label, bare, runs, *(f"{ratio:.2f}" for ratio in ratios)])
    header = [
        "",
        "bare, s / processor s",
        "whole run, the same",
        "ratio",
        "of processor time",
        "of each further picture",
    ]
    number, (width, height), machine = record["pictures"], record["pixels"], record["machine"]
    text = f"{number} JPEGs of {width} x {height}, {machine['cores']} cores, Python {machine['python']}, "
    text += (
        f"Pillow {record['versions']['pillow']}, load at the end {machine['load'][0]:.1f}.\n\n{table(header, rows)}\n"
    )
    rows = [
        [preset, *(f"{run['seconds']:.1f} / {run['cpu_seconds']:.1f}" for size in ("1", "48") for run in runs[size])]
        for preset, runs in record["first_and_second_run"].items()
    ]
    header = ["seconds / processor seconds", "one, first run", "second", "48 small ones, first run", "second"]
    return f"{text}One picture of that size, and 48 of 500 x 375, whole processes:\n\n{table(header, rows)}"


SECTIONS = {
    "peer": ("Against PyTorch and GrabCut", peer),
    "subjects": (
        "Presets against GrabCut at the same working size: IoU with fixed polarity / the better of mask and complement",
        lambda record: against_grabcut(record["results"]) + "\n",
    ),
    "scale": ("Growth", scale),
    "end_to_end": ("End to end", end_to_end),
    "chunk": ("Pictures side by side", chunk),
    "segnet": ("Quality of the SegNet", segnet),
    "refine": ("Speed of the SegNet", refine),
}
QUALITY_SECTIONS = {
    "subjects": ("Photographs of many subjects", lambda record: tables(record["results"], brief=True)),
    "subjects_moved": ("The same, moved", lambda record: tables(record["results"], brief=True)),
    "quality": ("Flowers as a data set: the first round's presets, and single changes of the plain algorithm", quality),
}


def plot_scale(records: list[dict]) -> None:
    """Draw time per picture and iteration against batch and size."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for record in records:
        for axis, name in zip(axes, ("batch", "size"), strict=True):
            rows = [row for row in record["results"]["rows"] if row["axis"] == name]
            axis.loglog(
                [row[name] for row in rows],
                [row["milliseconds"] for row in rows],
                "o-",
                label=record["machine"]["device"],
            )
            axis.set(xlabel="pictures in the batch" if name == "batch" else "side in pixels")
    axes[0].set_ylabel("ms a picture and iteration")
    axes[0].legend(frameon=False)
    figure.savefig(FOLDER / "scale.png", dpi=110)


SERIES = (
    ("mean", "iou_fixed", "tab:blue", "full", "mean of the subjects, fixed polarity"),
    ("mean", "iou", "tab:blue", "none", "the same, better of mask and complement"),
    ("flowers", "iou_fixed", "tab:orange", "full", "flowers, fixed polarity"),
)


def plot_subjects(record: dict) -> None:
    """Draw IoU against time a picture: the mean of the subjects, and flowers."""
    figure, axis = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
    found, times = record["results"]["report"], record["results"]["time"]
    for place, score, colour, fill, label in SERIES:
        points = {
            name: (time["milliseconds"]["median"], found["methods"][name][place][score])
            for name, time in times.items()
            if place in found["methods"][name]
        }
        axis.semilogx(*zip(*points.values(), strict=True), "o", color=colour, fillstyle=fill, label=label)
        for name, point in points.items():
            if fill == "full":
                axis.annotate(NAMES.get(name, name), point, xytext=(5, 4), textcoords="offset points", fontsize=8)
    axis.set(xlabel="processor ms a picture", ylabel="IoU, percent")
    for ticks in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        ticks(mpl.ticker.ScalarFormatter())
    axis.legend(frameon=False, fontsize=8)
    axis.margins(x=0.2, y=0.15)
    figure.savefig(DOCS / "quality.png", dpi=100)


def fill_page(page: Path, sections: dict[str, tuple[str, Any]], records: list[dict]) -> None:
    """Write the sections between the marks of a page."""
    text = ""
    for name, (title, section) in sections.items():
        for record in (record for record in records if record.get("benchmark") == name):
            machine, settings = record["machine"], record["settings"]
            where = f"{machine['date']}, {machine['device']}, {machine['processor']}, {machine['cores']} cores, "
            where += f"jax {machine['jax']}; " + ", ".join(f"{key} {value}" for key, value in settings.items())
            text += f"### {title}\n\n{where}.\n\n{section(record)}"
    _write_between_marks(page, text)


def _write_between_marks(page: Path, text: str) -> None:
    page.write_text(MARK.sub(lambda match: match[1] + "\n" + text + match[2], page.read_text()))


def main() -> None:
    """Write the pages and their plots."""
    records = [json.loads(path.read_text()) for path in sorted((FOLDER / "results").glob("*.json"))]
    fill_page(FOLDER / "README.md", SECTIONS, records)
    fill_page(DOCS / "quality.md", QUALITY_SECTIONS, records)
    _write_between_marks(DOCS / "speed.md", folder(json.loads((FOLDER / "results/folder.json").read_text())) + "\n")
    plot_scale([record for record in records if record.get("benchmark") == "scale"])
    for record in (record for record in records if record.get("benchmark") == "subjects"):
        plot_subjects(record)


if __name__ == "__main__":
    main()
