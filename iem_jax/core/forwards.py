"""A value that can be differentiated forwards alone, as what comes out of a loop of unknown length."""

from typing import Any

from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from iem_jax.config import UsageError


def forwards_only(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return values as they are; to differentiate them backwards is an error of one sentence."""
    return _forwards_only.bind(values)


def _refuse(*_: Any) -> None:
    raise UsageError(
        "`segment` cannot be differentiated backwards when it stops early: give `early_finish=False`, "
        "or differentiate `run`, `objective` or `inpaint`."
    )


def _same(values: Any) -> Any:
    return values


_forwards_only = Primitive("forwards_only")
_forwards_only.def_impl(_same)
_forwards_only.def_abstract_eval(_same)
batching.defvectorized(_forwards_only)
ad.deflinear2(_forwards_only, _refuse)
mlir.register_lowering(_forwards_only, lambda _, values: [values])
