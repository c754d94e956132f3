"""Training of the network on given masks: one pure step, several of them in a `lax.scan`, over local devices.

The loss is pixel-wise binary cross-entropy against targets in [0, 1]; AdamW with linear warm-up and cosine decay; an
exponential moving average of the weights is what predicts. Everything random in a step follows from
`fold_in(key, step)`, so that a training continues after any step as if it had never stopped.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Shaped, UInt32

from iem_jax.core.arrays import Device
from iem_jax.refine.augment import augment
from iem_jax.refine.config import RefineConfig
from iem_jax.refine.model import ModelState, NetConfig, Parameters, apply, init_parameters, to_unit

AXIS = "data"


class TrainState(NamedTuple):
    """What the next step needs."""

    parameters: Parameters
    average: Parameters  # exponential moving average of `parameters`
    optimiser: Any  # optax's state
    step: Int[Array, ""]  # steps done
    key: UInt32[Array, "..."]  # raw data of the training's key; never changes


class TrainInfo(NamedTuple):
    """What a person wants to see of one step."""

    loss: Float[Array, ""]  # mean over the batch's pixels, in nats, before the update
    gradient_norm: Float[Array, ""]


class Pictures(NamedTuple):
    """What is learned from: pictures and targets, rows of one another."""

    images: Shaped[Array | np.ndarray, "n h w c"]  # uint8, or float32 in [-1, 1]
    targets: Shaped[Array | np.ndarray, "n h w"]  # uint8, 0 to 255 for probability 0 to 1


def make_optimiser(config: RefineConfig) -> optax.GradientTransformation:
    """Return AdamW with warm-up and cosine decay, gradients clipped to norm 1, decay on kernels only."""
    warmup = int(config.steps * config.warmup)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(config.steps, warmup + 1))
    if not warmup:
        schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)

    def is_kernel(parameters: Parameters) -> Parameters:
        return jax.tree.map(lambda x: x.ndim > 1, parameters)

    adamw = optax.adamw(schedule, weight_decay=config.weight_decay, mask=is_kernel)
    return optax.chain(optax.clip_by_global_norm(1.0), adamw)


def init_training(key: Array, net: NetConfig, config: RefineConfig) -> TrainState:
    """Draw initial weights and start at step 0."""
    net_key, train_key = jax.random.split(key)
    parameters = init_parameters(net_key, net)
    optimiser = make_optimiser(config).init(parameters)
    average = jax.tree.map(jnp.copy, parameters)
    return TrainState(parameters, average, optimiser, jnp.zeros((), jnp.int32), _key_data(train_key))


def train_step(
    state: TrainState, pictures: Pictures, net: NetConfig, config: RefineConfig, mesh: Mesh | None = None
) -> tuple[TrainState, TrainInfo]:
    """Do one step on a random batch; pure.

    A step whose loss or gradient is not finite leaves the state as it was: what is not finite never gets into it.

    Args:
      state: before the step.
      pictures: all pictures of the training; the batch is drawn from them without replacement, if there are enough.
      net: the network's shape.
      config: settings.
      mesh: devices among which the batch is divided; None for one.
    """
    with jax.named_scope("batch"):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        rows, keys = draw_batch(key, pictures.images.shape[0], config.batch_size)
    gradient = functools.partial(loss_and_gradient, net=net, config=config)
    if mesh is not None:
        gradient = _divide(gradient, mesh)
    loss, slope = gradient(state.parameters, pictures, rows, keys)
    info = TrainInfo(loss, optax.tree.norm(slope))
    with jax.named_scope("update"):
        updates, optimiser = make_optimiser(config).update(slope, state.optimiser, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        decay = jnp.minimum(config.ema, (1.0 + state.step) / (10.0 + state.step))
        average = optax.incremental_update(parameters, state.average, 1 - decay)
        after = TrainState(parameters, average, optimiser, state.step + 1, state.key)
        finite = jnp.isfinite(info.loss) & jnp.isfinite(info.gradient_norm)
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state), info


def draw_batch(key: Array, number: int, batch_size: int) -> tuple[Int[Array, " b"], Array]:
    """Draw the rows of a batch and a key for the augmentation of each."""
    row_key, view_key = jax.random.split(key)
    rows = jax.random.choice(row_key, number, (batch_size,), replace=batch_size > number)
    return rows, jax.random.split(view_key, batch_size)


def loss_and_gradient(
    parameters: Parameters,
    pictures: Pictures,
    rows: Int[Array, " b"],
    keys: Array,
    *,
    net: NetConfig,
    config: RefineConfig,
    axis: str | None = None,
) -> tuple[Float[Array, ""], Parameters]:
    """Return the loss of a batch of augmented pictures, and its gradient; means over `axis` if there is one."""
    height, width = (side // config.shrink for side in pictures.images.shape[1:3])

    def view(key: Array, row: Array) -> tuple[Array, Array]:
        image, target = to_unit(pictures.images[row]), pictures.targets[row].astype(jnp.float32) / 255
        return augment(key, image, target, (height, width), config.crop_scale, config.jitter, config.turns)

    with jax.named_scope("augment"):
        images, targets = jax.vmap(view)(keys, rows)

    def loss(parameters: Parameters) -> Float[Array, ""]:
        with jax.named_scope("network"):
            logits = apply(parameters, images, net)
        mean = jnp.mean(optax.sigmoid_binary_cross_entropy(logits, targets))
        return mean if axis is None else jax.lax.pmean(mean, axis)

    return jax.value_and_grad(loss)(parameters)


@functools.partial(jax.jit, static_argnames=("net", "config", "number", "mesh", "unroll"), donate_argnames="state")
def train_steps(
    state: TrainState,
    pictures: Pictures,
    net: NetConfig,
    config: RefineConfig,
    number: int,
    mesh: Mesh | None = None,
    unroll: bool = False,
) -> tuple[TrainState, TrainInfo]:
    """Do `number` steps in one scan; the fields of the info are (number,).

    `unroll` lays the steps out one after another instead: XLA's convolutions on CPUs are 20 times slower in a loop.
    """

    def one(state: TrainState, _: None) -> tuple[TrainState, TrainInfo]:
        return train_step(state, pictures, net, config, mesh)

    if not unroll:
        return jax.lax.scan(one, state, length=number)
    infos = []
    for _ in range(number):
        state, info = one(state, None)
        infos.append(info)
    return state, jax.tree.map(lambda *fields: jnp.stack(fields), *infos)


def make_mesh(batch_size: int, devices: list[Device]) -> Mesh | None:
    """Return a mesh of as many of the devices as divide the batch; None if that is one."""
    number = max(count for count in range(1, len(devices) + 1) if batch_size % count == 0)
    return None if number == 1 else Mesh(np.array(devices[:number]), (AXIS,))


def place(tree: Any, mesh: Mesh | None, device: Device) -> Any:
    """Put arrays on the device, or copies on all devices of the mesh."""
    return jax.device_put(tree, device if mesh is None else NamedSharding(mesh, PartitionSpec()))


def averaged(state: TrainState, net: NetConfig) -> ModelState:
    """Return the network that predicts: the one with the averaged weights."""
    return ModelState(state.average, net)


def _divide(gradient: Any, mesh: Mesh) -> Any:
    everywhere, divided = PartitionSpec(), PartitionSpec(AXIS)
    return jax.shard_map(
        functools.partial(gradient, axis=AXIS),
        mesh=mesh,
        in_specs=(everywhere, everywhere, divided, divided),
        out_specs=everywhere,
    )


def _key_data(key: Array) -> UInt32[Array, "..."]:
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
