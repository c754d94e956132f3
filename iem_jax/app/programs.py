"""Compiled programs in a folder: an earlier process traced, lowered and compiled them, this one only loads them."""

import functools
import hashlib
import os
import pickle
import re
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental import serialize_executable
from jaxlib.version import __version__ as jaxlib_version

from iem_jax.core.programs import describe

PACKAGE = Path(__file__).parents[1]
CODE = ("config.py", "core", "search", "finishing", "refine")  # of the package, from which programs are made


class Kept(NamedTuple):
    """What a file holds."""

    devices: list[int]  # on which the program runs
    calls_lapack: bool
    program: tuple[bytes, Any, Any]  # of `serialize_executable`


class ProgramFolder:
    """A `core.programs.Source`; for several processes at once. Whatever goes wrong, a program is compiled again."""

    def __init__(self, folder: Path):
        """Take a folder that nobody else can write: what it holds is run."""
        self._folder = folder
        self._versions = _versions()

    def __call__(self, name: str, jitted: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """Load a program, or compile it and keep it."""
        leaves, tree = jax.tree.flatten(arguments)
        what = f"{name}\n{tree}\n{[describe(leaf) for leaf in leaves]}\n{self._versions}"
        if " at 0x" in what:  # an object that has no other name: no other process would find it
            return jitted
        path = self._folder / f"{hashlib.sha256(what.encode()).hexdigest()}.program"
        return _load(path) or _compile(path, jitted, arguments)


def _load(path: Path) -> Callable[..., Any] | None:
    try:
        kept = Kept(*pickle.loads(zlib.decompress(path.read_bytes())))  # decompressing checks a sum
        known = {device.id: device for device in jax.local_devices()}
        if kept.calls_lapack:
            _initialise_lapack()
        devices = [known[number] for number in kept.devices]
        return serialize_executable.deserialize_and_load(*kept.program, execution_devices=devices)
    except Exception:  # no such file, or not what it was
        return None


def _compile(path: Path, jitted: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    lowered = jitted.lower(*arguments)
    compiled = lowered.compile()
    called = {target.partition("_")[0] for target in re.findall(r"custom_call @(\w+)", lowered.as_text())}
    devices = compiled.runtime_executable().local_devices()
    if called <= {"lapack"} and devices[0].platform == "cpu":  # what others need from the process is not known
        try:
            program = serialize_executable.serialize(compiled)
            kept = Kept([device.id for device in devices], bool(called), program)
            _write_whole(path, zlib.compress(pickle.dumps(tuple(kept)), 1))
        except Exception:  # no room, or a program that cannot be written down
            pass
    return compiled


@functools.cache
def _initialise_lapack() -> None:
    """Let JAX find LAPACK, which it does while it lowers; a loaded program would call what is not there."""
    jax.jit(jax.lax.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), "float32"))


def _write_whole(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _versions() -> str:
    """Return all that programs depend on besides their arguments: versions, our code, settings of JAX and XLA."""
    digest = hashlib.sha256()
    for path in sorted(path for name in CODE for path in (PACKAGE / name, *(PACKAGE / name).glob("*.py"))):
        if path.is_file():
            digest.update(path.read_bytes())
    settings = sorted((name, str(value)) for name, value in jax.config.values.items() if "cache" not in name)
    backend = jax.local_devices()[0].client
    flags = [os.environ.get(name, "") for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    devices = [(device.id, device.device_kind) for device in jax.local_devices()]
    versions = jax.__version__, jaxlib_version, backend.platform_version, digest.hexdigest()
    return f"{versions}{devices}{flags}{settings}"
