"""How a run computes has no influence on its results: devices, chunks, memory, caches."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest
from pictures import make_images, to_uint8, write_flowers

from iem_jax import IEMConfig, UsageError, segment
from iem_jax.app.config import run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.data import cache as cache_module
from iem_jax.data.loader import load_sample
from iem_jax.segmenter import stream
from iem_jax.segmenter.devices import choose_devices

ROOT = Path(__file__).parents[2]
SMALL = IEMConfig(size=32, iters=8, sigma=3.0, kernel_size=7)


def run(root: Path, output: Path, **changes) -> dict[str, bytes]:
    """Run and return the masks and tables; summary.json has seconds and is left out."""
    assert run_pipeline(run_config(iem=SMALL, dataset_path=str(root), output_dir=str(output), **changes)) == 0
    names = [path for path in sorted(output.rglob("*")) if path.is_file() and path.name != "summary.json"]
    return {str(path.relative_to(output)): path.read_bytes() for path in names}


def test_devices_bit_for_bit():
    """One, two and eight devices, and a batch that does not divide, in a process that has eight."""
    program = """
        import sys
        import jax
        jax.config.update("jax_num_cpu_devices", 8)
        import numpy as np
        import iem_jax
        from pictures import make_images, to_uint8

        images = to_uint8(make_images(11, 24, 32))
        config = iem_jax.IEMConfig(iters=20, sigma=3.0, kernel_size=7)
        one = iem_jax.segment(images, config, chunk_size=1)
        for number in (1, 2, 8):
            for early in (True, False):
                more = iem_jax.segment(
                    images, config, chunk_size=1, devices=jax.devices()[:number], early_finish=early
                )
                jax.tree.map(np.testing.assert_array_equal, more, one)
    """
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)


def test_number_of_devices():
    assert len(choose_devices(None, 1)) == 1
    with pytest.raises(UsageError, match=r"`devices` must be at most \d+ here"):
        choose_devices(None, 1000)


def test_out_of_memory_takes_smaller_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    root = write_flowers(tmp_path / "set", 40)
    whole = run(root, tmp_path / "whole")
    real, tried = stream.segment, []

    def segment_in_little_memory(*arguments, chunk_size: int, **options):
        tried.append(chunk_size)
        if chunk_size > 4:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return real(*arguments, chunk_size=chunk_size, **options)

    monkeypatch.setattr(stream, "segment", segment_in_little_memory)
    halved = run(root, tmp_path / "halved")
    assert tried[:3] == [16, 8, 4]
    assert set(tried[3:]) == {4}
    assert "going on with 4 pictures side by side" in capsys.readouterr().err
    assert {name: data for name, data in halved.items() if name.startswith("masks")} == {
        name: data for name, data in whole.items() if name.startswith("masks")
    }


def test_other_errors_of_the_device_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_arguments, **_options):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(stream, "segment", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        run(write_flowers(tmp_path / "set", 2), tmp_path / "out")


def test_cache_of_decoded_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root, cache = write_flowers(tmp_path / "set", 6), tmp_path / "cache"
    plain = run(root, tmp_path / "plain")
    assert run(root, tmp_path / "filling", cache_dir=str(cache)) == plain
    kept = sorted(cache.iterdir())
    assert len(kept) == 6

    with monkeypatch.context() as patch:  # nothing is decoded again
        patch.setattr("iem_jax.data.loader.load_sample", None)
        assert run(root, tmp_path / "cached", cache_dir=str(cache)) == plain

    # Damaged in three ways: cut off, emptied, a byte turned in the middle. It is noticed and rebuilt.
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    kept[1].write_bytes(b"")
    data = bytearray(kept[2].read_bytes())
    data[len(data) // 2] ^= 255
    kept[2].write_bytes(bytes(data))
    decoded = []
    monkeypatch.setattr("iem_jax.data.loader.load_sample", lambda *x: (decoded.append(x[0].name), load_sample(*x))[1])
    assert run(root, tmp_path / "damaged", cache_dir=str(cache)) == plain
    assert len(decoded) == 3
    assert run(root, tmp_path / "again", cache_dir=str(cache)) == plain
    assert len(decoded) == 3


def test_cache_knows_files_and_settings(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    first = cache_module.DecodedCache(tmp_path, 32, None)
    key = first.key(path, None)
    assert key == first.key(path, None)
    assert key != cache_module.DecodedCache(tmp_path, 64, None).key(path, None)
    path.write_bytes(b"22")
    assert key != first.key(path, None)
    assert first.key(tmp_path / "absent") is None


@pytest.mark.parametrize("precision", ["high", "default"])
def test_precisions_are_the_same_where_float32_is_all_there_is(precision: str):
    """On the CPU, whose products are float32 whatever is asked; the filter is another one."""
    images = to_uint8(make_images(4, 32, 32))
    masks = segment(images, SMALL).mask
    other = segment(images, IEMConfig(size=32, iters=8, sigma=3.0, kernel_size=7, precision=precision)).mask
    assert np.mean(np.asarray(masks) == np.asarray(other)) > 0.999


@pytest.mark.parametrize(
    "flag", ["--devices=0", "--devices=-1", "--devices=1.5", "--cache_dir=FILE/x", "--precision=low"]
)
def test_bad_values(tmp_path: Path, flag: str):
    (tmp_path / "file").write_text("")
    command = [sys.executable, ROOT / "run.py", flag.replace("FILE", str(tmp_path / "file"))]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert re.search(flag[2:].split("=")[0], result.stderr)
