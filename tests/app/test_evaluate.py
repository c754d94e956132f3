"""`--evaluate`: finished runs and other tools' masks in one table, and what cannot be compared."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import save, truth, write_pairs
from pictures import make_mask, write_flowers
from PIL import Image

from iem_jax import IEMConfig, score_masks
from iem_jax.app.command import main
from iem_jax.app.config import run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.evaluation.boundary import boundary_f_score

SMALL = {"size": 24, "kernel_size": 5, "iters": 2}


def run(output: Path, sigma: float = 5.0, **settings: object) -> Path:
    config = run_config(iem=IEMConfig(sigma=sigma, **SMALL), output_dir=str(output), quiet=True, **settings)
    assert run_pipeline(config) == 0
    return output


def evaluate(*flags: object) -> int:
    return main(["run.py", *map(str, flags)])


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image) > 0


def numbers(folder: Path) -> dict[tuple[str, str, str], float]:
    with (folder / "evaluation.csv").open(newline="") as file:
        return {(row["run"], row["kind"], row["measure"]): float(row["mean"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on flowers, one on pairs, one on the same pictures as one's own at their own size."""
    folder = tmp_path_factory.mktemp("runs")
    flowers, pairs = write_flowers(folder / "set", 4, masks="segmim"), write_pairs(folder / "pairs")
    for sigma in (1, 5):  # the one setting that needs no new program
        run(folder / "flowers" / f"sigma{sigma}", float(sigma), dataset_path=str(flowers))
    run(folder / "pairs-out", dataset="pairs", dataset_path=str(pairs))
    masks = str(pairs / "ground_truth_mask")
    run(folder / "own-out", images=str(pairs / "images"), masks=masks)
    return folder


