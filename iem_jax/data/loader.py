"""From samples to chunks of arrays: threads decode ahead while the device computes.

A chunk always has the same shape, so that one compiled program serves the whole run; the last one is padded.
"""

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Shaped
from PIL import Image

from iem_jax.data.cache import DecodedCache
from iem_jax.data.fit import Placement, fit_image, place
from iem_jax.data.images import read_image, read_levels, read_mask
from iem_jax.data.pictures import read_with_turn
from iem_jax.data.sample import Sample
from iem_jax.data.source import ReadError
from iem_jax.data.truths import read_truth

TRUNCATED = "truncated, taken as far as it goes"  # a problem

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A sample with its arrays, or with the reason why there are none.

    Attributes:
      sample: what was to be read.
      image: the picture, uint8 RGB if it comes from a file, or None if it cannot be read.
      ground_truth: its foreground, or None if there is none that can be read.
      problem: why the picture (image None) or the ground truth (image given) cannot be read, or that the picture is not
        whole, else "".
      placement: how to bring the mask to the picture's own size; None if it stays as it is.
      turn: how the stored picture was turned to stand upright.
      notes: those of `Truth`.
    """

    sample: Sample
    image: Shaped[np.ndarray, "h w c"] | None = None
    ground_truth: Bool[np.ndarray, "h w"] | None = None
    problem: str = ""
    placement: Placement | None = None
    turn: Image.Transpose | None = None
    notes: frozenset[str] = frozenset()


def load_sample(sample: Sample, size: int, fit: str | None = None) -> Loaded:
    """Read one sample; never raises for what is wrong with its files.

    Args:
      sample: what to read.
      size: side of the arrays.
      fit: one of `FITS`; None reads as the reference does: crop by nearest neighbour, EXIF not looked at.
    """
    if sample.problem:
        return Loaded(sample, problem=sample.problem)
    try:
        loaded = _load_picture(sample, size, fit)
    except ReadError as error:
        return Loaded(sample, problem=str(error))
    try:
        truth, notes = _load_truth(loaded, size)
    except ReadError as error:
        problems = [loaded.problem] * bool(loaded.problem) + [f"ground truth {error}"]
        return dataclasses.replace(loaded, problem="; ".join(problems))
    return dataclasses.replace(loaded, ground_truth=truth, notes=notes)


def _load_picture(sample: Sample, size: int, fit: str | None) -> Loaded:
    if fit is None:
        return Loaded(sample, read_image(sample.image_path, size))
    small = read_with_turn(sample.image_path, (2 * size, 2 * size), sample.truncated)
    placement = place(small.size, size, fit)
    image = np.asarray(fit_image(small.picture, placement, size))
    problem = TRUNCATED if small.is_truncated else ""
    return Loaded(sample, image, problem=problem, placement=placement, turn=small.turn)


def _load_truth(loaded: Loaded, size: int) -> tuple[Bool[np.ndarray, "h w"] | None, frozenset[str]]:
    sample, placement, notes = loaded.sample, loaded.placement, frozenset()
    if sample.mask_path is None:
        return None, notes
    if sample.mask_rule is None:
        assert placement is not None, "a data set says which pixels are foreground"
        truth, notes = read_truth(sample.mask_path, placement.picture_size, loaded.turn, sample.mask_orientation)
    elif placement is None:
        return read_mask(sample.mask_path, size, sample.mask_rule), notes
    else:
        truth = Image.fromarray(sample.mask_rule(read_levels(sample.mask_path)).astype(np.uint8) * 255)
    return np.asarray(fit_image(truth, placement, size)) >= 128, notes


def load_cached(sample: Sample, size: int, fit: str | None, cache: DecodedCache | None) -> Loaded:
    """Read one sample from the cache, or from its files and keep it there."""
    key = cache.key(sample.image_path, sample.mask_path) if cache is not None and not sample.problem else None
    if cache is None or key is None:
        return load_sample(sample, size, fit)
    if (kept := cache.get(key)) is not None:
        image, truth, placement = kept
        return Loaded(sample, image, truth, "", placement)
    loaded = load_sample(sample, size, fit)
    needs_saying = loaded.problem or loaded.notes or (loaded.turn is not None and sample.mask_path is not None)
    if loaded.image is not None and not needs_saying:
        cache.put(key, loaded.image, loaded.ground_truth, loaded.placement)
    return loaded


def load_samples(
    samples: Iterable[Sample],
    size: int,
    fit: str | None = None,
    cache: DecodedCache | None = None,
    ahead: int = 64,
) -> Iterator[Loaded]:
    """Read samples in threads, in their order, at most `ahead` of them before they are asked for.

    Whatever is wrong with one of them, memory that does not suffice for it included, becomes its `problem`.
    """

    def load(sample: Sample) -> Loaded:
        return load_safely(lambda sample: load_cached(sample, size, fit, cache), sample)

    return in_threads(load, samples, ahead)


def load_safely(load: Callable[[Sample], Loaded], sample: Sample) -> Loaded:
    """Read one sample by `load`; whatever it raises becomes the sample's `problem`."""
    try:
        return load(sample)
    except MemoryError:
        return Loaded(sample, problem="not enough memory")
    except Exception as error:
        return Loaded(sample, problem=f"cannot be used: {type(error).__name__}: {error}")


def in_threads(function: Callable[[Item], Outcome], items: Iterable[Item], ahead: int = 64) -> Iterator[Outcome]:
    """Map in threads, in order, at most `ahead` items before their results are asked for."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    pending: collections.deque[Future[Outcome]] = collections.deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # without waiting: a signal that comes while a generator is thrown away is lost
        pool.shutdown(wait=False, cancel_futures=True)


def make_chunk(items: list[Loaded], chunk_size: int, padded: bool = False) -> dict[str, np.ndarray]:
    """Stack readable pictures of one shape, as arguments of `segment`; absent ground truths and the padding are zeros.

    Args:
      items: readable ones.
      chunk_size: of the arrays' first axis.
      padded: whether the pictures may not fill their squares; then there is `valid`, too.
    """
    pictures = [item.image for item in items if item.image is not None]
    shape = pictures[0].shape
    chunk = {"images": np.zeros((chunk_size, *shape), pictures[0].dtype)}
    chunk |= {name: np.zeros((chunk_size, *shape[:2]), bool) for name in ("ground_truths", *["valid"] * padded)}
    chunk["images"][: len(pictures)] = pictures
    for row, item in enumerate(items):
        if item.ground_truth is not None:
            chunk["ground_truths"][row] = item.ground_truth
        if padded:
            chunk["valid"][row] = True if item.placement is None else item.placement.valid_pixels(shape[0])
    return chunk
