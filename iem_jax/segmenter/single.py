"""One picture in, one mask out."""

import os
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from PIL import Image

from iem_jax.config import IEMConfig, UsageError, check_config
from iem_jax.core.arrays import as_array
from iem_jax.core.batch import segment
from iem_jax.data.fit import Placement, fit_image, place
from iem_jax.data.images import ReadError, lay_on_white
from iem_jax.data.pictures import read_original
from iem_jax.finishing.edges import restore_refined
from iem_jax.finishing.polarity import orient

FIT = "pad"


def segment_image(picture: Any, config: IEMConfig = IEMConfig()) -> Bool[np.ndarray, "h w"]:
    """Cut the object out of one picture.

    Args:
      picture: path of a picture (JPEG, PNG, WebP, TIFF, BMP, GIF; turned as its EXIF orientation says), or an array
        (H, W) or (H, W, C), uint8 or floating point in [-1, 1], of any kind that `as_array` takes.
      config: settings; the algorithm works at `config.size` pixels along the long side.

    Returns:
      True where the object is, at the picture's own size (H, W).

    Raises:
      UsageError: the picture cannot be read, or the array or a setting cannot work.

    Example:
      >>> mask = segment_image(np.asarray(Image.effect_noise((60, 40), 30)))
      >>> mask.shape, mask.dtype
      ((40, 60), dtype('bool'))
    """
    check_config(config)
    if isinstance(picture, str | os.PathLike):
        image, placement, original = _fit_file(Path(picture), config.size)
    else:
        image, placement, original = _fit_array(np.asarray(as_array(picture, "picture")), config.size)
    valid = placement.valid_pixels(config.size)
    found = segment(image[None], config, valid=valid[None]).mask[0]
    mask = np.asarray(orient(found, jnp.asarray(valid)))
    return restore_refined(original, mask, placement.region, placement.box)


def _fit_file(path: Path, size: int) -> tuple[np.ndarray, Placement, np.ndarray]:
    try:
        picture = lay_on_white(read_original(path))
    except ReadError as error:
        raise UsageError(f"`picture` must be a picture that can be read, got {path}: {error}.") from error
    placement = place(picture.size, size, FIT)
    return np.asarray(fit_image(picture, placement, size)), placement, np.asarray(picture)


def _fit_array(array: np.ndarray, size: int) -> tuple[np.ndarray, Placement, np.ndarray]:
    channels = array[..., None] if array.ndim == 2 else array
    if channels.ndim != 3 or 0 in channels.shape:
        raise UsageError(f"`picture` must have shape (H, W) or (H, W, C), none of them 0, got {array.shape}.")
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UsageError(f"`picture` must be uint8, or floating point in [-1, 1], got {array.dtype}.")
    if array.dtype != np.uint8 and not (np.abs(array) <= 1).all():
        raise UsageError("`picture` of floating point must be finite and in [-1, 1].")
    kept = channels if array.dtype == np.uint8 else channels.astype(np.float32)
    placement = place((array.shape[1], array.shape[0]), size, FIT)
    planes = [Image.fromarray(np.ascontiguousarray(kept[..., index])) for index in range(kept.shape[2])]
    fitted = np.stack([np.asarray(fit_image(plane, placement, size)) for plane in planes], axis=-1)
    if array.dtype == np.uint8:
        return fitted, placement, kept
    return np.clip(fitted, -1, 1), placement, np.rint(kept * 127.5 + 127.5).astype(np.uint8)