def test_table_of_runs(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    assert evaluate(f"--evaluate={runs / 'flowers'}", "--boundary", f"--output_dir={tmp_path}") == 0
    printed = capsys.readouterr().out
    found = numbers(tmp_path)
    summary = json.loads((runs / "flowers" / "sigma5" / "summary.json").read_text())
    for measure in ("accuracy", "iou", "miou", "dice", "iou_fixed"):
        assert found["sigma5", "measured", measure] == pytest.approx(100 * summary["scores"][measure], abs=1e-4)
        difference = found["sigma5", "measured", measure] - found["sigma1", "measured", measure]
        assert found["sigma5", "difference", measure] == pytest.approx(difference, abs=1e-4)
    assert found["IEM", "published", "iou"] == 76.8
    assert "IEM (published)" in printed
    assert "published: Savarese et al., CVPR 2021" in printed
    assert (tmp_path / "evaluation.txt").read_text() == printed
    latex = (tmp_path / "evaluation.tex").read_text()
    assert latex.count(r"\\") == 10  # the heading, two runs, two captions, a difference, four published
    assert latex.count("{") == latex.count("}")
    with Image.open(tmp_path / "evaluation.png") as image:
        assert image.format == "PNG"


def test_boundary_is_that_of_the_written_masks(runs: Path, tmp_path: Path):
    """In the square of a data set, and at the pictures' own size."""
    for name in ("pairs-out", "own-out"):
        assert evaluate(f"--evaluate={runs / name}", "--boundary", f"--output_dir={tmp_path / name}", "--quiet") == 0
        expected = []
        for path in sorted((runs / name / "masks").iterdir()):
            object_ = truth(int(path.stem))
            if name == "pairs-out":
                object_ = object_.resize((30, 24), Image.Resampling.NEAREST).crop((3, 0, 27, 24))
            expected.append(boundary_f_score(read(path), np.asarray(object_) > 0))
        assert numbers(tmp_path / name)[name, "measured", "boundary_f"] == pytest.approx(
            100 * np.mean(expected), abs=1e-4
        )


def test_masks_of_another_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Binary ones by any two numbers, maps at half, other sizes brought to the ground truth's."""
    for seed in range(1, 6):
        save(truth(seed), tmp_path / "truths" / f"{seed}.png")
    objects = [make_mask(seed, 32, 40) for seed in range(1, 6)]
    maps, grain = tmp_path / "maps", np.eye(32, 40, dtype=np.uint8)
    save(Image.fromarray(objects[0].astype(np.uint8)), maps / "1.png")  # 0 and 1
    save(
        Image.fromarray(np.where(objects[1], 200, 100).astype(np.uint8) + grain),
        maps / "2.png",
    )
    save(truth(3).resize((80, 64), Image.Resampling.NEAREST), maps / "3.jpg.png")
    save(truth(4).resize((40, 40)), maps / "4.png")
    assert (
        evaluate(f"--evaluate={maps}", f"--masks={tmp_path / 'truths'}", "--boundary", f"--output_dir={tmp_path}") == 1
    )
    printed = capsys.readouterr()
    assert "maps: 4: mask has 40 x 40 pixels, its ground truth 40 x 32, which is another shape" in printed.err
    assert "maps: 5: has no mask" in printed.err
    assert "3 of 5" in printed.out
    found = {measure: mean for (_, _, measure), mean in numbers(tmp_path).items()}
    assert found["iou"] == found["iou_fixed"] == found["boundary_f"] == found["max_f"] == 100
    assert 0 < found["mae"] < 20


def test_own_masks_are_scored_as_others_are(runs: Path, tmp_path: Path):
    truths = runs / "pairs" / "ground_truth_mask"
    assert evaluate(f"--evaluate={runs / 'own-out'}", f"--masks={truths}", f"--output_dir={tmp_path}", "--quiet") == 0
    paths = sorted((runs / "own-out" / "masks").iterdir())
    masks, objects = (np.stack([read(folder / path.name) for path in paths]) for folder in (paths[0].parent, truths))
    expected = score_masks(masks, objects)
    found = numbers(tmp_path)
    for measure in ("accuracy", "iou", "miou", "dice_fixed"):
        assert found["masks", "measured", measure] == pytest.approx(
            100 * float(getattr(expected, measure).mean()), abs=1e-3
        )


def test_an_evaluation_leaves_runs_as_they_are(runs: Path):
    output = runs / "flowers" / "sigma1"
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert evaluate(f"--evaluate={output}") == 0
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


def test_what_cannot_be_evaluated(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    one, two = runs / "flowers" / "sigma1", runs / "flowers" / "sigma5"
    unfinished, damaged, moved = (shutil.copytree(two, tmp_path / name) for name in ("unfinished", "damaged", "moved"))
    (unfinished / "summary.json").unlink()
    (damaged / "curves.bin").write_bytes(bytes((damaged / "curves.bin").stat().st_size))
    shutil.rmtree(moved / "masks")
    other = run(tmp_path / "other", dataset_path=str(write_flowers(tmp_path / "set", 3, size=40, ids=[3, 2, 1])))
    bare = write_flowers(tmp_path / "bare", 1)
    shutil.rmtree(bare / "segmim")
    run(tmp_path / "bare-out", dataset_path=str(bare))
    (tmp_path / "empty").mkdir()
    save(truth(1), tmp_path / "truths" / "x.png")
    save(truth(1), tmp_path / "masks" / "y.png")
    for flags, sentence in (
        ([f"--evaluate={one},{runs / 'pairs-out'}"], "differ in dataset: flowers, pairs"),
        ([f"--evaluate={one},{other}"], "the ground truth of image_"),
        ([f"--evaluate={one},{one}"], "`evaluate` must name each folder once"),
        ([f"--evaluate={one},"], "`evaluate` must be folders with commas between them"),
        ([f"--evaluate={tmp_path / 'nothing'}"], "there is no folder"),
        ([f"--evaluate={tmp_path / 'empty'}"], "holds none: masks of other tools need `masks`"),
        ([f"--evaluate={unfinished}"], "is none: start its command again"),
        ([f"--evaluate={damaged}"], "cannot read the run in"),
        ([f"--evaluate={tmp_path / 'bare-out'}"], "its pictures have no ground truth"),
        ([f"--evaluate={moved}", "--boundary"], "`boundary` cannot read the mask or truth of image_"),
        ([f"--evaluate={one}", "--images=x"], "leave `images` out"),
        ([f"--evaluate={tmp_path / 'masks'}", f"--masks={tmp_path / 'truths'}"], "share none"),
        ([f"--evaluate={tmp_path / 'masks'}", f"--masks={tmp_path / 'nothing'}"], "`masks` must be a folder"),
        ([f"--evaluate={tmp_path / 'nothing'}", f"--masks={tmp_path / 'truths'}"], "must be folders of masks"),
        (["--boundary"], "`boundary` needs `evaluate`"),
    ):
        assert evaluate(*flags) == 2, flags
        printed = capsys.readouterr()
        assert printed.out == ""
        assert sentence in printed.err
        assert printed.err.count("\n") == 1
