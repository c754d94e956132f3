"""Masks of anything: presets, GrabCut and shapes that have not seen the picture, on photographs of many subjects.

    python benchmarks/bench_subjects.py --subjects=FOLDER [--flowers=PATH] [--moved] [--half=report]

FOLDER holds SUBJECT/images and SUBJECT/masks. The masks are those of `run.py --images=SUBJECT/images
--resolution=model`, from the same functions. Of a subject's pictures in sorted order the first, third, ... are those
that settings may be chosen on, the second, fourth, ... those that report. Flowers are their test split, all of which
reports, and no part of the means over subjects.
"""

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags
from baselines import centred_ellipse, centred_square, grabcut, grabcut_all
from jaxtyping import Bool
from measuring import RESULTS, summarise, write_results
from moved import KINDS, write_moved
from scoring import interval, rank_correlation, warning_scores
from subject_tables import tables

from iem_jax import IEMConfig, Segmenter
from iem_jax.config import PRESETS
from iem_jax.data import Sample
from iem_jax.data.fit import cut
from iem_jax.data.flowers import list_flowers
from iem_jax.data.folder import list_images
from iem_jax.data.loader import Loaded, load_samples
from iem_jax.evaluation.boundary import boundary_f_score
from iem_jax.evaluation.metrics import scores_from_counts
from iem_jax.segmenter.found import UNCERTAIN, Found

FLOWERS, MEAN = "flowers", "mean"
HALVES = {"choose": slice(0, None, 2), "report": slice(1, None, 2)}
PAIRS = (("best", "fast"), ("best", "grabcut"), ("fast", "grabcut"))
SCORES = ("accuracy", "accuracy_fixed", "iou", "iou_fixed")
BAD = 0.5  # fixed IoU below which a mask should be flagged
Columns = dict[str, np.ndarray]  # a method's figures, (n,) each: SCORES, boundary_f, perhaps confidence and flagged

flags.DEFINE_string("subjects", None, "Folder of SUBJECT/images and SUBJECT/masks.", required=True)
flags.DEFINE_string("flowers", None, "Folder of a data set in the Flowers layout: one more subject.")
flags.DEFINE_enum("half", "both", ["choose", "report", "both"], "Which pictures of each subject.")
flags.DEFINE_bool("moved", False, "Move the objects to the side, and let an edge cut them, instead (see moved.py).")
flags.DEFINE_list("presets", list(PRESETS), "Presets.")
flags.DEFINE_integer("size", 128, "Side to which pictures are brought.")
flags.DEFINE_integer("timed", 16, "Pictures to take the time of, spread over the subjects; 0: none.")
flags.DEFINE_integer("repeats", 5, "How often.")
flags.DEFINE_string("results", str(RESULTS), "Folder for the figures.")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A loaded picture, and where it belongs."""

    subject: str
    half: str
    item: Loaded

    @property
    def image(self) -> np.ndarray:
        """Without what was padded."""
        return self.own(self.item.image)

    def own(self, square: np.ndarray) -> np.ndarray:
        """Return the picture's own part of an array of the square."""
        return cut(square, self.item.placement.box)


def list_subjects(kind: str | None, folder: Path) -> dict[str, list[Sample]]:
    """List the pictures of each subject that have a ground truth, moved if there is a `kind`, into `folder`."""
    root = Path(flags.FLAGS.subjects)
    names = sorted(path.name for path in root.iterdir() if (path / "images").is_dir() and (path / "masks").is_dir())
    if not names:
        raise app.UsageError(f"`subjects` must hold SUBJECT/images and SUBJECT/masks, found none in {root}.")
    listed = {name: list_images(str(root / name / "images"), str(root / name / "masks")) for name in names}
    if flags.FLAGS.flowers:
        listed[FLOWERS] = list_flowers(Path(flags.FLAGS.flowers), "test")
    listed = {name: [sample for sample in samples if sample.mask_path] for name, samples in listed.items()}
    if kind is None:
        return listed
    return {name: write_moved(samples, kind, folder / name) for name, samples in listed.items()}


def load(kind: str | None) -> list[Picture]:
    """Return the pictures to look at, as a user's own pictures are read; those without two sides are left out."""
    halves = HALVES if flags.FLAGS.half == "both" else {flags.FLAGS.half: HALVES[flags.FLAGS.half]}
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        for subject, samples in list_subjects(kind, Path(folder)).items():
            for half, every in halves.items():
                everything = slice(None) if half == "report" else slice(0)
                chosen = samples[everything if subject == FLOWERS else every]
                for item in load_samples(chosen, flags.FLAGS.size, "pad"):
                    if item.problem:
                        raise app.UsageError(f"{item.sample.image_path}: {item.problem}.")
                    picture = Picture(subject, half, item)
                    if 0 < picture.own(item.ground_truth).mean() < 1:
                        pictures.append(picture)
    return pictures


def compute(preset: str, items: Sequence[Loaded], devices: int | None = None) -> list[Found]:
    """Segment and judge pictures as `run.py --images` does, on all or some devices."""
    config = IEMConfig(size=flags.FLAGS.size)
    return Segmenter(preset, config, resolution="model", devices=devices).finish(items)


