"""Arrays of other libraries as NumPy's or JAX's."""

from typing import Any

import jax
import numpy as np

from iem_jax.config import UsageError

CPU = 1  # kDLCPU of DLPack


def as_array(values: Any, name: str = "images") -> np.ndarray | jax.Array:
    """Return anything array-like as a NumPy array, or as a JAX array if it is one or lives on an accelerator.

    Takes NumPy and JAX arrays (tracers too) as they are, torch tensors, whatever has `__array__` or speaks DLPack, and
    nested lists. Nothing is copied where the libraries can share memory. Gradients do not flow through.

    Raises:
      UsageError: there is no array in it; the text calls it `name`.
    """
    if isinstance(values, np.ndarray | jax.Array):
        return values
    if hasattr(values, "detach"):  # torch shares no tensor that awaits a gradient
        values = values.detach()
    try:
        if hasattr(values, "__dlpack_device__") and values.__dlpack_device__()[0] != CPU:
            return jax.numpy.from_dlpack(values)
        array = np.from_dlpack(values) if _speaks_only_dlpack(values) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise UsageError(f"`{name}` must be an array, got {type(values).__name__}: {error}.") from error
    if array.dtype == object:
        raise UsageError(f"`{name}` must be an array of numbers, got {type(values).__name__}.")
    return array


def _speaks_only_dlpack(values: Any) -> bool:
    return hasattr(values, "__dlpack__") and not hasattr(values, "__array__")
