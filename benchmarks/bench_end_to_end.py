"""`run.py` on a data set of camera-like JPEGs against the bare cost of decoding the same files.

python benchmarks/bench_end_to_end.py [--pictures=1020]
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
from absl import app, flags
from measuring import write_results
from PIL import Image

flags.DEFINE_integer("pictures", 1020, "Pictures to generate.")
flags.DEFINE_list("run_flags", [], "More flags for run.py.")

WIDTH, HEIGHT = 667, 500
ROOT = Path(__file__).resolve().parents[1]


def make_picture(number: int) -> Image.Image:
    """Return a picture with the detail of a photograph: smooth background, a textured blob, sensor noise."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    coarse = Image.fromarray(random.integers(40, 200, (8, 10, 3), np.uint8)).resize(
        (WIDTH, HEIGHT), Image.Resampling.BICUBIC
    )
    centre, radius = random.uniform(0.35, 0.65, 2), random.uniform(0.15, 0.35)
    distance = np.hypot((y / HEIGHT - centre[0]), (x / WIDTH - centre[1]))
    blob = distance < radius * (1 + 0.2 * np.sin(5 * np.arctan2(y / HEIGHT - centre[0], x / WIDTH - centre[1])))
    pixels = np.where(blob[..., None], random.integers(0, 256, 3), np.asarray(coarse, np.float32))
    return Image.fromarray(np.clip(pixels + random.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8))


def make_data_set(root: Path, number: int) -> list[Path]:
    """Write a data set in the Flowers layout, without ground truth."""
    (root / "jpg").mkdir(parents=True)
    ids = np.arange(1, number + 1, dtype=np.uint16)[None]
    scipy.io.savemat(root / "setid.mat", {"trnid": ids, "valid": ids[:, :1], "tstid": ids[:, :1]})
    paths = [root / "jpg" / f"image_{i:05d}.jpg" for i in ids[0]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda i, path: make_picture(int(i)).save(path, quality=90), ids[0], paths))
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


def main(_: list[str]) -> None:
    """Measure bare decoding, a run, and runs with an empty and a filled cache."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = make_data_set(root / "data", flags.FLAGS.pictures)
        decode_all(paths)
        cache = f"--cache_dir={root / 'cache'}"
        more = flags.FLAGS.run_flags
        results = {
            "bare_decoding": decode_all(paths),
            "run": run(root / "data", root / "out1", *more),
            "run_filling_cache": run(root / "data", root / "out2", cache, *more),
            "run_from_cache": run(root / "data", root / "out3", cache, *more),
        }
        seconds = results["run"]
        slowest = max(results["bare_decoding"], seconds["compute"] + seconds["load"])
        results["ratio_to_slowest_part"] = (seconds["total"] - seconds["compile"]) / slowest
    write_results("end_to_end", {"pictures": flags.FLAGS.pictures, "width": WIDTH, "height": HEIGHT}, results)


if __name__ == "__main__":
    app.run(main)
