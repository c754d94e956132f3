"""`run.py` on a data set of JPEGs against what decoding the files and computing take by themselves.

    python benchmarks/bench_end_to_end.py [--photographs=FOLDER] [--pictures=1020]

Decoding and computing share the cores, so a run takes at least the sum of what either takes with all cores.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.io
import skimage.data
from absl import app, flags
from drawn import PHOTOGRAPHS
from measuring import write_results
from PIL import Image

flags.DEFINE_string("photographs", None, "Folder of JPEGs; without it, parts of scikit-image's photographs.")
flags.DEFINE_integer("pictures", 1020, "Pictures of the data set, repeated if there are fewer.")
flags.DEFINE_list("run_flags", [], "More flags for run.py.")

WIDTH, HEIGHT = 667, 500
SUFFIXES = (".jpg", ".jpeg")
DIFFERENT = 100  # parts of scikit-image's photographs
ROOT = Path(__file__).resolve().parents[1]


def make_photograph(number: int) -> Image.Image:
    """Return a part of a photograph of scikit-image, with its detail, at the size of a Flowers picture."""
    random = np.random.default_rng(number)
    photograph = Image.fromarray(getattr(skimage.data, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])())
    share = random.uniform(0.6, 1) * min(photograph.width / WIDTH, photograph.height / HEIGHT)
    width, height = WIDTH * share, HEIGHT * share
    left, top = random.uniform(0, photograph.width - width), random.uniform(0, photograph.height - height)
    box = left, top, left + width, top + height
    return photograph.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box=box)


def make_data_set(root: Path, photographs: list[Path], number: int) -> list[Path]:
    """Write a data set in the Flowers layout, without ground truth; each picture is a file of its own."""
    (root / "jpg").mkdir(parents=True)
    ids = np.arange(1, number + 1, dtype=np.uint16)[None]
    scipy.io.savemat(root / "setid.mat", {"trnid": ids, "valid": ids[:, :1], "tstid": ids[:, :1]})
    paths = [root / "jpg" / f"image_{i:05d}.jpg" for i in ids[0]]
    for index, path in enumerate(paths):
        path.write_bytes(photographs[index % len(photographs)].read_bytes())
    return paths


def decode_all(paths: list[Path]) -> float:
    """Return the seconds that bare decoding takes, in as many threads as cores."""

    def decode(path: Path) -> None:
        with Image.open(path) as image:
            image.load()

    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, paths))
    return time.perf_counter() - start


def run(root: Path, output: Path, *more: str) -> dict[str, float]:
    """Run the command line once; returns its seconds as it reports them, and as the caller sees them."""
    command = [sys.executable, ROOT / "run.py", f"--dataset_path={root}", f"--output_dir={output}", *more]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - start
    return {"wall": wall, **json.loads((output / "summary.json").read_text())["seconds"]}


def measure(root: Path, paths: list[Path], *more: str) -> dict[str, float | dict[str, float]]:
    """Measure bare decoding, a run, and runs with an empty and a filled cache of decoded pictures."""
    decode_all(paths)
    run(root / "data", root / "out", *more)  # compiles
    cache = f"--cache_dir={root / 'cache'}"
    decoding = decode_all(paths)
    whole = run(root / "data", root / "out1", *more)
    filling = run(root / "data", root / "out2", cache, *more)
    computing = run(root / "data", root / "out3", cache, *more)
    parts = decoding + computing["total"] - computing["compile"]
    return {
        "bare_decoding": decoding,
        "run": whole,
        "run_filling_cache": filling,
        "run_from_cache": computing,
        "ratio_to_sum_of_parts": (whole["total"] - whole["compile"]) / parts,
    }


def main(_: list[str]) -> None:
    """Make the data set and measure."""
    options = flags.FLAGS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(root / "programs")
        if options.photographs is not None:
            found = sorted(path for path in Path(options.photographs).rglob("*") if path.suffix.lower() in SUFFIXES)
            if not found:
                raise app.UsageError(f"`photographs` must hold JPEGs, found none in {options.photographs}.")
        else:
            found = [root / f"{number}.jpg" for number in range(min(DIFFERENT, options.pictures))]
            for number, path in enumerate(found):
                make_photograph(number).save(path, quality=90)
        paths = make_data_set(root / "data", found, options.pictures)
        results = measure(root, paths, *options.run_flags)
        megabytes = round(sum(path.stat().st_size for path in paths) / 1e6, 1)
    photographs = "scikit-image" if options.photographs is None else Path(options.photographs).resolve().name
    settings = {"pictures": options.pictures, "photographs": photographs, "megabytes": megabytes}
    write_results("end_to_end", settings, results)


if __name__ == "__main__":
    app.run(main)
