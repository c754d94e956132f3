"""Inpainting Error Maximization in JAX: foreground masks without labels, weights or training."""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from iem_jax.config import IEMConfig as IEMConfig
    from iem_jax.config import UsageError as UsageError
    from iem_jax.core.batch import segment as segment
    from iem_jax.core.inpainting import inpaint as inpaint
    from iem_jax.core.objective import diversity as diversity
    from iem_jax.core.objective import inpainting_error as inpainting_error
    from iem_jax.core.objective import objective as objective
    from iem_jax.core.solver import Segmentation as Segmentation
    from iem_jax.core.solver import init as init
    from iem_jax.core.solver import run as run
    from iem_jax.core.solver import step as step
    from iem_jax.evaluation.metrics import score_masks as score_masks
    from iem_jax.search.presets import segment_best as segment_best
    from iem_jax.segmenter.segmenter import Segmenter as Segmenter
    from iem_jax.segmenter.segmenter import segment_image as segment_image
else:
    _HOMES = {  # imported when they are asked for: before JAX, the command line has to hear signals
        "config": ("IEMConfig", "UsageError"),
        "core.batch": ("segment",),
        "core.inpainting": ("inpaint",),
        "core.objective": ("diversity", "inpainting_error", "objective"),
        "core.solver": ("Segmentation", "init", "run", "step"),
        "evaluation.metrics": ("score_masks",),
        "search.presets": ("segment_best",),
        "segmenter.segmenter": ("Segmenter", "segment_image"),
    }
    __all__ = [name for names in _HOMES.values() for name in names]

    def __getattr__(name):
        for home, names in _HOMES.items():
            if name in names:
                globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
