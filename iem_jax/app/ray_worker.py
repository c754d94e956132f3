"""What one worker on a cluster does: one `Segmenter`, samples in, finished files as bytes out.

A worker that was started anew after a death looks at its first pictures in another process, before it touches them: one
that kills the process that decodes it fails, and the others are done.
"""

import contextlib
import dataclasses
import functools
import io
import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from iem_jax.data.loader import Loaded, in_threads, load_safely
from iem_jax.data.original import Original
from iem_jax.data.sample import Sample
from iem_jax.data.source import ReadError
from iem_jax.finishing.judging import Judged
from iem_jax.output.products import Products
from iem_jax.output.results import Result, make_result
from iem_jax.output.writer import PATTERNS, Writer, Written
from iem_jax.segmenter.segmenter import Segmenter
from iem_jax.segmenter.stream import segment_stream

KILLER = "kills the process that decodes it"  # a problem
CAREFUL = 8  # calls of a worker that was started anew: more than can have been waiting for the one that died
PROBE = "from iem_jax.app.ray_worker import probe; probe()"


class Outcome(NamedTuple):
    """What became of one picture.

    Attributes:
      result: its numbers.
      files: by their kind, one of `PATTERNS`; none if it failed.
      problem: why some of them are missing, else "".
    """

    result: Result
    files: dict[str, bytes]
    problem: str = ""


class Task(NamedTuple):
    """What a worker does with each picture.

    Attributes:
      segmenter: settings; a worker has one device.
      load: reads a sample.
      products: what is made besides masks, of `PRODUCTS`.
      pictures: about how many there are in a call, so that calls for a few compute few.
    """

    segmenter: Segmenter
    load: Callable[[Sample], Loaded]
    products: tuple[str, ...] = ()
    pictures: int | None = None


class Held(Writer):
    """Holds files as bytes instead of writing them."""

    def __init__(self):
        """Begin with none."""
        self.files: dict[str, bytes] = {}

    def write(self, name: str, save: Callable[[IO[bytes]], Any], kept: bool = True) -> Written:
        """Hold a file."""
        file = io.BytesIO()
        save(file)
        self.files[name] = data = file.getvalue()
        return Written(len(data), zlib.crc32(data))


class Worker:
    """Segments samples; compiles once."""

    def __init__(self, task: Task, is_restarted: bool = False):
        """Take the task; `is_restarted` if a worker died before this one, maybe of a picture."""
        self._task, self._careful = task, CAREFUL if is_restarted else 0

    def outcomes(self, samples: Sequence[Sample]) -> Iterator[Outcome]:
        """Yield what becomes of samples, in order."""
        task = self._task
        if self._careful:
            self._careful -= 1
            samples = mark_killers(samples, task.load)
        loaded = in_threads(functools.partial(load_safely, task.load), samples)
        segmented = segment_stream(loaded, task.segmenter.computing, number=task.pictures)
        yield from in_threads(lambda pair: self._finish(*pair), segmented)

    def _finish(self, item: Loaded, judged: Judged | None) -> Outcome:
        result = make_result(item, judged)
        if judged is None:
            return Outcome(result, {})
        segmenter, held = self._task.segmenter, Held()
        products = Products(
            held, self._task.products, segmenter.resolution, segmenter.iem, segmenter.computing.devices[0]
        )
        written, problem = products.write(item, np.asarray(judged.mask))
        files = {kind: held.files[PATTERNS[kind].format(item.sample.name)] for kind in written}
        return Outcome(result, files, problem)


def mark_killers(samples: Sequence[Sample], load: Callable[[Sample], Loaded]) -> list[Sample]:
    """Return samples, those with a problem that kill another process when it decodes them.

    Raises:
      RuntimeError: no process can be started to find out.
    """
    marked, start = list(samples), 0
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    while start < len(marked):
        rest = pickle.dumps((load, marked[start:]))
        done = subprocess.run([sys.executable, "-c", PROBE], input=rest, stdout=subprocess.PIPE, env=environment).stdout
        if not done:
            raise RuntimeError("pictures cannot be looked at in another process")
        start += len(done) - 1
        if start < len(marked):
            marked[start] = dataclasses.replace(marked[start], problem=KILLER)
            start += 1
    return marked


def probe() -> None:
    """Decode the samples of standard input; a byte to standard output before the first, and after each one."""
    output = os.dup(1)
    os.dup2(2, 1)  # what decoders print is no byte of ours
    load, samples = pickle.loads(sys.stdin.buffer.read())
    os.write(output, b".")
    for sample in samples:
        item = load_safely(load, sample)
        if item.image is not None:
            with contextlib.suppress(ReadError, MemoryError):
                _ = Original(item).pixels
        os.write(output, b".")


def by_size(outcomes: Iterable[Outcome], pictures: int = 64, size: int = 8_000_000) -> Iterator[list[Outcome]]:
    """Group outcomes so that a group has at most so many pictures, and few more bytes than `size`."""
    group: list[Outcome] = []
    held = 0
    for outcome in outcomes:
        group.append(outcome)
        held += sum(map(len, outcome.files.values()))
        if len(group) == pictures or held > size:
            yield group
            group, held = [], 0
    if group:
        yield group
