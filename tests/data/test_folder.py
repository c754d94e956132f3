"""Which pictures are found and how they are named."""

import os
import tracemalloc
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from drawings import draw, draw_folder

from iem_jax.config import UsageError
from iem_jax.data import folder
from iem_jax.data.folder import list_images
from iem_jax.data.names import printable, safe_path
from iem_jax.data.samples import Samples, Texts


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(source, masks=None, own=()):
    return [sample.name for sample in list_images(str(source), masks, own)]


def test_folder_is_recursive_sorted_and_keeps_subfolders(tmp_path):
    touch(tmp_path, "b.JPG", "a.png", "sub/deep/c.webp", "notes.txt", ".hidden.jpg", ".git/d.jpg", "sub.jpg/e.gif")
    assert names(tmp_path) == ["a", "b", "sub.jpg/e", "sub/deep/c"]


def test_symlink_loops_are_survived(tmp_path):
    touch(tmp_path, "a.jpg", "sub/b.jpg")
    (tmp_path / "sub/loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "sub")
    outside = touch(tmp_path.parent / "outside", "c.jpg")
    (tmp_path / "aaa").symlink_to(outside)
    (tmp_path / "bbb").symlink_to(outside)  # the same pictures, which are listed once
    assert names(tmp_path) == ["a", "aaa/c", "sub/b"]
    assert names(f"{tmp_path}/**/*.jpg") == ["a", "sub/b"]


def test_one_picture(tmp_path):
    touch(tmp_path, "my picture.jpeg")
    assert names(tmp_path / "my picture.jpeg") == ["my picture"]


def test_glob(tmp_path):
    touch(tmp_path, "x1/a.jpg", "x2/a.jpg", "y/a.jpg", "x1/b.txt")
    assert names(tmp_path / "x*" / "*") == ["x1/a", "x2/a"]


def test_a_name_with_brackets_is_no_glob(tmp_path):
    touch(tmp_path, "a[1].jpg", "a1.jpg")
    assert names(tmp_path / "a[1].jpg") == ["a[1]"]


def test_text_file(tmp_path):
    touch(tmp_path, "in/a.jpg", "b.jpg", "lists/c.png")
    lines = ["../in/a.jpg", "", str(tmp_path / "b.jpg"), "c.png", "./c.png", "gone.jpg\r"]
    (tmp_path / "lists/list.txt").write_text("\n".join(lines), encoding="utf-8")
    samples = list_images(str(tmp_path / "lists/list.txt"))
    assert [sample.name for sample in samples] == ["in/a", *(str(tmp_path / "b")[1:], "c", "gone")]
    assert [Path(sample.image_path).exists() for sample in samples] == [True, True, True, False]


@pytest.mark.parametrize(
    ("relatives", "expected"),
    [
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
        (["a.jpg", "b.png"], ["a", "b"]),
        (["a.jpg", "a.png", "a.jpg.webp"], ["a.jpg", "a.png", "a.jpg.webp"]),
        (["a.jpg", "a.png/b.jpg"], ["a.jpg", "a.png/b"]),  # masks/a.png would be a file and a folder
        (["../a.jpg", "a.jpg"], ["a.jpg", "a.jpg~2"]),
        (["/etc/a.jpg", "../../b.jpg", "..", "x/../../c.jpg"], ["etc/a", "b", "unnamed", "x/c"]),
    ],
)
def test_names_are_unique_and_stay_inside(relatives, expected):
    assert list(Samples("", relatives, {}).names) == expected


def name_slowly(relatives: list[str]) -> list[str]:
    """The rule of `name_unusual` with all names at hand."""
    full = [safe_path(relative) for relative in relatives]
    names = [str(PurePosixPath(path).with_suffix("")) for path in full]

    def is_blocked(name: str) -> bool:
        folders = {str(parent) for other in names for parent in PurePosixPath(other).parents}
        return any(name + ending in folders for ending in (".png", ".jpg"))

    while changing := [i for i, n in enumerate(names) if n != full[i] and (names.count(n) > 1 or is_blocked(n))]:
        names = [full[index] if index in changing else name for index, name in enumerate(names)]
    for index, name in enumerate(names):
        number = 1
        while names[index] in names[:index] or (number == 1 and is_blocked(name)):
            number += 1
            names[index] = f"{name}~{number}"
    return names


def test_names_agree_with_the_rule_taken_literally():
    choice = np.random.default_rng(0)
    parts = ["a", "a.jpg", "a.png", "a.jpg.png", "b", "a.", "..", "a.jpg~2"]
    for _ in range(300):
        relatives = {"/".join(choice.choice(parts, choice.integers(1, 4))) for _ in range(6)}
        relatives = sorted(relatives)
        assert list(Samples("", relatives, {}).names) == name_slowly(relatives), relatives


def test_texts_come_back_whatever_they_hold():
    texts = ["", "a/b.jpg", "日本", "\udcff", "a\nb"]
    kept = Texts(texts)
    assert (list(kept), len(kept), kept[-1], kept[1:3]) == (texts, 5, texts[-1], texts[1:3])
    with pytest.raises(IndexError):
        kept[5]


def test_a_picture_costs_little_memory(tmp_path):
    relatives = [f"photograph_{number:07d}.jpg" for number in range(20_000)]
    tracemalloc.start()
    samples = Samples(str(tmp_path), relatives, {})
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples[-1].name == "photograph_0019999"
    assert samples[7].image_path == str(tmp_path / relatives[7])
    assert held < 50 * len(relatives)


def test_long_names_leave_room_for_endings():
    long = ["ä" * 120 + end + ".jpg" for end in ("1", "2")]
    named = Samples("", long, {}).names
    assert len(set(named)) == 2
    assert all(len(os.fsencode(name)) < 220 for name in named)
    assert safe_path("x" * 100 + ".jpg") == "x" * 100 + ".jpg"


def test_printable_keeps_a_name_on_one_line():
    assert printable("a\nb\x1b[31m ü \udcff") == "a\\nb\\x1b[31m ü \\udcff"


def test_own_output_is_not_read_back(tmp_path):
    touch(tmp_path, "a.jpg", "out/masks/a.png", "out/contact_sheet.png", "out/mine.jpg", "masks/b.png")
    own = [tmp_path / "out" / name for name in ("masks", "contact_sheet.png")]
    assert names(tmp_path, own=own) == ["a", "masks/b", "out/mine"]
    assert names(f"{tmp_path}/**/*", own=own) == ["a", "masks/b", "out/mine"]
    with pytest.raises(UsageError, match="found none"):
        names(tmp_path / "out/masks/a.png", own=own)


def test_masks_by_relative_name(tmp_path):
    touch(tmp_path / "in", "a.jpg", "sub/a.jpg", "c.jpg", "c.png", "d.jpg")
    touch(tmp_path / "in/truth", "a.gif", "sub/a.png", "c.jpg.png", "c.png")
    found = list_images(str(tmp_path / "in"), str(tmp_path / "in/truth"))
    paths = {sample.name: sample.mask_path and sample.mask_path.relative_to(tmp_path / "in/truth") for sample in found}
    assert paths == {
        "a": Path("a.gif"),
        "sub/a": Path("sub/a.png"),
        "c.jpg": Path("c.jpg.png"),
        "c.png": Path("c.png"),
        "d": None,
    }


def test_unreadable_folders(tmp_path, monkeypatch):
    draw_folder(tmp_path, 3)
    real = os.scandir

    def refuse(path="."):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    samples = list_images(str(tmp_path))
    assert [(sample.name, sample.problem) for sample in samples] == [
        ("00", ""),
        ("01", ""),
        ("sub", "folder cannot be read: Permission denied"),
    ]
    monkeypatch.setattr(os, "listdir", lambda path: refuse("sub"))
    with pytest.raises(UsageError, match=r"can be read.*Permission denied"):
        list_images(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("empty", "must hold pictures"),
        ("absent", "there is no"),
        ("no*thing", "must hold pictures"),
        ("**x/*.jpg", "glob that can be expanded"),
        ("archive.bin", "is neither"),
        ("blank.txt", "must hold pictures"),
    ],
)
def test_bad_sources(tmp_path, source, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "archive.bin").write_bytes(b"\0\xff\0")
    (tmp_path / "blank.txt").write_text("\n\n")
    with pytest.raises(UsageError, match=sentence):
        list_images(str(tmp_path / source))


