"""Many images: `segment` checks them, works through them in chunks, and shares them among devices.

A chunk is what fits the fast memory next to the cores. Its program is the same whatever the batch, so a picture's
result does not depend on its neighbours.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding, get_abstract_mesh
from jaxtyping import Array, Bool, Float

from iem_jax.config import IEMConfig, UsageError, check_positive_integer
from iem_jax.core.arrays import as_array, check_pictures, is_traced
from iem_jax.core.arrays import normalise as normalise
from iem_jax.core.callers import as_settings
from iem_jax.core.compiling import compiler_options
from iem_jax.core.early import run_until_settled
from iem_jax.core.features import to_features
from iem_jax.core.inpainting import frame_for
from iem_jax.core.shards import first_axis, in_shards, share
from iem_jax.core.solver import INVALID, Segmentation, run

CHUNK_PIXELS = {"cpu": 128**2}  # measured, see benchmarks/README.md
CHUNK_PIXELS_ELSEWHERE = 256 * 128**2
BYTES_A_PIXEL = 256  # of a chunk: up to 180 are counted by benchmarks/gpu_program.py
SHARE_OF_MEMORY = 0.25  # that a chunk may fill: callers have other plans with their devices, too
SHARED = "shared"  # a batch that is shared among devices in a way that only XLA's partitioner knows


def default_chunk_size(height: int, width: int, platform: str, memory: int | None = None, weight: int = 1) -> int:
    """Return how many pictures of a size to compute side by side.

    Args:
      height: of the pictures.
      width: of the pictures.
      platform: that computes.
      memory: of the device in bytes, see `device_memory`.
      weight: how many times the work of `segment` a picture is; a CPU's fast memory then takes fewer.
    """
    if platform in CHUNK_PIXELS:
        return max(1, CHUNK_PIXELS[platform] // (weight * height * width))
    room = math.inf if memory is None else memory * SHARE_OF_MEMORY / BYTES_A_PIXEL
    return max(1, int(min(CHUNK_PIXELS_ELSEWHERE, room)) // (height * width))


def device_memory(device: Any = None) -> int | None:
    """Return the bytes that this process may have of a device, JAX's own choice by default; None if it says nothing."""
    device = device or jax.local_devices()[0]
    return (device.memory_stats() or {}).get("bytes_limit")


