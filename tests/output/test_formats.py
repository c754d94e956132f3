"""Exports read back by other programs' readers, or by readers written from the formats' descriptions."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from drawings import read_tree
from exports import SIZE, iou, make_masks, make_rows, many_rows, write_export

from iem_jax.output.formats.rows import Rows

pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools'
MASKS = make_masks()
BIG = [name for name in MASKS if not name.startswith("images/images")]  # without specks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def rows(folder: Path) -> Rows:
    return make_rows(folder)


def read_coco(folder: Path) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Return pycocotools' annotations and masks, by file name."""
    COCO = pytest.importorskip("pycocotools.coco").COCO  # noqa: N806
    coco = COCO(str(folder / "out/exports/coco.json"))
    names = {image["id"]: image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
    found = {names[annotation["image_id"]]: annotation for annotation in coco.loadAnns(coco.getAnnIds())}
    return found, {name: coco.annToMask(annotation) > 0 for name, annotation in found.items()}


def test_coco(folder: Path, rows: Rows):
    write_export(folder, "coco", rows)
    annotations, masks = read_coco(folder)
    assert set(annotations) == set(MASKS) - {"empty.jpg"}
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, MASKS[name], err_msg=name)
        down, across = np.nonzero(mask)
        box = [across.min(), down.min(), np.ptp(across) + 1, np.ptp(down) + 1]
        assert annotations[name]["bbox"] == box
        assert (annotations[name]["area"], annotations[name]["iscrowd"]) == (mask.sum(), 0)
    data = json.loads((folder / "out/exports/coco.json").read_text("utf-8"))
    assert [image["file_name"] for image in data["images"]] == list(MASKS)
    assert {(image["width"], image["height"]) for image in data["images"]} == {SIZE}
    assert data["categories"] == [{"id": 1, "name": "cat", "supercategory": ""}]
    assert [annotation["score"] for annotation in data["annotations"]] == [row.confidence for row in rows][1:]
    assert {"info", "licenses"} < set(data)


def test_coco_has_the_bytes_of_pycocotools(folder: Path, rows: Rows):
    encode = pytest.importorskip("pycocotools.mask").encode
    write_export(folder, "coco", rows)
    for name, annotation in read_coco(folder)[0].items():
        expected = encode(np.asfortranarray(MASKS[name].astype(np.uint8)))["counts"].decode()
        assert annotation["segmentation"]["counts"] == expected


def test_coco_polygons(folder: Path, rows: Rows):
    write_export(folder, "coco", rows, polygons=True)
    annotations, masks = read_coco(folder)
    assert set(masks) == set(MASKS) - {"empty.jpg"}
    for name in masks:
        assert iou(masks[name], MASKS[name]) >= (0.99 if name in BIG else 0.95), name
    assert len(annotations["parts/a.jpg"]["segmentation"]) == 3
    assert annotations["images/full.png"]["area"] == 60 * 44


def read_yolo(label: Path) -> tuple[list[str], np.ndarray]:
    """Return the classes of a label, and the pixels whose centres lie in its polygons, as matplotlib finds them."""
    path = pytest.importorskip("matplotlib.path").Path
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1) / SIZE
    classes, mask = [], np.zeros(SIZE[::-1], bool)
    for line in label.read_text().splitlines():
        kind, *numbers = line.split()
        classes.append(kind)
        points = np.array(numbers, float).reshape(-1, 2)
        assert len(points) >= 3
        assert points.min() >= 0
        assert points.max() <= 1
        mask |= path([*points, points[0]]).contains_points(centres).reshape(mask.shape)
    return classes, mask


def test_yolo(folder: Path, rows: Rows):
    write_export(folder, "yolo", rows)
    root = folder / "out/exports/yolo"
    assert len([path for path in (root / "images").rglob("*.*") if path.suffix != ".txt"]) == len(MASKS)
    for row in rows:
        copy = root / "images" / f"{row.name}{row.picture.suffix}"
        assert copy.read_bytes() == row.picture.read_bytes()
        # As YOLO looks for it: the last folder called images becomes labels, the last ending becomes .txt.
        head, tail = str(copy).rsplit(f"{os.sep}images{os.sep}", 1)
        classes, mask = read_yolo(Path(f"{head}/labels/{tail}".rsplit(".", 1)[0] + ".txt"))
        assert set(classes) <= {"0"}
        assert iou(mask, MASKS[row.file_name]) >= 0.99, row.name
    assert (root / "labels/empty.txt").read_text() == ""
    assert len((root / "labels/parts/a.jpg.txt").read_text().splitlines()) == 3
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load((root / "data.yaml").read_text()) == {"train": "images", "val": "images", "names": {0: "cat"}}


@pytest.mark.parametrize("kind", ["coco", "yolo"])
def test_again_is_the_same_and_leaves_nothing_behind(folder: Path, rows: Rows, kind: str):
    write_export(folder, kind, rows)
    before = read_tree(folder / "out")
    write_export(folder, kind, rows)
    assert read_tree(folder / "out") == before
    some = list(rows)[:2]
    write_export(folder, kind, Rows(lambda: iter(some)))
    fewer = read_tree(folder / "out")
    assert set(fewer) <= set(before)
    assert not any("parts" in name for name in fewer if name.startswith(f"exports/{kind}/"))
    write_export(folder, kind, rows)
    assert read_tree(folder / "out") == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["coco"])
def test_memory_does_not_depend_on_the_number_of_rows(tmp_path: Path, kind: str):
    peaks = []
    for number in (1000, 20_000):
        rows = many_rows(tmp_path, number)
        tracemalloc.start()
        write_export(tmp_path, kind, rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 40 * 19_000  # bytes
