"""Compiled programs are kept where only the user can enter, or not at all."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iem_jax.app import compilation
from iem_jax.app.compilation import keep_programs, own_folder
from iem_jax.config import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What JAX's configuration would be set to."""
    made: dict[str, object] = {}
    monkeypatch.setattr(compilation.jax.config, "update", made.__setitem__)
    return made


def run(tmp_path: Path, cache: Path, *flags: str) -> tuple[str, bytes]:
    """Run the demo; return what it says on standard error, and the first mask."""
    command = [sys.executable, ROOT / "run.py", "--size=32", "--iters=4", "--quiet", "--overwrite"]
    command += [f"--output_dir={tmp_path / 'out'}", *flags]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert json.loads((tmp_path / "out/summary.json").read_text())["seconds"]["import"] > 0
    return done.stderr, min((tmp_path / "out/masks").iterdir()).read_bytes()


def programs(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.glob("iem_jax-*/programs-*/*")}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_second_process_compiles_nothing(tmp_path: Path):
    cache = tmp_path / "cache"
    first = run(tmp_path, cache)
    kept = programs(cache)
    assert kept
    assert run(tmp_path, cache) == first == ("", first[1])
    assert programs(cache) == kept
    (own,) = cache.iterdir()
    assert {mode(own), mode(*own.iterdir())} == {0o700}


def test_several_processes_at_once(tmp_path: Path):
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(run, tmp_path / str(number), tmp_path / "cache") for number in range(3)]
    assert {job.result() for job in jobs} == {run(tmp_path, tmp_path / "cache", "--nocompilation_cache")}


def test_damaged_programs_are_compiled_again(tmp_path: Path):
    cache = tmp_path / "cache"
    expected = run(tmp_path, cache)
    for number, path in enumerate(sorted(cache.glob("iem_jax-*/programs-*/*"))):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes([content[:middle], b"", content[:middle] + b"\xff\x00" + content[middle + 2 :]][number % 3])
    assert run(tmp_path, cache) == expected == ("", expected[1])


def test_can_be_turned_off(tmp_path: Path):
    run(tmp_path, tmp_path / "cache", "--nocompilation_cache")
    assert not (tmp_path / "cache").exists()


def test_named_folder_is_left_as_it_is(tmp_path: Path, updates: dict[str, object]):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "of_others").mkdir(mode=0o755)
    keep_programs(str(shared))
    assert (mode(shared), mode(shared / "of_others")) == (0o1777, 0o755)
    folder = Path(str(updates["jax_compilation_cache_dir"]))
    assert shared in folder.parents
    assert mode(folder) == mode(folder.parent) == 0o700


def spoil(folder: Path, how: str) -> None:
    """Make our folder one that is not safe."""
    if how == "open to others":
        folder.mkdir(mode=0o755)
    elif how == "a link":
        (folder.parent / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(folder.parent / "elsewhere")
    elif how == "a file":
        folder.touch()
    elif how == "unwritable":
        folder.parent.chmod(0o500)


@pytest.mark.parametrize("how", ["open to others", "a link", "a file", "unwritable"])
def test_unsafe_folders_are_not_used(how: str, tmp_path: Path, updates, monkeypatch, capsys):
    if how == "unwritable" and os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spoil(tmp_path / f"iem_jax-{os.geteuid()}", how)
    before = sorted((path, mode(path)) for path in tmp_path.rglob("*"))
    keep_programs(None)
    assert (updates, capsys.readouterr().err) == ({}, "")
    with pytest.raises(UsageError, match="`compilation_cache_dir` must be"):
        keep_programs(str(tmp_path))
    assert sorted((path, mode(path)) for path in tmp_path.rglob("*")) == before


def test_folder_of_another_user_is_not_used(tmp_path: Path, updates, monkeypatch):
    own_folder(tmp_path)
    real = os.geteuid()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compilation.os, "geteuid", lambda: real + 1)
    (tmp_path / f"iem_jax-{real}").rename(tmp_path / f"iem_jax-{real + 1}")
    keep_programs(None)
    assert updates == {}
    with pytest.raises(PermissionError, match="only you can enter"):
        own_folder(tmp_path)


def test_relative_cache_home_is_ignored(tmp_path: Path, updates, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    keep_programs(None)
    assert not Path("here").exists()
    assert tmp_path / "home/.cache" in Path(str(updates["jax_compilation_cache_dir"])).parents


def test_too_large_a_folder_is_emptied(tmp_path: Path, updates, monkeypatch):
    folder = own_folder(tmp_path)
    for name in ("a-cache", "b-cache"):
        (folder / name).write_bytes(bytes(100))
    monkeypatch.setattr(compilation, "LARGEST", 200)
    keep_programs(str(tmp_path))
    assert len(list(folder.iterdir())) == 2
    monkeypatch.setattr(compilation, "LARGEST", 199)
    keep_programs(str(tmp_path))
    assert list(folder.iterdir()) == []