def test_bad_masks(tmp_path):
    touch(tmp_path, "a.jpg", "out/masks/a.png")
    with pytest.raises(UsageError, match="`masks` must be a folder"):
        list_images(str(tmp_path), str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="into which the run writes"):
        list_images(str(tmp_path), str(tmp_path / "out/masks"), [tmp_path / "out/masks"])


def test_one_picture_without_a_known_ending_is_known_by_what_is_in_it(tmp_path):
    draw(0).save(tmp_path / "IMG_1234", "JPEG")
    draw(0).save(tmp_path / "b.dat", "PNG")
    assert names(tmp_path / "IMG_1234") == ["IMG_1234"]
    assert names(tmp_path / "b.dat") == ["b"]


def test_what_is_left_out_is_counted_by_ending(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "b.avif", "c.ppm", "d.MPO", "x.HEIC", "sub/y.heic", "notes.txt", "README", ".hidden.txt")
    monkeypatch.setattr(folder, "endings", lambda: frozenset((".jpg", ".avif", ".ppm", ".mpo")))
    monkeypatch.setattr(folder, "package_for", lambda ending: "pillow-heif" if ending == ".heic" else None)
    for source in (str(tmp_path), f"{tmp_path}/**/*"):
        lines = []
        samples = list_images(source, tell=lines.append)
        assert [sample.name for sample in samples] == ["a", "b", "c", "d"]
        assert lines == [
            f"left out of {source}, since they cannot be decoded: 2 .heic (need `pip install pillow-heif`), "
            "1 without an ending, 1 .txt"
        ]
    lines.clear()
    list_images(f"{tmp_path}/*.jpg", tell=lines.append)
    assert lines == []
    with pytest.raises(UsageError, match=r"x\.HEIC needs `pip install pillow-heif`"):
        list_images(str(tmp_path / "x.HEIC"))


