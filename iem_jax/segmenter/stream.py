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

from iem_jax.config import IEMConfig
from iem_jax.core.arrays import Device
from iem_jax.core.batch import default_chunk_size, device_memory, segment
from iem_jax.data.loader import Loaded, make_chunk
from iem_jax.finishing.judging import Judged, judge
from iem_jax.refine.network import segment_by_network
from iem_jax.search.presets import segment_best

PICTURES = {"cpu": 16}  # for each device and call, if a chunk is smaller
FEW = (1, 4)  # chunks for each device, of calls that are smaller since there is no more; each size is compiled
NO_MESH = jax.sharding.AbstractMesh((), ())
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
    """How the pictures of a run are segmented and judged.

    Attributes:
      config: settings of the algorithm.
      devices: that share the work; no influence on the results, nor has the next.
      early_finish: stop working on pictures whose mask repeats itself.
      preset: "paper" for the algorithm with `config`, or another preset.
      polarity: which side is the object, see `judging.judge`.
      padded: pictures may not fill their squares.
      model: a trained network, a `refine.ModelState` of NumPy arrays, that segments instead; None for IEM.
    """

    config: IEMConfig
    devices: tuple[Device, ...]
    early_finish: bool = True
    preset: str = "paper"
    polarity: str = "start"
    padded: bool = False
    model: Any = None


def segment_stream(
    items: Iterable[Loaded], computing: Computing, clock: Clock | None = None, number: int | None = None
) -> Iterator[tuple[Loaded, Judged | None]]:
    """Segment pictures as they come.

    Args:
      items: pictures, of one shape for the most part: where another begins, a group ends.
      computing: what to do with them.
      clock: takes the time.
      number: how many there are, if that is known: a call for a few is smaller.

    Yields:
      Each item, in order, with its unbatched result as NumPy arrays; None for an item without a picture.
    """
    worker = _Worker(computing, Clock() if clock is None else clock, number)
    in_flight: collections.deque[tuple[list[Loaded], Judged | None]] = collections.deque()
    for group in _groups(items, worker.group_size):
        in_flight.append((group, worker.start(group)))
        if len(in_flight) == IN_FLIGHT:
            yield from worker.finish(*in_flight.popleft())
    while in_flight:
        yield from worker.finish(*in_flight.popleft())


def _groups(items: Iterable[Loaded], size: int) -> Iterator[list[Loaded]]:
    """Group items so that a group has at most `size` readable ones, all of one shape and type."""
    group: list[Loaded] = []
    readable, kind = 0, None
    for item in items:
        if item.image is not None:
            its_kind = item.image.shape, item.image.dtype
            if readable and its_kind != kind:
                yield group
                group, readable = [], 0
            readable, kind = readable + 1, its_kind
        group.append(item)
        if readable == size:
            yield group
            group, readable = [], 0
    if group:
        yield group


class _Worker:
    """Segments groups of one shape, with one compiled program, in smaller chunks if memory runs out."""

    def __init__(self, computing: Computing, clock: Clock, number: int | None):
        platform, size = computing.devices[0].platform, computing.config.size
        self.chunk_size = default_chunk_size(size, size, platform, device_memory(computing.devices[0]))
        each = max(PICTURES.get(platform, 0) // self.chunk_size, 1) * self.chunk_size
        if computing.model is not None:  # XLA's convolutions on CPUs are slow in a loop over chunks
            each = self.chunk_size = 1 if platform == "cpu" else self.chunk_size
        self.group_size = each * len(computing.devices)
        if number is not None:
            sizes = [share * self.chunk_size * len(computing.devices) for share in FEW]
            self.group_size = min([size for size in sizes if number <= size < self.group_size] or [self.group_size])
        self._computing, self._clock = computing, clock

    def start(self, group: list[Loaded]) -> Judged | None:
        """Start computing a group; returns before it is done, the first time after compilation."""
        readable = [item for item in group if item.image is not None]
        if not readable:
            return None
        chunk = make_chunk(readable, self.group_size, self._computing.padded)
        with self._clock.measure("compute" if self._clock["compile"] else "compile"):
            try:
                with jax.sharding.use_abstract_mesh(NO_MESH):  # what the caller has set is not for our devices
                    return self._judge(chunk)
            except jax.errors.JaxRuntimeError as error:
                self._take_smaller_chunks(error)
        return self.start(group)

    def finish(self, group: list[Loaded], result: Judged | None) -> Iterator[tuple[Loaded, Judged | None]]:
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

    def _judge(self, chunk: dict[str, Any]) -> Judged:
        how = self._computing
        shared: Any = {"chunk_size": self.chunk_size, "devices": how.devices}
        if how.model is not None:
            result = segment_by_network(model=how.model, **chunk, **shared)
        elif how.preset == "paper":
            result = segment(config=how.config, early_finish=how.early_finish, **chunk, **shared)
        else:
            result = segment_best(preset=how.preset, **chunk, **shared)
        return Judged(result, *judge(chunk["images"], result.mask, chunk.get("valid"), how.polarity, result.consensus))

    def _take_smaller_chunks(self, error: jax.errors.JaxRuntimeError) -> None:
        """Halve the chunk after a device ran out of memory; raise anything else, and what cannot be halved."""
        if "RESOURCE_EXHAUSTED" not in str(error) or self.chunk_size == 1:
            raise error
        self.chunk_size //= 2
        text = f"the device is out of memory: going on with {self.chunk_size} pictures side by side"
        tqdm.write(text, file=sys.stderr)
