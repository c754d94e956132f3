"""The inpainter: every pixel is predicted as a Gaussian-weighted mean of the known pixels (SPEC section 2).

Average pooling, `reps` passes of a zero-padded Gaussian along rows and columns, nearest upsampling: linear, separable
and its own adjoint. `linear_filter` is the filter without eps, on framed planes (see `frames`).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from iem_jax.config import IEMConfig, check_config, check_divisible
from iem_jax.core.callers import for_callers
from iem_jax.core.frames import Frame, make_frame, shifted, shrink_frame, store, store_framed, to_frame, total

EPSILON = 1e-8  # times the sum of a channel: added to the filtered channel, so that no division is by zero


def frame_for(shape: tuple[int, ...], config: IEMConfig) -> Frame:
    """Return the frame in which the filter of this config works on pictures of shape (H, W).

    Raises:
      UsageError: settings that cannot work, as far as they are static.
    """
    check_config(config)
    height, width = shape
    check_divisible("height of images", height, config.scale_factor)
    check_divisible("width of images", width, config.scale_factor)
    return make_frame(height, width, max(config.kernel_size // 2, 1), config.scale_factor)


def gaussian_kernel(config: IEMConfig, dtype: jnp.dtype = jnp.float32) -> Float[Array, " k"]:
    """Return the Gaussian on `kernel_size` taps around 0, normalised to sum 1."""
    taps = jnp.arange(config.kernel_size, dtype=dtype) - config.kernel_size // 2
    weights = jnp.exp(-0.5 * (taps / jnp.asarray(config.sigma, dtype)) ** 2)
    return weights / jnp.sum(weights)


def linear_filter(
    planes: Float[Array, "c r k"], valid: Float[Array, "1 r k"], frame: Frame, config: IEMConfig
) -> Float[Array, "c r k"]:
    """Filter framed planes: pool, blur `reps` times, upsample; zero outside `valid` after each blur."""
    scale = config.scale_factor
    kernel = gaussian_kernel(config, planes.dtype)
    if scale > 1:
        frame, planes, valid = shrink_frame(frame, scale), _pool(planes, scale), jnp.sign(_pool(valid, scale))
    inside = shifted(valid, frame)
    for _ in range(config.reps):
        if config.precision == "highest":
            planes = store_framed(_blur(planes, kernel, lambda u, i: shifted(u, frame, dy=i)), frame)
            planes = store_framed(_blur(planes, kernel, lambda u, i: shifted(u, frame, dx=i)) * inside, frame)
        else:
            planes = _blur_by_matrices(planes, kernel, frame, config.precision) * valid
    return _upsample(planes, scale) if scale > 1 else planes


@for_callers
def inpaint(image: Any, mask: Any, config: IEMConfig = IEMConfig()) -> Float[Array, "h w c"]:
    """Predict every pixel of one image from the pixels where `mask` is 1.

    Args:
      image: (H, W, C), any number of channels, floating point in [-1, 1] or uint8.
      mask: (H, W), 1 where a pixel is known, 0 where it is not.
      config: settings of the filter.

    Returns:
      The predictions, (H, W, C): phi(X V, V) of SPEC section 2; NaN everywhere if no pixel is known.
    """
    frame = frame_for(mask.shape, config)
    planes = jnp.moveaxis(image, -1, 0)
    known = mask[None].astype(image.dtype)
    stack = to_frame(jnp.concatenate([planes * known, known]), frame)
    valid = to_frame(jnp.ones_like(known), frame)
    filtered = linear_filter(stack, valid, frame, config) + EPSILON * total(stack)
    predicted = shifted(filtered[:-1] / filtered[-1:], frame)[..., : frame.width]
    return jnp.moveaxis(predicted, 0, -1)


def _blur(
    planes: Float[Array, "c r k"], kernel: Float[Array, " t"], shift: Callable[[Array, int], Array]
) -> Float[Array, "c h k"]:
    """Correlate with the symmetric kernel along the axis of `shift`."""
    half = kernel.shape[0] // 2
    blurred = shift(planes, 0) * kernel[half]
    for i in range(1, half + 1):
        blurred = blurred + (shift(planes, -i) + shift(planes, i)) * kernel[half + i]
    return blurred


def _blur_by_matrices(
    planes: Float[Array, "c r k"], kernel: Float[Array, " t"], frame: Frame, precision: str
) -> Float[Array, "c r k"]:
    """Correlate along both axes by products with banded matrices, which matrix units take in less than float32."""

    def band(length: int) -> Array:
        taps = jnp.arange(length)[None, :] - jnp.arange(length)[:, None] + kernel.shape[0] // 2
        return jnp.where((taps >= 0) & (taps < kernel.shape[0]), kernel[taps.clip(0, kernel.shape[0] - 1)], 0)

    picture = shifted(planes, frame)[..., : frame.width]
    rows, columns = band(frame.height), band(frame.width)
    return to_frame(jnp.einsum("ih,chw,jw->cij", rows, picture, columns, precision=precision), frame)


def _pool(planes: Float[Array, "c r k"], scale: int) -> Float[Array, "c rs ks"]:
    """Average blocks of scale x scale pixels."""

    def average(part: Array) -> Array:
        corners = (
            jax.lax.slice(part, (0, i, j), part.shape, (1, scale, scale)) for i in range(scale) for j in range(scale)
        )
        return functools.reduce(jnp.add, corners) * (1 / scale / scale)

    return _store_halves(average, planes)


def _upsample(planes: Float[Array, "c r k"], scale: int) -> Float[Array, "c rs ks"]:
    """Repeat each pixel to a block of scale x scale pixels."""
    return _store_halves(lambda part: jnp.repeat(jnp.repeat(part, scale, axis=-1), scale, axis=-2), planes)


def _store_halves(function: Callable[[Array], Array], planes: Float[Array, "c r k"]) -> Float[Array, "c r2 k2"]:
    """Write down function(planes): as two halves, since XLA removes a concatenation of one operand."""
    half = planes.shape[0] // 2
    return store(*(function(part) for part in (planes[:half], planes[half:]) if part.shape[0]))
