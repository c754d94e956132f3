"""Checkpoints of a training, by orbax: a folder a step, each whole or not there.

A checkpoint holds `network` (the averaged weights, what predicts) and `training` (everything the next step needs), and
beside them the settings that both depend on.
"""

import contextlib
import dataclasses
import errno
import json
import logging
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from iem_jax.config import UsageError
from iem_jax.refine.config import RefineConfig
from iem_jax.refine.model import ModelState, NetConfig, init_parameters
from iem_jax.refine.train import TrainState, init_training

NET = "net"  # the folder of a training's checkpoints
KEPT = 2  # the last ones, so that there is one to go back to
SETTINGS = "_CHECKPOINT_METADATA"  # orbax's file, which holds them
CHECKSUMS = "checksums.json"
FREE = ("checkpoint_every", "scan_steps")  # settings that change no weight


class Checkpoints:
    """The checkpoints of one training; a context manager."""

    def __init__(self, folder: Path, net: NetConfig, config: RefineConfig, data: str):
        """Open the folder, which is made if it is absent.

        Args:
          folder: of this training and nothing else.
          net: the network's shape.
          config: settings of the training.
          data: a fingerprint of what is learned from.

        Raises:
          UsageError: the folder cannot be made or written.
        """
        self.folder = folder
        self._abstract = _abstract(jax.eval_shape(lambda: init_training(jax.random.key(0), net, config)))
        settings = {key: value for key, value in dataclasses.asdict(config).items() if key not in FREE}
        self._settings = {"net": dataclasses.asdict(net), "training": settings, "data": data}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._checkpointer = _open(folder)
        except OSError as error:
            raise UsageError(f"Checkpoints must be written to a folder, got {folder}: {error}.") from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._checkpointer.close()
            return
        with contextlib.suppress(Exception), _quiet():  # it would say the same error again
            self._checkpointer.close()

    @property
    def latest(self) -> Path | None:
        """The last checkpoint."""
        found = self._checkpointer.latest
        return None if found is None else Path(found.path)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint unless there is one of this step; returns when it is on the disk.

        Raises:
          KeyboardInterrupt: Ctrl-C was pressed meanwhile; the checkpoint is whole.
          OSError: it cannot be written, for instance because the disk is full; the one before is whole.
        """
        step = int(state.step)
        if self._checkpointer.latest is None or self._checkpointer.latest.step < step:
            parts = {"network": state.average, "training": state}
            _finish_whatever_comes(lambda: self._write(step, parts))

    def _write(self, step: int, parts: dict[str, Any]) -> None:
        path = self.folder / str(step)
        try:
            _check_room(self.folder, parts)
            with _quiet():
                self._checkpointer.save_checkpointables(step, parts, force=True, custom_metadata=self._settings)
            _write_checksums(path)
        except Exception as error:  # orbax raises what the library below it does
            reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
            full = os.strerror(errno.ENOSPC)
            raise OSError(errno.EIO, full if full in reason else reason, str(path)) from error

    def restore(self) -> TrainState | None:
        """Read the last checkpoint; None if there is none.

        Raises:
          UsageError: it is damaged, or of other settings or pictures.
        """
        if self.latest is None:
            return None
        _check_files(self.latest, "training")
        found = _read_metadata(self.latest).custom_metadata
        if found != self._settings:
            raise UsageError(
                f"{self.latest} belongs to another training ({_difference(found, self._settings)}): use another output "
                "folder, or remove this one."
            )
        return _load(self.latest, "training", self._abstract)


def load_model(folder: str | Path) -> ModelState:
    """Read a trained network.

    Args:
      folder: of one checkpoint, of a network, whose last checkpoint is taken, of a training, or of its run.

    Raises:
      UsageError: there is none, it is damaged, or its weights are not those of the network that it names.
    """
    path = _find(Path(folder))
    _check_files(path, "network")
    found = _read_metadata(path)
    try:
        net = NetConfig(**found.custom_metadata["net"])
        abstract = _abstract(jax.eval_shape(lambda: init_parameters(jax.random.key(0), net)))
        fits = _shapes(found.metadata["network"]) == _shapes(abstract)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error
    if not fits:
        raise _damaged(path)
    return ModelState(_load(path, "network", abstract), net)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints in a folder, whole or not, and nothing else."""
    for path in list(folder.glob("*/")):
        if path.name.split(".")[0].isdigit():  # half-written ones have an ending
            shutil.rmtree(path)


