"""Where a run stands: what was done before, what is pending, what is being written."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

import iem_jax
from iem_jax.app.config import PRODUCTS, RunConfig
from iem_jax.data.loader import Loaded
from iem_jax.data.sample import Sample
from iem_jax.finishing.judging import Judged
from iem_jax.output.manifest import Manifest, Record, open_manifest
from iem_jax.output.products import Products
from iem_jax.output.queue import WriteQueue
from iem_jax.output.results import FAILED, Result, from_record, to_record
from iem_jax.output.writer import Writer


class Target(NamedTuple):
    """An output folder: who writes into it, what, and what was written."""

    writer: Writer
    products: Products
    manifest: Manifest


class Output:
    """The files of one run; without a target there are none, and all pictures are pending.

    Attributes:
      writer: of the output folder, or None.
      restored: results of pictures done before, by name.
      pending: the others, in order.
      problems: results of pictures of which not all files could be made, by name.
      queue: of pictures being written; must be entered.
    """

    def __init__(self, samples: list[Sample], target: Target | None):
        """Find out what is pending."""
        self.writer = target.writer if target is not None else None
        self._target = target
        self.restored: dict[str, Result] = {}
        self.problems: dict[str, Result] = {}
        self.queue = WriteQueue(self._written)
        self._names = [sample.name for sample in samples]
        if target is not None:
            self.restored = {sample.name: from_record(record) for sample, record in _find_done(samples, target)}
        self.pending = [sample for sample in samples if sample.name not in self.restored]

    def write(self, result: Result, item: Loaded, judged: Judged | None) -> None:
        """Write the files of a picture in a thread, then its record.

        Raises:
          OutputError: this or an earlier picture cannot be written.
        """
        if self._target is not None:
            self.queue.submit(_write, self._target, result, item, judged)

    def finish(self) -> None:
        """Bring the manifest into the order of the pictures."""
        if self._target is not None:
            self._target.manifest.finish(self._names)

    def _written(self, outcome: tuple[Target, Result, Record, str]) -> None:
        target, result, record, problem = outcome
        if problem:
            self.problems[result.name] = dataclasses.replace(result, problem=problem)
        target.manifest.add(record)


@contextlib.contextmanager
def open_output(
    writer: Writer | None, config: RunConfig, samples: list[Sample], device: jax.Device, network: str | None
) -> Iterator[Output]:
    """Begin or go on with a run in the writer's folder; `network` identifies the one that segments, None for IEM.

    Raises:
      UsageError: the folder holds another run.
    """
    if writer is None:
        yield Output(samples, None)
        return
    with open_manifest(writer, settings_of(config, network), config.output.overwrite) as manifest:
        wanted = [name for name in PRODUCTS if getattr(config.products, name)]
        products = Products(writer, wanted, str(config.fitting.resolution), config.algorithm.iem, device)
        yield Output(samples, Target(writer, products, manifest))


def settings_of(config: RunConfig, network: str | None = None) -> dict[str, Any]:
    """Return all settings that the bytes of the files depend on, the network's identity among them."""
    places = {name: getattr(config.source, name) for name in ("dataset_path", "images", "masks")}
    paths = {name: None if value is None else os.path.abspath(value) for name, value in places.items()}
    source = {} if config.source.is_own else {"dataset": config.source.dataset, "split": config.source.split}
    preset = config.algorithm.preset if network is None else "network"
    own = {"iem_jax": iem_jax.__version__, "preset": preset, "network": network}
    return own | dataclasses.asdict(config.fitting) | dataclasses.asdict(config.algorithm.iem) | source | paths


def _write(target: Target, result: Result, item: Loaded, judged: Judged | None) -> tuple[Target, Result, Record, str]:
    record = to_record(result) | {"source": _fingerprint(item.sample)}
    problem = "" if judged is None else target.products.write(item, np.asarray(judged.mask))
    return target, result, record, problem


def _find_done(samples: list[Sample], target: Target) -> Iterator[tuple[Sample, Record]]:
    """Yield pictures that did not fail, whose files are all there and whose sources are as they were."""
    for sample in samples:
        record = target.manifest.records.get(sample.name)
        if record is None or record["status"] == FAILED or record["source"] != _fingerprint(sample):
            continue
        if target.products.are_complete(sample.name):
            yield sample, record


def _fingerprint(sample: Sample) -> list[list[int] | None]:
    """Return the size and the time of the last change of the picture and of its ground truth."""
    return [_stamp(path) for path in (sample.image_path, sample.mask_path)]


def _stamp(path: os.PathLike[str] | None) -> list[int] | None:
    try:
        found = os.stat(path) if path is not None else None
    except (OSError, ValueError):
        return None
    return None if found is None else [found.st_size, found.st_mtime_ns]
