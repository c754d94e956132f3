"""Many images: `segment` checks them, works through them in chunks, and shares them among devices.

A chunk is what fits the fast memory next to the cores. Its program is the same whatever the batch, so a picture's
result does not depend on its neighbours.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Float, Shaped

from iem_jax.config import IEMConfig, UsageError, check_positive_integer
from iem_jax.core.arrays import as_array
from iem_jax.core.early import run_until_settled
from iem_jax.core.features import to_features
from iem_jax.core.inpainting import frame_for
from iem_jax.core.programs import Program
from iem_jax.core.solver import Segmentation, run

CHUNK_PIXELS = {"cpu": 128**2}  # measured, see benchmarks/README.md
CHUNK_PIXELS_ELSEWHERE = 256 * 128**2
# Vectors of 512 bits are worth 20 %; the operations are too small to be shared among threads.
OPTIONS = {"cpu": {"xla_cpu_prefer_vector_width": 512, "xla_cpu_multi_thread_eigen": False}}

# A table, since XLA's division by a constant is not the correctly rounded one that the reference's loader does.
_NORMALISED = np.arange(256, dtype=np.float32) / np.float32(255) * np.float32(2) - np.float32(1)


def default_chunk_size(height: int, width: int, platform: str) -> int:
    """Return how many pictures of a size to compute side by side."""
    return max(1, CHUNK_PIXELS.get(platform, CHUNK_PIXELS_ELSEWHERE) // (height * width))


def normalise(images: Shaped[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Bring uint8 to float32 in [-1, 1], with the reference's roundings; floats stay as they are."""
    images = jnp.asarray(images)
    return jnp.asarray(_NORMALISED)[images] if images.dtype == jnp.uint8 else images


def segment(
    images: Any,
    config: IEMConfig = IEMConfig(),
    *,
    ground_truths: Any = None,
    initial_masks: Any = None,
    valid: Any = None,
    early_finish: bool = True,
    chunk_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Segmentation:
    """Cut the object out of each picture of a batch.

    Pictures are independent of each other: batch size, order and devices change nothing. Works inside a caller's jit,
    and then runs where the caller's program runs.

    Args:
      images: (B, H, W, C), uint8, or floating point in [-1, 1]; any number of channels >= 1. NumPy, JAX or torch,
        or anything else with `__array__` or DLPack.
      config: settings; `config.size` is not looked at.
      ground_truths: (B, H, W), true for foreground; only counted, in `info.overlap` after each iteration.
      initial_masks: (B, H, W), where the search starts; by default the centred square.
      valid: (B, H, W), true for the picture's own pixels where it was padded; the others belong to neither side.
      early_finish: stop working on a picture whose mask repeats itself; the result is the same.
      chunk_size: pictures computed side by side; by default what suits the device.
      devices: devices among which to share the batch; by default the one where JAX computes.

    Returns:
      A `Segmentation` whose fields have a leading axis of B: masks (B, H, W), statuses (B,), info (B, T).

    Raises:
      UsageError: shapes, dtypes, values or settings that cannot work.
    """
    batch = make_batch(image=images, ground_truth=ground_truths, initial_mask=initial_masks, valid=valid)
    _check_settings(batch["image"].shape, config)
    segment_one = _segment_until_settled if early_finish else _segment_to_the_end
    return segment_batch(batch, config, segment_one, chunk_size=chunk_size, devices=devices)


def make_batch(**values: Any) -> dict[str, Any]:
    """Return the arrays of a batch, checked; `image` is (B, H, W, C), the others, if not None, (B, H, W).

    Raises:
      UsageError: shapes, dtypes or values that cannot work.
    """
    batch = {name: as_array(value, name) for name, value in values.items() if value is not None}
    _check_batch(batch)
    return batch


def segment_batch(
    batch: dict[str, Any],
    settings: Any,
    segment_one: Callable[..., Segmentation],
    *,
    chunk_size: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    weight: int = 1,
) -> Segmentation:
    """Do `segment_one(image, settings, **masks)` for each picture of a batch, in chunks, shared among devices.

    Args:
      batch: from `make_batch`.
      settings: a pytree.
      segment_one: a function of a module, for one picture in [-1, 1] and its boolean masks, by name.
      chunk_size: pictures computed side by side.
      devices: devices among which to share the batch.
      weight: how many times the memory of `segment` a picture takes.

    Returns:
      A `Segmentation` whose fields have a leading axis of B.
    """
    if chunk_size is not None:
        check_positive_integer("chunk_size", chunk_size)
    number, height, width = batch["image"].shape[:3]
    platform = devices[0].platform if devices else jax.default_backend()
    chunk_size = chunk_size or default_chunk_size(weight * height, width, platform)
    padding = -number % (chunk_size * len(devices or [None]))
    batch = {name: _pad(value, padding) for name, value in batch.items()}
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((batch, settings))):
        result = _segment_in_chunks(batch, settings, segment_one, chunk_size)
    else:
        work, sharding = _compiled_for(segment_one, chunk_size, platform, tuple(devices or ()))
        result = work(jax.device_put(batch, sharding), settings)
    return jax.tree.map(lambda field: field[:number], result) if padding else result


