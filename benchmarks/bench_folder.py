"""Folders of camera pictures through run.py, against the bare cost of decoding and encoding them.

    python benchmarks/bench_folder.py [--number=24] [--repeats=3]

Makes JPEGs of 12 megapixels in a temporary folder and measures, each in a process of its own, writing
results/folder.json:

1. run.py with its defaults (masks at the picture's own size), against decoding the pictures with Pillow in as many
   threads as there are cores;
2. the same with cut-outs and overlays, against decoding them and encoding those files;
3. one picture, and 48 pictures of 500 x 375, with each preset: the first run of a user, who has no compiled programs
   yet, and the second.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).parents[1]
SIZE = 4000, 3000
SMALL = 500, 375
DIFFERENT = 10  # pictures that are drawn; the others are copies, since drawing takes longer than decoding
PRESETS = ("fast", "paper", "best")
Measured = dict[str, float]


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


def make_folder(folder: Path, number: int, size: tuple[int, int] = SIZE) -> list[Path]:
    """Write the JPEGs; every one is a file of its own."""
    folder.mkdir()
    paths = [folder / f"DSC{index:05d}.jpg" for index in range(number)]
    for index, path in enumerate(paths):
        if index < DIFFERENT:
            draw_photograph(index).resize(size).save(path, quality=90)
        else:
            path.write_bytes(paths[index % DIFFERENT].read_bytes())
    return paths


def decode(path: Path) -> None:
    """Decode a picture as anyone would."""
    with Image.open(path) as image:
        image.load()


def decode_and_encode(path: Path) -> None:
    """Decode a picture, and encode it with transparency and as a JPEG, as anyone would."""
    with Image.open(path) as image:
        image.load()
        with tempfile.TemporaryFile() as file:
            image.save(file, "JPEG", quality=90)
        with tempfile.TemporaryFile() as file:
            _half_transparent(image).save(file, "PNG", compress_level=1)


def _half_transparent(image: Image.Image) -> Image.Image:
    """Return a picture like a cut-out: nothing around the middle, which is a quarter of the picture."""
    width, height = image.size
    box = width // 4, height // 4, 3 * width // 4, 3 * height // 4
    empty = Image.new("RGBA", image.size)
    empty.paste(image.crop(box).convert("RGBA"), box)
    return empty


def time_bare(work: Callable[[Path], None], paths: list[Path]) -> Measured:
    """Return what bare work on files takes in as many threads as there are cores."""
    start, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, paths))
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - processor}


def time_run(images: Path, output: Path, cache: Path, *flags: str) -> Measured:
    """Run run.py; return what it takes and the peak resident set of all runs so far, in GiB."""
    command = [sys.executable, str(ROOT / "run.py"), f"--images={images}", f"--output_dir={output}", *flags]
    start, processor = time.perf_counter(), children_seconds()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command, "--overwrite"], check=True, env=environment, **quiet)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    parts = json.loads((output / "summary.json").read_text())["seconds"]
    measured = {"seconds": seconds, "cpu_seconds": children_seconds() - processor, "peak_gib": peak}
    return measured | {f"{part}_seconds": value for part, value in parts.items()}


def children_seconds() -> float:
    """Return the processor's seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def compare(
    images: Path, paths: list[Path], folder: Path, work: Callable[[Path], None], flags: list[str], repeats: int
) -> dict[str, Any]:
    """Time runs of a folder and bare work on its files in turn; the programs have been compiled before."""
    bare, runs = [], []
    time_run(images, folder / "out", folder / "cache", *flags)
    for _ in range(repeats):
        bare.append(time_bare(work, paths))
        runs.append(time_run(images, folder / "out", folder / "cache", *flags))
    # What a run of one picture takes is there whatever the number of pictures.
    start = time_run(paths[0], folder / "out_one", folder / "cache", *flags)
    start = time_run(paths[0], folder / "out_one", folder / "cache", *flags)
    each = (median(runs, "seconds") - start["seconds"]) / (len(paths) - 1)
    return {
        "flags": flags,
        "bare": [rounded(run) for run in bare],
        "runs": [rounded(run) for run in runs],
        "one_picture": rounded(start),
        "ratio": round(median(runs, "seconds") / median(bare, "seconds"), 3),
        "cpu_ratio": round(median(runs, "cpu_seconds") / median(bare, "cpu_seconds"), 3),
        "ratio_of_each_further_picture": round(each / (median(bare, "seconds") / len(paths)), 3),
    }


def first_and_second(images: Path, folder: Path, preset: str) -> list[Measured]:
    """Time a user's first run and the second, in new processes."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        output, cache = Path(fresh, "out"), Path(fresh, "cache")
        return [rounded(time_run(images, output, cache, f"--preset={preset}")) for _ in range(2)]


def show(found: Any) -> Any:
    """Print what was found so far, since all of it takes a while, and return it."""
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def median(runs: list[Measured], key: str) -> float:
    """Return the median of one figure."""
    return statistics.median(run[key] for run in runs)


def rounded(measured: Measured) -> Measured:
    """Return figures as they are written down."""
    return {key: round(value, 3) for key, value in measured.items()}


def main() -> None:
    """Measure and write results/folder.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3, help="of decoding and running, in turn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = make_folder(folder / "in", arguments.number)
        make_folder(folder / "small", 48, SMALL)
        shared = (folder / "in", paths, folder)
        products = ["--cutouts", "--overlays"]
        results = {
            "default": show(compare(*shared, decode, [], arguments.repeats)),
            "cutouts_overlays": show(compare(*shared, decode_and_encode, products, arguments.repeats)),
            "first_and_second_run": {
                preset: {
                    "1": show(first_and_second(paths[0], folder, preset)),
                    "48": show(first_and_second(folder / "small", folder, preset)),
                }
                for preset in PRESETS
            },
        }
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
    result = {
        "pictures": arguments.number,
        "pixels": list(SIZE),
        "megabytes": round(megabytes, 1),
        **results,
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()},
        "versions": {"pillow": PIL.__version__},
    }
    print(json.dumps(result, indent=2))
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / "benchmarks/results/folder.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
