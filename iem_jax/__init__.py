"""Inpainting Error Maximization in JAX: foreground masks without labels, weights or training."""

from iem_jax.batch import segment as segment
from iem_jax.config import IEMConfig as IEMConfig
from iem_jax.config import UsageError as UsageError
from iem_jax.inpainting import inpaint as inpaint
from iem_jax.metrics import score_masks as score_masks
from iem_jax.objective import diversity as diversity
from iem_jax.objective import inpainting_error as inpainting_error
from iem_jax.objective import objective as objective
from iem_jax.presets import segment_best as segment_best
from iem_jax.single import segment_image as segment_image
from iem_jax.solver import Segmentation as Segmentation
from iem_jax.solver import init as init
from iem_jax.solver import run as run
from iem_jax.solver import step as step

__version__ = "0.1.0"
