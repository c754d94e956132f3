"""One picture never ends a run, whatever is wrong with it."""

import struct
import zlib
from pathlib import Path

import pytest
from drawings import draw_folder

from iem_jax.app.config import run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.config import IEMConfig
from iem_jax.data import loader
from iem_jax.data.source import ReadError, open_picture
from iem_jax.output.products import Products
from iem_jax.output.writer import Writer

SMALL = IEMConfig(size=32, iters=2)


def settings(folder: Path, output: Path, **changes):
    return run_config(**{"iem": SMALL, "images": str(folder), "output_dir": str(output), "quiet": True} | changes)


def write_png(path: Path, width: int, height: int) -> None:
    """A grey picture of zeros, whose file is a thousandth of its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    machine = zlib.compressobj(9)
    data = machine.compress(bytes((width + 7) // 8 + 1) * height) + machine.flush()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(170_000_000, 1), (1, 170_000_000), (500_001, 300), (60_000, 1)])
def test_sides_and_proportions_have_bounds(tmp_path, size):
    write_png(tmp_path / "a.png", *size)
    with (
        pytest.raises(ReadError, match=f"too long or too thin .* {size[0]} x {size[1]}"),
        open_picture(tmp_path / "a.png"),
    ):
        pass


@pytest.mark.parametrize("size", [(70_000, 4), (1, 40_000), (1, 1)])
def test_what_a_scanner_may_give_is_read(tmp_path, size):
    write_png(tmp_path / "a.png", *size)
    with open_picture(tmp_path / "a.png") as image:
        assert image.size == size


def test_long_and_thin_ones_cost_themselves_only(tmp_path, capsys):
    folder = draw_folder(tmp_path / "in", 4)
    write_png(folder / "wide.png", 170_000_000, 1)
    write_png(folder / "high.png", 1, 60_000)
    assert run_pipeline(settings(folder, tmp_path / "out")) == 1
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 4
    assert capsys.readouterr().err.count("too long or too thin") == 2


def test_memory_that_does_not_suffice_for_one(tmp_path, monkeypatch, capsys):
    """While it is read, and while its files are made: the others are done, and it is pending for the next run."""
    folder = draw_folder(tmp_path / "in", 6)
    config = settings(folder, tmp_path / "out", overlays=True)
    real_load, real_write = loader.load_sample, Writer.write_mask

    def load_sample(sample, *rest):
        if sample.name == "01":
            raise MemoryError
        return real_load(sample, *rest)

    def write_mask(self, name, mask):
        if name == "03":
            raise MemoryError
        return real_write(self, name, mask)

    with monkeypatch.context() as patch:
        patch.setattr(loader, "load_sample", load_sample)
        patch.setattr(Writer, "write_mask", write_mask)
        assert run_pipeline(config) == 1
    errors = capsys.readouterr().err
    assert errors.count("not enough memory") == 2
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 4
    assert run_pipeline(config) == 0
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 6


def test_a_mask_without_its_edges_for_lack_of_memory_is_pending(tmp_path, monkeypatch, capsys):
    folder = draw_folder(tmp_path / "in", 3)
    config = settings(folder, tmp_path / "out")

    def no_memory(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Products, "_restore", no_memory)
        assert run_pipeline(config) == 1
    assert capsys.readouterr().err.count("masks: not enough memory") == 3
    assert run_pipeline(config) == 0
    assert run_pipeline(settings(folder, tmp_path / "anew")) == 0
    for path in (tmp_path / "anew/masks").rglob("*.png"):
        assert (tmp_path / "out" / path.relative_to(tmp_path / "anew")).read_bytes() == path.read_bytes()


def test_a_picture_that_never_stops_changing(tmp_path, monkeypatch, capsys):
    folder = draw_folder(tmp_path / "in", 3)
    config = settings(folder, tmp_path / "out")
    real = Products.write

    def touch(self, item, *others):
        if item.sample.name == "00":
            (folder / "00.jpg").write_bytes((folder / "00.jpg").read_bytes() + b"\0")
        return real(self, item, *others)

    with monkeypatch.context() as patch:
        patch.setattr(Products, "write", touch)
        assert run_pipeline(config) == 1
    assert "00: the picture was changed while it was worked on" in capsys.readouterr().err
    assert run_pipeline(config) == 0
    assert run_pipeline(settings(folder, tmp_path / "anew")) == 0
    assert (tmp_path / "out/masks/00.png").read_bytes() == (tmp_path / "anew/masks/00.png").read_bytes()
    assert (tmp_path / "out/manifest.jsonl").read_bytes() == (tmp_path / "anew/manifest.jsonl").read_bytes()
