"""How time and memory grow with the batch, the size and the filter.

python benchmarks/bench_scale.py --dataset_path=PATH [--largest=1020]
"""

import dataclasses
import functools
import subprocess
import sys
from collections.abc import Iterator

import jax
import numpy as np
from absl import app, flags
from measuring import load_flowers, measure_interleaved, peak_memory, write_results

import iem_jax

flags.DEFINE_string("dataset_path", "../shared/flowers17", "Flowers data set with ground truth.")
flags.DEFINE_integer("largest", 1020, "Largest batch.")
flags.DEFINE_integer("repeats", 3, "Runs of which the median is taken.")
flags.DEFINE_integer("iters", 30, "Iterations of each run; time is reported per iteration.")
flags.DEFINE_list("only", None, "Internal: batch, size, reps, scale_factor of one run, for its peak memory.")

SIZES = (64, 96, 128, 192, 256, 384, 512)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1020)


@dataclasses.dataclass(frozen=True)
class Case:
    """One point of the table."""

    batch: int = 64
    size: int = 128
    reps: int = 2
    scale_factor: int = 1


def cases() -> Iterator[tuple[str, Case]]:
    """Yield the points, each with the axis along which it lies."""
    for batch in BATCHES:
        if batch <= flags.FLAGS.largest:
            yield "batch", Case(batch=batch)
    for size in SIZES:
        yield "size", Case(batch=8, size=size)
    for reps in (1, 2, 3, 4):
        yield "reps", Case(reps=reps)
    for scale_factor in (1, 2, 4):
        yield "scale_factor", Case(scale_factor=scale_factor)


def make_call(case: Case) -> functools.partial:
    """Return the computation of a case, on real pictures brought to its size."""
    images, _ = load_flowers(flags.FLAGS.dataset_path, case.batch, case.size)
    config = iem_jax.IEMConfig(iters=flags.FLAGS.iters, reps=case.reps, scale_factor=case.scale_factor)
    return functools.partial(iem_jax.segment, images, config, early_finish=False, devices=jax.devices()[: case.batch])


def measure(case: Case) -> dict[str, float]:
    """Return milliseconds per picture and iteration, and the peak memory of a process that does only this."""
    call = make_call(case)
    np.asarray(call().mask)
    times = measure_interleaved({"run": lambda: np.asarray(call().mask)}, flags.FLAGS.repeats)["run"]
    unit = case.batch * flags.FLAGS.iters / 1000
    point = ",".join(str(value) for value in dataclasses.astuple(case))
    command = [sys.executable, __file__, f"--dataset_path={flags.FLAGS.dataset_path}", f"--only={point}"]
    memory = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
    return {"milliseconds": times["median"] / unit, "fastest": times["min"] / unit, "peak_memory_mib": memory}


def exponent(rows: list[dict], axis: str, power: int, smallest: int) -> float:
    """Fit total time ~ (axis ** power) ** exponent over the points from `smallest` on."""
    chosen = [row for row in rows if row["axis"] == axis and row[axis] >= smallest]
    work = np.log([float(row[axis]) ** power for row in chosen])
    time = np.log([row["milliseconds"] * row["batch"] for row in chosen])
    return round(float(np.polyfit(work, time, 1)[0]), 3)


def main(_: list[str]) -> None:
    """Measure all cases and fit the growth with batch and pixels."""
    if flags.FLAGS.only:
        np.asarray(make_call(Case(*(int(value) for value in flags.FLAGS.only)))().mask)
        print(peak_memory())
        return
    rows = [{"axis": axis, **dataclasses.asdict(case), **measure(case)} for axis, case in cases()]
    fits = {"batch": exponent(rows, "batch", 1, 8), "pixels": exponent(rows, "size", 2, 64)}
    settings = {"iters": flags.FLAGS.iters, "repeats": flags.FLAGS.repeats}
    write_results("scale", settings, {"exponents": fits, "rows": rows})


if __name__ == "__main__":
    app.run(main)