def test_what_earlier_runs_wrote_is_left_out_and_said(tmp_path):
    touch(tmp_path, "a.jpg", "old/masks/a.png", "old/summary.json", "old/mine.jpg", "x/deep/cutouts/a.png", "b/c.png")
    touch(tmp_path, "now/masks/a.png", "b/masks/kept.png")
    for run in ("old", "x/deep", "now"):
        (tmp_path / run / "manifest.jsonl").write_text('{"iem_jax": "0.1.0"}\n')
    (tmp_path / "b/manifest.jsonl").write_text("[1]\n")  # of some other program
    written = ("masks", "cutouts", "summary.json", "manifest.jsonl")
    own = [tmp_path / "now" / name for name in written]
    for source in (tmp_path, f"{tmp_path}/**/*"):
        lines = []
        samples = list_images(str(source), None, own, written, lines.append)
        assert [sample.name for sample in samples] == ["a", "b/c", "b/masks/kept", "old/mine"]
        assert lines[0] == f"left out: what earlier runs wrote to {tmp_path / 'old'}, {tmp_path / 'x/deep'}"
        assert "1 .jsonl" in lines[1]
    assert names(tmp_path / "old/masks", None) == ["a"]  # whoever names them wants them


def test_results_beside_the_pictures_are_left_out(tmp_path):
    touch(tmp_path, "a.jpg", "masks/a.png")
    (tmp_path / "manifest.jsonl").write_text('{"iem_jax": "0.1.0"}\n')
    written = ("masks", "manifest.jsonl")
    assert [sample.name for sample in list_images(str(tmp_path), None, (), written)] == ["a"]


@pytest.mark.parametrize(
    ("source", "masks", "sentence"),
    [
        ("in", "in", "`masks` must be another folder than `images`, got .*in for both"),
        ("in", "in/.", "`masks` must be another folder"),
        ("in", "", "`masks` must be a path, got an empty one"),
        ("", None, "`images` must be a path, got an empty one"),
    ],
)
def test_paths_that_cannot_be_meant(tmp_path, source, masks, sentence):
    touch(tmp_path, "in/a.jpg")
    with pytest.raises(UsageError, match=sentence):
        list_images(source and str(tmp_path / source), masks and f"{tmp_path}/{masks}")


def test_masks_around_the_pictures(tmp_path):
    touch(tmp_path, "in/a.jpg", "a.png")
    (sample,) = list_images(str(tmp_path / "in"), str(tmp_path))
    assert sample.mask_path == tmp_path / "a.png"


def test_long_names_in_other_encodings_of_file_names(monkeypatch):
    """Under a Latin-1 locale the name of a file in UTF-8 has a letter for each of its bytes."""
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    name = safe_path(("日" * 75).encode().decode("latin-1") + ".jpg")
    assert name.endswith(".jpg")
    assert len(name.encode("latin-1")) < 200
