"""Programs that an earlier process compiled are loaded, and only those."""

import pickle
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iem_jax.app.programs import ProgramFolder
from iem_jax.config import IEMConfig
from iem_jax.core.programs import Program

ROOT = Path(__file__).parents[2]
VALUES = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Program, "source", ProgramFolder(tmp_path))
    return tmp_path


def scale(values: jax.Array, config: IEMConfig) -> jax.Array:
    return jnp.sin(values * config.sigma) + config.iters


def never(*_: object) -> jax.Array:
    raise AssertionError("traced")


def files(folder: Path) -> Iterator[Path]:
    return folder.glob("*.program")


def test_loaded_without_tracing(folder: Path, compilations: list[str]):
    expected = np.asarray(jax.jit(scale)(VALUES, IEMConfig()))
    np.testing.assert_array_equal(Program(scale, "scale")(VALUES, IEMConfig()), expected)
    compilations.clear()
    again = Program(never, "scale")
    np.testing.assert_array_equal(again(VALUES, IEMConfig()), expected)
    other = np.asarray(again(VALUES, IEMConfig(sigma=2.0)))  # data: the same program
    assert compilations == []
    np.testing.assert_array_equal(other, np.asarray(jax.jit(scale)(VALUES, IEMConfig(sigma=2.0))))
    assert len(list(files(folder))) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda: Program(never, "other name")(VALUES, IEMConfig()),
        lambda: Program(never, "scale")(VALUES[:2], IEMConfig()),
        lambda: Program(never, "scale")(VALUES.astype(np.float16), IEMConfig()),
        lambda: Program(never, "scale")(jnp.asarray(VALUES), IEMConfig()),
        lambda: Program(never, "scale")(VALUES, IEMConfig(iters=7)),  # static
    ],
)
def test_nothing_but_the_same_is_loaded(change, folder: Path):
    Program(scale, "scale")(VALUES, IEMConfig())
    with pytest.raises(AssertionError, match="traced"):
        change()


def test_settings_of_jax_and_our_code_count(folder: Path, monkeypatch: pytest.MonkeyPatch):
    from iem_jax.app import programs

    Program(scale, "scale")(VALUES, IEMConfig())
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        monkeypatch.setattr(Program, "source", ProgramFolder(folder))
    finally:
        jax.config.update("jax_default_matmul_precision", None)
    with pytest.raises(AssertionError, match="traced"):
        Program(never, "scale")(VALUES, IEMConfig())
    monkeypatch.setattr(programs, "CODE", ("config.py",))
    monkeypatch.setattr(Program, "source", ProgramFolder(folder))
    with pytest.raises(AssertionError, match="traced"):
        Program(never, "scale")(VALUES, IEMConfig())


def spoil(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    return {
        "empty": b"",
        "cut off": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "something else": zlib.compress(pickle.dumps({"devices": 3})),
    }[how]


@pytest.mark.parametrize("how", ["empty", "cut off", "flipped", "something else"])
def test_damaged_files_are_replaced(how: str, folder: Path):
    expected = np.asarray(Program(scale, "scale")(VALUES, IEMConfig()))
    (path,) = files(folder)
    path.write_bytes(spoil(path.read_bytes(), how))
    np.testing.assert_array_equal(Program(scale, "scale")(VALUES, IEMConfig()), expected)
    np.testing.assert_array_equal(Program(never, "scale")(VALUES, IEMConfig()), expected)
    assert list(folder.iterdir()) == [path]


def test_without_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(Program, "source", ProgramFolder(tmp_path / "absent"))
    expected = np.asarray(jax.jit(scale)(VALUES, IEMConfig()))
    np.testing.assert_array_equal(Program(scale, "scale")(VALUES, IEMConfig()), expected)


def call_back(values: jax.Array) -> jax.Array:
    return jax.pure_callback(np.negative, jax.ShapeDtypeStruct(values.shape, values.dtype), values)


def test_what_needs_this_process_is_not_kept(folder: Path):
    np.testing.assert_array_equal(Program(call_back, "call_back")(VALUES), -VALUES)
    np.testing.assert_array_equal(
        Program(lambda pair: pair[1], "object")((jax.tree_util.Partial(scale), VALUES)), VALUES
    )
    assert list(files(folder)) == []


def test_inside_a_jit(folder: Path):
    program = Program(scale, "scale")
    np.testing.assert_allclose(jax.jit(lambda x: program(x, IEMConfig()) + 1)(VALUES), scale(VALUES, IEMConfig()) + 1)
    assert list(files(folder)) == []


FACTORISE = """
import sys
from pathlib import Path
import jax.numpy as jnp, numpy as np
from iem_jax.app.programs import ProgramFolder
from iem_jax.core.programs import Program
Program.source = ProgramFolder(Path(sys.argv[1]))
print(np.asarray(Program(jnp.linalg.qr, "qr")(np.eye(3, dtype=np.float32) * 4).R)[2, 2])
"""


def test_programs_that_call_lapack_work_in_a_new_process(tmp_path: Path):
    command = [sys.executable, "-c", FACTORISE, str(tmp_path)]
    outputs = [subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert abs(float(outputs[0])) == 4
    assert len(list(files(tmp_path))) == 1
