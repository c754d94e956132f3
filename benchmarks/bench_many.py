"""Many pictures: what a run holds of each in memory, and how long going on with a finished one takes.

python benchmarks/bench_many.py [--number=100000] [--folder=/tmp/many]

Pictures are not computed: a folder of files and the output folder of a finished run are made up, with a curve of 150
iterations for each picture; then run.py is started on them in a process of its own, with --images and with --report.
What a run with an output folder holds of a picture in memory is the difference between two sizes of folder.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from iem_jax.app.config import RunConfig, fill_in, run_config
from iem_jax.app.progress import settings_of, stamp
from iem_jax.app.source import list_samples
from iem_jax.output.opening import open_manifest
from iem_jax.output.results import Result, to_record
from iem_jax.output.writer import Writer

ROOT = Path(__file__).parents[1]
ITERATIONS = 150
TOGETHER = 1000

MEASURE = """
import sys, time
from iem_jax.app.command import main
start = time.perf_counter()
status = main(sys.argv)
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print("MEASURED", status, round(time.perf_counter() - start, 2), round(time.process_time(), 2), peak)
"""


def make_pictures(folder: Path, number: int) -> None:
    """Write files that nobody will read."""
    folder.mkdir(parents=True)
    for index in range(number):
        (folder / f"photograph_{index:07d}.jpg").write_bytes(b"x")


def make_output(config: RunConfig) -> None:
    """Write what a finished run would leave, without its tables."""
    assert config.output.output_dir is not None
    samples = list_samples(config.source, config.output.output_dir)
    writer = Writer(Path(config.output.output_dir))
    mask = np.zeros((8, 8), bool)
    generator = np.random.default_rng(0)
    with open_manifest(writer, settings_of(config), [sample.name for sample in samples]) as manifest:
        for start in range(0, len(samples), TOGETHER):
            numbers = list(range(start, min(start + TOGETHER, len(samples))))
            records, curves = [], []
            for number in numbers:
                written = writer.write_mask(samples[number].name, mask)
                errors = generator.random(ITERATIONS, np.float32)
                areas = generator.integers(1, 16384, ITERATIONS, np.int32)
                record, curve = to_record(Result(samples[number].name, "ok", "", 0.7, errors, areas))
                records.append(record | {"source": stamp(samples[number]), "files": {"masks": written}})
                curves.append(curve)
            manifest.add(numbers, records, curves)


def measure(config: RunConfig, flags: list[str]) -> dict[str, float]:
    """Return seconds and the peak resident set in MiB of going on with a run."""
    command = [sys.executable, "-c", MEASURE, f"--images={config.source.images}", "--preset=paper", "--quiet"]
    command += [f"--output_dir={config.output.output_dir}", "--platform=cpu", *flags]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    status, seconds, cpu, peak = found.stdout.split("MEASURED")[-1].split()
    assert status == "0", found.stderr[-1000:]
    return {"seconds": float(seconds), "cpu_seconds": float(cpu), "peak_mib": int(peak) / 1024}


def main() -> None:
    """Measure and write results/many.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/many"))
    arguments = parser.parse_args()
    result: dict[str, object] = {"machine": {"cores": os.cpu_count(), "load": os.getloadavg()}}
    peaks = {}
    for number in (arguments.number // 10, arguments.number):
        base = arguments.folder / str(number)
        config = fill_in(run_config(images=str(base / "in"), output_dir=str(base / "out"), preset="paper"))
        if not base.exists():
            make_pictures(base / "in", number)
            start = time.perf_counter()
            make_output(config)
            print(number, "made in", round(time.perf_counter() - start, 1), "s")
        runs = [measure(config, []) for _ in range(2)]
        size = (base / "out/manifest.jsonl").stat().st_size / number
        peaks[number] = runs[-1]["peak_mib"]
        result[str(number)] = {"runs": runs, "manifest_bytes_each": round(size, 1)}
        print(number, result[str(number)])
    first, last = peaks
    each = (peaks[last] - peaks[first]) * 2**20 / (last - first)
    result["bytes_each_in_memory"] = round(each, 1)
    print(json.dumps(result, indent=2))
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / "benchmarks/results/many.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
