"""Lists of paths as editors, shells and spreadsheets write them."""

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from iem_jax.config import UsageError
from iem_jax.data.folder import list_images
from iem_jax.data.lists import read_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b c.jpg", "sub/d.png", "#e.jpg", " f.jpg ", "g\\h.jpg", "i #1.jpg", "'j'.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.jpg", "a.jpg"),
        ("a.jpg  \t", "a.jpg"),
        ("  a.jpg", "a.jpg"),
        ("a.jpg\r", "a.jpg"),
        ('"b c.jpg"', "b c.jpg"),
        ("'b c.jpg' ", "b c.jpg"),
        ("b c.jpg # the best", "b c.jpg"),
        ("# a.jpg", None),
        ("   # a.jpg", None),
        ("", None),
        ("#e.jpg", "#e.jpg"),
        (" f.jpg ", " f.jpg "),
        ("sub\\d.png", "sub/d.png"),
        ('"sub\\d.png"  # Windows', "sub/d.png"),
        ("g\\h.jpg", "g\\h.jpg"),
        ("i #1.jpg", "i #1.jpg"),
        ("'j'.jpg", "'j'.jpg"),
        ("./sub/../a.jpg", "a.jpg"),
        ('"gone.jpg"  ', "gone.jpg"),
    ],
)
def test_lines(folder, line, expected):
    (folder / "list.txt").write_bytes(f"{line}\n".encode())
    assert read_list(str(folder / "list.txt")) == (str(folder), [expected] if expected else [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings(folder, encoding):
    (folder / "ü 日本.jpg").write_bytes(b"x")
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (folder / "list.txt").write_bytes(mark + "a.jpg\r\nü 日本.jpg\r\n".encode(encoding))
    assert read_list(str(folder / "list.txt"))[1] == ["a.jpg", "ü 日本.jpg"]


def test_names_that_are_no_utf8_are_found_by_their_bytes(folder):
    name = os.fsdecode(b"\xe4.jpg")
    (folder / name).write_bytes(b"x")
    (folder / "list.txt").write_bytes(b"\xe4.jpg\n")
    assert read_list(str(folder / "list.txt")) == (str(folder), [name])


class Input:
    def __init__(self, data: bytes):
        self.buffer = io.BytesIO(data)


def test_standard_input_and_pipes_are_relative_to_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", Input(b"a.jpg\nsub/d.png\n"))
    assert [sample.name for sample in list_images("-")] == ["a", "sub/d"]
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_bytes(b"a.jpg\n"))
    writer.start()
    assert [sample.name for sample in list_images(str(folder / "pipe"))] == ["a"]
    writer.join()
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(b"sub/d.png\n")
    with open(reading, "rb"):
        assert [sample.name for sample in list_images(f"/dev/fd/{reading}")] == ["sub/d"]


def test_what_is_no_list(folder, monkeypatch):
    (folder / "data.bin").write_bytes(b"\0\1\2")
    with pytest.raises(UsageError, match=r"data\.bin is neither"):
        read_list(str(folder / "data.bin"))
    monkeypatch.setattr(sys, "stdin", Input(b"\0"))
    with pytest.raises(UsageError, match="standard input is neither"):
        read_list("-")
