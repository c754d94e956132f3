"""The second stage: a network trained on IEM's masks, without labels (paper, section 4).

Knows nothing of runs; may use `search`, `evaluation`, `core` and `config`. Its names are looked up when they are
first used, since a run without a network must not need flax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iem_jax.refine.checkpoints import load_model as load_model
    from iem_jax.refine.config import RefineConfig as RefineConfig
    from iem_jax.refine.model import ModelState as ModelState
    from iem_jax.refine.model import NetConfig as NetConfig
    from iem_jax.refine.model import SegNet as SegNet
    from iem_jax.refine.model import predict as predict
    from iem_jax.refine.trainer import TrainingError as TrainingError
    from iem_jax.refine.trainer import fit as fit

_MODULES = {
    "load_model": "checkpoints",
    "RefineConfig": "config",
    "ModelState": "model",
    "NetConfig": "model",
    "SegNet": "model",
    "predict": "model",
    "TrainingError": "trainer",
    "fit": "trainer",
}
__all__ = tuple(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
