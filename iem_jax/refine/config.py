"""Settings of the network and its training (`refine`), and the checks that run before anything is computed."""

import dataclasses
import math

from iem_jax.config import UsageError, check_choice, check_positive_integer

DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class RefineConfig:
    """Settings of the network and of its training; each field is the flag `--refine_NAME`.

    Attributes:
      width: channels of the residual blocks; divisible by 4, which gives the widths of the outer layers.
      depth: number of residual blocks; >= 1.
      shrink: the network works on pictures whose sides are divided by this, and its answer is interpolated back; >= 1.
      polish: rounds in which masks are fitted to the colours of their own pictures: those of the paper's settings
        before the training, the network's after the prediction; 0 leaves them as they are.
      dtype: of the activations, "float32" or "bfloat16"; weights, statistics and the loss are float32.
      steps: training steps; >= 1.
      batch_size: pictures a step; >= 1.
      learning_rate: peak of the schedule: linear warm-up, then cosine decay to 0; > 0.
      warmup: part of the steps that warms up; in [0, 1).
      weight_decay: of AdamW, on kernels only; >= 0.
      ema: decay of the running average of the weights that predicts; in [0, 1).
      crop_scale: smallest side of a random crop, as a part of the picture's side; in (0, 1].
      jitter: strength of the random brightness, contrast, saturation and channel gains; in [0, 1).
      turns: learn from pictures that are upside down or on their sides, too.
      checkpoint_every: steps between checkpoints; >= 1.
      scan_steps: steps in one call of the compiled program; 0 for 1 on CPUs, whose convolutions are slow in a loop,
        and 20 elsewhere.
      seed: of initial weights, batches and augmentation; >= 0.
    """

    width: int = 64
    depth: int = 3
    shrink: int = 2
    polish: int = 3
    dtype: str = "float32"
    steps: int = 3000
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.1
    ema: float = 0.998
    crop_scale: float = 1.0
    jitter: float = 0.3
    turns: bool = True
    checkpoint_every: int = 200
    scan_steps: int = 0
    seed: int = 0


def check_refine_config(config: RefineConfig) -> None:
    """Check every field.

    Raises:
      UsageError: a field breaks its rule; the text names the field, the rule and the value.
    """
    for name in ("width", "depth", "shrink", "steps", "batch_size", "checkpoint_every"):
        check_positive_integer(f"refine_{name}", getattr(config, name))
    if config.width % 4:
        raise UsageError(f"`refine_width` must be divisible by 4, got {config.width}.")
    if not isinstance(config.seed, int) or not 0 <= config.seed < 2**32:
        raise UsageError(f"`refine_seed` must be an integer from 0 to 2**32 - 1, got {config.seed}.")
    for name in ("polish", "scan_steps"):
        value = getattr(config, name)
        if not isinstance(value, int) or value < 0:
            raise UsageError(f"`refine_{name}` must be an integer >= 0, got {value}.")
    check_choice("refine_dtype", config.dtype, DTYPES)
    _check_number("learning_rate", config.learning_rate, "> 0", config.learning_rate > 0)
    _check_number("weight_decay", config.weight_decay, ">= 0", config.weight_decay >= 0)
    _check_number("crop_scale", config.crop_scale, "> 0 and <= 1", 0 < config.crop_scale <= 1)
    for name in ("warmup", "ema", "jitter"):
        value = getattr(config, name)
        _check_number(name, value, ">= 0 and < 1", 0 <= value < 1)


def check_size(name: str, height: int, width: int, shrink: int) -> None:
    """Check that the network can work on pictures of this size, called `name` in the error.

    Raises:
      UsageError: a side is not divisible by 4, or by 4 times `shrink`.
    """
    if height % (4 * shrink) or width % (4 * shrink):
        rule = "4" if shrink == 1 else f"4 times `refine_shrink`, {4 * shrink},"
        raise UsageError(f"Sides of `{name}` must be divisible by {rule} for the network, got {height} x {width}.")


def _check_number(name: str, value: float, rule: str, holds: bool) -> None:
    if not (math.isfinite(value) and holds):
        raise UsageError(f"`refine_{name}` must be a finite number {rule}, got {value}.")
