"""Pictures through the devices: groups of one shape, one compiled program, computing while the next group is loaded."""

import collections
import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from iem_jax.batch import default_chunk_size, segment
from iem_jax.config import IEMConfig
from iem_jax.data.loader import Loaded, make_chunk
from iem_jax.presets import segment_best
from iem_jax.solver import Segmentation

PICTURES = {"cpu": 16}  # for each device and call, if a chunk is smaller
IN_FLIGHT = 3  # groups, so that a device that is done with one goes on with the next


class Clock(collections.defaultdict[str, float]):
    """Seconds that the main thread spent in each part of a run."""

    def __init__(self):
        super().__init__(float)

    @contextlib.contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time of the block to `part`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[part] += time.perf_counter() - start

    def timed(self, part: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items, adding the time of waiting for them to `part`."""
        iterator = iter(items)
        while True:
            with self.measure(part):
                item = next(iterator, None)
            if item is None:
                return
            yield item


@dataclasses.dataclass(frozen=True)
class Computing:
    """How a run computes, which has no influence on its results.

    Attributes:
      devices: that share the work.
      early_finish: stop working on pictures whose mask repeats itself.
    """

    devices: tuple[jax.Device, ...]
    early_finish: bool = True


def segment_stream(
    items: Iterable[Loaded], config: IEMConfig, computing: Computing, clock: Clock, preset: str = "paper"
) -> Iterator[tuple[Loaded, Segmentation | None]]:
    """Segment pictures as they come.

    Yields:
      Each item, in order, with its unbatched segmentation as NumPy arrays; None for an item without a picture.
    """
    worker = _Worker(config, computing, clock, preset)
    in_flight: collections.deque[tuple[list[Loaded], Segmentation | None]] = collections.deque()
    for group in _groups(items, worker.group_size):
        in_flight.append((group, worker.start(group)))
        if len(in_flight) == IN_FLIGHT:
            yield from worker.finish(*in_flight.popleft())
    while in_flight:
        yield from worker.finish(*in_flight.popleft())


def _groups(items: Iterable[Loaded], size: int) -> Iterator[list[Loaded]]:
    """Group items so that each group but the last has `size` readable ones."""
    group: list[Loaded] = []
    readable = 0
    for item in items:
        group.append(item)
        readable += item.image is not None
        if readable == size:
            yield group
            group, readable = [], 0
    if group:
        yield group


class _Worker:
    """Runs `segment` on groups of one shape, with one compiled program, in smaller chunks if memory runs out."""

    def __init__(self, config: IEMConfig, computing: Computing, clock: Clock, preset: str):
        platform, size = computing.devices[0].platform, config.size
        self.chunk_size = default_chunk_size(size, size, platform)
        each = max(PICTURES.get(platform, 0) // self.chunk_size, 1) * self.chunk_size
        self.group_size = each * len(computing.devices)
        self._config, self._computing, self._clock, self._preset = config, computing, clock, preset

    def start(self, group: list[Loaded]) -> Segmentation | None:
        """Start computing a group; returns before it is done, the first time after compilation."""
        readable = [item for item in group if item.image is not None]
        if not readable:
            return None
        images, ground_truths = make_chunk(readable, self.group_size)
        with self._clock.measure("compute" if self._clock["compile"] else "compile"):
            try:
                return self._segment(images, ground_truths)
            except jax.errors.JaxRuntimeError as error:
                self._take_smaller_chunks(error)
        return self.start(group)

    def finish(self, group: list[Loaded], result: Segmentation | None) -> Iterator[tuple[Loaded, Segmentation | None]]:
        """Wait for a group and yield its items."""
        try:
            with self._clock.measure("compute"):
                batch = jax.device_get(result)
        except jax.errors.JaxRuntimeError as error:
            self._take_smaller_chunks(error)
            yield from self.finish(group, self.start(group))
            return
        row = 0
        for item in group:
            if item.image is None:
                yield item, None
            else:
                # Copies, since a view of one row would keep the whole group alive.
                yield item, jax.tree.map(lambda field, row=row: np.array(field[row]), batch)
                row += 1

    def _segment(self, images: np.ndarray, ground_truths: np.ndarray) -> Segmentation:
        shared: Any = {"chunk_size": self.chunk_size, "devices": self._computing.devices}
        if self._preset != "paper":
            return segment_best(images, self._preset, ground_truths=ground_truths, **shared)
        early = self._computing.early_finish
        return segment(images, self._config, ground_truths=ground_truths, early_finish=early, **shared)

    def _take_smaller_chunks(self, error: jax.errors.JaxRuntimeError) -> None:
        """Halve the chunk after a device ran out of memory; raise anything else, and what cannot be halved."""
        if "RESOURCE_EXHAUSTED" not in str(error) or self.chunk_size == 1:
            raise error
        self.chunk_size //= 2
        text = f"the device is out of memory: going on with {self.chunk_size} pictures side by side"
        tqdm.write(text, file=sys.stderr)
