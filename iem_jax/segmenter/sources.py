"""What a picture may be: a path, bytes, an open file, a Pillow picture, an array. All become a `Loaded`."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped
from PIL import Image

from iem_jax.config import UsageError
from iem_jax.core.arrays import as_array
from iem_jax.data.fit import fit_image, place
from iem_jax.data.loader import Loaded, load_sample
from iem_jax.data.sample import Sample
from iem_jax.data.source import ReadError, hold

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of an 8-bit array's channels


def name_sources(sources: Iterable[Any], truncated: bool = False) -> Iterator[Sample]:
    """Give each source a name, and take what is in open files, which no other thread may read at the same time.

    Args:
      sources: pictures of any kind.
      truncated: take what is there of those that end too early.
    """
    for number, source in enumerate(sources):
        is_path = isinstance(source, str | os.PathLike)
        name = os.fspath(source) if is_path else str(number)
        problem = ""
        if is_path:
            source = Path(os.fsdecode(source))
        elif hasattr(source, "read"):
            try:
                source = hold(source)
            except ReadError as error:
                problem = str(error)
        yield Sample(os.fsdecode(name), source, truncated=truncated, problem=problem)


def load_source(sample: Sample, size: int, fit: str, colour: bool) -> Loaded:
    """Read a source and bring it into a square; what is wrong with it stands in `problem`.

    Args:
      sample: of `name_sources`.
      size: side of the square.
      fit: one of `FITS`.
      colour: three channels are needed: grey arrays are repeated, others refused.
    """
    source: Any = sample.image_path
    if sample.problem or isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        return load_sample(sample, size, fit)
    try:
        array = check_picture(np.asarray(as_array(source, "picture")))
    except UsageError as error:
        return Loaded(sample, problem=str(error))
    if array.dtype == np.uint8 and array.shape[2] in MODES:
        pixels = np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)
        return load_sample(dataclasses.replace(sample, image_path=Image.fromarray(pixels)), size, fit)
    if colour and array.shape[2] not in (1, 3):
        text = f"`picture` must have 1 or 3 channels, or be 8-bit RGBA, for a preset but paper, got {array.shape[2]}."
        return Loaded(sample, problem=text)
    return _load_planes(sample, np.repeat(array, 3, axis=2) if colour and array.shape[2] == 1 else array, size, fit)


def check_picture(array: np.ndarray) -> Shaped[np.ndarray, "h w c"]:
    """Return an array as (H, W, C), uint8 or float32 in [-1, 1].

    Raises:
      UsageError: it is nothing of the kind.
    """
    channels = array[..., None] if array.ndim == 2 else array
    if channels.ndim != 3 or 0 in channels.shape:
        raise UsageError(f"`picture` must have shape (H, W) or (H, W, C), none of them 0, got {array.shape}.")
    if array.ndim == 3 and array.shape[0] in MODES and min(array.shape[1:]) > max(MODES):
        raise UsageError(
            f"`picture` must have its channels last, (H, W, C), got {array.shape}: `np.moveaxis(picture, 0, -1)` "
            "brings them there."
        )
    if array.dtype == np.uint8:
        return channels
    if not jnp.issubdtype(array.dtype, jnp.floating):  # NumPy does not know bfloat16 as one
        raise UsageError(f"`picture` must be uint8, or floating point in [-1, 1], got {array.dtype}.")
    if not (np.abs(array) <= 1).all():
        raise UsageError("`picture` of floating point must be finite and in [-1, 1].")
    return channels.astype(np.float32)


def _load_planes(sample: Sample, array: Shaped[np.ndarray, "h w c"], size: int, fit: str) -> Loaded:
    """Fit an array that is no picture to Pillow, channel by channel."""
    placement = place((array.shape[1], array.shape[0]), size, fit)
    planes = [Image.fromarray(np.ascontiguousarray(array[..., index])) for index in range(array.shape[2])]
    fitted = np.stack([np.asarray(fit_image(plane, placement, size)) for plane in planes], axis=-1)
    if array.dtype != np.uint8:
        fitted = np.clip(fitted, -1, 1)
    return Loaded(dataclasses.replace(sample, image_path=array), fitted, placement=placement)