def score(mask: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> dict[str, float]:
    """Score a mask as it is (boundary_f, *_fixed), and the better of it and its complement."""
    area, overlap, truth_area = (np.asarray(float(np.sum(x))) for x in (mask, mask & truth, truth))
    found = scores_from_counts(area, overlap, truth_area, float(truth.size))._asdict()
    return {name: float(found[name]) for name in SCORES} | {"boundary_f": boundary_f_score(mask, truth)}


def evaluate(pictures: list[Picture]) -> dict[str, Columns]:
    """Score each method's mask of each picture."""
    truths = [picture.own(picture.item.ground_truth) for picture in pictures]
    images = [picture.image for picture in pictures]
    rows: dict[str, list[dict[str, float]]] = {}
    for preset in flags.FLAGS.presets:
        rows[preset] = []
        for found, truth in zip(compute(preset, [picture.item for picture in pictures]), truths, strict=True):
            said = {"confidence": found.confidence, "flagged": found.status == UNCERTAIN}
            rows[preset].append(score(found.mask, truth) | said)
    masks = {"grabcut": grabcut_all(images)}
    masks |= {shape.__name__: [shape(image) for image in images] for shape in (centred_square, centred_ellipse)}
    for name, found in masks.items():
        rows[name] = [score(mask, truth) for mask, truth in zip(found, truths, strict=True)]
    return {name: {key: np.array([row[key] for row in found]) for key in found[0]} for name, found in rows.items()}


def summarise_subject(columns: Columns, chosen: Bool[np.ndarray, " n"]) -> dict[str, float]:
    """Return means in percent, and how confidence and flag tell bad masks from good ones."""
    own = {name: values[chosen] for name, values in columns.items()}
    summary = {name: 100 * float(own[name].mean()) for name in (*SCORES, "boundary_f")}
    if "confidence" in own:
        summary["spearman"] = rank_correlation(own["confidence"], own["iou_fixed"])
        summary |= warning_scores(own["flagged"], own["iou_fixed"] < BAD)
    return {name: round(value, 4) for name, value in summary.items() if not math.isnan(value)}


def summarise_half(pictures: list[Picture], methods: dict[str, Columns], half: str) -> dict[str, Any]:
    """Return the figures of each method on each subject, and of the pairs."""
    where = {
        subject: np.array([picture.half == half and picture.subject == subject for picture in pictures])
        for subject in dict.fromkeys(picture.subject for picture in pictures if picture.half == half)
    }
    counted = {subject: chosen for subject, chosen in where.items() if subject != FLOWERS}
    together = np.any(list(counted.values()), axis=0)
    results: dict[str, Any] = {"pictures": {subject: int(chosen.sum()) for subject, chosen in where.items()}}
    results["methods"] = {}
    for name, columns in methods.items():
        rows = {subject: summarise_subject(columns, chosen) for subject, chosen in where.items()}
        # Scores are means of the subjects' means, correlation and flag those of all pictures together.
        pooled = summarise_subject(columns, together)
        means = {key: float(np.mean([rows[subject][key] for subject in counted])) for key in (*SCORES, "boundary_f")}
        results["methods"][name] = rows | {MEAN: pooled | means}
    places = {subject: [chosen] for subject, chosen in where.items()} | {MEAN: list(counted.values())}
    results["differences"] = {
        f"{one} - {other}": {
            score: {place: difference(methods[one][score], methods[other][score], x) for place, x in places.items()}
            for score in ("iou_fixed", "iou")
        }
        for one, other in PAIRS
        if one in methods and other in methods
    }
    return results


def difference(one: np.ndarray, other: np.ndarray, groups: list[Bool[np.ndarray, " n"]]) -> list[float]:
    """Return the mean difference of two methods and its 95 % interval, in points."""
    gains = [100 * (one - other)[chosen] for chosen in groups]
    return [round(value, 2) for value in (float(np.mean([x.mean() for x in gains])), *interval(gains))]


def take_times(pictures: list[Picture]) -> dict[str, Any]:
    """Take the processor's time of one device: of a picture, and of compilation, in turns, and relative to paper's."""
    few = pictures[:: max(len(pictures) // flags.FLAGS.timed, 1)][: flags.FLAGS.timed]
    items, images = [picture.item for picture in few], [picture.image for picture in few]
    calls: dict[str, Callable[[], Any]] = {
        preset: lambda preset=preset: compute(preset, items, devices=1)
        for preset in dict.fromkeys(("paper", *flags.FLAGS.presets))
    }
    calls["grabcut"] = lambda: [grabcut(image) for image in images]
    times = {name: {"milliseconds": [], "compile_seconds": []} for name in calls}
    for _ in range(flags.FLAGS.repeats):
        for name, call in calls.items():
            jax.clear_caches()
            first, later = (_processor_seconds(call) for _ in range(2))
            times[name]["milliseconds"].append(1e3 * later / len(few))
            times[name]["compile_seconds"].append(max(first - later, 0))
    results = {name: {key: summarise(values) for key, values in row.items()} for name, row in times.items()}
    for row in results.values():
        for key in times["paper"]:
            row[f"{key}_of_paper"] = round(row[key]["median"] / results["paper"][key]["median"], 3)
    return results


def _processor_seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main(_: list[str]) -> None:
    """Measure."""
    results: dict[str, Any] = {}
    for kind in KINDS if flags.FLAGS.moved else (None,):
        pictures = load(kind)
        methods = evaluate(pictures)
        for half in dict.fromkeys(picture.half for picture in pictures):
            results[f"{kind}, {half}" if kind else half] = summarise_half(pictures, methods, half)
        if kind is None and flags.FLAGS.timed:
            results["time"] = take_times(pictures)
    settings = {key: flags.FLAGS[key].value for key in ("half", "presets", "size", "timed", "repeats")}
    write_results("subjects_moved" if flags.FLAGS.moved else "subjects", settings, results, Path(flags.FLAGS.results))
    print(tables(results))


if __name__ == "__main__":
    app.run(main)
