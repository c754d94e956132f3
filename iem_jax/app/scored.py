"""Scores of a finished run as it measured them, and of any masks as they stand in files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from iem_jax.app.source import list_samples, source_of
from iem_jax.config import UsageError
from iem_jax.data.images import read_levels
from iem_jax.data.loader import Loaded, load_samples
from iem_jax.data.maps import Pair, is_found, list_pairs_of_masks, read_pairs
from iem_jax.data.source import ReadError
from iem_jax.data.truths import read_truth
from iem_jax.evaluation.boundary import boundary_f_score
from iem_jax.evaluation.metrics import scores_from_counts
from iem_jax.evaluation.saliency import Curve, absolute_error, precision_and_recall
from iem_jax.evaluation.table import Scored
from iem_jax.output.finished import Finished
from iem_jax.output.results import Result
from iem_jax.output.writer import PATTERNS
from iem_jax.segmenter.found import VALID

Arrays = dict[str, Float[np.ndarray, " n"]]


def score_run(run: Finished, label: str, boundary: bool) -> Scored:
    """Return the scores of a run, over the pictures that its own means are over: valid ones with a ground truth.

    Raises:
      UsageError: there are none, or for the boundary the files are no longer there.
    """
    results = [result for result in run.results if result.status in VALID and result.is_scored]
    if not results:
        raise UsageError(f"`evaluate` needs scores, {run.folder} has none: its pictures have no ground truth.")
    area, overlap = (np.array([float(getattr(x, key)[-1]) for x in results]) for key in ("area", "overlap"))
    truth, pixels = (np.array([float(getattr(x, key)) for x in results]) for key in ("truth_area", "pixels"))
    scores = _scores(area, overlap, truth, pixels)
    if boundary:
        scores["boundary_f"] = np.array(list(_boundaries(run, results)))
    scores["mae"] = 1 - scores["accuracy_fixed"]
    curves = np.stack([overlap / np.maximum(area, 1), overlap / truth], axis=1)[..., None]
    return Scored(label, tuple(result.name for result in results), scores, curves, len(run.results))


def score_masks_of(folder: Path, label: str, truths: str, boundary: bool, tell: Callable[[str], object]) -> Scored:
    """Return the scores of a folder of masks or maps, at the sizes of the ground truths.

    Args:
      folder: masks, by the names of the ground truths.
      label: what they are called.
      truths: folder of ground truths.
      boundary: whether there is to be the boundary's F.
      tell: is called with a line about each mask that cannot be scored.

    Raises:
      UsageError: no mask can be scored.
    """
    files = list_pairs_of_masks(folder, truths)
    rows, names = [], []
    for pair in read_pairs(files):
        if pair.problem or pair.levels is None or pair.truth is None:
            tell(f"{label}: {pair.name}: {pair.problem}")
        elif pair.truth.any() and not pair.truth.all():
            names.append(pair.name)
            rows.append(_measure(pair, boundary))
    if not rows:
        raise UsageError(f"`evaluate` needs masks that can be scored, {folder} holds none for {truths}.")
    counts = np.array([row[0] for row in rows], np.float64).T
    scores = _scores(*counts)
    if boundary:
        scores["boundary_f"] = np.array([row[1] for row in rows])
    scores["mae"] = np.array([row[2] for row in rows])
    return Scored(label, tuple(names), scores, np.stack([row[3] for row in rows]), len(files))


def _scores(area: np.ndarray, overlap: np.ndarray, truth: np.ndarray, pixels: np.ndarray) -> Arrays:
    return dict(scores_from_counts(area, overlap, truth, pixels)._asdict())


def _measure(pair: Pair, boundary: bool) -> tuple[list[int], float, float, Curve]:
    assert pair.levels is not None
    assert pair.truth is not None
    mask = is_found(pair.levels)
    counts = [int(mask.sum()), int((mask & pair.truth).sum()), int(pair.truth.sum()), mask.size]
    edge = boundary_f_score(mask, pair.truth) if boundary else 0.0
    return counts, edge, absolute_error(pair.levels, pair.truth), precision_and_recall(pair.levels, pair.truth)


def _boundaries(run: Finished, results: list[Result]) -> Iterator[float]:
    """Yield the boundary's F of each result, from the files of the run, its pictures and their ground truths."""
    settings = run.settings
    source = source_of(settings)
    samples = {sample.name: sample for sample in list_samples(source, str(run.folder))}
    gone = next((result.name for result in results if result.name not in samples), None)
    if gone is not None:
        raise UsageError(f"`boundary` needs the pictures of {run.folder}, {gone} is no longer there.")
    fit = None if not source.is_own and settings["fit"] == "crop" else settings["fit"]
    loaded = load_samples((samples[result.name] for result in results), settings["size"], fit)
    for item in loaded:
        try:
            with Image.open(run.folder / PATTERNS["masks"].format(item.sample.name)) as image:
                mask = np.asarray(image) > 0
            truth = _truth_of(item, mask.shape, settings["resolution"])
        except (OSError, ReadError) as error:
            raise UsageError(f"`boundary` cannot read the mask or truth of {item.sample.name}: {error}.") from error
        yield boundary_f_score(mask, truth)


def _truth_of(item: Loaded, shape: tuple[int, ...], resolution: str) -> Bool[np.ndarray, "h w"]:
    sample = item.sample
    if item.ground_truth is None or sample.mask_path is None:
        raise ReadError(item.problem or "there is no ground truth")
    if resolution == "model":
        truth = item.ground_truth
    elif sample.mask_rule is None:
        height, width = shape
        truth = np.asarray(read_truth(sample.mask_path, (width, height), item.turn, sample.mask_orientation).mask) > 0
    else:
        truth = sample.mask_rule(read_levels(sample.mask_path))
    if truth.shape != shape:
        raise ReadError(f"the mask has another size than its ground truth: {shape}, {truth.shape}")
    return truth
