"""Inpainting Error Maximization in JAX: foreground masks without labels, weights or training."""

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

__version__ = "0.1.0"
