"""Ours against eager PyTorch and against OpenCV's GrabCut, on the same pictures in one run.

    python benchmarks/bench_peer.py --dataset_path=PATH [--pictures=96] [--repeats=5]

On a machine with a GPU that both JAX and PyTorch see, the same command measures there (GrabCut has no GPU version).
"""

import functools
import subprocess
import sys
import time

import jax
import numpy as np
import torch
from absl import app, flags
from baselines import grabcut_all
from measuring import load_flowers, measure_interleaved, peak_memory, write_results
from peer_torch import PeerIEM

import iem_jax

flags.DEFINE_string("dataset_path", "../shared/flowers17", "Flowers data set with ground truth.")
flags.DEFINE_integer("pictures", 96, "Pictures to segment.")
flags.DEFINE_integer("peer_pictures", 16, "Pictures for PyTorch on a CPU, where it is slow.")
flags.DEFINE_integer("repeats", 5, "Runs of which the median is taken.")
flags.DEFINE_string("only", None, "Internal: run one side once and print its peak memory.")

VARIANTS = {
    "default": {},
    "scale2": {"sigma": 2.5, "kernel_size": 7, "scale_factor": 2},
}


def quality(masks: np.ndarray, truths: np.ndarray) -> dict[str, float]:
    """Return mean scores in percent."""
    scores = iem_jax.score_masks(np.asarray(masks), truths)
    return {
        name: round(float(np.nanmean(getattr(scores, name))) * 100, 2) for name in ("accuracy", "iou", "miou", "dice")
    }


def make_sides(variant: str, device: str) -> dict[str, object]:
    """Return what is compared: functions of uint8 images that return masks."""
    config = iem_jax.IEMConfig(**VARIANTS[variant])
    sides = {
        "iem_jax": lambda images: np.asarray(
            iem_jax.segment(images, config, early_finish=False, devices=jax.devices()).mask
        ),
        "iem_jax early finish": lambda images: np.asarray(
            iem_jax.segment(images, config, early_finish=True, devices=jax.devices()).mask
        ),
        "pytorch": PeerIEM(device, **VARIANTS[variant]),
    }
    return sides | ({"grabcut": lambda images: np.stack(grabcut_all(images))} if variant == "default" else {})


def memory_of(side: str, arguments: list[str]) -> float:
    """Run one side alone in a process of its own; returns its peak resident set in MiB."""
    command = [sys.executable, __file__, f"--only={side}", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.split()[-1])


def compare(variant: str, images: np.ndarray, truths: np.ndarray, device: str) -> dict[str, dict]:
    """Time all sides in turns, with their quality."""
    results = {}
    sides = make_sides(variant, device)
    numbers = {name: len(images) for name in sides}
    if device == "cpu":
        numbers["pytorch"] = min(flags.FLAGS.peer_pictures, len(images))
    masks = {name: side(images[: numbers[name]]) for name, side in sides.items()}  # also warms up
    calls = {name: functools.partial(side, images[: numbers[name]]) for name, side in sides.items()}
    times = measure_interleaved(calls, flags.FLAGS.repeats)
    for name, time_ in times.items():
        per_picture = {key: time_[key] / numbers[name] for key in ("median", "min", "max")}
        ours = masks["iem_jax"][: numbers[name]]
        results[name] = {
            "seconds_per_picture": per_picture,
            "pictures": numbers[name],
            "agreement_with_iem_jax": round(float((masks[name] == ours).mean()), 6),
            **quality(masks[name], truths[: numbers[name]]),
        }
    for result in results.values():
        median = result["seconds_per_picture"]["median"]
        result["times_faster_than_pytorch"] = results["pytorch"]["seconds_per_picture"]["median"] / median
    return results


def main(_: list[str]) -> None:
    """Measure both variants and the peak memory of each side."""
    options = flags.FLAGS
    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    images, truths = load_flowers(options.dataset_path, options.pictures)
    if options.only:
        number = options.peer_pictures if options.only == "pytorch" and device == "cpu" else len(images)
        make_sides("default", device)[options.only](images[:number])
        print(peak_memory())
        return
    start = time.perf_counter()
    results = {variant: compare(variant, images, truths, device) for variant in VARIANTS}
    arguments = [f"--{name}={getattr(options, name)}" for name in ("dataset_path", "pictures", "peer_pictures")]
    memory = {side: memory_of(side, arguments) for side in make_sides("default", device)}
    settings = {
        "pictures": options.pictures,
        "size": 128,
        "iters": 150,
        "torch": torch.__version__,
        "torch_device": device,
    }
    settings["benchmark_seconds"] = round(time.perf_counter() - start)
    write_results("peer", settings, results | {"peak_memory_mib": memory})


if __name__ == "__main__":
    app.run(main)
