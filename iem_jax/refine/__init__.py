"""The second stage: a network trained on IEM's masks, without labels (paper, section 4)."""

from iem_jax.refine.checkpoints import load_model as load_model
from iem_jax.refine.fit import TrainingError as TrainingError
from iem_jax.refine.fit import fit as fit
from iem_jax.refine.model import ModelState as ModelState
from iem_jax.refine.model import NetConfig as NetConfig
from iem_jax.refine.model import SegNet as SegNet
from iem_jax.refine.model import predict as predict
from iem_jax.refine_config import RefineConfig as RefineConfig
