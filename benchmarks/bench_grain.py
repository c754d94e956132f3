"""The grain pipeline of docs/jax.md against run.py on the same pictures: JPEGs of 500 x 375 in, masks of that size out.

    python benchmarks/bench_grain.py [--number=384] [--repeats=3]

Every run is a process of its own, with programs that were compiled before; sides take turns. Writes
results/grain.json: seconds of whole runs, milliseconds of each further picture, and the speed of each side as a part of
run.py's. Masks must be the same.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from absl import flags
from bench_folder import SMALL, make_folder
from PIL import Image

ROOT = Path(__file__).parents[1]
CORES = os.cpu_count() or 1
FEW = 16  # pictures of a short run, whose time is that of starting
SIDES = ("threads", "processes", "finish")  # the last waits for each 16 pictures


def segment_folder(side: str, images: Path, output: Path) -> None:
    """Write a mask for each picture, as the page of the docs does."""
    import grain

    import iem_jax

    flags.FLAGS.mark_as_parsed()
    segmenter = iem_jax.Segmenter()
    paths = [str(path) for path in sorted(images.iterdir())]
    reading = grain.ReadOptions(num_threads=CORES, prefetch_buffer_size=64)
    loaded = grain.MapDataset.source(paths).map(segmenter.load).to_iter_dataset(reading)
    if side == "processes":
        loaded = loaded.mp_prefetch(grain.MultiprocessingOptions(num_workers=CORES, per_worker_buffer_size=32))
    output.mkdir(exist_ok=True)
    found = one_by_one(segmenter, loaded) if side == "finish" else segmenter.finish_stream(loaded)
    for each in found:
        Image.fromarray(each.mask).save(output / f"{Path(each.name).stem}.png")


def one_by_one(segmenter, loaded: Iterable) -> Iterator:
    """Finish lists of pictures, each when the one before is done."""
    for items in loaded.batch(16, batch_fn=list):
        yield from segmenter.finish(items)


def time_side(side: str, images: Path, output: Path) -> float:
    """Return the seconds of a whole process."""
    if side == "run.py":
        command = [str(ROOT / "run.py"), f"--images={images}", f"--output_dir={output}", "--overwrite"]
    else:
        command = [__file__, f"--only={side}", str(images), str(output)]
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - start


def count_equal(masks: Path, reference: Path) -> int:
    """Return how many masks are those of the reference's folder."""
    paths = sorted(reference.iterdir())
    pairs = [[Image.open(path).convert("1").tobytes() for path in (masks / one.name, one)] for one in paths]
    return sum(one == other for one, other in pairs)


def compare(folder: Path, number: int, repeats: int) -> dict:
    """Time all sides in turns, on all pictures and on few."""
    paths = make_folder(folder / "many", number, SMALL)
    (folder / "few").mkdir()
    for path in paths[:FEW]:
        (folder / "few" / path.name).write_bytes(path.read_bytes())
    seconds: dict[str, dict[str, list[float]]] = {side: {"few": [], "many": []} for side in ("run.py", *SIDES)}
    for turn in range(-1, repeats):  # the first compiles
        for side, times in seconds.items():
            for amount, values in times.items():
                taken = time_side(side, folder / amount, folder / f"{side}_{amount}")
                if turn >= 0:
                    values.append(round(taken, 3))
    whole = {side: statistics.median(times["many"]) for side, times in seconds.items()}
    each = {
        side: (whole[side] - statistics.median(times["few"])) / (number - FEW) * 1e3 for side, times in seconds.items()
    }
    return {
        side: {
            "seconds": times,
            "ms_of_each_further_picture": round(each[side], 2),
            "part_of_run_py_speed": round(whole["run.py"] / whole[side], 3),
            "part_of_run_py_speed_further": round(each["run.py"] / each[side], 3),
        }
        | ({} if side == "run.py" else {"equal": count_equal(folder / f"{side}_many", folder / "run.py_many/masks")})
        for side, times in seconds.items()
    }


def main() -> None:
    """Measure and write results/grain.json, or be one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=SIDES, help="internal: one side, on a folder of pictures and one for masks")
    parser.add_argument("folders", nargs="*", type=Path)
    arguments = parser.parse_args()
    if arguments.only:
        segment_folder(arguments.only, *arguments.folders)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cache = str(folder / "programs")
        os.environ |= {"XDG_CACHE_HOME": cache, "JAX_COMPILATION_CACHE_DIR": cache, "JAX_NUM_CPU_DEVICES": str(CORES)}
        os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONPATH": str(ROOT)}
        results = compare(folder, arguments.number, arguments.repeats)
    text = json.dumps({"pictures": arguments.number, "pixels": SMALL, "cores": CORES, "results": results}, indent=1)
    print(text)
    (ROOT / "benchmarks/results/grain.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
