"""From samples to chunks of arrays: threads decode ahead while the device computes.

A chunk always has the same shape, so that one compiled program serves the whole run; the last one is padded.
"""

import collections
import dataclasses
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, UInt8

from iem_jax.data.images import ReadError, read_image, read_mask
from iem_jax.data.sample import Sample


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A sample with its arrays, or with the reason why there are none.

    Attributes:
      sample: what was to be read.
      image: the picture, or None if it cannot be read.
      ground_truth: its foreground, or None if there is none that can be read.
      problem: why the picture (image None) or the ground truth (image given) cannot be read, else "".
    """

    sample: Sample
    image: UInt8[np.ndarray, "h w 3"] | None = None
    ground_truth: Bool[np.ndarray, "h w"] | None = None
    problem: str = ""


def load_sample(sample: Sample, size: int) -> Loaded:
    """Read one sample; never raises for what is wrong with its files."""
    try:
        image = read_image(sample.image_path, size)
    except ReadError as error:
        return Loaded(sample, problem=str(error))
    if sample.mask_path is None:
        return Loaded(sample, image)
    try:
        return Loaded(sample, image, read_mask(sample.mask_path, size, sample.mask_rule))
    except ReadError as error:
        return Loaded(sample, image, problem=f"ground truth {error}")


def load_samples(samples: Iterable[Sample], size: int, ahead: int = 64) -> Iterator[Loaded]:
    """Read samples in threads, in their order, at most `ahead` of them before they are asked for."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        pending: collections.deque[Future[Loaded]] = collections.deque()
        try:
            for sample in samples:
                pending.append(pool.submit(load_sample, sample, size))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def make_chunk(items: list[Loaded], chunk_size: int) -> tuple[UInt8[np.ndarray, "b h w 3"], Bool[np.ndarray, "b h w"]]:
    """Stack readable pictures of one shape and their ground truths; absent ones and the padding are zeros."""
    pictures = [item.image for item in items if item.image is not None]
    shape = pictures[0].shape
    images = np.zeros((chunk_size, *shape), np.uint8)
    images[: len(pictures)] = pictures
    ground_truths = np.zeros((chunk_size, *shape[:2]), bool)
    for row, item in enumerate(items):
        if item.ground_truth is not None:
            ground_truths[row] = item.ground_truth
    return images, ground_truths
