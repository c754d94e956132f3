"""The functions of one picture as callers meet them: arguments checked, uint8 brought to [-1, 1], compiled."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from iem_jax.config import REALS, IEMConfig, UsageError, check_config
from iem_jax.core.arrays import as_array, check_pictures, normalise

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

BOOLEAN = ("ground_truth", "initial_mask", "valid")


def for_callers(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a function of one picture one that takes what a caller has, called on its own or in a program.

    Parameters are known by their names: `image` is (H, W, C), uint8 or floating point, of any library; `config` is
    settings; `state` is from `init`; all others have a number a pixel, (H, W). The function gets arrays of JAX, the
    picture in float32, or in float64 if it is that.
    """
    signature = inspect.signature(function)

    @functools.partial(jax.jit, inline=True)
    def compiled(given: dict[str, Any]) -> Any:
        given = jax.tree.map(jnp.asarray, given)  # NumPy's, where jit is disabled
        given = given | {"image": normalise(given["image"])}
        masks = {name: given[name].astype(bool) for name in BOOLEAN if given.get(name) is not None}
        return function(**(given | masks))  # type: ignore

    @functools.wraps(function)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return compiled(_check(bound.arguments))

    return checked


def as_settings(config: IEMConfig, image: Any, dtype: Any = None) -> IEMConfig:
    """Return settings, checked, with numbers of one type on the device and no `size`: one program for all of them.

    Inside a caller's program the numbers stay as they are.

    Args:
      config: settings.
      image: what they are for.
      dtype: of the numbers; by default what `image` is computed in.

    Raises:
      UsageError: a field breaks its rule.
    """
    check_config(config)
    numbers = {}
    if not isinstance(image, Tracer):
        dtype = dtype or (jnp.promote_types(image.dtype, jnp.float32) if image.dtype != np.uint8 else jnp.float32)
        numbers = {name: _as_scalar(getattr(config, name), dtype) for name in REALS}
    return dataclasses.replace(config, size=IEMConfig.size, **numbers)


def _check(given: dict[str, Any]) -> dict[str, Any]:
    image = as_array(given["image"], "image")
    check_pictures(image, "image", "(H, W, C)")
    # In a program of its own: uint8 then gives what its values as floats give, to the last bit.
    checked: dict[str, Any] = {"image": image if isinstance(image, Tracer) else _normalise(image)}
    for name, value in given.items():
        if name == "config":
            checked[name] = as_settings(value, image)
        elif name == "state":
            _check_shape(name, value.valid, image)
            checked[name] = value
        elif name != "image":
            checked[name] = value if value is None else as_array(value, name)
            _check_shape(name, checked[name], image)
    return checked


_normalise = jax.jit(normalise)


def _check_shape(name: str, value: Any, image: Any) -> None:
    if value is not None and value.shape != image.shape[:2]:
        raise UsageError(f"`{name}` must have shape {image.shape[:2]}, as `image`, got {value.shape}.")


def _as_scalar(value: Any, dtype: Any) -> Any:
    if isinstance(value, Tracer):
        return value
    if isinstance(value, jax.Array):
        return jax.lax.convert_element_type(value, dtype)
    return jax.device_put(np.asarray(value, dtype))
