"""How many pictures to compute side by side: time of whole runs for each chunk size, and by which filter.

    python benchmarks/bench_chunk.py --dataset_path=PATH [--pictures=1020] [--chunks=1,2,4]

The fastest chunk that gives the masks of the others belongs into `CHUNK_PIXELS` of core/batch.py. "highest" is the
filter by shifts, "high" and "default" are banded matrix products. Early finish is off: this is the cost of iterations.
"""

from typing import Any

import jax
import numpy as np
from absl import app, flags
from measuring import load_flowers, measure_interleaved, write_results

import iem_jax

flags.DEFINE_string("dataset_path", "../shared/flowers17", "Flowers data set with ground truth.")
flags.DEFINE_integer("pictures", None, "Pictures to segment; default: 32 on a CPU, else 1,020.")
flags.DEFINE_list("chunks", None, "Pictures side by side; default: 1 to 16 on a CPU, else 32 to 1,020.")
flags.DEFINE_list("precisions", ["highest", "high", "default"], "Filters.")
flags.DEFINE_integer("repeats", 3, "Runs of which the median is taken.")


def main(_: list[str]) -> None:
    """Measure all of them in turns."""
    cpu = jax.default_backend() == "cpu"
    number = flags.FLAGS.pictures or (32 if cpu else 1020)
    chunks = [
        int(chunk) for chunk in flags.FLAGS.chunks or ((1, 2, 4, 8, 16) if cpu else (32, 64, 128, 256, 512, 1020))
    ]
    images, truths = load_flowers(flags.FLAGS.dataset_path, number)
    images = jax.device_put(images)  # the time is that of the device, without the transfer

    def run(precision: str, chunk: int) -> Any:
        config = iem_jax.IEMConfig(precision=precision)
        return iem_jax.segment(images, config, early_finish=False, chunk_size=chunk, devices=jax.devices())

    cases = {f"{name}, {chunk}": (name, chunk) for name in flags.FLAGS.precisions for chunk in chunks}
    masks = {case: np.asarray(run(*setting).mask) for case, setting in cases.items()}
    calls = {case: lambda setting=setting: run(*setting).mask for case, setting in cases.items()}
    first = next(iter(masks.values()))
    results = {
        case: {
            "milliseconds_a_picture": {key: times[key] / number * 1e3 for key in ("median", "min", "max")},
            "seconds": times["median"],
            "pixels_as_the_first": float((masks[case] == first).mean()),
            "iou": 100 * float(np.nanmean(iem_jax.score_masks(masks[case], truths).iou)),
        }
        for case, times in measure_interleaved(calls, flags.FLAGS.repeats).items()
    }
    settings = {"pictures": number, "size": 128, "iters": 150, "repeats": flags.FLAGS.repeats}
    write_results("chunk", settings, results)


if __name__ == "__main__":
    app.run(main)
