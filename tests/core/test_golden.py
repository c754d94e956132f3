"""The runs of the reference implementation recorded in golden/*.npz (SPEC section 5), replayed."""

import csv
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from iem_jax import IEMConfig, segment
from iem_jax.app.config import run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.core.batch import normalise
from iem_jax.data.flowers import list_flowers
from iem_jax.data.loader import load_samples

RUNS = {
    "flowers17_default": IEMConfig(),
    "flowers17_scale2": IEMConfig(sigma=2.5, kernel_size=7, scale_factor=2),
    "flowers17_size64_reps1": IEMConfig(size=64, sigma=3.0, kernel_size=7, reps=1, iters=60),
    "flowers17_size96_lmbda0": IEMConfig(size=96, sigma=4.0, kernel_size=9, reps=3, lmbda=0.0, iters=60),
}
AGREEMENT = 0.9999  # of all pixels


@pytest.fixture
def data_set(request: pytest.FixtureRequest, flowers17: Path, golden, tmp_path: Path) -> tuple[Path, list[int]]:
    """A Flowers folder whose test split is the ids of a golden run, and these ids."""
    from pictures import write_setid

    ids = [int(number) for number in golden(request.param)["ids"]]
    root = tmp_path / "flowers"
    root.mkdir()
    (root / "jpg").symlink_to(flowers17 / "jpg")
    (root / "segmim").symlink_to(flowers17 / "segmim")
    write_setid(root, ids)
    return root, ids


@pytest.mark.parametrize(("data_set", "name"), [(name, name) for name in RUNS], indirect=["data_set"])
def test_masks_and_history(data_set, name: str, golden, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The whole run: from files to the masks and tables that it writes."""
    root, ids = data_set
    expected = golden(name)
    output = tmp_path / "output"
    assert run_pipeline(run_config(iem=RUNS[name], dataset_path=str(root), output_dir=str(output))) == 0

    masks = np.stack([np.asarray(Image.open(output / "masks" / f"image_{number:05d}.png")) == 255 for number in ids])
    assert (masks == np.unpackbits(expected["masks"], axis=-1)).mean() >= AGREEMENT

    with open(output / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    history = np.array([[float(row[column]) for column in expected["history_columns"]] for row in rows])
    np.testing.assert_allclose(history, expected["history"], rtol=0, atol=1e-3)

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("\tIter")]
    error, _, iou, _, dice = expected["history"][-1]
    printed = [float(word) for word in lines[-1].split()[3::2]]
    np.testing.assert_allclose(printed, [error, iou, dice], rtol=0, atol=1.5e-3)


def test_first_gradient(flowers17: Path, golden, objective_gradient):
    """Relative to the largest absolute value of each image's gradient; and every sign that is not rounding noise."""
    expected = golden("flowers17_first_gradient")
    square = np.zeros((128, 128), np.float32)
    square[25:103, 25:103] = 1
    images = _load(flowers17, expected["ids"], 128)
    errors = []
    for image, reference_slope in zip(images, expected["gradient"], strict=True):
        slope, error = objective_gradient(normalise(jnp.asarray(image)), jnp.asarray(square), IEMConfig())
        largest = np.abs(reference_slope).max()
        np.testing.assert_allclose(slope, reference_slope, rtol=0, atol=1e-3 * largest)
        relative = np.linalg.norm(slope - reference_slope) / np.linalg.norm(reference_slope)
        assert relative <= 1e-3
        certain = np.abs(reference_slope) > 1e-3 * largest
        np.testing.assert_array_equal(np.sign(slope)[certain], np.sign(reference_slope)[certain])
        errors.append(float(error))
    np.testing.assert_allclose(np.mean(errors), expected["history"][0, 0], rtol=0, atol=1e-4)


def test_inputs(flowers17: Path, golden):
    """The loader gives the reference's arrays, to the last bit."""
    expected = golden("flowers17_inputs")
    by_name = {sample.name: sample for sample in list_flowers(flowers17, "test")}
    loaded = list(load_samples([by_name[f"image_{number:05d}"] for number in expected["ids"]], 128))
    images = np.stack([np.asarray(normalise(jnp.asarray(item.image))) for item in loaded])
    truths = np.stack([item.ground_truth for item in loaded])
    np.testing.assert_array_equal(images, expected["images"].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(truths.astype(np.float32), expected["segmentations"][:, 0])


def test_segment_takes_the_references_arrays(golden):
    """`segment` on the reference's own float images: its masks, without the package's loader."""
    inputs, expected = golden("flowers17_inputs"), golden("flowers17_default")
    rows = [list(expected["ids"]).index(number) for number in inputs["ids"]]
    masks = np.asarray(segment(inputs["images"].transpose(0, 2, 3, 1)).mask)
    assert (masks == np.unpackbits(expected["masks"][rows], axis=-1)).mean() >= AGREEMENT


def _load(root: Path, ids: np.ndarray, size: int) -> list[np.ndarray]:
    by_name = {sample.name: sample for sample in list_flowers(root, "test")}
    return [item.image for item in load_samples([by_name[f"image_{number:05d}"] for number in ids], size)]
