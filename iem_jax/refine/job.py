"""The job behind `--refine` and `--refine_checkpoint`: IEM's masks, training, and the network's masks of a split."""

import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, UInt8

from iem_jax.config import UsageError
from iem_jax.data.loader import Loaded, load_samples
from iem_jax.data.sample import Sample
from iem_jax.metrics import Scores, score_masks
from iem_jax.refine.checkpoints import load_model
from iem_jax.refine.curves import draw_curves, history_table, read_history
from iem_jax.refine.fit import PREDICTED, Progress, fit, predict_all
from iem_jax.refine.model import ModelState
from iem_jax.refine_config import RefineConfig, check_refine_config, check_size

# Segments samples in their order by IEM; no mask for one that cannot be read or whose mask is not valid.
Segment = Callable[[Sequence[Sample]], Iterable[tuple[Loaded, Bool[np.ndarray, "h w"] | None]]]


class Refined(NamedTuple):
    """One picture of the chosen split."""

    item: Loaded
    mask: Bool[np.ndarray, "h w"] | None  # of the network; None if the picture cannot be read
    probability: UInt8[np.ndarray, "h w"] | None  # of foreground, 0 to 255
    scores: Scores | None  # of the network's mask; None without a ground truth
    iem_mask: Bool[np.ndarray, "h w"] | None  # None if IEM was not asked for or failed
    iem_scores: Scores | None


def run_refine(
    config: RefineConfig,
    samples_train: Sequence[Sample],
    samples_split: Sequence[Sample],
    output_dir: str | Path | None,
    segment: Segment | None,
    *,
    size: int,
    settings: str = "",
    checkpoint: str | Path | None = None,
    devices: list[jax.Device] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Refined]:
    """Train a network on IEM's masks of one list of pictures, and segment another one with it.

    With an `output_dir`, IEM's masks, checkpoints, the training's history and curves go to its folder `refine`, and
    what is already there is not computed again.

    Args:
      config: settings of network and training.
      samples_train: what is learned from; not looked at if there is a checkpoint.
      samples_split: what is segmented.
      output_dir: the run's folder, or None.
      segment: IEM; None with a checkpoint leaves IEM's masks of the split out.
      size: side in pixels to which pictures are brought.
      settings: of IEM, as text: its masks on the disk are used again only for the same.
      checkpoint: a trained network; None trains one.
      devices: for training; None takes all local ones.
      say: where progress goes.

    Yields:
      Each picture of the split, in order.

    Raises:
      UsageError: something cannot work; for settings before anything is computed.
      TrainingError: a loss that is not finite.
    """
    check_refine_config(config)
    folder = None if output_dir is None else Path(output_dir) / "refine"
    if checkpoint is not None:
        model = load_model(checkpoint)
        check_size("size", size, size, model.net.shrink)
    elif segment is None:
        raise UsageError("`refine` needs IEM's masks, or a trained network by `refine_checkpoint`.")
    else:
        check_size("size", size, size, config.shrink)
        images, masks = collect_masks(samples_train, segment, size, settings, folder, say)
        model = train_on(images, masks, config, folder, devices, say)
    return refine_samples(model, samples_split, segment, size)


