"""Exact early finish: a step is a deterministic map, so a mask that repeats itself will do so for ever."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iem_jax.config import IEMConfig
from iem_jax.core.forwards import forwards_only
from iem_jax.core.solver import IEMInfo, IEMState, Segmentation, init, run, step

LONGEST_BLOCK = 12


def block_length(iters: int) -> int:
    """Return after how many iterations to look whether a mask repeats: a divisor of `iters`, or all of them."""
    return next((length for length in range(LONGEST_BLOCK, 2, -1) if iters % length == 0), iters)


def run_until_settled(image: Float[Array, "h w c"], config: IEMConfig, **masks: Bool[Array, "h w"]) -> Segmentation:
    """Do what `solver.run` does, with the same result, but stop at a fixed point or in a cycle of two masks.

    Works in blocks of iterations, each a scan; what is left of the history is filled with what would be repeated.
    """
    length = block_length(config.iters)
    if length < 3:  # too few iterations to see a repetition
        return run(image, config, **masks)

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        _, _, _, done, settled = carry
        return (done < config.iters) & ~settled

    def work(carry: tuple) -> tuple:
        state, _, history, done, _ = carry
        state, (info, masks) = jax.lax.scan(iteration, state, length=length)
        history = jax.tree.map(
            lambda all_, new: jax.lax.dynamic_update_index_in_dim(all_, new, done // length, 0), history, info
        )
        return state, masks[-2], history, done + length, jnp.all(masks[-1] == masks[-3])

    def iteration(state: IEMState, _: None) -> tuple[IEMState, tuple[IEMInfo, Array]]:
        state, info = step(image, state, config)
        return state, (info, state.mask)

    state = init(image, config, **masks)
    shapes = jax.eval_shape(lambda s: step(image, s, config)[1], state)
    # Inside a shard_map the loop's state must belong to a shard from the start, as the picture's does.
    zero = state.status * 0
    history = jax.tree.map(
        lambda x: jnp.zeros((config.iters // length, length), x.dtype) + zero.astype(x.dtype), shapes
    )
    start = (state, state.mask, history, zero, zero != 0)
    state, previous, history, done, _ = jax.lax.while_loop(unfinished, work, start)
    result = _fill(state, previous, history, done, config.iters)
    return result._replace(info=result.info._replace(inp_error=forwards_only(result.info.inp_error)))


def _fill(
    state: IEMState, previous: Bool[Array, "h w"], history: IEMInfo, done: Int[Array, ""], iters: int
) -> Segmentation:
    """Continue a cycle of one or two masks from iteration `done` to the end."""
    iteration = jnp.arange(iters)
    source = jnp.where(iteration < done, iteration, done - 2 + (iteration - done) % 2)
    info: Any = jax.tree.map(lambda x: x.reshape(-1)[source], history)
    mask = jnp.where((iters - done) % 2 == 0, state.mask, previous)
    return Segmentation(mask, state.status, info)