def segment(
    images: Any,
    config: IEMConfig = IEMConfig(),
    *,
    ground_truths: Any = None,
    initial_masks: Any = None,
    valid: Any = None,
    early_finish: bool = True,
    chunk_size: int | None = None,
    devices: Any = None,
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
      early_finish: stop working on a picture whose mask repeats itself; the result is the same. False for derivatives
        backwards, of `info.inp_error`; `run`, `objective` and `inpaint` have them, too.
      chunk_size: pictures computed side by side; by default what suits the device.
      devices: devices among which to share the batch; by default the one where JAX computes.

    Returns:
      A `Segmentation` whose fields have a leading axis of B: masks (B, H, W), statuses (B,), info (B, T).

    Raises:
      UsageError: shapes, dtypes, values or settings that cannot work.
    """
    batch = make_batch(images, ground_truths=ground_truths, initial_masks=initial_masks, valid=valid)
    config = as_settings(config, batch["image"], np.float32)
    _check_settings(batch["image"].shape, config)
    segment_one = _segment_until_settled if early_finish else _segment_to_the_end
    return segment_batch(batch, config, segment_one, chunk_size=chunk_size, devices=devices)


def make_batch(images: Any, **masks: Any) -> dict[str, Any]:
    """Return the arrays of a batch, checked, under the names that they have for one picture.

    Args:
      images: (B, H, W, C).
      **masks: (B, H, W), or None.

    Raises:
      UsageError: shapes, dtypes or values that cannot work.
    """
    batch = {"image": as_array(images)}
    check_pictures(batch["image"], "images", "(B, H, W, C)")
    _check_range(batch["image"])
    for name, value in masks.items():
        if value is None:
            continue
        batch[name.removesuffix("s")] = array = as_array(value, name)
        if array.shape != batch["image"].shape[:3]:
            raise UsageError(f"`{name}` must have shape {batch['image'].shape[:3]}, as `images`, got {array.shape}.")
    return batch


def segment_batch(
    batch: dict[str, Any],
    settings: Any,
    segment_one: Callable[..., Segmentation],
    *,
    chunk_size: int | None = None,
    devices: Any = None,
    weight: int = 1,
    quicker: bool = False,
) -> Segmentation:
    """Do `segment_one(image, settings, **masks)` for each picture of a batch, in chunks, shared among devices.

    Args:
      batch: from `make_batch`.
      settings: a pytree.
      segment_one: a function of a module, for one picture in [-1, 1] and its boolean masks, by name.
      chunk_size: pictures computed side by side.
      devices: devices among which to share the batch.
      weight: how many times the work of `segment` a picture is.
      quicker: to compile, see `compiler_options`; no influence inside a caller's jit.

    Returns:
      A `Segmentation` whose fields have a leading axis of B.

    Raises:
      UsageError: `chunk_size` or `devices` cannot work.
    """
    if chunk_size is not None:
        check_positive_integer("chunk_size", chunk_size)
    devices = _as_devices(devices)
    if is_traced(batch, settings):
        if devices:
            raise UsageError("`devices` must be left out inside jit: a batch is computed where the program has it.")
        return share(functools.partial(_work, segment_one, chunk_size, weight), batch, settings)
    image = batch["image"]
    number, height, width = image.shape[:3]
    platform, place = _place_of(image, devices)
    memory = device_memory(devices[0] if devices else None)
    chunk_size = chunk_size or default_chunk_size(height, width, platform, memory, weight)
    # A batch that the caller has shared is filled up inside its shards.
    padding = 0 if devices is None and place is not None else -number % (chunk_size * len(devices or [None]))
    batch = {name: _pad(value, padding) for name, value in batch.items()}
    work = _compiled_for(segment_one, chunk_size, platform, place, quicker)
    batch = batch if place is SHARED else jax.device_put(batch, place)
    mesh: Any = place.mesh if isinstance(place, NamedSharding) else None
    with jax.set_mesh(mesh) if mesh is not None else contextlib.nullcontext():
        result = work(batch, settings)
        return _cut(result, number) if padding else result


def _segment_until_settled(image: Array, config: IEMConfig, **masks: Array) -> Segmentation:
    return run_until_settled(to_features(image, config.features), config, **masks)


def _segment_to_the_end(image: Array, config: IEMConfig, **masks: Array) -> Segmentation:
    return run(to_features(image, config.features), config, **masks)


def _work(
    segment_one: Callable[..., Segmentation], chunk_size: int | None, weight: int, batch: dict[str, Any], settings: Any
) -> Segmentation:
    """Segment a traced batch; without a `chunk_size`, in chunks that suit the platform it is compiled for."""
    height, width = batch["image"].shape[1:3]

    def in_chunks(platform: str) -> Callable[..., Segmentation]:
        size = chunk_size or default_chunk_size(height, width, platform, device_memory(), weight)
        return functools.partial(_segment_in_chunks, segment_one, size)

    if chunk_size:
        return in_chunks("any")(batch, settings)
    special = {platform: in_chunks(platform) for platform in CHUNK_PIXELS}
    return jax.lax.platform_dependent(batch, settings, **special, default=in_chunks("any"))


def _segment_in_chunks(
    segment_one: Callable[..., Segmentation], chunk_size: int, batch: dict[str, Array], settings: Any
) -> Segmentation:
    """Segment a batch, filled up with empty pictures to a multiple of `chunk_size`."""

    def one(picture: dict[str, Array]) -> Segmentation:
        given = picture.pop("image")
        image, masks = normalise(given).astype(jnp.float32), {name: x.astype(bool) for name, x in picture.items()}
        if given.dtype == jnp.uint8:
            return segment_one(image, settings, **masks)
        fits = jnp.all(jnp.abs(image) <= 1)
        result = segment_one(jnp.where(fits, image, 0), settings, **masks)
        return result._replace(status=jnp.where(fits, result.status, INVALID))

    number = batch["image"].shape[0]
    chunks = -(-number // chunk_size)
    padded = {name: _pad(value, chunks * chunk_size - number) for name, value in batch.items()}
    result = jax.lax.map(jax.vmap(one), {name: _split(value, chunks, chunk_size) for name, value in padded.items()})
    return jax.tree.map(lambda x: x.reshape(chunks * chunk_size, *x.shape[2:])[:number], result)


def _split(values: Any, chunks: Any, chunk_size: int) -> Any:
    return values.reshape(chunks, chunk_size, *values.shape[1:])


@functools.cache
def _compiled_for(
    segment_one: Callable[..., Segmentation], chunk_size: int, platform: str, place: Any, quicker: bool
) -> Any:
    """Return the jitted work on a batch that is in a place, see `_place_of`."""
    work = functools.partial(_segment_in_chunks, segment_one, chunk_size)
    if isinstance(place, NamedSharding):
        work = in_shards(work, place.mesh, first_axis(place))
    elif place is SHARED:
        work = functools.partial(share, work)
    return jax.jit(work, compiler_options=compiler_options(platform, quicker))


def _place_of(image: np.ndarray | jax.Array, devices: Any) -> tuple[str, Any]:
    """Return the platform, and the sharding that a batch must have: None for one device, `SHARED` if not known."""
    if devices and (len(devices) > 1 or get_abstract_mesh().shape):
        # Of a kind of axis that lets the padding be cut off the result.
        mesh = jax.make_mesh((len(devices),), ("batch",), (AxisType.Auto,), devices=devices)
        return devices[0].platform, NamedSharding(mesh, PartitionSpec("batch"))
    if devices:
        return devices[0].platform, SingleDeviceSharding(devices[0])
    given = image if isinstance(image, jax.Array) else jax.device_put(np.zeros(()))
    sharding = given.sharding
    platform = next(iter(sharding.device_set)).platform
    if len(sharding.device_set) > 1 and isinstance(sharding, NamedSharding):
        return platform, NamedSharding(sharding.mesh, PartitionSpec(first_axis(sharding)))
    is_shared = len(sharding.device_set) > 1 or get_abstract_mesh().shape
    return platform, SHARED if is_shared else None


def _as_devices(devices: Any) -> tuple[Any, ...] | None:
    if devices is None:
        return None
    several = tuple(devices) if isinstance(devices, Iterable) else (devices,)
    if not several or not all(isinstance(device, jax.Device) for device in several):
        raise UsageError(f"`devices` must be one of `jax.devices()`, or several, got {devices!r}.")
    return several


def _pad(values: Any, padding: Any) -> Any:
    """Add `padding` empty pictures to a batch."""
    if isinstance(padding, int) and padding == 0:
        return values
    if isinstance(values, np.ndarray) and isinstance(padding, int):
        return np.pad(values, [(0, padding)] + [(0, 0)] * (values.ndim - 1))
    return _pad_on_device(values, padding)


@functools.partial(jax.jit, static_argnums=1, inline=True)
def _pad_on_device(values: Array, padding: Any) -> Array:
    return jnp.pad(values, [(0, padding)] + [(0, 0)] * (values.ndim - 1))


@functools.partial(jax.jit, static_argnums=1)
def _cut(result: Segmentation, number: int) -> Segmentation:
    return jax.tree.map(lambda field: field[:number], result)


def _check_settings(shape: tuple[Any, ...], config: IEMConfig) -> None:
    frame_for(shape[1:3], config)
    if config.features != "rgb" and shape[3] != 3:
        raise UsageError(f"`images` must have three channels, sRGB, for `features` {config.features}, got {shape[3]}.")


def _check_range(images: np.ndarray | jax.Array) -> None:
    if images.dtype == np.uint8 or is_traced(images):
        return
    is_in_range = (abs(images) <= 1).all() if isinstance(images, np.ndarray) else jax.device_get(_in_range(images))
    if not is_in_range:
        raise UsageError("`images` of floating point must be finite and in [-1, 1].")


@jax.jit
def _in_range(images: Float[Array, "*b h w c"]) -> Bool[Array, ""]:
    return jnp.all(jnp.abs(images) <= 1)