def collect_masks(
    samples: Sequence[Sample],
    segment: Segment,
    size: int,
    settings: str,
    folder: Path | None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[UInt8[np.ndarray, "n h w 3"], Bool[np.ndarray, "n h w"]]:
    """Return the readable pictures and IEM's masks of them, their polarity fixed; from the disk if they are there.

    Raises:
      UsageError: fewer than two pictures have a mask.
    """
    path = None if folder is None else folder / "iem_masks.npz"
    names = [sample.name for sample in samples]
    digest = f"{zlib.crc32(repr((names, size, settings)).encode()):08x}"
    stored = None if path is None else _read_masks(path, digest)
    if stored is None:
        say(f"IEM on {len(samples)} pictures to learn from")
        pairs = [(item, mask) for item, mask in segment(samples) if item.image is not None and mask is not None]
        kept = {item.sample.name: mask for item, mask in pairs}
        images = [item.image for item, _ in pairs]
        if path is not None and kept:
            _write_masks(path, digest, kept)
    else:
        kept = stored
        loaded = load_samples([sample for sample in samples if sample.name in kept], size)
        items = [item for item in loaded if item.image is not None]
        images, kept = [item.image for item in items], {item.sample.name: kept[item.sample.name] for item in items}
    if len(images) < 2:
        raise UsageError(
            f"The network needs at least 2 pictures with a mask to learn from: {len(images)} of {len(samples)} in the "
            "`train` split can be read and were segmented."
        )
    return np.stack([image for image in images if image is not None]), fix_polarity(np.stack(list(kept.values())))


def fix_polarity(masks: Bool[np.ndarray, "n h w"]) -> Bool[np.ndarray, "n h w"]:
    """Swap the sides of masks that cover more than half of the picture's edge, which is rarely the object's."""
    edge = np.concatenate([masks[:, 0], masks[:, -1], masks[:, 1:-1, 0], masks[:, 1:-1, -1]], axis=1)
    return masks ^ (edge.mean(axis=1) > 0.5)[:, None, None]


def train_on(
    images: UInt8[np.ndarray, "n h w 3"],
    masks: Bool[np.ndarray, "n h w"],
    config: RefineConfig,
    folder: Path | None,
    devices: list[jax.Device] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> ModelState:
    """Train; with a folder, write checkpoints, `history.csv` and `curves.png` to it."""
    table = None if folder is None else folder / "history.csv"
    progress = read_history(table)

    def report(row: Progress) -> None:
        progress[row.stage, row.step] = row
        if table is not None:
            _write(table, history_table(progress.values()).encode())
        held_out = "" if math.isnan(row.held_out) else f", on held-out pictures {row.held_out:.4f}"
        say(f"{row.stage} step {row.step}/{config.steps}: loss {row.loss:.4f}{held_out}")

    model = fit(images, masks, config, devices=devices, folder=folder, report=report)
    if folder is not None and progress:
        with tempfile.TemporaryFile() as file:
            draw_curves(list(progress.values())).save(file, format="png")
            file.seek(0)
            _write(folder / "curves.png", file.read())
    return model


def refine_samples(
    model: ModelState, samples: Sequence[Sample], segment: Segment | None, size: int
) -> Iterator[Refined]:
    """Segment pictures with the network, and with IEM beside it if `segment` is given."""
    pairs = ((item, None) for item in load_samples(samples, size)) if segment is None else segment(samples)
    group: list[tuple[Loaded, Bool[np.ndarray, "h w"] | None]] = []
    for pair in pairs:
        group.append(pair)
        if len(group) == PREDICTED:
            yield from _refine_group(model, group)
            group = []
    yield from _refine_group(model, group)


def _refine_group(model: ModelState, group: list[tuple[Loaded, Bool[np.ndarray, "h w"] | None]]) -> Iterator[Refined]:
    images = [item.image for item, _ in group if item.image is not None]
    predicted = iter(predict_all(model, np.stack(images)) if images else ())
    for item, iem_mask in group:
        if item.image is None:
            yield Refined(item, None, None, None, None, None)
            continue
        probability = next(predicted)
        mask = probability > 0.5
        scores = [_score(each, item.ground_truth) for each in (mask, iem_mask)]
        yield Refined(item, mask, np.rint(probability * 255).astype(np.uint8), scores[0], iem_mask, scores[1])


def summarise(refined: Sequence[Refined]) -> dict[str, dict[str, float]]:
    """Return the mean scores of IEM and of the network, side by side, over the pictures that have both."""
    both = [x for x in refined if x.scores is not None and (x.iem_scores is not None or x.iem_mask is None)]
    sides = {"net": [x.scores for x in both], "iem": [x.iem_scores for x in both if x.iem_scores is not None]}
    return {
        side: {name: float(np.nanmean([getattr(score, name) for score in scores])) for name in Scores._fields}
        for side, scores in sides.items()
        if scores and not all(np.isnan(score.iou) for score in scores)
    }


def _score(mask: Bool[np.ndarray, "h w"] | None, truth: Bool[np.ndarray, "h w"] | None) -> Scores | None:
    if mask is None or truth is None:
        return None
    return Scores(*(float(value) for value in score_masks(mask, truth)))


def _write_masks(path: Path, digest: str, masks: dict[str, Bool[np.ndarray, "h w"]]) -> None:
    stack = np.stack(list(masks.values()))
    with tempfile.TemporaryFile() as file:
        packed = np.packbits(stack, axis=-1)
        np.savez(file, digest=digest, names=np.array(list(masks)), masks=packed, width=stack.shape[2])
        file.seek(0)
        _write(path, file.read())


def _read_masks(path: Path, digest: str) -> dict[str, Bool[np.ndarray, "h w"]] | None:
    """Read masks back; None if there are none, or of other settings, or damaged."""
    try:
        with path.open("rb") as data, np.load(data) as file:
            if str(file["digest"]) != digest:
                return None
            masks = np.unpackbits(file["masks"], axis=-1, count=int(file["width"])).astype(bool)
            return dict(zip(file["names"].tolist(), masks, strict=True))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing-{path.name}")
    temporary.write_bytes(data)
    os.replace(temporary, path)