def _finish_whatever_comes(work: Callable[[], None]) -> None:
    """Do the work in a thread: Ctrl-C strikes the main one only, which waits for the other before it gives in."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run)
    try:
        thread.start()
        thread.join()
    except KeyboardInterrupt:
        thread.join()
        raise
    outcome.result()


def _find(folder: Path) -> Path:
    if (folder / "network").is_dir():
        return folder
    for place in (folder, folder / NET, folder / "refine" / NET):
        steps = [path for path in place.glob("*/") if path.name.isdigit() and (path / "network").is_dir()]
        if steps:
            return max(steps, key=lambda path: int(path.name))
    raise UsageError(f"`refine_checkpoint` must be a folder with checkpoints of a SegNet: there is none in {folder}.")


def _open(folder: Path) -> ocp.training.Checkpointer:
    policy: Any = ocp.training.preservation_policies.LatestN(KEPT)
    return ocp.training.Checkpointer(str(folder.absolute()), preservation_policy=policy, cleanup_tmp_directories=True)


def _read_metadata(path: Path) -> Any:
    found = _read(path, lambda: ocp.checkpointables_metadata(str(path.absolute())))
    if not found.custom_metadata:
        raise _damaged(path)
    return found


def _load(path: Path, name: str, abstract: Any) -> Any:
    tree = _read(path, lambda: ocp.load_checkpointables(str(path.absolute()), {name: abstract})[name])
    if not all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree) if _is_float(leaf)):
        raise _damaged(path)
    return tree


def _read(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # orbax raises many kinds on damaged files and on other shapes
        raise _damaged(path) from error


def _check_room(folder: Path, parts: dict[str, Any]) -> None:
    """Check that a checkpoint fits on the disk: on a full one, orbax logs pages from several threads."""
    needed = 65_536 + 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(parts))
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries log of an error from standard error, where one sentence says it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _write_checksums(path: Path) -> None:
    """Write a checksum of each file of a checkpoint, when all of them are on the disk.

    Of a damaged one, orbax would log pages from several threads.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file())
    codes = {file.relative_to(path).as_posix(): zlib.crc32(file.read_bytes()) for file in files}
    _sync([*files, *{file.parent for file in files}, path, path.parent])
    half_written = path / f".{CHECKSUMS}"
    half_written.write_text(json.dumps(codes))
    _sync([half_written])
    half_written.replace(path / CHECKSUMS)
    _sync([path])


def _sync(paths: Iterable[Path]) -> None:
    """Return when files and folders outlive a power cut."""
    for path in paths:
        if os.name == "nt" and path.is_dir():  # it knows no such thing
            continue
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that sync no folders
                raise
        finally:
            os.close(descriptor)


def _check_files(path: Path, part: str) -> None:
    """Check the files of one part; there are no checksums if the training was killed before it could write them."""
    if not (path / CHECKSUMS).exists():
        return
    try:
        codes = json.loads((path / CHECKSUMS).read_text())
        wanted = {name: code for name, code in codes.items() if name.split("/")[0] in (part, SETTINGS)}
        whole = all(zlib.crc32((path / name).read_bytes()) == code for name, code in wanted.items())
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(path) from error
    if not whole:
        raise _damaged(path)


def _shapes(tree: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in jax.tree.leaves(tree)]


def _is_float(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _abstract(tree: Any) -> Any:
    """Describe arrays that are to be restored to the first device."""
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def _damaged(path: Path) -> UsageError:
    return UsageError(f"{path} cannot be read: it is damaged or of another shape; remove it to use the one before it.")


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the first setting that differs."""
    for part in ("net", "training"):
        for name, value in wanted[part].items():
            other = found.get(part, {}).get(name)
            if other != value:
                return f"`{name}` is {other!r} there and {value!r} here"
    return "its pictures or masks differ"
