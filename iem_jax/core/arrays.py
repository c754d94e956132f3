"""Arrays of other libraries as NumPy's or JAX's; pictures checked, and uint8 brought to [-1, 1]."""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, get_abstract_mesh
from jaxtyping import Array, Float, Shaped

from iem_jax.config import UsageError

Device: TypeAlias = Any  # `jax.Device`, a variable to type checkers
CPU = 1  # kDLCPU of DLPack
CHANNELS_FIRST = 4  # as many rows and twice as many channels: a picture whose channels come first

# A table, since XLA's division by a constant is not the correctly rounded one that the reference's loader does.
_NORMALISED = np.arange(256, dtype=np.float32) / np.float32(255) * np.float32(2) - np.float32(1)


def normalise(images: Shaped[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Bring uint8 to [-1, 1], with the reference's roundings; floats keep their values, in at least float32."""
    images = jnp.asarray(images)
    if images.dtype == jnp.uint8:
        mesh = get_abstract_mesh()
        place = jax.typeof(images).sharding if AxisType.Explicit in mesh.axis_types else None
        return jnp.asarray(_NORMALISED).at[images].get(out_sharding=place)
    return images.astype(jnp.promote_types(images.dtype, jnp.float32))


def as_array(values: Any, name: str = "images") -> np.ndarray | jax.Array:
    """Return anything array-like as a NumPy array, or as a JAX array if it is one or lives on an accelerator.

    Takes NumPy and JAX arrays (tracers too) as they are, torch tensors, whatever has `__array__` or speaks DLPack, and
    nested lists. Nothing is copied where the libraries can share memory, but arrays of foreign byte order are.
    Gradients do not flow through.

    Raises:
      UsageError: there is no array in it; the text calls it `name`.
    """
    if isinstance(values, jax.Array):
        return values
    array = values if isinstance(values, np.ndarray) else _import(values, name)
    if isinstance(array, np.ndarray):
        if array.dtype == object:
            raise UsageError(f"`{name}` must be an array of numbers, got {type(values).__name__}.")
        if not array.dtype.isnative:
            return array.astype(array.dtype.newbyteorder("="))
    return array


def check_pictures(array: np.ndarray | jax.Array, name: str, layout: str) -> None:
    """Check shape and dtype of pictures: `layout` is "(H, W, C)" or "(B, H, W, C)".

    Raises:
      UsageError: they cannot work; the text calls them `name`.
    """
    if array.ndim != layout.count(",") + 1 or 0 in array.shape[-3:]:
        raise UsageError(f"`{name}` must have shape {layout}, none of H, W and C 0, got {array.shape}.")
    if array.shape[-3] <= CHANNELS_FIRST and array.shape[-1] >= 2 * CHANNELS_FIRST:
        remedy = f"np.moveaxis({name}, -3, -1)"
        raise UsageError(f"`{name}` must have its channels last, {layout}, got {array.shape}: give `{remedy}`.")
    if array.dtype != np.uint8 and not jnp.issubdtype(array.dtype, jnp.floating):
        raise UsageError(f"`{name}` must be uint8, or floating point in [-1, 1], got {array.dtype}.")


def is_traced(*values: Any) -> bool:
    """Whether any of the arrays in these pytrees belongs to a program that is being made."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def _import(values: Any, name: str) -> np.ndarray | jax.Array:
    if hasattr(values, "detach"):  # torch shares no tensor that awaits a gradient
        values = values.detach()
    try:
        if hasattr(values, "__dlpack_device__") and values.__dlpack_device__()[0] != CPU:
            return jax.numpy.from_dlpack(values)
        return np.from_dlpack(values) if _speaks_only_dlpack(values) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise UsageError(f"`{name}` must be an array, got {type(values).__name__}: {error}.") from error


def _speaks_only_dlpack(values: Any) -> bool:
    return hasattr(values, "__dlpack__") and not hasattr(values, "__array__")
