"""How XLA compiles the programs that are ours alone; a caller's program is compiled as the caller says."""

import functools
from typing import Any

import jax

# Vectors of 512 bits are worth 20 %; the operations are too small to be shared among threads.
OPTIONS: dict[str, dict[str, Any]] = {"cpu": {"xla_cpu_prefer_vector_width": 512, "xla_cpu_multi_thread_eigen": False}}
# Two thirds of the time to compile many small loops, and no slower; the filter's large ones lose a quarter.
QUICKER: dict[str, dict[str, Any]] = {"cpu": {"xla_cpu_use_fusion_emitters": False}}


@functools.cache
def compiler_options(platform: str, quicker: bool = False) -> dict[str, Any] | None:
    """Return XLA's options for a program on a platform, None for its own.

    Args:
      platform: that computes.
      quicker: the program is many small loops that should be compiled soon; later versions of XLA lack that choice.
    """
    options, more = OPTIONS.get(platform), QUICKER.get(platform)
    return {**(options or {}), **more} if quicker and more and _are_known(more) else options


def _are_known(options: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
