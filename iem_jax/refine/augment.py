"""Random flips, crops and colours of one picture and its target: pure, jittable, batched by `vmap`.

Pictures are (h, w, c) in [-1, 1] with any number of channels, targets (h, w) in [0, 1].
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def augment(
    key: Array,
    image: Float[Array | np.ndarray, "h w c"],
    target: Float[Array | np.ndarray, "h w"],
    size: tuple[int, int],
    crop_scale: float,
    jitter: float,
    turns: bool = False,
) -> tuple[Float[Array, "p q c"], Float[Array, "p q"]]:
    """Return a random view of a picture and the target as seen in the same view.

    Args:
      key: randomness of this view.
      image: the picture.
      target: probability of foreground.
      size: rows and columns of the view.
      crop_scale: smallest side of the crop as a part of the picture's; 1 for none.
      jitter: strength of the colour changes; 0 for none.
      turns: upside down or not and, where views are square, on its side or not.
    """
    crop_key, colour_key, turn_key = jax.random.split(key, 3)
    rows, columns = random_view(crop_key, target.shape, size, crop_scale)
    overturned, aside = jax.random.bernoulli(turn_key, shape=(2,))
    if turns:
        rows = jnp.where(overturned, rows[::-1], rows)
    view = jnp.einsum("ph,hwc,qw->pqc", rows, image, columns)
    seen = jnp.clip(rows @ target @ columns.T, 0, 1)
    if turns and size[0] == size[1]:
        view, seen = (jnp.where(aside, x.swapaxes(0, 1), x) for x in (view, seen))
    return random_colours(colour_key, view, jitter), seen


def random_view(
    key: Array, shape: tuple[int, ...], size: tuple[int, int], crop_scale: float
) -> tuple[Float[Array, "p h"], Float[Array, "q w"]]:
    """Return the matrices for rows and columns of a random crop, brought to `size`, flipped left to right or not."""
    scale_key, aspect_key, corner_key, flip_key = jax.random.split(key, 4)
    scale = jax.random.uniform(scale_key, (), minval=crop_scale, maxval=1.0)
    aspect = jnp.exp(jax.random.uniform(aspect_key, (), minval=-0.2, maxval=0.2)) if crop_scale < 1 else 1.0
    sides = jnp.clip(scale * jnp.stack([aspect, 1 / aspect]), crop_scale, 1.0)
    corners = jax.random.uniform(corner_key, (2,)) * (1 - sides)
    rows = resampling_matrix(corners[0], sides[0], shape[0], size[0])
    columns = resampling_matrix(corners[1], sides[1], shape[1], size[1])
    return rows, jnp.where(jax.random.bernoulli(flip_key), columns[::-1], columns)


def resampling_matrix(start: float | Array, extent: float | Array, old: int, new: int) -> Float[Array, "new old"]:
    """Return the matrix that brings a part of a side to `new` pixels: linear, averaging where it shrinks.

    Args:
      start: where the part begins, in [0, 1] of the side.
      extent: its length, in (0, 1] of the side.
      old: pixels of the side.
      new: pixels of the result.
    """
    step = extent * old / new
    centres = start * old + (jnp.arange(new) + 0.5) * step - 0.5
    distance = jnp.abs(centres[:, None] - jnp.arange(old)[None]) / jnp.maximum(step, 1)
    weights = jnp.maximum(0, 1 - distance)
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def random_colours(key: Array, image: Float[Array, "h w c"], jitter: float) -> Float[Array, "h w c"]:
    """Change contrast, brightness, saturation and the gain of each channel; the result stays in [-1, 1]."""
    amounts = jax.random.uniform(key, (3 + image.shape[2],), minval=-jitter, maxval=jitter)
    contrast, brightness, saturation, gains = amounts[0], amounts[1], amounts[2], amounts[3:]
    grey = jnp.mean(image, axis=2, keepdims=True)
    image = grey + (image - grey) * (1 + saturation)
    mean = jnp.mean(image)
    image = mean + (image - mean) * (1 + contrast) * (1 + gains / 2).reshape(1, 1, -1)
    return jnp.clip(image + brightness, -1, 1)
