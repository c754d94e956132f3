"""Presets and single changes of the settings: how good the masks are, and how long they take.

python benchmarks/bench_quality.py --dataset_path=PATH [--split=test] [--variants=paper,fast,best]
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags
from measuring import load_flowers, summarise, write_results
from scoring import interval

from iem_jax import IEMConfig, Segmentation, score_masks, segment, segment_best
from iem_jax.output.figures import contact_sheet

SINGLE_CHANGES = {
    "lab": {"features": "lab"},
    "threshold 5": {"smooth_threshold": 5},
    "lab + threshold 5": {"features": "lab", "smooth_threshold": 5},
    "lab100 + threshold 5": {"features": "lab100", "smooth_threshold": 5},
    "lab + threshold 5 + lmbda 0.003": {"features": "lab", "smooth_threshold": 5, "lmbda": 0.003},
    "lab + threshold 5 + sigma 8": {"features": "lab", "smooth_threshold": 5, "sigma": 8.0, "kernel_size": 17},
    "lab + threshold 5 + scale 2": {
        "features": "lab",
        "smooth_threshold": 5,
        "sigma": 2.5,
        "kernel_size": 7,
        "scale_factor": 2,
    },
    "lmbda 0": {"lmbda": 0.0},
}
COLUMNS = ("accuracy", "iou", "miou", "dice", "iou_fixed")
WORST = 12

flags.DEFINE_string("dataset_path", None, "Folder of a data set in the Flowers layout.", required=True)
flags.DEFINE_enum("split", "test", ["train", "val", "test"], "Split.")
flags.DEFINE_integer("pictures", 96, "Pictures with a ground truth.")
flags.DEFINE_integer("timed", 16, "Pictures to take the time of.")
flags.DEFINE_integer("repeats", 5, "How often.")
flags.DEFINE_list("variants", [], "Only these, by name; paper is always there.")
flags.DEFINE_string("sheets", "output/quality", "Folder for contact sheets of the worst; empty: none.")


def make_variants() -> dict[str, Callable[[np.ndarray], Segmentation]]:
    """Return what to compare: functions of a batch, by name."""

    def change(changes: dict[str, Any]) -> Callable[[np.ndarray], Segmentation]:
        return lambda images: segment(images, IEMConfig(**changes))

    variants = {
        "paper": segment,
        "paper without early finish": lambda images: segment(images, early_finish=False),
        "fast": lambda images: segment_best(images, "fast"),
        "best": lambda images: segment_best(images, "best"),
        **{name: change(changes) for name, changes in SINGLE_CHANGES.items()},
    }
    chosen = {"paper", *flags.FLAGS.variants} if flags.FLAGS.variants else set(variants)
    return {name: function for name, function in variants.items() if name in chosen}


def measure_processor(calls: dict[str, Callable[[], Any]], pictures: int) -> dict[str, dict[str, float]]:
    """Take the processor's milliseconds for each picture, in turns: other work on the machine counts less in them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(flags.FLAGS.repeats):
        for name, call in calls.items():
            start = time.process_time()
            jax.block_until_ready(call())
            times[name].append((time.process_time() - start) / pictures * 1e3)
    return {name: summarise(values) for name, values in times.items()}


def save_sheet(name: str, images: np.ndarray, masks: np.ndarray, iou: np.ndarray) -> None:
    """Write the pictures with the worst masks; outside of the repository's tracked files."""
    worst = np.argsort(iou)[:WORST]
    folder = Path(flags.FLAGS.sheets)
    folder.mkdir(parents=True, exist_ok=True)
    contact_sheet(list(images[worst]), list(masks[worst])).save(folder / f"worst_{name}.png")


def main(_: list[str]) -> None:
    """Score all variants on all pictures, time them on some, in turns."""
    images, truths = load_flowers(flags.FLAGS.dataset_path, flags.FLAGS.pictures, split=flags.FLAGS.split)
    variants = make_variants()
    results, iou = {}, {}
    for name, function in variants.items():
        masks = np.asarray(function(images).mask)
        scores = score_masks(masks, truths)
        iou[name] = np.asarray(scores.iou, np.float64)
        results[name] = {column: 100 * float(np.mean(getattr(scores, column))) for column in COLUMNS}
        results[name]["iou_minus_paper"] = interval([100 * (iou[name] - iou["paper"])])
        if flags.FLAGS.sheets and name in ("paper", "fast", "best"):
            save_sheet(name, images, masks, iou[name])
    few = images[: flags.FLAGS.timed]
    calls = {name: lambda function=function: function(few) for name, function in variants.items()}
    for call in calls.values():
        jax.block_until_ready(call())
    for name, times in measure_processor(calls, len(few)).items():
        results[name]["milliseconds"] = times
    settings = {key: flags.FLAGS[key].value for key in ("split", "pictures", "timed", "repeats")}
    write_results("quality", settings, results)


if __name__ == "__main__":
    app.run(main)
