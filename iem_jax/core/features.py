"""Pictures to feature channels: what IEM inpaints need not be red, green and blue.

All functions take pictures (..., H, W, 3) in [-1, 1], as `batch.normalise` gives them, and are pure and vmappable.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # D65, observer of 2 degrees
_CENTRE = (50.0, 0.0, 0.0)
_SCALES = {"lab": (50.0, 50.0, 50.0), "lab100": (100.0, 50.0, 50.0)}


@jax.jit
def srgb_to_lab(image: Float[Array, "*b h w 3"]) -> Float[Array, "*b h w 3"]:
    """Convert sRGB to CIELAB (IEC 61966-2-1; CIE 15), under D65.

    Args:
      image: sRGB in [-1, 1].

    Returns:
      L in [0, 100]; a and b, for colours of sRGB, within about -108 to 99.
    """
    encoded = jnp.clip((image + 1) / 2, 0, 1)
    linear = jnp.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    to_xyz = jnp.asarray(_TO_XYZ, image.dtype) / jnp.asarray(_WHITE, image.dtype)[:, None]
    # Sums of products instead of a matrix product, which an accelerator might round to TF32.
    red, green, blue = (linear[..., i, None] for i in range(3))
    axes = (to_xyz[:, i].reshape((1,) * (linear.ndim - 1) + (3,)) for i in range(3))
    xyz = sum(channel * axis for channel, axis in zip((red, green, blue), axes, strict=True))
    # A power, since XLA has two cube roots, which differ in the last bit: masks would depend on how it fuses.
    root = jnp.where(xyz > 0.008856, jnp.power(xyz, np.float32(1 / 3)), 7.787 * xyz + 16 / 116)
    x, y, z = (root[..., i] for i in range(3))
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def scale_lab(lab: Float[Array, "*b h w 3"], name: str) -> Float[Array, "*b h w 3"]:
    """Scale CIELAB to the range the objective's `lmbda` was made for: "lab" or "lab100"."""
    shape = (1,) * (lab.ndim - 1) + (3,)
    centre, scale = (jnp.asarray(x, lab.dtype).reshape(shape) for x in (_CENTRE, _SCALES[name]))
    return (lab - centre) / scale


def to_features(image: Float[Array, "*b h w c"], name: str = "rgb") -> Float[Array, "*b h w c"]:
    """Turn a picture into the channels that IEM works on.

    Args:
      image: in [-1, 1]; three channels, sRGB, unless `name` is "rgb".
      name: "rgb", the picture as it is, any number of channels; "lab", ((L - 50) / 50, a / 50, b / 50);
        "lab100", ((L - 50) / 100, a / 50, b / 50), which weighs lightness less.

    Returns:
      The channels; for "lab" and "lab100" L is in [-1, 1] and saturated a and b go up to 2.2 in size.
      `segment` takes pictures and does this itself (`IEMConfig.features`).
    """
    return image if name == "rgb" else scale_lab(srgb_to_lab(image), name)
