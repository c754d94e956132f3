"""Data sets as people have them on disk: torchvision's Flowers, CUB-200-2011, pairs of folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import BIRDS, picture, save, truth, write_cub, write_lines, write_pairs
from pictures import write_flowers
from PIL import Image

from iem_jax import UsageError
from iem_jax.data.cub import list_cub
from iem_jax.data.flowers import list_flowers
from iem_jax.data.images import resize_and_crop
from iem_jax.data.loader import load_sample
from iem_jax.data.pairs import list_pairs


def squares(image: Image.Image) -> np.ndarray:
    return np.asarray(resize_and_crop(image, 16))


@pytest.mark.parametrize("place", [".", "..", "flowers-102/jpg"])
def test_torchvisions_flowers(tmp_path: Path, place: str):
    """`root/flowers-102`, found from the folder around it, from itself and from inside; segmim/ inside."""
    folder = write_flowers(tmp_path / "root" / "flowers-102", 2)
    found = list_flowers(folder.parent if place == "." else folder if place == ".." else folder / "jpg", "test")
    assert [Path(sample.image_path).resolve() for sample in found] == [
        (folder / "jpg" / f"image_{number:05d}.jpg").resolve() for number in (1, 2)
    ]
    assert all(sample.mask_path is not None and sample.mask_path.is_file() for sample in found)


def test_torchvisions_flowers_with_masks_beside_or_none(tmp_path: Path):
    folder = write_flowers(tmp_path / "flowers-102", 2)
    (folder / "segmim").rename(tmp_path / "segmim")
    for root in (tmp_path, folder):
        assert next(s.mask_path for s in list_flowers(root, "test")) == tmp_path / "segmim" / "segmim_00001.jpg"
    shutil.rmtree(tmp_path / "segmim")
    assert [sample.mask_path for sample in list_flowers(tmp_path, "test")] == [None, None]


def test_a_plain_folder_of_flowers_takes_no_masks_from_elsewhere(tmp_path: Path):
    folder = write_flowers(tmp_path / "set", 2)
    (folder / "segmim").rename(tmp_path / "segmim")
    assert [sample.mask_path for sample in list_flowers(folder, "test")] == [None, None]


def test_several_flowers_in_a_folder(tmp_path: Path):
    for name in ("a", "b"):
        write_flowers(tmp_path / name, 1)
    with pytest.raises(UsageError, match=r"`dataset_path` must be one data set.*a, b"):
        list_flowers(tmp_path, "test")


@pytest.mark.parametrize("inside", [False, True])
def test_birds(tmp_path: Path, inside: bool):
    """The list is read, never the folder; pictures and truths by nearest neighbour, grey ones in three channels."""
    root, said = write_cub(tmp_path / "set", inside), []
    test, train = list_cub(root, "test", said.append), list_cub(root / "CUB_200_2011", "train", said.append)
    assert [sample.name for sample in test] == [BIRDS[1], BIRDS[3], BIRDS[5]]
    assert [sample.name for sample in train] == [BIRDS[0], BIRDS[2], BIRDS[4]]
    assert said == [f"the split is the official one: 3 pictures of {split}" for split in ("test", "train")]
    loaded = load_sample(test[0], 16)
    assert loaded.image is not None
    assert loaded.image.shape == (16, 16, 3)
    np.testing.assert_array_equal(loaded.image[..., 0], loaded.image[..., 2])
    np.testing.assert_array_equal(loaded.ground_truth, squares(truth(2)) / 255 > 0.5)


@pytest.mark.parametrize(("split", "chosen"), [("train", BIRDS[:2]), ("val", BIRDS[2:4]), ("test", BIRDS[4:])])
def test_redos_split_of_birds(tmp_path: Path, split: str, chosen: tuple[str, ...]):
    said: list[str] = []
    found = list_cub(write_cub(tmp_path, redo=True), split, said.append)
    assert [sample.name for sample in found] == list(chosen)
    assert said == [f"the split is that of ReDO: 2 pictures of {split}"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "1"])
def test_a_bird_is_white_in_the_first_channel(tmp_path: Path, mode: str):
    """Whatever the alpha is: 127 is background, 128 is the bird."""
    root = write_cub(tmp_path)
    levels = np.tile(np.array([0, 127, 128, 255] * 10, np.uint8), (32, 1))
    mask = Image.fromarray(levels)
    if mode in ("RGB", "RGBA"):
        others = Image.new("L", mask.size, 255)
        mask = Image.merge("RGB", (mask, others, others))
    if mode in ("LA", "RGBA"):
        mask.putalpha(0)
    elif mode == "1":
        mask = mask.point(lambda level: 255 * (level > 127)).convert("1")
    assert mask.mode == mode
    save(mask, tmp_path / "segmentations" / f"{BIRDS[1]}.png")
    found = load_sample(list_cub(root, "test")[0], 32).ground_truth
    np.testing.assert_array_equal(found, (levels > 127)[:, 4:36])


def test_birds_that_cannot_be(tmp_path: Path):
    root = write_cub(tmp_path / "set")
    folder = root / "CUB_200_2011"
    with pytest.raises(UsageError, match=r"`split` val needs ReDO's train_val_test_split\.txt"):
        list_cub(root, "val")
    with pytest.raises(UsageError, match=r"`dataset_path` must be a folder with CUB_200_2011"):
        list_cub(tmp_path / "nothing", "test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"`dataset_path` must hold images\.txt"):
        list_cub(tmp_path / "empty", "test")
    (folder / "train_test_split.txt").rename(tmp_path / "split")
    with pytest.raises(UsageError, match=r"`dataset_path` must hold train_test_split\.txt"):
        list_cub(root, "test")
    write_lines(folder / "train_test_split.txt", ["1 0", "2"])
    with pytest.raises(UsageError, match=r"must have 2 fields a line, line 2 is \['2'\]"):
        list_cub(root, "test")
    write_lines(folder / "train_test_split.txt", ["99 0"])
    with pytest.raises(UsageError, match=r"must hold pictures of the split test"):
        list_cub(root, "test")
    (folder / "train_test_split.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"cannot be read as a text"):
        list_cub(root, "test")


def test_a_list_of_birds_stays_in_its_folder_and_may_name_absent_ones(tmp_path: Path):
    root = write_cub(tmp_path / "set")
    save(picture(1), tmp_path / "secret.jpg")
    write_lines(root / "CUB_200_2011" / "images.txt", ["2 ../../../secret.jpg", "4 /etc/passwd", "6 gone.jpg"])
    found = list_cub(root, "test")
    assert [sample.name for sample in found] == ["secret", "etc/passwd", "gone"]
    assert [load_sample(sample, 16).problem for sample in found] == ["file not found"] * 3


@pytest.mark.parametrize(
    ("images", "masks"), [("images", "ground_truth_mask"), ("DUTS-TE-Image", "DUTS-TE-Mask"), ("imgs", "gt")]
)
def test_pairs(tmp_path: Path, images: str, masks: str):
    root, said = write_pairs(tmp_path, images, masks), []
    (root / masks / "0002.png").unlink()
    found = list_pairs(root, None, said.append)
    assert [sample.name for sample in found] == ["0001", "0002", "0003"]
    assert [sample.mask_path is None for sample in found] == [False, True, False]
    assert said == [f"pictures of {root / images}, 2 of 3 with a ground truth in {root / masks}"]
    loaded = load_sample(found[0], 16)
    np.testing.assert_array_equal(loaded.image, squares(Image.open(root / images / "0001.jpg")))
    np.testing.assert_array_equal(loaded.ground_truth, squares(truth(1)) > 127)
    assert [s.name for s in list_pairs(root / images, str(root / masks))] == ["0001", "0002", "0003"]


def test_pairs_that_are_none(tmp_path: Path):
    with pytest.raises(UsageError, match=r"`dataset_path` must be a folder that holds two folders"):
        list_pairs(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"one of ground truths \(masks or so\), found none in"):
        list_pairs(tmp_path)
    root = write_pairs(tmp_path / "set")
    (root / "ground_truth_mask").rename(root / "other")
    with pytest.raises(UsageError, match=r"found images, other in .*: name them as `dataset_path` and `masks`"):
        list_pairs(root)
    with pytest.raises(UsageError, match=r"`masks` must be a folder of ground truths"):
        list_pairs(root / "images", str(root / "nothing"))
    (root / "masks").mkdir()
    with pytest.raises(UsageError, match=r"`dataset_path` must hold pairs, none of .*images has a ground truth in"):
        list_pairs(root)
    shutil.rmtree(root / "images")
    (root / "images").mkdir()
    with pytest.raises(UsageError, match=r"`dataset_path` must hold pictures, found none in"):
        list_pairs(root)
