import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from drawings import draw, draw_truth
from pictures import write_flowers

ROOT = Path(__file__).parents[2]


def write_subject(folder: Path, seeds: range) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for seed in seeds:
        draw(seed).save(folder / "images" / f"{seed:02d}.jpg", quality=95)
        draw_truth(seed).save(folder / "masks" / f"{seed:02d}.png")


def run(tmp_path: Path, *arguments: str) -> tuple[dict, str]:
    command = [sys.executable, str(ROOT / "benchmarks/bench_subjects.py"), f"--subjects={tmp_path / 'subjects'}"]
    command += ["--size=32", "--presets=paper", f"--results={tmp_path}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    return json.loads(path.read_text())["results"], done.stdout


def test_two_small_subjects_and_flowers(tmp_path: Path):
    write_subject(tmp_path / "subjects" / "eggs", range(5))
    write_subject(tmp_path / "subjects" / "moons", range(4))
    write_flowers(tmp_path / "flowers", 3)
    results, text = run(tmp_path, f"--flowers={tmp_path / 'flowers'}", "--timed=2", "--repeats=1")
    assert results["choose"]["pictures"] == {"eggs": 3, "moons": 2}
    assert results["report"]["pictures"] == {"eggs": 2, "moons": 2, "flowers": 3}
    methods = results["report"]["methods"]
    assert set(methods) == {"paper", "grabcut", "centred_square", "centred_ellipse"}
    for scores in methods.values():
        mean = np.mean([scores["eggs"]["iou_fixed"], scores["moons"]["iou_fixed"]])
        assert scores["mean"]["iou_fixed"] == float(mean)
    assert methods["grabcut"]["eggs"]["iou_fixed"] > 90  # a bright ellipse on a dark ground
    assert methods["paper"]["eggs"]["iou_fixed"] > 80
    assert results["time"]["paper"]["milliseconds_of_paper"] == 1
    assert results["time"]["paper"]["compile_seconds"]["median"] > 0.1
    assert "| paper |" in text


def test_moved_objects(tmp_path: Path):
    write_subject(tmp_path / "subjects" / "eggs", range(4))
    results, _ = run(tmp_path, "--moved", "--half=report", "--presets=")
    assert set(results) == {"aside, report", "cut, report"}
    square = {kind: found["methods"]["centred_square"]["eggs"]["iou_fixed"] for kind, found in results.items()}
    assert square["aside, report"] < 60  # the middle is not where the object is
