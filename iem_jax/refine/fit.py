"""`fit`: from pictures and IEM's masks to a trained network, in two rounds.

IEM's masks are noisy, and a network that sees the same mask often enough learns its mistakes by heart. So no picture
is taught by its own mask alone: the first round trains `folds` networks, each without one part of the pictures, which
it then predicts; the second round trains one network on all pictures, whose targets are mixtures of IEM's mask and
that prediction. No ground truth is looked at anywhere.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Shaped

from iem_jax.config import UsageError
from iem_jax.refine.checkpoints import Checkpoints
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
from iem_jax.refine_config import RefineConfig, check_refine_config

SCAN_STEPS = {"cpu": 1, "gpu": 20}  # steps a call
PREDICTED = 16  # pictures predicted side by side
HELD_OUT = 64  # pictures at most of which the held-out loss is taken


class TrainingError(RuntimeError):
    """A training that cannot go on; its text names the step and the last good checkpoint."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """What is reported at each checkpoint of a training.

    Attributes:
      stage: "fold_0", "fold_1", ... for the networks of the first round, "net" for the last one.
      step: steps done.
      loss: mean training loss since the last report, in nats.
      held_out: loss of the averaged network against IEM's masks of pictures that it does not learn from; NaN in the
        last stage, which has none.
    """

    stage: str
    step: int
    loss: float
    held_out: float


Report = Callable[[Progress], None]


def fit(
    images: Shaped[Array | np.ndarray, "n h w c"],
    masks: Shaped[Array | np.ndarray, "..."],
    config: RefineConfig = RefineConfig(),
    key: Array | None = None,
    *,
    devices: list[jax.Device] | None = None,
    folder: Path | None = None,
    report: Report = lambda progress: None,
) -> ModelState:
    """Train a network on masks.

    The same arguments give the same weights, bit for bit on one kind of machine. With a folder, a training that was
    killed goes on from its last checkpoint and ends with the weights of one that was not.

    Inside a caller's jit everything is one program: `devices`, `folder` and `report` are not used there, and a
    training whose loss is not finite stays at its last good weights instead of raising.

    Args:
      images: (N, H, W, C), uint8, or float32 in [-1, 1]; N >= 2, H and W divisible by 4 `config.shrink`.
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
    net = NetConfig(images.shape[3], config.width, config.depth, config.dtype, config.shrink)
    if isinstance(images, Tracer) or isinstance(masks, Tracer) or isinstance(key, Tracer):
        return _fit_rounds(images, masks, config, key, functools.partial(_train_traced, net=net, config=config))
    trainer = _Trainer(net, config, devices or jax.local_devices(), folder, report)
    return _fit_rounds(np.asarray(images), np.asarray(masks), config, key, trainer)


def encode_targets(masks: Shaped[Array | np.ndarray, "n h w"]) -> Shaped[Array | np.ndarray, "n h w"]:
    """Bring masks or probabilities to uint8, 0 to 255."""
    return (masks * 255.0 + 0.5).astype(np.uint8)


def _fit_rounds(images: Any, masks: Any, config: RefineConfig, key: Array, train: Any) -> ModelState:
    """Do both rounds; `train` is called with a stage, what is learned from, what is not, and a key."""
    targets = encode_targets(masks)
    mixed = targets
    folds = min(config.folds, len(images))
    for fold in range(folds if folds > 1 else 0):
        held = np.arange(len(images)) % folds == fold
        rows, others = np.flatnonzero(held), np.flatnonzero(~held)
        kept = Pictures(images[rows], targets[rows])
        fold_key = jax.random.fold_in(key, fold + 1)
        model = train(f"fold_{fold}", Pictures(images[others], targets[others]), kept, fold_key)
        mixed = _mix(mixed, rows, kept.targets, predict_all(model, kept.images), config.trust)
    return train("net", Pictures(images, mixed), None, jax.random.fold_in(key, 0))


def _mix(mixed: Any, rows: np.ndarray, own: Any, predicted: Any, trust: float) -> Any:
    soft = encode_targets(trust * (own / 255.0) + (1 - trust) * predicted)
    if isinstance(mixed, np.ndarray):
        mixed = mixed.copy()
        mixed[rows] = soft
        return mixed
    return mixed.at[rows].set(soft)


def predict_all(model: ModelState, images: Any) -> Any:
    """Predict any number of pictures, a few at a time; NumPy in, NumPy out."""
    if isinstance(images, Tracer):
        return predict(model, images)
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
    devices: list[jax.Device]
    folder: Path | None
    report: Report

    def __call__(self, stage: str, pictures: Pictures, kept: Pictures | None, key: Array) -> ModelState:
        state = init_training(key, self.net, self.config)
        if self.folder is None:
            state = self._run(state, pictures, kept, stage, None)
        else:
            data = _fingerprint(pictures, state.key)
            with Checkpoints(self.folder / stage, self.net, self.config, data) as checkpoints:
                state = self._run(checkpoints.restore() or state, pictures, kept, stage, checkpoints)
        return ModelState(jax.device_put(state.average, self.devices[0]), self.net)

    def _run(
        self,
        state: TrainState,
        pictures: Pictures,
        kept: Pictures | None,
        stage: str,
        checkpoints: Checkpoints | None,
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
                held_out = held_out_loss(ModelState(jax.device_get(state.average), self.net), kept)
                self.report(Progress(stage, step, float(np.mean(losses)), held_out))
                losses = []
                if checkpoints is not None:  # after the report: one that a kill takes away is made again
                    checkpoints.save(state)
        return state


def _program(config: RefineConfig) -> RefineConfig:
    """Bring settings that do not reach the compiled program to one value, so that it is compiled once."""
    return dataclasses.replace(config, folds=1, trust=0.0, checkpoint_every=1, scan_steps=0, seed=0)


def held_out_loss(model: ModelState, kept: Pictures | None) -> float:
    """Return the mean binary cross-entropy of pictures that the network does not learn from; NaN without any."""
    if kept is None or not len(kept.images):
        return float("nan")
    predicted = predict_all(model, np.asarray(kept.images[:HELD_OUT]))
    predicted = np.clip(predicted.astype(np.float64), 1e-7, 1 - 1e-7)
    target = np.asarray(kept.targets[:HELD_OUT]) / 255
    return float(-np.mean(target * np.log(predicted) + (1 - target) * np.log(1 - predicted)))


def _train_traced(
    stage: str, pictures: Pictures, kept: Pictures | None, key: Array, *, net: NetConfig, config: RefineConfig
) -> ModelState:
    """Train one network as a part of a larger program."""
    del stage, kept

    def one(state: TrainState, _: None) -> tuple[TrainState, TrainInfo]:
        return train_step(state, Pictures(*map(jnp.asarray, pictures)), net, config)

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
