"""Inpainting Error Maximization in JAX: foreground masks without labels, weights or training."""

from iem_jax.config import IEMConfig, UsageError
from iem_jax.core.batch import segment
from iem_jax.core.inpainting import inpaint
from iem_jax.core.objective import diversity, inpainting_error, objective
from iem_jax.core.solver import Segmentation, init, run, step
from iem_jax.evaluation.metrics import score_masks
from iem_jax.search.presets import segment_best
from iem_jax.segmenter.segmenter import Segmenter, segment_image

__all__ = [
    "IEMConfig",
    "Segmentation",
    "Segmenter",
    "UsageError",
    "diversity",
    "init",
    "inpaint",
    "inpainting_error",
    "objective",
    "run",
    "score_masks",
    "segment",
    "segment_best",
    "segment_image",
    "step",
]
__version__ = "0.1.0"
