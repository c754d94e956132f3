"""Settings of the algorithm (SPEC section 2), and the checks of single values that run before anything is computed."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import numpy as np
from jax.core import Tracer

PRECISIONS = ("highest", "high", "default")
FEATURES = ("rgb", "lab", "lab100")
PRESETS = ("paper", "best", "fast")
REALS = ("sigma", "lmbda")  # fields of `IEMConfig` that are data


class UsageError(ValueError):
    """A setting or an input that cannot work; its text is one sentence that says what to do."""


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class IEMConfig:
    """Settings of Inpainting Error Maximization; the defaults are the paper's.

    A pytree: `sigma` and `lmbda` are data, so that sweeping them does not recompile, the others are static.
    Numbers of NumPy become Python's. Can be an argument of what `jax.export` serialises.

    Attributes:
      sigma: standard deviation of the Gaussian kernel, in pixels of the down-sampled image; > 0.
      lmbda: weight of the diversity term in the objective; >= 0.
      size: side in pixels to which loaders bring a picture; `segment` itself works at the shape of its input.
      iters: number of iterations; >= 1.
      kernel_size: taps of the Gaussian kernel; odd, >= 1.
      reps: how often the kernel is applied; >= 1.
      scale_factor: the inpainter works on images down-sampled by this; divides height and width.
      precision: of the filters' products, "highest", "high" or "default"; "highest" gives the reference's masks on
        every backend, the others allow TF32 or bfloat16 products where the hardware has them.
      smooth_threshold: a pixel stays foreground if so many of its 3 x 3 neighbourhood are; 1 to 9, 5 is the majority.
      features: what `segment` makes of a picture first, "rgb" (nothing), "lab" or "lab100" (see `core.features`).
    """

    sigma: Any = 5.0  # a float or a scalar array; while JAX handles the pytree, any leaf
    lmbda: Any = 0.001
    size: Any = _static(128)  # an integer, Python's or NumPy's, as the next four and `smooth_threshold`
    iters: Any = _static(150)
    kernel_size: Any = _static(11)
    reps: Any = _static(2)
    scale_factor: Any = _static(1)
    precision: str = _static("highest")
    smooth_threshold: Any = _static(4)
    features: str = _static("rgb")

    def __post_init__(self) -> None:
        """Make numbers Python's, so that equal settings are one program; what else a pytree may hold stays."""
        for name in REALS:
            value = getattr(self, name)
            if isinstance(value, int | np.number) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.integer):
                object.__setattr__(self, field.name, int(value))


jax.export.register_pytree_node_serialization(
    IEMConfig,
    serialized_name="iem_jax.IEMConfig",
    serialize_auxdata=lambda values: json.dumps(values).encode(),
    deserialize_auxdata=lambda text: tuple(json.loads(bytes(text))),
)


def check_config(config: IEMConfig) -> None:
    """Check every field whose value is known; traced `sigma` and `lmbda` pass.

    Raises:
      UsageError: a field breaks its rule; the text names the field, the rule and the value.
    """
    if not isinstance(config, IEMConfig):
        remedy = ": give `IEMConfig(**settings)`" if isinstance(config, dict) else ""
        raise UsageError(f"`config` must be an IEMConfig, got {type(config).__name__}{remedy}.")
    for name in ("size", "iters", "kernel_size", "reps", "scale_factor"):
        check_positive_integer(name, getattr(config, name))
    if config.kernel_size % 2 == 0:
        raise UsageError(f"`kernel_size` must be a positive odd integer, got {config.kernel_size}.")
    if not _holds(config.sigma, lambda value: value > 0):
        raise UsageError(f"`sigma` must be a finite number > 0, got {config.sigma!r}.")
    if not _holds(config.lmbda, lambda value: value >= 0):
        raise UsageError(f"`lmbda` must be a finite number >= 0, got {config.lmbda!r}.")
    check_choice("precision", config.precision, PRECISIONS)
    check_positive_integer("smooth_threshold", config.smooth_threshold)
    if config.smooth_threshold > 9:
        raise UsageError(f"`smooth_threshold` must be an integer from 1 to 9, got {config.smooth_threshold}.")
    check_choice("features", config.features, FEATURES)


def _holds(value: Any, rule: Callable[[Any], Any]) -> bool:
    """Whether a value is one number, and, if it is known, finite and by the rule."""
    if isinstance(value, Tracer):
        return value.shape == ()
    number = jax.device_get(value)
    if isinstance(number, bool | str | bytes) or np.shape(number) != ():
        return False
    try:
        return bool(math.isfinite(number) and rule(number))
    except TypeError:
        return False


def check_divisible(name: str, length: int, scale_factor: int) -> None:
    """Check that `scale_factor` divides a side of the image, called `name` in the error."""
    if length % scale_factor:
        raise UsageError(f"`{name}` must be divisible by `scale_factor`, got {length} and {scale_factor}.")


def check_positive_integer(name: str, value: Any) -> None:
    """Check that `value` is an integer >= 1, Python's or NumPy's."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise UsageError(f"`{name}` must be an integer >= 1, got {value!r}.")


def check_plain_path(name: str, value: str | None) -> None:
    """Check that a path is not an empty one; None passes."""
    if value is not None and not str(value).strip():
        raise UsageError(f"`{name}` must be a path, got an empty one: leave it out for none, or name a folder.")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that `value` is one of `choices`."""
    if value not in choices:
        raise UsageError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")


def check_preset(preset: str, config: IEMConfig) -> None:
    """Check that a preset other than "paper" meets no other setting than `size`.

    Raises:
      UsageError: there is no such preset, or it fixes a setting that was changed.
    """
    check_choice("preset", preset, PRESETS)
    for field in dataclasses.fields(IEMConfig):
        given = getattr(config, field.name)
        if preset != "paper" and field.name != "size" and given != field.default:
            raise UsageError(f"`preset` {preset} fixes `{field.name}` itself: leave it out, got {given!r}.")
