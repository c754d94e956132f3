"""`--export` and `--apply_review` as a user runs them: after a run, and later from its folder."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, read_tree
from PIL import Image

from iem_jax.app.command import main
from iem_jax.output.formats import FORMATS

LSUN = ("--dataset_path=IN", "--dataset=lsun_car")
SMALL = ("--size=32", "--iters=2", "--kernel_size=5")


def run(*flags: object) -> int:
    return main(["run.py", "--quiet", *map(str, flags)])


def load(output: Path) -> dict[str, dict]:
    """Return images and their annotations of coco.json, by file name."""
    data = json.loads((output / "exports/coco.json").read_text("utf-8"))
    found = {image["id"]: image for image in data["images"]}
    for annotation in data["annotations"]:
        found[annotation["image_id"]]["annotation"] = annotation
    return {image["file_name"]: image for image in found.values()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "in"
    for number, name in enumerate(("a.jpg", "sub dir/a.jpg", "sub dir/é.png", "b.jpg", "b.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw(number).save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(5).save(folder / "=turned.jpg", exif=exif)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def finished(pictures: Path) -> Path:
    """A run that was exported as it ended."""
    output = pictures.parent / "out"
    assert run(*SMALL, f"--images={pictures}", f"--output_dir={output}", "--export=coco,yolo") == 1
    return output


@pytest.fixture
def output(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


def test_after_a_run(finished: Path):
    found = load(finished)
    assert list(found) == ["=turned.jpg", "a.jpg", "b.jpg", "b.png", "sub dir/a.jpg", "sub dir/é.png"]
    assert (found["=turned.jpg"]["width"], found["=turned.jpg"]["height"]) == (44, 60)  # as it is seen
    assert (found["a.jpg"]["width"], found["a.jpg"]["height"]) == (60, 44)
    with (finished / "metrics.csv").open(encoding="utf-8", newline="") as file:
        confidences = {row["name"]: row["confidence"] for row in csv.DictReader(file)}
    assert f"{found['sub dir/é.png']['annotation']['score']:.6f}" == confidences["sub dir/é"]
    assert found["b.png"]["annotation"]["area"] == (np.asarray(Image.open(finished / "masks/b.png.png")) > 0).sum()


def test_later_without_segmenting(output: Path, finished: Path, capsys: pytest.CaptureFixture[str]):
    before = read_tree(output)
    shutil.rmtree(output / "exports")
    assert main(["run.py", f"--output_dir={output}", "--export=coco, yolo"]) == 0
    assert read_tree(output) == before
    out, errors = capsys.readouterr()
    assert out == ""
    assert f"exported 6 of 7 pictures as coco, yolo to {output / 'exports'}; left out: 1 failed\n" in errors


def test_all_formats(output: Path):
    assert run(f"--export={','.join(FORMATS)}", f"--output_dir={output}") == 0
    names = {path.name for path in (output / "exports").iterdir()}
    assert names == {
        *("coco.json", "yolo", "labelme", "label_studio.json", "label_studio.xml", "cvat.zip", "huggingface"),
        "written.jsonl",
    }
    described = json.loads((output / "exports/labelme/=turned.json").read_text("utf-8"))
    assert (described["imageWidth"], described["imageHeight"]) == (44, 60)


def test_filters_and_category(output: Path, capsys: pytest.CaptureFixture[str]):
    flags = ("--export=coco,yolo", f"--output_dir={output}")
    scores = sorted(image["annotation"]["score"] for image in load(output).values())
    assert main(["run.py", *flags, f"--min_confidence={scores[2]}", "--category=grey cat"]) == 0
    number = sum(score >= scores[2] for score in scores)
    assert len(load(output)) == number
    assert f"{6 - number} under confidence" in capsys.readouterr().err
    assert len(list((output / "exports/yolo").rglob("*.txt"))) == number
    assert '"grey cat"' in (output / "exports/coco.json").read_text("utf-8")
    assert run(*flags, "--only=uncertain") == 0
    uncertain = len(load(output))
    assert run(*flags, "--only=ok") == 0
    assert len(load(output)) + uncertain == 6


def test_pictures_that_changed_or_lost_their_mask_are_left_out(pictures: Path, tmp_path: Path, capsys):
    folder, output = shutil.copytree(pictures, tmp_path / "in"), tmp_path / "out"
    assert run(*SMALL, f"--images={folder}", f"--output_dir={output}") == 1
    (output / "masks/a.png").unlink()
    cut_off = output / "masks/sub dir/a.png"
    cut_off.write_bytes(cut_off.read_bytes()[:60])
    draw(9, 80, 70).save(folder / "b.jpg")
    draw(9).save(folder / "new.png")
    capsys.readouterr()
    assert main(["run.py", f"--output_dir={output}", "--export=coco"]) == 0
    told = capsys.readouterr().err
    unreadable = "1 with masks that cannot be read"
    for reason in ("1 failed", "1 without their masks", unreadable, "1 not segmented yet", "1 changed since"):
        assert reason in told
    assert set(load(output)) <= {"b.png", "sub dir/é.png", "=turned.jpg"}


def test_what_somebody_changed_stays(output: Path, capsys: pytest.CaptureFixture[str]):
    label = output / "exports/yolo/labels/a.txt"
    label.write_text("0 0 0 1 0 1 1\n")
    foreign = output / "exports/yolo/labels/mine.txt"
    foreign.write_text("mine")
    assert run("--export=yolo", f"--output_dir={output}") == 1
    assert "exports/yolo/labels/a.txt" in capsys.readouterr().err
    assert label.read_text() == "0 0 0 1 0 1 1\n"
    (output / "exports/coco.json").write_text("{}")
    assert run("--export=coco", f"--output_dir={output}") == 1
    assert (output / "exports/coco.json").read_text() == "{}"
    label.unlink()
    assert run("--export=yolo", f"--output_dir={output}", "--only=uncertain") == 0
    assert foreign.read_text() == "mine"


def test_goes_on_after_a_kill(output: Path, monkeypatch: pytest.MonkeyPatch):
    """Files that were written when the program was killed, but not yet known as written, are its own all the same."""
    from iem_jax.output.formats.ledger import Ledger

    def fail(ledger: Ledger) -> None:
        raise MemoryError

    before = read_tree(output)
    shutil.rmtree(output / "exports")
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_commit", fail)
        with pytest.raises(MemoryError):
            run("--export=yolo", "--category=other", f"--output_dir={output}")
    assert run("--export=coco,yolo", f"--output_dir={output}") == 0
    assert read_tree(output) == before


def write_review(folder: Path, **decisions: str) -> Path:
    with (folder / "review.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("name", "decision"), *decisions.items()])
    return folder / "review.csv"


def read_masks(output: Path) -> dict[str, np.ndarray]:
    masks = output / "masks"
    return {str(path.relative_to(masks)): np.asarray(Image.open(path)) > 0 for path in masks.rglob("*.png")}


def test_review(output: Path, pictures: Path, capsys: pytest.CaptureFixture[str]):
    found, files = read_masks(output), read_tree(output / "masks")
    decisions = {"'=turned": "invert", "sub dir/é": "invert", "b.png": "reject", "a": "accept"}
    review = f"--apply_review={write_review(output.parent, **decisions)}"
    assert main(["run.py", f"--output_dir={output}", review, "--export=coco", "--min_confidence=1"]) == 0
    told = capsys.readouterr().err
    for words in ("2 invert", "1 reject", "1 accept", "1 rejected", "exported 3 of 7"):
        assert words in told
    assert set(load(output)) == {"=turned.jpg", "a.jpg", "sub dir/é.png"}  # whatever their confidence
    turned = read_masks(output)
    assert set(turned) == set(found) - {"b.png.png"}
    for name, mask in turned.items():
        is_turned = name in ("=turned.png", "sub dir/é.png")
        np.testing.assert_array_equal(mask, ~found[name] if is_turned else found[name])
    assert load(output)["sub dir/é.png"]["annotation"]["area"] == turned["sub dir/é.png"].sum()

    reviewed = read_tree(output / "masks")
    assert run(f"--output_dir={output}", review) == 0  # again
    assert read_tree(output / "masks") == reviewed
    flags = (*SMALL, f"--images={pictures}", f"--output_dir={output}")
    assert run(*flags, "--cutouts") == 1  # the broken picture
    assert read_tree(output / "masks") == reviewed
    alpha = np.asarray(Image.open(output / "cutouts/sub dir/é.png"))[..., 3]
    np.testing.assert_array_equal(alpha > 0, turned["sub dir/é.png"])
    assert not (output / "cutouts/b.png.png").exists()

    review = write_review(
        output.parent, **{"=turned": "accept", "sub dir/é": "reject", "b.png": "accept", "a": "invert"}
    )
    assert run(f"--output_dir={output}", f"--apply_review={review}") == 0
    assert not (output / "cutouts/sub dir/é.png").exists()  # nor one of the mask before it was turned
    assert not (output / "cutouts/a.png").exists()
    assert run(*flags, "--cutouts") == 1
    assert (output / "cutouts/a.png").exists()
    last = read_tree(output / "masks")
    assert set(files) - set(last) == {"sub dir/é.png"}
    assert {name for name in last if last[name] != files[name]} == {"a.png"}


def test_review_leaves_what_it_cannot_apply(output: Path, capsys: pytest.CaptureFixture[str]):
    Image.new("L", (60, 44), 255).save(output / "masks/a.png")
    before = read_tree(output / "masks")
    review = write_review(output.parent, **{"a": "invert", "broken": "accept", "nobody": "reject"})
    assert main(["run.py", f"--output_dir={output}", f"--apply_review={review}"]) == 1
    told = capsys.readouterr().err
    for words in ("1 left, since their masks were changed", "1 without a mask", "1 names", "nobody"):
        assert words in told
    assert read_tree(output / "masks") == before


def test_overwrite_removes_exports(output: Path, pictures: Path):
    run(*SMALL, f"--images={pictures}", f"--output_dir={output}", "--overwrite", "--limit=1")
    assert not (output / "exports").exists()


def test_exports_are_no_pictures_of_a_run(output: Path):
    assert run(*SMALL, f"--images={output}", f"--output_dir={output.parent / 'again'}", "--export=coco") == 2


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        (("--export=coco,voc", "--output_dir=OUT"), "`export` must be some of"),
        (("--export=coco,coco", "--output_dir=OUT"), "each once"),
        (("--export=coco",), "`export` needs an `output_dir`"),
        (("--export=coco", "--output_dir=NEW"), "holds none"),
        (("--export=coco", "--output_dir=OUT", "--sigma=3"), "leave `sigma` out"),
        (("--export=coco", "--output_dir=OUT", "--cutouts"), "leave `cutouts` out"),
        (("--export=coco", "--output_dir=OUT", "--refine"), "leave `refine` out"),
        (("--export=coco", "--output_dir=OUT", "--min_confidence=2"), "`min_confidence` must be from 0 to 1"),
        (("--export=coco", "--output_dir=OUT", "--category=a:b"), "`category` must be"),
        (("--export=coco", "--output_dir=OUT", "--category=background"), "`category` must be"),
        (("--images=IN", "--output_dir=OUT", "--polygons"), "`polygons` needs `export`"),
        (("--images=IN", "--output_dir=NEW", "--export=coco", "--resolution=model"), "the pictures' own size"),
        ((*LSUN, "--fit=pad", "--resolution=original", "--output_dir=NEW", "--export=coco"), "pictures that are files"),
        (("--images=-", "--output_dir=NEW", "--export=coco"), "listed again"),
        (("--apply_review=IN/no.csv", "--output_dir=OUT"), "`apply_review` must be a table"),
        (("--apply_review=IN/a.jpg", "--output_dir=OUT"), "with the columns name, decision"),
        (("--apply_review=WRONG", "--output_dir=OUT"), "got 'keep' in line 3"),
        (("--apply_review=WRONG",), "`apply_review` needs an `output_dir`"),
        (("--dataset_path=IN", "--output_dir=NEW", "--export=coco"), "the pictures' own size"),
    ],
)
def test_wrong_usage(flags: tuple[str, ...], rule: str, finished: Path, tmp_path: Path, capsys):
    places = {"OUT": finished, "NEW": tmp_path / "new", "IN": finished.parent / "in"}
    places["WRONG"] = write_review(tmp_path, a="accept", b="keep")
    before = read_tree(finished)
    assert run(*(re.sub("OUT|NEW|IN|WRONG", lambda found: str(places[found[0]]), flag) for flag in flags)) == 2
    error = capsys.readouterr().err
    assert rule in error
    assert len(error.splitlines()) == 1
    assert read_tree(finished) == before
    assert not (tmp_path / "new").exists()
