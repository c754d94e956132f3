"""Where a run stands: what was done before, what is pending, what is being written."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import iem_jax
from iem_jax.app.config import PRODUCTS, RunConfig
from iem_jax.app.review import INVERT, REJECT
from iem_jax.core.arrays import Device
from iem_jax.data.loader import Loaded
from iem_jax.data.sample import Sample
from iem_jax.data.samples import Samples
from iem_jax.finishing.judging import Judged
from iem_jax.output.curves import Curve
from iem_jax.output.lines import Record
from iem_jax.output.manifest import Manifest
from iem_jax.output.opening import open_manifest
from iem_jax.output.products import Products
from iem_jax.output.queue import WriteQueue
from iem_jax.output.results import Result, check_record, from_record, to_record
from iem_jax.output.writer import PATTERNS, Writer
from iem_jax.segmenter.found import FAILED

CHANGED = "the picture was changed while it was worked on"
GONE = "its files were moved or removed during the run"
Stamp = list[list[int] | None]


class Target(NamedTuple):
    """An output folder: who writes into it, what, and what was written."""

    writer: Writer
    products: Products
    manifest: Manifest


class Written(NamedTuple):
    """What was written of one picture."""

    number: int
    record: Record
    curve: Curve | None


class Output:
    """The files of one run; without a target there are none, and all pictures are pending.

    Attributes:
      writer: of the output folder, or None.
      is_done: whether a picture was done before, by its number in the run.
      problems: why not all files of a picture could be made, by its number; it is pending for the next run.
      changed: numbers of pictures that were changed while they were worked on.
      queue: of pictures being written; must be entered.
    """

    def __init__(self, samples: Sequence[Sample], target: Target | None):
        """Find out what is pending."""
        self.writer: Writer | None = target.writer if target is not None else None
        self._target, self._samples = target, samples
        self.problems: dict[int, str] = {}
        self.changed: list[int] = []
        self.queue: WriteQueue = WriteQueue(self._commit)
        self.is_done: np.ndarray[Any, Any] = np.zeros(len(samples), bool)
        if target is not None:
            self.is_done[:] = [self._was_done(number, sample, target) for number, sample in enumerate(samples)]

    def result(self, number: int) -> Result | None:
        """Return the result of a picture as the manifest has it."""
        found = self._target.manifest[number] if self._target is not None else None
        return None if found is None else _read(*found)

    def results(self, number: int) -> Iterator[Result]:
        """Yield the results of the first `number` pictures, as the manifest has them.

        One whose files have gone since they were written is no longer done, and becomes one of `problems`.
        """
        assert self._target is not None
        for index in range(number):
            found = self._target.manifest[index]
            result = None if found is None else _read(*found)
            if found is None or result is None:
                continue
            if not self._target.products.are_there(result.name, found[0].get("files", {})):
                self.problems[index] = GONE
                result = dataclasses.replace(result, problem=GONE)
            yield result

    def write(self, number: int, result: Result, item: Loaded, judged: Judged | None, before: Stamp) -> None:
        """Write the files of a picture in a thread, later its record.

        Args:
          number: of the picture in the run.
          result: what became of it.
          item: the picture.
          judged: its mask, None if it could not be used.
          before: what `stamp` gave before it was read.

        Raises:
          OutputError: this or an earlier picture cannot be written.
        """
        if self._target is not None:
            earlier = self._target.manifest.record(number) or {}
            review = earlier.get("review") if earlier.get("source") == before else None
            self.queue.submit(_write, self._target.products, number, result, item, judged, before, review)

    @property
    def others(self) -> int:
        """How many pictures of earlier runs are not in this one; what was written of them is there."""
        return 0 if self._target is None else self._target.manifest.others

    def finish(self, prune: bool = False) -> None:
        """Bring the manifest into the order of the pictures; `prune` removes what was written of others."""
        if self._target is not None:
            if prune:
                self._target.manifest.prune()
            for number, problem in self.problems.items():
                if problem == GONE:
                    self._target.manifest.forget(number)
            self._target.manifest.finish()

    def name_tables(self, names: Sequence[str]) -> None:
        """Say which files about all pictures will be written."""
        if self._target is not None:
            self._target.manifest.name_tables(names)

    def _commit(self, outcomes: list[Written]) -> None:
        assert self._target is not None
        files = [PATTERNS[kind].format(o.record["name"]) for o in outcomes for kind in o.record.get("files", ())]
        self._target.writer.sync(files)
        self._target.manifest.add(*zip(*outcomes, strict=True))
        for number, record, _ in outcomes:
            self.problems.pop(number, None)
            if "pending" in record:
                self.problems[number] = record["pending"]
                if record["pending"] == CHANGED:
                    self.changed.append(number)

    def _was_done(self, number: int, sample: Sample, target: Target) -> bool:
        """Return whether a picture did not fail, is as it was, and has all files that are wanted, whole."""
        record = target.manifest.record(number)
        try:
            if record is None or record["name"] != sample.name or record["status"] == FAILED or "pending" in record:
                return False
            check_record(record, "curve" in record)
        except (KeyError, TypeError, ValueError):
            return False
        if record.get("source") != stamp(sample):
            return False
        return record.get("review") == REJECT or target.products.are_whole(sample.name, record.get("files"))


@contextlib.contextmanager
def open_output(
    writer: Writer | None, config: RunConfig, samples: Sequence[Sample], device: Device, network: str | None
) -> Iterator[Output]:
    """Begin or go on with a run in the writer's folder; `network` identifies the one that segments, None for IEM.

    Raises:
      UsageError: the folder holds another run.
    """
    if writer is None:
        yield Output(samples, None)
        return
    names = samples.names if isinstance(samples, Samples) else [sample.name for sample in samples]
    with open_manifest(writer, settings_of(config, network), names, config.output.overwrite) as manifest:
        wanted = [name for name in PRODUCTS if getattr(config.products, name)]
        products = Products(writer, wanted, str(config.fitting.resolution), config.algorithm.iem, device)
        yield Output(samples, Target(writer, products, manifest))


def settings_of(config: RunConfig, network: str | None = None) -> dict[str, Any]:
    """Return all settings that the bytes of the files depend on, the network's identity among them."""
    places = {name: getattr(config.source, name) for name in ("dataset_path", "images", "masks")}
    paths = {name: None if value is None else os.path.abspath(value) for name, value in places.items()}
    source = {} if config.source.is_own else {"dataset": config.source.dataset, "split": config.source.split}
    source |= {} if config.source.masks is None else {"mask_orientation": config.source.mask_orientation}
    preset = config.algorithm.preset if network is None else "network"
    own = {"iem_jax": iem_jax.__version__, "preset": preset, "network": network}
    return own | dataclasses.asdict(config.fitting) | dataclasses.asdict(config.algorithm.iem) | source | paths


def stamp(sample: Sample) -> Stamp:
    """Return the size and the time of the last change of a picture and of its ground truth."""
    return [_stamp(path) for path in (sample.image_path, sample.mask_path)]


def _read(record: Record, curve: Curve | None) -> Result | None:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return from_record(record, curve)
    return None


def _stamp(path: str | os.PathLike[str] | None) -> list[int] | None:
    try:
        found = os.stat(path) if path is not None else None
    except (OSError, ValueError):
        return None
    return None if found is None else [found.st_size, found.st_mtime_ns]


def _write(
    products: Products,
    number: int,
    result: Result,
    item: Loaded,
    judged: Judged | None,
    before: Stamp,
    review: str | None,
) -> Written:
    files, problem = ({}, "") if judged is None else products.write(item, np.asarray(judged.mask), review == INVERT)
    if stamp(item.sample) != before:
        problem = CHANGED
    if problem:
        result = dataclasses.replace(result, problem=problem)
    record, curve = to_record(result)
    record |= {"source": before, "files": files} | ({"review": review} if review and problem != CHANGED else {})
    return Written(number, record | ({"pending": problem} if problem else {}), curve)
