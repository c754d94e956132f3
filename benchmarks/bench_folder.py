"""A folder of camera pictures through run.py, against the bare cost of decoding it.

Makes JPEGs of 12 megapixels in a temporary folder, decodes them with Pillow in as many threads as there are cores, runs
run.py on them in a process of its own, and writes seconds, their ratio and the peak resident set to
results/folder.json. Bare decoding is at full size; run.py lets the JPEG decoder work at an eighth, which is the same
entropy decoding and a fraction of the rest.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).parents[1]
SIZE = 4000, 3000
DIFFERENT = 10  # pictures that are drawn; the others are copies, since drawing takes longer than decoding


def draw_photograph(seed: int) -> Image.Image:
    """Return a picture with a camera's noise: a blurred background, an object, grain."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 160, (12, 16, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(coarse)
    left, top = generator.integers(600, 1400), generator.integers(400, 900)
    pen.ellipse((left, top, left + 1800, top + 1700), fill=tuple(map(int, generator.integers(120, 255, 3))))
    smooth = np.asarray(coarse.filter(ImageFilter.GaussianBlur(4)), np.float32)
    grain = generator.normal(0, 6, (SIZE[1], SIZE[0], 1)).astype(np.float32)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def make_folder(folder: Path, number: int) -> list[Path]:
    """Write the JPEGs; every one is a file of its own."""
    folder.mkdir()
    paths = [folder / f"DSC{index:05d}.jpg" for index in range(number)]
    for index, path in enumerate(paths):
        if index < DIFFERENT:
            draw_photograph(index).save(path, quality=90)
        else:
            path.write_bytes(paths[index % DIFFERENT].read_bytes())
    return paths


def decode(path: Path) -> None:
    """Decode a picture as anyone would."""
    with Image.open(path) as image:
        image.load()


def time_decoding(paths: list[Path]) -> dict[str, float]:
    """Return what bare decoding takes in as many threads as there are cores."""
    start, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, paths))
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - processor}


def time_run(images: Path, output: Path, flags: list[str]) -> dict[str, float]:
    """Run run.py; return what it takes and the peak resident set of all runs so far, in GiB."""
    command = [sys.executable, str(ROOT / "run.py"), f"--images={images}", f"--output_dir={output}", *flags]
    start, processor = time.perf_counter(), children_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    parts = json.loads((output / "summary.json").read_text())["seconds"]
    measured = {"seconds": seconds, "cpu_seconds": children_seconds() - processor, "peak_gib": peak}
    return measured | {f"{part}_seconds": value for part, value in parts.items()}


def children_seconds() -> float:
    """Return the processor's seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rounded(measured: dict[str, float]) -> dict[str, float]:
    """Return figures as they are written down."""
    return {key: round(value, 3) for key, value in measured.items()}


def ratio(runs: list[dict[str, float]], bare: list[dict[str, float]], key: str) -> float:
    """Return the ratio of the medians."""
    return round(statistics.median(run[key] for run in runs) / statistics.median(run[key] for run in bare), 3)


def main() -> None:
    """Measure and write results/folder.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3, help="of decoding and running, in turn")
    parser.add_argument("--flags", nargs="*", default=[], help="further flags of run.py, without their dashes")
    arguments = parser.parse_args()
    flags = [f"--{flag}" for flag in arguments.flags]
    with tempfile.TemporaryDirectory() as temporary:
        paths = make_folder(Path(temporary, "in"), arguments.number)
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        bare, runs = [], []
        for repeat in range(arguments.repeats):
            bare.append(time_decoding(paths))
            runs.append(time_run(Path(temporary, "in"), Path(temporary, f"out{repeat}"), flags))
    result = {
        "pictures": arguments.number,
        "pixels": list(SIZE),
        "megabytes": round(megabytes, 1),
        "flags": flags,
        "bare_decoding": [rounded(run) for run in bare],
        "runs": [rounded(run) for run in runs],
        "ratio": ratio(runs, bare, "seconds"),
        "cpu_ratio": ratio(runs, bare, "cpu_seconds"),
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()},
        "versions": {"pillow": PIL.__version__},
    }
    print(json.dumps(result, indent=2))
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / "benchmarks/results/folder.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
