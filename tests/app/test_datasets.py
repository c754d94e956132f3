"""The layouts from the command line: each is run, goes on, is scored, and says what is wrong in one sentence."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import BIRDS, SIZE, save, truth, write_cub, write_lmdb, write_pairs
from pictures import write_flowers
from PIL import Image

from iem_jax import IEMConfig, UsageError
from iem_jax.app.command import parse
from iem_jax.app.config import run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.app.source import list_samples
from iem_jax.data.loader import load_sample

SMALL = IEMConfig(size=24, iters=2, kernel_size=5)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def run(output: Path, **settings: object) -> int:
    return run_pipeline(run_config(iem=SMALL, output_dir=str(output), **settings))


def test_each_layout_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("lmdb")
    keys = ["a" * 40, "b" * 40]
    write_lmdb(tmp_path / "lsun", keys, {b"c" * 40: b"none"})
    save(truth(1), tmp_path / "masks" / f"{keys[0]}.png")
    sets = {
        "cub": ({"dataset_path": str(write_cub(tmp_path / "cub"))}, 0, BIRDS[1::2]),
        "pairs": ({"dataset_path": str(write_pairs(tmp_path / "pairs"))}, 0, ("0001", "0002", "0003")),
        "lsun_car": ({"dataset_path": str(tmp_path / "lsun"), "masks": str(tmp_path / "masks")}, 1, tuple(keys)),
    }
    for dataset, (settings, status, names) in sets.items():
        output = tmp_path / f"out-{dataset}"
        assert run(output, dataset=dataset, **settings) == status
        printed = capsys.readouterr()
        assert "IoU" in printed.out
        masks = {path.relative_to(output / "masks").as_posix() for path in (output / "masks").rglob("*.png")}
        assert masks == {f"{name}.png" for name in names}
        assert size_of(output / "masks" / f"{names[0]}.png") == (24, 24)
        assert run(output, dataset=dataset, **settings) == status
        assert f"{len(names)} pictures were done before" in capsys.readouterr().err


def test_limit_can_be_raised(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = {"dataset": "pairs", "dataset_path": str(write_pairs(tmp_path / "set")), "split": "val"}
    assert run(tmp_path / "out", limit=1, **settings) == 0
    assert "pairs has no splits: val is all of it" in capsys.readouterr().err
    assert run(tmp_path / "out", limit=2, **settings) == 0
    assert "1 pictures were done before" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 2


def test_whole_pictures_of_a_data_set(tmp_path: Path):
    """Padded, with truths that are, if that is asked for."""
    source = run_config(dataset="pairs", dataset_path=str(write_pairs(tmp_path / "set"))).source
    loaded = load_sample(list_samples(source, None)[0], SIZE + 8, "pad")
    assert loaded.placement is not None
    assert loaded.placement.picture_size == (SIZE + 8, SIZE)
    np.testing.assert_array_equal(loaded.ground_truth[4:-4], np.asarray(truth(1)) > 127)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "cub"}, "`dataset` cub needs `dataset_path`, the folder of the data set, got nothing"),
        ({"dataset": "cub", "images": "x"}, "`dataset` cub needs `dataset_path`.*got `images`"),
        (
            {"dataset": "coco", "dataset_path": "x"},
            "`dataset` must be one of flowers, cub, lsun_car, pairs, got 'coco'",
        ),
        ({"dataset": "cub", "dataset_path": "x", "masks": "y"}, "`masks` needs `images`"),
        ({"dataset": "pairs", "dataset_path": "x", "masks": "y", "mask_orientation": "stored"}, "needs `images`"),
        ({"dataset_path": "x", "limit": 0}, "`limit` must be an integer >= 1, got 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], message: str, tmp_path: Path):
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "out", **settings)


def test_limit_of_every_source(tmp_path: Path):
    flowers = run_config(dataset_path=str(write_flowers(tmp_path / "set", 3)), limit=2).source
    own = run_config(images=str(tmp_path / "set" / "jpg"), limit=1).source
    assert [len(list_samples(source, None)) for source in (flowers, own)] == [2, 1]


def test_a_plain_run_imports_nothing_of_this():
    modules = "cub", "pairs", "lsun", "maps", "download", "fetch"
    code = "import sys, iem_jax.app.command; print(*sorted(m for m in sys.modules if m.startswith('iem_jax.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.rsplit(".", 1)[-1] for name in done.stdout.split()}
    assert "flowers" in loaded
    assert not loaded & {*modules, "evaluate", "boundary", "bootstrap"}


def test_each_row_of_the_paper_has_a_flag_file():
    configs = Path(__file__).parents[2] / "configs"
    rows = {f"{name}{stage}" for name in ("flowers", "cub", "lsun_car") for stage in ("", "_refine")}
    assert rows <= {path.stem for path in configs.glob("*.flags")}
    for row in rows:
        config, refine = parse(["run.py", f"--flagfile={configs / row}.flags", "--dataset_path=PATH"])
        assert config.source.dataset == row.removesuffix("_refine")
        assert config.algorithm.iem == IEMConfig()
        assert (refine is not None) == row.endswith("_refine")
