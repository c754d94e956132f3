"""Pictures through Ray: the masks of one machine, bit for bit, whatever breaks or dies on the way."""

import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from drawings import draw, draw_truth
from PIL import Image

from iem_jax import IEMConfig, Segmenter, UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install iem_jax[ray]")
    from iem_jax.app.cluster import segment_dataset

SMALL = IEMConfig(size=32, iters=3)
NUMBER, BROKEN = 40, 7
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own: sockets, deprecations


def encode(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers and a CPU for others, all of which end with the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=3, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def rows(cluster: None) -> list[dict[str, Any]]:
    """Pictures of many sizes, one of them broken."""
    made = [{"path": f"in/{i}.png", "bytes": encode(draw(i, 40 + i)), "label": i} for i in range(NUMBER)]
    made[BROKEN]["bytes"] = b"no picture"
    return [row | {"truth": encode(draw_truth(row["label"], 40 + row["label"]))} for row in made]


@pytest.fixture(scope="module")
def segmented(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What becomes of them, by their label."""
    dataset = ray.data.from_items(rows, override_num_blocks=5)
    settings: dict[str, Any] = {"config": SMALL, "products": ["report"], "truth": "truth"}
    found = segment_dataset(dataset, workers=2, batch_size=8, **settings).take_all()
    return {row["label"]: row for row in found}


def test_masks_are_those_of_one_machine(rows, segmented):
    assert set(segmented) == set(range(NUMBER))
    alone = Segmenter(config=SMALL)
    for label, found in enumerate(alone.batch([row["bytes"] for row in rows])):
        row = segmented[label]
        assert (row["name"], row["status"], row["confidence"]) == (f"in/{label}.png", found.status, found.confidence)
        assert row["problem"] == found.problem
        if found.mask is not None:
            with Image.open(io.BytesIO(row["mask"])) as image:
                assert (image.format, image.mode) == ("PNG", "L")
                np.testing.assert_array_equal(np.asarray(image), found.mask * np.uint8(255))


def test_a_broken_picture_is_a_row(segmented):
    row = segmented[BROKEN]
    assert row["status"] == "failed"
    assert row["problem"].startswith("not a picture")
    assert [row[column] for column in ("mask", "confidence", "iou", "thumbnails")] == [None] * 4


def test_scores_and_products(segmented):
    row = segmented[0]
    assert set(row) >= {"inp_error", "accuracy", "iou", "dice", "accuracy_fixed", "iou_fixed", "dice_fixed", "label"}
    assert not {"bytes", "truth", "path"} & set(row)
    assert row["iou"] > 0.75
    with Image.open(io.BytesIO(row["thumbnails"])) as image:
        assert image.format == "JPEG"


@pytest.mark.slow
def test_paths_and_arrays(cluster, tmp_path):
    pictures = {f"{tmp_path}/{seed}.png": np.asarray(draw(seed)) for seed in range(4)}
    for path, pixels in pictures.items():
        Image.fromarray(pixels).save(path)
    expected = {found.name: found.mask for found in Segmenter(config=SMALL).batch(list(pictures))}
    items = [{"path": path, "image": pixels} for path, pixels in pictures.items()]
    for column in ("path", "image"):
        found = segment_dataset(ray.data.from_items(items), picture=column, workers=1, config=SMALL).take_all()
        for row in found:
            with Image.open(io.BytesIO(row["mask"])) as image:
                np.testing.assert_array_equal(np.asarray(image) > 0, expected[row["name"]])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"picture": "image"}, "`picture` must be a column of the dataset"),
        ({"products": ["masks"]}, "`products` must be one of cutouts, overlays, panels, report"),
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1"),
        ({"workers": (3, 2)}, "`workers` must be a number, or from how many to how many"),
        ({"devices": 2}, "`devices` is 1 for each worker"),
        ({"platform": "tpu"}, "`platform` of workers must be cpu or gpu"),
        ({"platform": "gpu", "num_gpus": 0}, "`platform` gpu does not fit `num_gpus` 0"),
        ({"fit": "squeeze"}, "`fit` must be one of"),
    ],
)
def test_wrong_settings_are_said_at_once(rows, settings, sentence):
    dataset = ray.data.from_items(rows[:1]).materialize()
    with pytest.raises(UsageError, match=sentence.replace("(", r"\(")):
        segment_dataset(dataset, **settings)
