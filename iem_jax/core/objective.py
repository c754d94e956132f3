"""What IEM maximises, and its gradient in closed form (SPEC sections 2 and 4).

Images are unbatched and channels-last, (H, W, C) in [-1, 1]. Masks are (H, W) with 1 for foreground and 0 for
background; `inpainting_error`, `diversity` and `objective` accept any real mask and can be differentiated.

The closed form works on framed planes, (C, rows, columns), see `frames`. X are the image's channels, M and N = V - M
foreground and background, V the valid pixels (all of them, unless a picture was padded).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iem_jax.config import IEMConfig
from iem_jax.core.callers import for_callers
from iem_jax.core.frames import Frame, channel_sum, shifted, store, to_frame, total
from iem_jax.core.inpainting import EPSILON, frame_for, inpaint, linear_filter


@for_callers
def inpainting_error(image: Any, mask: Any, config: IEMConfig = IEMConfig()) -> Float[Array, ""]:
    """Return E(M): how badly each side is predicted from the other, mean absolute error, large = good.

    Args:
      image: (H, W, C), floating point in [-1, 1] or uint8.
      mask: (H, W), its foreground, 1 or 0 (or real).
      config: settings of the inpainter.

    Returns:
      A scalar; NaN if either side is empty. Paper, equation 8; SPEC section 2.
    """
    mask = mask.astype(image.dtype)

    def side(known: Array, hidden: Array) -> Array:
        error = jnp.mean(jnp.abs(image - inpaint(image, known, config)), axis=-1)
        return jnp.sum(hidden * error) / jnp.sum(hidden)

    return side(1 - mask, mask) + side(mask, 1 - mask)


@for_callers
def diversity(image: Any, mask: Any) -> Float[Array, ""]:
    """Return D(M): the squared deviation of each side from its mean colour, summed over pixels and channels.

    Args:
      image: (H, W, C), floating point in [-1, 1] or uint8.
      mask: (H, W), its foreground, 1 or 0 (or real).

    Returns:
      A scalar; NaN if either side is empty. SPEC section 2.
    """

    def side(weight: Array) -> Array:
        mean = jnp.sum(weight * image, axis=(0, 1), keepdims=True) / jnp.sum(weight)
        return jnp.sum(weight * (image - mean) ** 2)

    mask = mask[..., None].astype(image.dtype)
    return side(mask) + side(1 - mask)


@for_callers
def objective(image: Any, mask: Any, config: IEMConfig = IEMConfig()) -> Float[Array, ""]:
    """Return what IEM maximises, E(M) - lmbda D(M), as a scalar.

    Args:
      image: (H, W, C), floating point in [-1, 1] or uint8.
      mask: (H, W), its foreground, 1 or 0 (or real).
      config: settings of the inpainter and `lmbda`.

    Returns:
      A scalar; NaN if either side is empty. SPEC section 2.
    """
    return inpainting_error(image, mask, config) - config.lmbda * diversity(image, mask)


class Problem(NamedTuple):
    """What one picture keeps through all iterations."""

    channels: Float[Array, "c r k"]  # X, 0 outside V
    valid: Float[Array, "1 r k"]  # V
    truth: Float[Array, "1 r k"]  # the ground truth, 0 if there is none
    filtered: Float[Array, "c+1 r k"]  # F([X; V])
    sums: Float[Array, "c+1 1 1"]  # of [X; V]


class Foreground(NamedTuple):
    """A mask in the form the filter takes."""

    planes: Float[Array, "c+2 r k"]  # [X M; M; truth M]
    sums: Float[Array, "c+2 1 1"]  # of each plane


def make_problem(
    image: Float[Array, "h w c"], valid: Bool[Array, "h w"], truth: Bool[Array, "h w"], config: IEMConfig
) -> Problem:
    """Prepare one picture."""
    frame = frame_for(image.shape[:2], config)
    valid_plane, truth_plane = valid[None].astype(image.dtype), (truth & valid)[None].astype(image.dtype)
    stack = to_frame(jnp.concatenate([jnp.moveaxis(image, -1, 0) * valid_plane, valid_plane]), frame)
    filtered = linear_filter(stack, stack[-1:], frame, config)
    return Problem(stack[:-1], stack[-1:], to_frame(truth_plane, frame), filtered, total(stack))


def make_foreground(problem: Problem, mask: Float[Array, "1 r k"]) -> Foreground:
    """Write down the planes of a framed mask."""
    planes = store(problem.channels * mask, mask, mask * problem.truth)
    return Foreground(planes, total(planes))


@for_callers
def objective_gradient(
    image: Any, mask: Any, config: IEMConfig = IEMConfig()
) -> tuple[Float[Array, "h w"], Float[Array, ""]]:
    """Return the gradient of `objective` at a binary mask, (H, W), and E(M), in closed form.

    Equals `jax.grad(objective, 1)`, at a quarter of its work. Not finite if either side is empty.
    """
    frame = frame_for(image.shape[:2], config)
    everywhere = jnp.ones(image.shape[:2], bool)
    problem = make_problem(image, everywhere, ~everywhere, config)
    foreground = make_foreground(problem, to_frame(mask[None].astype(image.dtype), frame))
    gradient, error = closed_form_gradient(problem, foreground, frame, config)
    return gradient[0, :, : frame.width], error


def closed_form_gradient(
    problem: Problem, foreground: Foreground, frame: Frame, config: IEMConfig
) -> tuple[Float[Array, "1 h k"], Float[Array, ""]]:
    """Return the gradient on the picture's rows, and E(M).

    Each filter runs once: what the background gives is the total less what the foreground gives. The difference is
    taken before eps is added: far from N it is then exactly 0, as in the reference.
    """
    x, count = problem.channels, problem.channels.shape[0]
    mask, sums = foreground.planes[count : count + 1], foreground.sums[: count + 1]
    rest_sums = problem.sums - sums
    per_m, per_n = 1 / sums[count:], 1 / rest_sums[count:]

    with jax.named_scope("inpaint"):
        filtered = linear_filter(foreground.planes[: count + 1], problem.valid, frame, config)
        from_m, from_n = filtered + EPSILON * sums, problem.filtered - filtered + EPSILON * rest_sums
    with jax.named_scope("inpainting_error"):
        parts = _error_planes(x, mask, problem.valid - mask, from_m, from_n, per_m, per_n)
        part_sums = total(parts)
        error_m, error_n = part_sums[count + 1 : count + 2] * per_m, part_sums[count + 2 : count + 3] * per_n
    with jax.named_scope("diversity"):
        # g_D = sum_c (X_c - mean_c(M))^2 - (X_c - mean_c(N))^2 is linear in X_c: a slope and a constant.
        mean_m, mean_n = sums[:count] * per_m, rest_sums[:count] * per_n
        slope = 2 * config.lmbda * (mean_m - mean_n)
        constant = -config.lmbda * channel_sum(mean_m * mean_m - mean_n * mean_n)
    with jax.named_scope("gradient"):
        pulled = shifted(linear_filter(parts[: count + 1], problem.valid, frame, config), frame)
        slope = slope + EPSILON * part_sums[:count]
        constant = constant + EPSILON * part_sums[count : count + 1] - error_m * per_m + error_n * per_n
        along_channels = channel_sum(shifted(x, frame) * (pulled[:count] + slope))
        gradient = along_channels + pulled[count:] + shifted(parts[count + 3 :], frame) + constant
    return gradient, (error_m + error_n)[0, 0, 0]


def _error_planes(
    x: Float[Array, "c r k"],
    m: Float[Array, "1 r k"],
    n: Float[Array, "1 r k"],
    from_m: Float[Array, "c+1 r k"],
    from_n: Float[Array, "c+1 r k"],
    per_m: Float[Array, "1 1 1"],
    per_n: Float[Array, "1 1 1"],
) -> Float[Array, "c+4 r k"]:
    """Return [a_b - a_f (C); b_b - b_f; e_f M; e_b N; e_f / |M| - e_b / |N|] in the letters of SPEC section 4.

    Of a_f and a_b, and of b_f and b_b, only one is not 0 at each pixel: that of its own side.
    """
    count = x.shape[0]
    weight = store(1 / from_m[count:], 1 / from_n[count:])
    background, foreground = from_m[:count] * weight[:1], from_n[:count] * weight[1:]
    e_f, e_b = (channel_sum(jnp.abs(x - prediction)) * (1 / count) for prediction in (foreground, background))
    residual = x - jnp.where(m > 0, foreground, background)
    size = weight[1:] * (m * (per_m / count)) - weight[:1] * (n * (per_n / count))
    planes = store(residual, size, e_f, e_b)
    residual, size, e_f, e_b = jnp.split(planes, (count, count + 1, count + 2))
    a = jnp.where(residual > 0, size, jnp.where(residual < 0, -size, 0))
    b = -channel_sum(a * (x - residual))
    return store(a, b, e_f * m, e_b * n, e_f * per_m - e_b * per_n)