def _segment_until_settled(image: Array, config: IEMConfig, **masks: Array) -> Segmentation:
    return run_until_settled(to_features(image, config.features), config, **masks)


def _segment_to_the_end(image: Array, config: IEMConfig, **masks: Array) -> Segmentation:
    return run(to_features(image, config.features), config, **masks)


def _segment_in_chunks(
    batch: dict[str, Array], settings: Any, segment_one: Callable[..., Segmentation], chunk_size: int
) -> Segmentation:
    """Segment a batch whose size is a multiple of `chunk_size`."""

    def one(picture: dict[str, Array]) -> Segmentation:
        image = normalise(picture.pop("image"))
        return segment_one(image, settings, **{name: value.astype(bool) for name, value in picture.items()})

    chunks = jax.tree.map(lambda x: x.reshape(-1, chunk_size, *x.shape[1:]), batch)
    result = jax.lax.map(jax.vmap(one), chunks)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), result)


@functools.cache
def _compiled_for(
    segment_one: Callable[..., Segmentation], chunk_size: int, platform: str, devices: tuple[jax.Device, ...]
) -> tuple[Any, jax.sharding.Sharding | None]:
    """Return the jitted work on a batch, and where the batch must be."""
    work = functools.partial(_segment_in_chunks, segment_one=segment_one, chunk_size=chunk_size)
    sharding = jax.sharding.SingleDeviceSharding(devices[0]) if devices else None
    if len(devices) > 1:
        kind = (AxisType.Auto,)  # so that the padding can be cut off the result
        mesh = jax.make_mesh((len(devices),), ("batch",), kind, devices=devices)
        split = PartitionSpec("batch")
        work = jax.shard_map(work, mesh=mesh, in_specs=(split, PartitionSpec()), out_specs=split, check_vma=False)
        sharding = jax.sharding.NamedSharding(mesh, split)
    name = f"{segment_one.__module__}.{segment_one.__qualname__} {chunk_size} {[device.id for device in devices]}"
    return Program(work, name, OPTIONS.get(platform)), sharding


def _pad(values: Any, padding: int) -> Any:
    """Add `padding` empty pictures to a batch."""
    if not padding:
        return values
    pad = np.pad if isinstance(values, np.ndarray) else jnp.pad
    return pad(values, [(0, padding)] + [(0, 0)] * (values.ndim - 1))


def _check_settings(shape: tuple[int, ...], config: IEMConfig) -> None:
    frame_for(shape[1:3], config)
    if config.features != "rgb" and shape[3] != 3:
        raise UsageError(f"`images` must have three channels, sRGB, for `features` {config.features}, got {shape[3]}.")


def _check_batch(batch: dict[str, Any]) -> None:
    images = batch["image"]
    if images.ndim != 4 or 0 in images.shape:
        raise UsageError(f"`images` must have shape (B, H, W, C), none of them 0, got {images.shape}.")
    for name, value in batch.items():
        if name != "image" and value.shape != images.shape[:3]:
            raise UsageError(f"`{name}` must have shape {images.shape[:3]}, as `images`, got {value.shape}.")
    if images.dtype == np.uint8:
        return
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UsageError(f"`images` must be uint8, or floating point in [-1, 1], got {images.dtype}.")
    if not isinstance(images, Tracer) and not bool((abs(images) <= 1).all()):
        raise UsageError("`images` of floating point must be finite and in [-1, 1].")
