"""What all benchmarks share: pictures, timing, the machine, and the files results go to."""

import datetime
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from iem_jax.data.flowers import list_flowers
from iem_jax.data.loader import load_samples

# As run.py does: a device for each core.
jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))

RESULTS = Path(__file__).parent / "results"


def load_flowers(path: str, number: int, size: int = 128, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images (B, H, W, 3) and ground truths (B, H, W) of a Flowers data set, repeated up to `number`."""
    samples = [sample for sample in list_flowers(Path(path), split) if sample.mask_path is not None]
    loaded = list(load_samples(samples[:number], size))
    images, truths = np.stack([x.image for x in loaded]), np.stack([x.ground_truth for x in loaded])
    repeats = -(-number // len(images))
    return np.tile(images, (repeats, 1, 1, 1))[:number], np.tile(truths, (repeats, 1, 1))[:number]


def measure_interleaved(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Time functions in turns, so that drifts of the machine hit all alike; each has been called once before."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            gc.collect()
            start = time.perf_counter()
            jax.block_until_ready(function())
            times[name].append(time.perf_counter() - start)
    return {name: summarise(values) for name, values in times.items()}


def summarise(values: list[float]) -> dict[str, float]:
    """Return median, fastest and slowest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}


def peak_memory() -> float:
    """Return the peak resident set of this process in MiB (getrusage would count the parent's, too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def machine() -> dict[str, Any]:
    """Describe where the figures come from."""
    device = jax.devices()[0]
    return {
        "date": datetime.date.today().isoformat(),
        "device": f"{device.device_kind} ({device.platform})",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")},
    }


def write_results(name: str, settings: dict[str, Any], results: Any, folder: Path = RESULTS) -> None:
    """Write NAME-PLATFORM.json to the folder and print it."""
    platform_name = jax.devices()[0].platform
    record = {"benchmark": name, "machine": machine(), "settings": settings, "results": results}
    folder.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1)
    (folder / f"{name}-{platform_name}.json").write_text(text + "\n")
    print(text)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
