"""Lines and files that are written whole or not at all."""

import json
import os
import stat

import pytest

from iem_jax.output.durable import Appender
from iem_jax.output.lines import decode_line, encode_line
from iem_jax.output.opening import open_manifest
from iem_jax.output.writer import OutputError, Writer


def test_lines_come_back():
    record = {"name": 'a"\n\udcff', "status": "ok", "confidence": 0.25, "files": {"masks": [3, 4]}}
    line = encode_line(record)
    assert decode_line(line) == record
    assert json.loads(line).items() >= record.items()  # a line is JSON for everybody
    for place in range(len(line) - 1):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[place] ^= 1 << bit
            with pytest.raises(ValueError):  # noqa: PT011
                decode_line(bytes(damaged))


def test_short_writes_are_taken_back(tmp_path, monkeypatch):
    """A disk that is full for a moment."""
    real = os.write
    with Appender(tmp_path / "file") as file:
        file.append(b"first\n")
        with monkeypatch.context() as patch:
            answers = iter([lambda fd, data: real(fd, data[:3]), lambda fd, data: 0])
            patch.setattr(os, "write", lambda fd, data: next(answers)(fd, data))
            with pytest.raises(OSError, match="No space left"):
                file.append(b"second\n")
        assert (tmp_path / "file").read_bytes() == b"first\n"
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda fd, data: real(fd, data[:1]))
            assert file.append(b"third\n") == 6
    assert (tmp_path / "file").read_bytes() == b"first\nthird\n"


def test_pillow_does_not_lose_what_a_short_write_leaves_over(tmp_path, monkeypatch):
    from PIL import Image

    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:100]))
    picture = Image.effect_noise((80, 80), 40)
    Writer(tmp_path).write_image("masks/a.png", picture)
    with Image.open(tmp_path / "masks/a.png") as found:
        assert found.tobytes() == picture.tobytes()


def test_names_that_are_the_same_to_the_eye(tmp_path):
    names = ["a", "á", "á", "a\udcff"]
    with open_manifest(Writer(tmp_path), {"sigma": 5.0}, names) as manifest:
        manifest.add([0, 1, 2, 3], [{"name": name} for name in names], [None] * 4)
    with open_manifest(Writer(tmp_path), {"sigma": 5.0}, names[::-1]) as manifest:
        assert [manifest[number][0]["name"] for number in range(4)] == names[::-1]


def test_an_error_of_the_disk_is_an_output_error(tmp_path, monkeypatch):
    with open_manifest(Writer(tmp_path), {}, ["a"]) as manifest:

        def broken(*_):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "write", broken)
        with pytest.raises(OutputError, match=r"manifest\.jsonl cannot be written: Input/output error"):
            manifest.add([0], [{"name": "a"}], [None])
        assert manifest[0] is None
        monkeypatch.undo()
    assert stat.S_ISREG((tmp_path / "manifest.jsonl").stat().st_mode)
