"""`fit`: from pictures and their masks to a trained network.

No ground truth is looked at. A few of the pictures are not learned from, to see by their masks how the network does on
pictures that it does not know.
"""

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Shaped

from iem_jax.config import UsageError
from iem_jax.core.arrays import Device
from iem_jax.evaluation.metrics import score_masks
from iem_jax.refine.checkpoints import Checkpoints
from iem_jax.refine.config import RefineConfig, check_refine_config
from iem_jax.refine.model import ModelState, NetConfig, check_images, predict
from iem_jax.refine.train import (
    Pictures,
    TrainInfo,
    TrainState,
    averaged,
    init_training,
    make_mesh,
    place,
    train_step,
    train_steps,
)

SCAN_STEPS = {"cpu": 1, "gpu": 20}  # steps a call
PREDICTED = 16  # pictures predicted side by side
HELD_OUT = 16  # one in so many pictures is not learned from, if there are twice as many


class TrainingError(RuntimeError):
    """A training that cannot go on; its text names the step and the last good checkpoint."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """What is reported at each checkpoint of a training.

    Attributes:
      step: steps done.
      loss: mean training loss since the last report, in nats.
      held_out: loss of the averaged network on pictures that it does not learn from, against their masks; NaN if there
        are none.
      agreement: mean IoU of its masks with theirs; NaN if there are none.
    """

    step: int
    loss: float
    held_out: float
    agreement: float


Report = Callable[[Progress], None]


def fit(
    images: Shaped[Array | np.ndarray, "n h w c"],
    masks: Shaped[Array | np.ndarray, "..."],
    config: RefineConfig = RefineConfig(),
    key: Array | None = None,
    *,
    devices: list[Device] | None = None,
    folder: Path | None = None,
    report: Report = lambda progress: None,
) -> ModelState:
    """Train a network on masks.

    The same arguments give the same weights, bit for bit on one kind of machine. With a folder, a training that was
    killed goes on from its last checkpoint and ends with the weights of one that was not.

    Inside a caller's jit everything is one program: `devices`, `folder` and `report` are not used there, and a
    training whose loss is not finite stays at its last good weights instead of raising.

    Args:
      images: (N, H, W, C), uint8, or float32 in [-1, 1]; N >= 2, H and W divisible by 4 `config.shrink`. From 32 on,
        every 16th is held out.
      masks: (N, H, W), bool, or probabilities of foreground in [0, 1].
      config: settings.
      key: randomness; None makes it from `config.seed`.
      devices: those to train on, if the batch can be divided among them; None takes all local ones.
      folder: for checkpoints; None writes none.
      report: called before each checkpoint.

    Returns:
      The trained network, for `predict`.

    Raises:
      UsageError: settings, shapes or values that cannot work, or checkpoints of another training.
      TrainingError: a loss or gradient that is not finite.
    """
    check_refine_config(config)
    check_images(images, config.shrink)
    _check_masks(images, masks)
    key = jax.random.key(config.seed) if key is None else key
    net = NetConfig(images.shape[3], config.width, config.depth, config.dtype, config.shrink, config.polish)
    learned, kept = _hold_out(images, masks)
    if any(isinstance(x, Tracer) for x in (images, masks, key)):
        return _train_traced(learned, key, net, config)
    trainer = _Trainer(net, config, devices or jax.local_devices(), folder, report)
    return trainer.train(Pictures(*map(np.asarray, learned)), Pictures(*map(np.asarray, kept)), key)


def encode_targets(masks: Shaped[Array | np.ndarray, "n h w"]) -> Shaped[Array | np.ndarray, "n h w"]:
    """Bring masks or probabilities to uint8, 0 to 255."""
    return (masks * 255.0 + 0.5).astype(np.uint8)


def _hold_out(images: Any, masks: Any) -> tuple[Pictures, Pictures]:
    """Divide the pictures into those that are learned from and the rest, which may be none."""
    number = len(images)
    held = (np.arange(number) % HELD_OUT == HELD_OUT - 1) & (number >= 2 * HELD_OUT)
    targets = encode_targets(masks)
    return Pictures(images[~held], targets[~held]), Pictures(images[held], targets[held])


def predict_all(model: ModelState, images: Shaped[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n h w"]:
    """Predict any number of pictures, a few at a time; NumPy in, NumPy out."""
    parts = []
    for start in range(0, len(images), PREDICTED):
        chunk = images[start : start + PREDICTED]
        padded = np.pad(chunk, [(0, PREDICTED - len(chunk)), (0, 0), (0, 0), (0, 0)])
        parts.append(np.asarray(predict(model, padded))[: len(chunk)])
    return np.concatenate(parts)


@dataclasses.dataclass(frozen=True)
class _Trainer:
    """Trains one network on the host's beat: chunks of steps, checks, checkpoints, reports."""

    net: NetConfig
    config: RefineConfig
    devices: list[Device]
    folder: Path | None
    report: Report

    def train(self, pictures: Pictures, kept: Pictures, key: Array) -> ModelState:
        state = init_training(key, self.net, self.config)
        if self.folder is None:
            state = self._run(state, pictures, kept, None)
        else:
            data = _fingerprint(pictures, state.key)
            with Checkpoints(self.folder, self.net, self.config, data) as checkpoints:
                state = self._run(checkpoints.restore() or state, pictures, kept, checkpoints)
        return ModelState(jax.device_put(state.average, self.devices[0]), self.net)

    def _run(
        self, state: TrainState, pictures: Pictures, kept: Pictures, checkpoints: Checkpoints | None
    ) -> TrainState:
        config, platform, program = self.config, self.devices[0].platform, _program(self.config)
        mesh = make_mesh(config.batch_size, self.devices)
        state, pictures = place((state, pictures), mesh, self.devices[0])
        losses: list[float] = []
        step = int(state.step)
        while step < config.steps:
            number = config.scan_steps or SCAN_STEPS.get(platform, SCAN_STEPS["gpu"])
            number = min(number, config.steps - step, config.checkpoint_every - step % config.checkpoint_every)
            state, info = train_steps(state, pictures, self.net, program, number, mesh, unroll=platform == "cpu")
            _check_finite(info, step, checkpoints)
            losses += np.asarray(info.loss).tolist()
            step += number
            if step % config.checkpoint_every == 0 or step == config.steps:
                model = ModelState(jax.device_get(state.average), self.net)
                self.report(Progress(step, float(np.mean(losses)), *check_held_out(model, kept)))
                losses = []
                if checkpoints is not None:  # after the report: one that a kill takes away is made again
                    checkpoints.save(state)
        return state


