"""Pictures through the device: chunks of one shape, one compiled program, computing while the next chunk is loaded."""

import collections
import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from iem_jax.batch import segment
from iem_jax.config import IEMConfig
from iem_jax.data.loader import Loaded, make_chunk
from iem_jax.presets import segment_best
from iem_jax.solver import Segmentation

CHUNK_SIZE = {"cpu": 8, "gpu": 256, "tpu": 64}  # pictures computed side by side


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


def segment_stream(
    items: Iterable[Loaded], config: IEMConfig, device: jax.Device, clock: Clock, preset: str = "paper"
) -> Iterator[tuple[Loaded, Segmentation | None]]:
    """Segment pictures as they come.

    Yields:
      Each item, in order, with its unbatched segmentation as NumPy arrays; None for an item without a picture.
    """
    compute = _Compute(config, device, clock, preset)
    in_flight: collections.deque[tuple[list[Loaded], Segmentation | None]] = collections.deque()
    for group in _groups(items, compute.chunk_size):
        in_flight.append((group, compute([item for item in group if item.image is not None])))
        if len(in_flight) > 1:
            yield from _collect(*in_flight.popleft(), clock)
    while in_flight:
        yield from _collect(*in_flight.popleft(), clock)


def _groups(items: Iterable[Loaded], chunk_size: int) -> Iterator[list[Loaded]]:
    """Group items so that each group but the last has `chunk_size` readable ones."""
    group: list[Loaded] = []
    readable = 0
    for item in items:
        group.append(item)
        readable += item.image is not None
        if readable == chunk_size:
            yield group
            group, readable = [], 0
    if group:
        yield group


def _collect(
    group: list[Loaded], segmentation: Segmentation | None, clock: Clock
) -> Iterator[tuple[Loaded, Segmentation | None]]:
    with clock.measure("compute"):
        batch = jax.device_get(segmentation)
    row = 0
    for item in group:
        if item.image is None:
            yield item, None
        else:
            # Copies, since a view of one row would keep the whole chunk alive.
            yield item, jax.tree.map(lambda field, row=row: np.array(field[row]), batch)
            row += 1


class _Compute:
    """Runs `segment` on chunks of one shape with one compiled program."""

    def __init__(self, config: IEMConfig, device: jax.Device, clock: Clock, preset: str):
        self.chunk_size = CHUNK_SIZE.get(device.platform, CHUNK_SIZE["gpu"])
        self._config, self._device, self._clock, self._preset = config, device, clock, preset
        self._compiled: Callable[..., Segmentation] | None = None

    def __call__(self, items: list[Loaded]) -> Segmentation | None:
        """Start computing a chunk of readable items; returns before it is done."""
        if not items:
            return None
        arrays = jax.device_put((*make_chunk(items, self.chunk_size), self._config), self._device)
        if self._compiled is None:
            with self._clock.measure("compile"):
                function = functools.partial(_segment_chunk, chunk_size=self.chunk_size, preset=self._preset)
                self._compiled = jax.jit(function).lower(*arrays).compile()
        return self._compiled(*arrays)


def _segment_chunk(
    images: jax.Array, truths: jax.Array, config: IEMConfig, chunk_size: int, preset: str
) -> Segmentation:
    if preset != "paper":
        return segment_best(images, preset, ground_truths=truths)
    return segment(images, config, ground_truths=truths, chunk_size=chunk_size)
