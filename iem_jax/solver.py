"""The algorithm: `init`, then `step` in one `lax.scan` (paper, algorithm 1; SPEC section 2).

`init`, `step` and `run` are for one image, pure and jittable. `segment` runs a batch.

Differs from the reference: 1. the gradient is in closed form and each filter runs once (SPEC section 4), with the
same masks; 2. a mask that would become empty or full stays as it was and the image's status says so; 3. a uniform
image, whose gradient is rounding noise, keeps its first mask.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Shaped

from iem_jax.config import IEMConfig, UsageError, check_config, check_divisible
from iem_jax.inpainting import Filter, apply_filter, make_filter, stack_mask
from iem_jax.masks import centred_square, smooth, update_mask
from iem_jax.objective import gradient

STATUSES = ("ok", "empty", "full", "uniform")
OK, EMPTY, FULL, UNIFORM = range(len(STATUSES))


class IEMState(NamedTuple):
    """What the next step needs; only `mask` and `status` change."""

    mask: Bool[Array, "h w"]
    status: Int[Array, ""]  # index into STATUSES
    kernel: Filter
    filtered_total: Float[Array, "h w c+1"]  # the filter of all pixels, of which F(X N) is the rest beside F(X M)


class IEMInfo(NamedTuple):
    """What a person wants to see of one step."""

    inp_error: Float[Array, ""]  # of the mask before the step
    area: Int[Array, ""]  # foreground pixels of the mask after the step


class Segmentation(NamedTuple):
    """The result for one image; from `segment`, every field has a leading batch axis."""

    mask: Bool[Array, "h w"]
    status: Int[Array, ""]  # index into STATUSES
    info: IEMInfo  # fields (T,), an entry for each iteration
    overlap: Int[Array, " t"]  # foreground pixels shared with the ground truth, after each iteration


def init(image: Float[Array, "h w c"], config: IEMConfig) -> IEMState:
    """Start from the centred square."""
    mask = centred_square(*image.shape[:2])
    uniform = jnp.all(image == image[:1, :1])
    kernel = make_filter(mask.shape[0], mask.shape[1], config, image.dtype)
    total = apply_filter(kernel, stack_mask(image, jnp.ones_like(image[..., 0])), config.precision)
    return IEMState(mask, jnp.where(uniform, UNIFORM, OK).astype(jnp.int32), kernel, total)


def step(image: Float[Array, "h w c"], state: IEMState, config: IEMConfig) -> tuple[IEMState, IEMInfo]:
    """Do one iteration: boundary pixels take the sign of the gradient, then the mask is smoothed."""
    slope, inp_error = gradient(image, state.mask, state.kernel, state.filtered_total, config)
    with jax.named_scope("update"):
        mask = update_mask(state.mask, slope)
    with jax.named_scope("smooth"):
        mask = smooth(mask)
    area = jnp.sum(mask, dtype=jnp.int32)
    status = jnp.select([state.status == UNIFORM, area == 0, area == mask.size], [UNIFORM, EMPTY, FULL], OK)
    mask = jnp.where(status == OK, mask, state.mask)
    info = IEMInfo(inp_error, jnp.sum(mask, dtype=jnp.int32))
    return state._replace(mask=mask, status=status.astype(jnp.int32)), info


def run(
    image: Float[Array, "h w c"], config: IEMConfig, ground_truth: Bool[Array, "h w"] | None = None
) -> Segmentation:
    """Segment one image in [-1, 1]: all iterations in one scan.

    `overlap` counts zero everywhere without a ground truth.
    """
    truth = jnp.zeros(image.shape[:2], bool) if ground_truth is None else ground_truth

    def iteration(state: IEMState, _: None) -> tuple[IEMState, tuple[IEMInfo, Array]]:
        state, info = step(image, state, config)
        return state, (info, jnp.sum(state.mask & truth, dtype=jnp.int32))

    state, (info, overlap) = jax.lax.scan(iteration, init(image, config), length=config.iters)
    return Segmentation(state.mask, state.status, info, overlap)


def normalise(images: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Bring uint8 to float32 in [-1, 1], with the reference's roundings; floats stay as they are."""
    return images.astype(jnp.float32) / 255 * 2 - 1 if images.dtype == jnp.uint8 else images


def segment(
    images: Shaped[Array | np.ndarray, "b h w c"],
    config: IEMConfig = IEMConfig(),
    *,
    ground_truths: Shaped[Array | np.ndarray, "b h w"] | None = None,
    chunk_size: int = 8,
) -> Segmentation:
    """Cut the object out of each picture of a batch.

    Pictures are independent of each other: batch size and order change nothing. Works inside a caller's jit.

    Args:
      images: (B, H, W, C), uint8, or float32 in [-1, 1]; any number of channels >= 1.
      config: settings; `config.size` is not looked at.
      ground_truths: (B, H, W), true for foreground; only to count `overlap` after each iteration.
      chunk_size: pictures computed side by side; the batch is worked through in chunks of it.

    Returns:
      A `Segmentation` whose fields have a leading axis of B.

    Raises:
      UsageError: shapes, dtypes, values or settings that cannot work.
    """
    check_config(config)
    _check_images(images, config)
    if ground_truths is None:
        ground_truths = np.zeros(images.shape[:3], bool)
    if ground_truths.shape != images.shape[:3]:
        raise UsageError(f"`ground_truths` must have shape {images.shape[:3]}, got {ground_truths.shape}.")
    return _segment_in_chunks(images, ground_truths, config, chunk_size)


@functools.partial(jax.jit, static_argnames="chunk_size")
def _segment_in_chunks(images: Array, ground_truths: Array, config: IEMConfig, chunk_size: int) -> Segmentation:
    number = images.shape[0]
    padding = -number % chunk_size

    def chunked(batch: Array) -> Array:
        padded = jnp.pad(batch, [(0, padding)] + [(0, 0)] * (batch.ndim - 1))
        return padded.reshape(-1, chunk_size, *batch.shape[1:])

    def one(image: Array, truth: Array) -> Segmentation:
        return run(normalise(image), config, truth)

    chunks = chunked(images), chunked(ground_truths.astype(bool))
    result = jax.lax.map(lambda chunk: jax.vmap(one)(*chunk), chunks)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:number], result)


def _check_images(images: Array | np.ndarray, config: IEMConfig) -> None:
    if images.ndim != 4 or 0 in images.shape:
        raise UsageError(f"`images` must have shape (B, H, W, C), none of them 0, got {images.shape}.")
    check_divisible("height of images", images.shape[1], config.scale_factor)
    check_divisible("width of images", images.shape[2], config.scale_factor)
    if images.dtype == np.uint8 or isinstance(images, Tracer):
        return
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UsageError(f"`images` must be uint8, or floating point in [-1, 1], got {images.dtype}.")
    if not bool((abs(images) <= 1).all()):
        raise UsageError("`images` of floating point must be finite and in [-1, 1].")