def _program(config: RefineConfig) -> RefineConfig:
    """Bring settings that do not reach the compiled program to one value, so that it is compiled once."""
    return dataclasses.replace(config, checkpoint_every=1, scan_steps=0, seed=0)


def check_held_out(model: ModelState, kept: Pictures) -> tuple[float, float]:
    """Return the mean binary cross-entropy and IoU against the masks of pictures; NaN if there are no pictures."""
    if not len(kept.images):
        return float("nan"), float("nan")
    predicted = predict_all(model, np.asarray(kept.images)).astype(np.float64)
    target = kept.targets / 255
    certain = np.clip(predicted, 1e-7, 1 - 1e-7)
    loss = -np.mean(target * np.log(certain) + (1 - target) * np.log(1 - certain))
    return float(loss), float(np.nanmean(score_masks(predicted > 0.5, kept.targets > 127).iou_fixed))


def _train_traced(pictures: Pictures, key: Array, net: NetConfig, config: RefineConfig) -> ModelState:
    """Train as a part of a larger program."""
    pictures = Pictures(*map(jnp.asarray, pictures))

    def one(state: TrainState, _: None) -> tuple[TrainState, TrainInfo]:
        return train_step(state, pictures, net, config)

    return averaged(jax.lax.scan(one, init_training(key, net, config), length=config.steps)[0], net)


def _check_finite(info: TrainInfo, step: int, checkpoints: Checkpoints | None) -> None:
    bad = ~(np.isfinite(np.asarray(info.loss)) & np.isfinite(np.asarray(info.gradient_norm)))
    if not bad.any():
        return
    latest = None if checkpoints is None else checkpoints.latest
    kept = "no checkpoint was written" if latest is None else f"the last good checkpoint is {latest}"
    raise TrainingError(
        f"The training's loss is not finite at step {step + int(bad.argmax()) + 1}; {kept}. Try a smaller "
        "`refine_learning_rate`."
    )


def _check_masks(images: Any, masks: Any) -> None:
    if len(images) < 2:
        raise UsageError(f"The network needs at least 2 pictures to learn from, got {len(images)}.")
    if masks.shape != images.shape[:3]:
        raise UsageError(f"`masks` must have shape {images.shape[:3]}, got {masks.shape}.")
    if isinstance(masks, Tracer) or masks.dtype == bool:
        return
    if not bool(((masks >= 0) & (masks <= 1)).all()):
        raise UsageError("`masks` must be bool, or probabilities from 0 to 1.")


def _fingerprint(pictures: Pictures, key: Array) -> str:
    """Identify what is learned from, so that a training never goes on with other pictures."""
    code = 0
    for array in (*pictures, key):
        array = np.ascontiguousarray(array)
        code = zlib.crc32(array.tobytes(), zlib.crc32(str((array.shape, array.dtype)).encode(), code))
    return f"{code:08x}"
