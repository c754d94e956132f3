"""Masks at the picture's own size: boundary F-score within 2 pixels, time and memory, against enlarged pixels.

python benchmarks/bench_resolution.py --dataset_path=PATH [--drawn=6]
"""

import concurrent.futures
import dataclasses
import multiprocessing
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from drawn import SLIGHT_TINT, TINT, draw
from measuring import load_flowers, write_results
from PIL import Image

import iem_jax
from iem_jax.data.flowers import list_flowers
from iem_jax.evaluation.boundary import boundary_f_score
from iem_jax.finishing.edges import refine_to, resize_mask, resize_picture

flags.DEFINE_string("dataset_path", "../shared/flowers17", "Flowers data set with ground truth, at least 256 x 256.")
flags.DEFINE_integer("drawn", 6, "Drawn pictures of 1 megapixel; half and a third as many of 3 and of 12.")

TOLERANCE = 2
MODEL_SIZE = 128
DRAWN_SIZES = ((1024, 1024), (1536, 2048), (3000, 4000))
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def enlarge_pixels(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Nearest neighbour."""
    size = picture.shape[1::-1]
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)).astype(bool)


def enlarge_linearly(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Interpolate, then take what is at least a half."""
    return resize_mask(mask, *picture.shape[:2])


def continue_iem(picture: np.ndarray, mask: np.ndarray, iters: int = 8) -> np.ndarray:
    """Continue IEM at 2x, 4x ...: the inpainter at the model's size, residuals and updates at the level's size."""
    longest = max(picture.shape[:2])
    factor = 2
    while MODEL_SIZE * factor <= min(longest, 1024):
        shape = tuple(round(side * MODEL_SIZE * factor / longest / factor) * factor for side in picture.shape[:2])
        level, start = resize_picture(picture, *shape), resize_mask(mask, *shape)
        # The sum of squares in the diversity grows with the pixels, the error does not.
        config = iem_jax.IEMConfig(iters=iters, scale_factor=factor, lmbda=0.001 / factor**2)
        mask = np.asarray(iem_jax.segment(level[None], config, initial_masks=start[None]).mask[0])
        factor *= 2
    return resize_mask(mask, *picture.shape[:2])


METHODS: dict[str, Method] = {
    "nearest": enlarge_pixels,
    "linear": enlarge_linearly,
    "iem_continued": continue_iem,
    "refined": refine_to,
}


@dataclasses.dataclass
class Scores:
    """What a method reaches on the pictures of a table's row."""

    f_scores: list[float] = dataclasses.field(default_factory=list)
    ious: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)

    def add(self, method: Method, picture: np.ndarray, mask: np.ndarray, truth: np.ndarray) -> None:
        """Score one picture."""
        start = time.perf_counter()
        result = method(picture, mask)
        self.seconds.append(time.perf_counter() - start)
        self.f_scores.append(boundary_f_score(result, truth, TOLERANCE))
        self.ious.append(float((result & truth).sum() / max((result | truth).sum(), 1)))

    def summary(self, first: "Scores") -> dict[str, Any]:
        """Return percentages, and how many pictures are better and worse than with the `first` method."""
        gain = np.subtract(self.f_scores, first.f_scores)
        return {
            "boundary_f_2px": round(100 * float(np.mean(self.f_scores)), 2),
            "iou": round(100 * float(np.mean(self.ious)), 2),
            "better": int((gain > 0).sum()),
            "worse": int((gain < 0).sum()),
            "seconds_median": round(float(np.median(self.seconds)), 4),
        }


def compare(pictures: list, masks: np.ndarray, truths: list) -> dict[str, Any]:
    """Score all methods on pictures whose masks at the model's size are given."""
    table = {name: Scores() for name in METHODS}
    for name, method in METHODS.items():
        method(pictures[0], masks[0])  # compiles
        for picture, mask, truth in zip(pictures, masks, truths, strict=True):
            table[name].add(method, picture, mask, truth)
    return {name: scores.summary(table["nearest"]) for name, scores in table.items()}


def bench_flowers(split: str) -> dict[str, Any]:
    """Enlarge masks of 128 x 128 to the data set's own 256 x 256."""
    path = flags.FLAGS.dataset_path
    number = sum(sample.mask_path is not None for sample in list_flowers(Path(path), split))
    images, _ = load_flowers(path, number, MODEL_SIZE, split)
    pictures, truths = load_flowers(path, len(images), 2 * MODEL_SIZE, split)
    return {"pictures": len(images), **compare(list(pictures), np.asarray(iem_jax.segment(images).mask), list(truths))}


def bench_drawn(height: int, width: int, number: int, tint: float = TINT) -> dict[str, Any]:
    """Enlarge masks of long side 128 to drawn pictures of one size."""
    drawn = [draw(seed, height, width, tint) for seed in range(number)]
    longest = max(height, width)
    shape = (round(height * MODEL_SIZE / longest), round(width * MODEL_SIZE / longest))
    masks = iem_jax.segment(np.stack([resize_picture(picture, *shape) for picture, _ in drawn])).mask
    pictures, truths = (list(column) for column in zip(*drawn, strict=True))
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        memory = pool.submit(peak_memory, pictures[0], np.asarray(masks[0])).result()
    return {"pictures": number, "memory_mib": memory, **compare(pictures, np.asarray(masks), truths)}


def peak_memory(picture: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Return the peak of a process that only refines one mask, and by how much that raised it."""
    small = picture[:300, :300].copy()
    refine_to(small, np.arange(128 * 128).reshape(128, 128) % 128 > 60)
    before = _peak_mib()
    refine_to(picture, mask)
    return {"peak": _peak_mib(), "more_than_before": _peak_mib() - before}


def _peak_mib() -> int:
    """Read what Linux knows of this process alone; getrusage would count what its parent once held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


def main(_: list[str]) -> None:
    """Measure photographs and drawn pictures."""
    results = {f"flowers17_{split}": bench_flowers(split) for split in ("val", "test")}
    for divisor, (height, width) in zip((1, 2, 3), DRAWN_SIZES, strict=True):
        name = f"drawn_{height}x{width}"
        results[name] = bench_drawn(height, width, max(flags.FLAGS.drawn // divisor, 1))
    results["drawn_slight_1024x1024"] = bench_drawn(1024, 1024, flags.FLAGS.drawn, SLIGHT_TINT)
    settings = {"tolerance": TOLERANCE, "model_size": MODEL_SIZE, "drawn": flags.FLAGS.drawn}
    write_results("resolution", settings, results)


if __name__ == "__main__":
    app.run(main)
