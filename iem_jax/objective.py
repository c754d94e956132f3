"""What IEM maximises, and its gradient in closed form (SPEC sections 2 and 4).

Images are unbatched and channels-last, (H, W, C) in [-1, 1]. Masks are (H, W) with 1 for foreground and 0 for
background; `inpainting_error`, `diversity` and `objective` accept any real mask and can be differentiated.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from iem_jax.config import IEMConfig
from iem_jax.inpainting import EPSILON, Filter, apply_adjoint, apply_filter, inpaint, stack_mask


@jax.jit
def inpainting_error(
    image: Float[Array, "h w c"], mask: Float[Array, "h w"], config: IEMConfig = IEMConfig()
) -> Float[Array, ""]:
    """Return E(M): how badly each side is predicted from the other, mean absolute error, large = good.

    Args:
      image: one image in [-1, 1].
      mask: its foreground, 1 or 0 (or real).
      config: settings of the inpainter.

    Returns:
      A scalar; NaN if either side is empty. Paper, equation 8; SPEC section 2.
    """

    def side(known: Array, hidden: Array) -> Array:
        error = jnp.mean(jnp.abs(image - inpaint(image, known, config)), axis=-1)
        return jnp.sum(hidden * error) / jnp.sum(hidden)

    return side(1 - mask, mask) + side(mask, 1 - mask)


@jax.jit
def diversity(image: Float[Array, "h w c"], mask: Float[Array, "h w"]) -> Float[Array, ""]:
    """Return D(M): the squared deviation of each side from its mean colour, summed over pixels and channels.

    Args:
      image: one image in [-1, 1].
      mask: its foreground, 1 or 0 (or real).

    Returns:
      A scalar; NaN if either side is empty. SPEC section 2.
    """

    def side(weight: Array) -> Array:
        mean = jnp.sum(weight[..., None] * image, axis=(0, 1)) / jnp.sum(weight)
        return jnp.sum(weight[..., None] * (image - mean) ** 2)

    return side(mask) + side(1 - mask)


@jax.jit
def objective(
    image: Float[Array, "h w c"], mask: Float[Array, "h w"], config: IEMConfig = IEMConfig()
) -> Float[Array, ""]:
    """Return what IEM maximises, E(M) - lmbda D(M), as a scalar.

    Args:
      image: one image in [-1, 1].
      mask: its foreground, 1 or 0 (or real).
      config: settings of the inpainter and `lmbda`.

    Returns:
      A scalar; NaN if either side is empty. SPEC section 2.
    """
    return inpainting_error(image, mask, config) - config.lmbda * diversity(image, mask)


CANCELLATION = 5e-7  # bound of the rounding error of F(1) - F(M) in float32


class Sides(NamedTuple):
    """A quantity of the foreground and the same of the background."""

    foreground: Array
    background: Array


def gradient(
    image: Float[Array, "h w c"],
    mask: Float[Array, "h w"],
    kernel: Filter,
    filtered_total: Float[Array, "h w c+1"],
    config: IEMConfig,
) -> tuple[Float[Array, "h w"], Float[Array, ""]]:
    """Return the gradient of `objective` at a binary mask, and E(M), in closed form (SPEC section 4).

    Each filter runs once: what the background gives is the total less what the foreground gives.

    Args:
      image: one image in [-1, 1].
      mask: its foreground, 1 or 0.
      kernel: the inpainter's filter for this shape.
      filtered_total: the filtered image and mask of all pixels, `apply_filter` of `stack_mask(image, ones)`.
      config: settings.

    Returns:
      The gradient with respect to each pixel of the mask, (H, W), and the inpainting error. Not finite where a side
      is empty.
    """
    channels = image.shape[-1]
    area = Sides(jnp.sum(mask), jnp.sum(1 - mask))

    with jax.named_scope("inpaint"):
        stack = stack_mask(image, mask)
        filtered = apply_filter(kernel, stack, config.precision)
        # F(N) is zero out of the kernel's reach from N; the difference leaves rounding noise there, which eps does not hide.
        epsilon = EPSILON * (jnp.sum(stack_mask(image, jnp.ones_like(mask)) - stack, axis=(0, 1)))
        rest = filtered_total - filtered
        rest = jnp.where(rest[..., -1:] - epsilon[-1] < CANCELLATION, epsilon, rest)
        weight = Sides(1 / filtered[..., -1], 1 / rest[..., -1])
        from_foreground = filtered[..., :-1] * weight.foreground[..., None]
        from_background = rest[..., :-1] * weight.background[..., None]

    with jax.named_scope("inpainting_error"):
        residual = Sides(image - from_background, image - from_foreground)
        error = Sides(*(jnp.mean(jnp.abs(side), axis=-1) for side in residual))
        total = Sides(jnp.sum(mask * error.foreground), jnp.sum((1 - mask) * error.background))
        mean_error = Sides(total.foreground / area.foreground, total.background / area.background)

    with jax.named_scope("gradient"):
        a_f = -(mask * weight.background / (channels * area.foreground))[..., None] * jnp.sign(residual.foreground)
        a_b = -((1 - mask) * weight.foreground / (channels * area.background))[..., None] * jnp.sign(
            residual.background
        )
        b_f = jnp.sum(a_f * from_background, axis=-1)
        b_b = jnp.sum(a_b * from_foreground, axis=-1)
        pulled = apply_adjoint(kernel, jnp.concatenate([a_b - a_f, (b_f - b_b)[..., None]], -1), config.precision)
        error_gradient = (
            jnp.sum(image * pulled[..., :-1], axis=-1)
            + pulled[..., -1]
            + (error.foreground - mean_error.foreground) / area.foreground
            - (error.background - mean_error.background) / area.background
        )

    with jax.named_scope("diversity"):
        mean = Sides(
            jnp.sum(image * mask[..., None], axis=(0, 1)) / area.foreground,
            jnp.sum(image * (1 - mask)[..., None], axis=(0, 1)) / area.background,
        )
        diversity_gradient = jnp.sum((image - mean.foreground) ** 2 - (image - mean.background) ** 2, axis=-1)

    return error_gradient - config.lmbda * diversity_gradient, mean_error.foreground + mean_error.background
