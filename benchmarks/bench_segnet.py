"""The SegNet's quality: `run.py --refine` on a Flowers data set, several seeds, on the masks of several presets.

    python benchmarks/bench_segnet.py --dataset_path=PATH [--seeds=3] [--presets=paper,fast] [--flags=refine_steps=600]

Each run is a process of its own, as a user would start it. Scores are of the test split, against IEM's own masks with
the paper's settings; the network's as they come out of it ("net"), and polished by the colours of their pictures
("net polished", what run.py writes). The agreement with held-out masks of the train split is what settings are chosen
by; no ground truth has a part in it.
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from measuring import load_flowers, write_results

from iem_jax import score_masks, segment
from iem_jax.refine import ModelState, load_model
from iem_jax.refine.trainer import predict_all
from iem_jax.search.polish import polish_all

ROOT = Path(__file__).parents[1]
COLUMNS = ("accuracy", "iou", "miou", "dice", "iou_fixed")

flags.DEFINE_string("dataset_path", None, "Folder of a data set in the Flowers layout.", required=True)
flags.DEFINE_integer("pictures", 96, "Pictures of the test split with a ground truth.")
flags.DEFINE_integer("seeds", 3, "Trainings for each preset.")
flags.DEFINE_list("presets", ["paper", "fast"], "Whose masks are learned from.")
flags.DEFINE_list("flags", [], "More flags for run.py, without the dashes.")


def score(masks: np.ndarray, truths: np.ndarray) -> dict[str, float]:
    """Return mean scores in percent."""
    scores = score_masks(masks, truths)
    return {column: 100 * float(np.nanmean(getattr(scores, column))) for column in COLUMNS}


def train(preset: str, seed: int, folder: Path) -> dict[str, Any]:
    """Do one run; returns its seconds and what it was chosen by."""
    own = [f"--{flag}" for flag in flags.FLAGS.flags]
    command = [sys.executable, str(ROOT / "run.py"), f"--dataset_path={flags.FLAGS.dataset_path}", "--refine"]
    command += [f"--preset={preset}", f"--refine_seed={seed}", f"--output_dir={folder}", "--quiet", *own]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - start
    with open(folder / "refine/history.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return {"seconds": round(seconds, 1), "steps": int(last["step"]), "agreement": float(last["agreement"])}


def score_network(model: ModelState, images: np.ndarray, truths: np.ndarray) -> dict[str, dict[str, float]]:
    """Score the network's masks, and the polished ones."""
    masks = predict_all(model, images) > 0.5
    polished = np.asarray(polish_all(images, masks, model.net.polish, np.ones_like(masks)))
    return {"net": score(masks, truths), "net polished": score(polished, truths)}


def spread(runs: list[dict[str, Any]], side: str) -> dict[str, list[float]]:
    """Return the mean and the standard deviation over the seeds."""
    values = {column: [run[side][column] for run in runs] for column in COLUMNS}
    return {
        column: [float(np.mean(x)), float(np.std(x, ddof=1)) if len(x) > 1 else 0.0] for column, x in values.items()
    }


def main(_: list[str]) -> None:
    """Train and score."""
    images, truths = load_flowers(flags.FLAGS.dataset_path, flags.FLAGS.pictures)
    masks = np.asarray(segment(images).mask)
    polished = np.asarray(polish_all(images, masks, 3, np.ones_like(masks)))
    results: dict[str, Any] = {"iem": score(masks, truths), "iem polished": score(polished, truths)}
    for preset in flags.FLAGS.presets:
        runs = []
        for seed in range(flags.FLAGS.seeds):
            with tempfile.TemporaryDirectory() as folder:
                run = train(preset, seed, Path(folder))
                runs.append(run | score_network(load_model(folder), images, truths))
                print(preset, seed, runs[-1], file=sys.stderr)
        means = {side: spread(runs, side) for side in ("net", "net polished")}
        results[f"on masks of {preset}"] = means | {"runs": runs}
    settings = {key: flags.FLAGS[key].value for key in ("pictures", "seeds", "presets", "flags")}
    write_results("segnet", settings, results)


if __name__ == "__main__":
    app.run(main)
