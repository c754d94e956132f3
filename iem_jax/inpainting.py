"""The inpainter: every pixel is predicted as a Gaussian-weighted mean of the known pixels (SPEC section 2).

Average pooling, `reps` passes of the zero-padded Gaussian and nearest upsampling are linear and separable, so the whole
filter of an image U is rows @ U @ columns.T with one matrix for each axis (SPEC section 4), and its adjoint is
rows.T @ U @ columns.

Images are unbatched and channels-last, (H, W, C); masks are (H, W), 1 where a pixel is known.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from iem_jax.config import IEMConfig

EPSILON = 1e-8


class Filter(NamedTuple):
    """The separable linear filter of one image shape."""

    rows: Float[Array, "h h"]
    columns: Float[Array, "w w"]


def gaussian_kernel(config: IEMConfig, dtype: jnp.dtype = jnp.float32) -> Float[Array, " k"]:
    """Return the Gaussian on `kernel_size` taps around 0, normalised to sum 1."""
    taps = jnp.arange(config.kernel_size, dtype=dtype) - (config.kernel_size - 1) / 2
    weights = jnp.exp(-0.5 * taps**2 / jnp.asarray(config.sigma, dtype) ** 2)
    return weights / jnp.sum(weights)


def filter_matrix(length: int, config: IEMConfig, dtype: jnp.dtype = jnp.float32) -> Float[Array, "n n"]:
    """Return the filter along one axis of `length` pixels as a matrix: pool, blur `reps` times, upsample."""
    scale = config.scale_factor
    small = length // scale
    taps = jnp.arange(small)[None, :] - jnp.arange(small)[:, None] + config.kernel_size // 2
    inside = (taps >= 0) & (taps < config.kernel_size)
    blur = jnp.where(inside, gaussian_kernel(config, dtype)[jnp.where(inside, taps, 0)], 0)
    matrix = blur
    for _ in range(config.reps - 1):
        matrix = jnp.matmul(blur, matrix, precision="highest")
    return jnp.repeat(jnp.repeat(matrix, scale, axis=0), scale, axis=1) / scale


def make_filter(height: int, width: int, config: IEMConfig, dtype: jnp.dtype = jnp.float32) -> Filter:
    """Return the filter for images of one shape."""
    return Filter(filter_matrix(height, config, dtype), filter_matrix(width, config, dtype))


def apply_filter(kernel: Filter, image: Float[Array, "h w c"], precision: str) -> Float[Array, "h w c"]:
    """Filter each channel and add eps_c = 1e-8 times the channel's sum."""
    filtered = jnp.einsum("ih,hwc,jw->ijc", kernel.rows, image, kernel.columns, precision=precision)
    return filtered + EPSILON * jnp.sum(image, axis=(0, 1))


def apply_adjoint(kernel: Filter, image: Float[Array, "h w c"], precision: str) -> Float[Array, "h w c"]:
    """Apply the adjoint of `apply_filter`, its eps included."""
    filtered = jnp.einsum("hi,hwc,wj->ijc", kernel.rows, image, kernel.columns, precision=precision)
    return filtered + EPSILON * jnp.sum(image, axis=(0, 1))


def stack_mask(image: Float[Array, "h w c"], mask: Float[Array, "h w"]) -> Float[Array, "h w c+1"]:
    """Return the known pixels with their mask as the last channel: U = [X V; V]."""
    return jnp.concatenate([image * mask[..., None], mask[..., None]], axis=-1)


@jax.jit
def inpaint(
    image: Float[Array, "h w c"], mask: Float[Array, "h w"], config: IEMConfig = IEMConfig()
) -> Float[Array, "h w c"]:
    """Predict every pixel of one image from the pixels where `mask` is 1.

    Args:
      image: one image, any number of channels, in [-1, 1].
      mask: 1 where a pixel is known, 0 where it is not.
      config: settings of the filter.

    Returns:
      The predictions, (H, W, C): phi(X V, V) of SPEC section 2; NaN everywhere if no pixel is known.
    """
    kernel = make_filter(mask.shape[0], mask.shape[1], config, image.dtype)
    filtered = apply_filter(kernel, stack_mask(image, mask), config.precision)
    return filtered[..., :-1] / filtered[..., -1:]
