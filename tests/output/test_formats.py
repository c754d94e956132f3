"""Exports read back by other programs' readers, or by readers written from the formats' descriptions."""

import base64
import io
import json
import os
import re
import tracemalloc
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from drawings import read_tree
from exports import SIZE, iou, make_masks, make_rows, many_rows, write_export
from PIL import Image

from iem_jax.output.formats import FORMATS
from iem_jax.output.formats.rows import Rows
from iem_jax.output.formats.runs import encode_label_studio

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
    coco = pytest.importorskip("pycocotools.coco").COCO(str(folder / "out/exports/coco.json"))
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


def test_labelme(folder: Path, rows: Rows):
    write_export(folder, "labelme", rows)
    for row in rows:
        path = folder / f"out/exports/labelme/{row.name}.json"
        data = json.loads(path.read_text("utf-8"))
        assert (data["imageWidth"], data["imageHeight"]) == SIZE
        assert (path.parent / data["imagePath"]).resolve() == row.picture.resolve()
        mask = np.zeros(SIZE[::-1], bool)
        for shape in data["shapes"]:
            assert (shape["label"], shape["shape_type"]) == ("cat", "mask")
            (left, top), (right, bottom) = shape["points"]
            found = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"]))))
            mask[top : bottom + 1, left : right + 1] = found.astype(bool)  # as labelme's `shapes_to_label`
        np.testing.assert_array_equal(mask, MASKS[row.file_name], err_msg=row.name)


def decode_label_studio(data: list[int]) -> np.ndarray:
    """Return the values of Label Studio's run lengths, one bit after the other."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def read(length: int) -> int:
        nonlocal at
        at += length
        return int(bits[at - length : at], 2)

    number, size, values = read(32), read(5) + 1, []
    sizes = [read(4) + 1 for _ in range(4)]
    while len(values) < number:
        is_run = read(1)
        length = read(sizes[read(2)]) + 1
        values += [read(size)] * length if is_run else [read(size) for _ in range(length)]
    return np.array(values)


def test_label_studio(folder: Path, rows: Rows):
    write_export(folder, "label_studio", rows)
    tasks = json.loads((folder / "out/exports/label_studio.json").read_text("utf-8"))
    for row, task in zip(rows, tasks, strict=True):
        address = urlsplit(task["data"]["image"])
        assert (address.path, parse_qs(address.query)) == ("/data/local-files/", {"d": [f"in/{row.file_name}"]})
        (prediction,) = task["predictions"]
        assert (prediction["model_version"], prediction["score"]) == ("iem_jax 1", row.confidence)
        assert len(prediction["result"]) == MASKS[row.file_name].any()
        for region in prediction["result"]:
            assert (region["original_width"], region["original_height"]) == SIZE
            assert region["value"]["brushlabels"] == ["cat"]
            values = decode_label_studio(region["value"]["rle"]).reshape(*SIZE[::-1], 4)
            np.testing.assert_array_equal(values[..., 3] > 0, MASKS[row.file_name], err_msg=row.name)
    view = ElementTree.parse(folder / "out/exports/label_studio.xml").getroot()
    region = tasks[1]["predictions"][0]["result"][0]
    assert view.find("Image").attrib["name"] == region["to_name"]
    assert view.find("BrushLabels").attrib["name"] == region["from_name"]
    assert view.find("BrushLabels/Label").attrib["value"] == "cat"


def test_long_runs_for_label_studio():
    mask = np.zeros((500, 400), bool)
    mask[200:, 3] = mask[:, 250:] = True
    for found in (mask, ~mask, np.ones_like(mask), np.ones((128, 128), bool)):  # the last one is a run of 1 << 16
        data = encode_label_studio(found)
        np.testing.assert_array_equal(decode_label_studio(data).reshape(*found.shape, 4)[..., 0] > 0, found)
        assert len(data) < 5000


def test_cvat(folder: Path, rows: Rows):
    write_export(folder, "cvat", rows)
    with zipfile.ZipFile(folder / "out/exports/cvat.zip") as archive:
        assert archive.testzip() is None
        lines = archive.read("labelmap.txt").decode().splitlines()
        assert [line.split(":")[0] for line in lines[1:]] == ["background", "cat"]
        names = archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()
        assert names == [row.name for row in rows]
        for row in rows:
            for kind in ("SegmentationClass", "SegmentationObject"):
                values = np.asarray(Image.open(io.BytesIO(archive.read(f"{kind}/{row.name}.png"))))
                np.testing.assert_array_equal(values, MASKS[row.file_name].astype(np.uint8), err_msg=row.name)


def test_huggingface(folder: Path, rows: Rows):
    write_export(folder, "huggingface", rows)
    root = folder / "out/exports/huggingface"
    lines = [json.loads(line) for line in (root / "metadata.jsonl").read_text("utf-8").splitlines()]
    for row, line in zip(rows, lines, strict=True):
        assert (root / line["file_name"]).read_bytes() == row.picture.read_bytes()
        mask = np.asarray(Image.open(root / line["mask_file_name"])) > 0
        np.testing.assert_array_equal(mask, MASKS[line["name"]])
        assert re.fullmatch(r"images/[0-9a-f]{20}\.(jpg|png)", line["file_name"])  # no word that names a split
    assert len(list(root.rglob("*.*"))) == 2 * len(MASKS) + 1


def test_huggingface_opens_in_datasets(folder: Path, rows: Rows):
    datasets = pytest.importorskip("datasets", reason="too large for the extra `test`: pip install datasets")
    write_export(folder, "huggingface", rows)
    data = folder / "out/exports/huggingface"
    found = datasets.load_dataset("imagefolder", data_dir=str(data), cache_dir=str(folder / "cache"))["train"]
    for line in found:
        np.testing.assert_array_equal(np.asarray(line["mask"]) > 0, MASKS[line["name"]])
    assert found.num_rows == len(MASKS)


@pytest.mark.parametrize("kind", FORMATS)
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
@pytest.mark.parametrize("kind", ["coco", "label_studio"])
def test_memory_does_not_depend_on_the_number_of_rows(tmp_path: Path, kind: str):
    peaks = []
    for number in (1000, 20_000):
        rows = many_rows(tmp_path, number)
        tracemalloc.start()
        write_export(tmp_path, kind, rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 40 * 19_000  # bytes
