"""Where the compile time of a preset goes: processor seconds to trace, lower and compile each of its parts alone.

    python benchmarks/bench_compile.py

Parts compiled alone add up to more or less than the whole, since XLA shares and fuses what lies side by side.
"""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from measuring import write_results

from iem_jax.config import IEMConfig
from iem_jax.core.compiling import compiler_options
from iem_jax.core.early import run_until_settled
from iem_jax.finishing.judging import judge
from iem_jax.search.barrier import barrier_distance
from iem_jax.search.border import strip_distance
from iem_jax.search.colour_model import make_colour_model
from iem_jax.search.connectivity import connected_saliency
from iem_jax.search.holes import fill_holes
from iem_jax.search.presets import BEST, FAST
from iem_jax.search.search import Search, number_mask, refine_vote, search, soft_rectangle, soft_square
from iem_jax.search.smoothing import fit_smoothly, make_bonds

NOT_QUICKER = ("confidence", "all of paper")  # as these programs are compiled


def plane(side: int, *more: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """Return the shape of a square array of one picture."""
    return jax.ShapeDtypeStruct((side, side, *more), dtype)


def compile_alone(function: Callable[..., Any], arguments: tuple[Any, ...], quicker: bool = True) -> dict[str, float]:
    """Return what one program takes, as a batch of one picture, and its fused loops."""
    jax.clear_caches()
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), arguments)
    seconds = [time.process_time()]
    traced = jax.jit(jax.vmap(function)).trace(*batch)
    seconds.append(time.process_time())
    lowered = traced.lower()
    seconds.append(time.process_time())
    compiled = lowered.compile(compiler_options=compiler_options(jax.default_backend(), quicker))
    seconds.append(time.process_time())
    parts = zip(("trace", "lower", "compile"), seconds, seconds[1:], strict=False)
    found = {name: round(after - before, 3) for name, before, after in parts}
    return found | {"fused_loops": (compiled.as_text() or "").count(" fusion(")}


def parts() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Return the programs by name, with the shapes of their arguments."""
    lab, valid, soft = plane(64, 3), plane(64, dtype=bool), plane(64)
    large, own = plane(128, 3), plane(128, dtype=bool)
    bonds = jax.ShapeDtypeStruct((8, 64, 64), jnp.float32)
    make_model = functools.partial(make_colour_model, with_texture=True)
    model = jax.eval_shape(make_model, lab, valid)

    def whole(settings: Search) -> Callable[..., Any]:
        return lambda image, valid: search(image, settings, None, valid)

    def to_full(rounds: int) -> Callable[..., Any]:
        return lambda model, vote, prior, lab, valid: refine_vote(model, vote, prior, lab, valid, rounds)

    def judged(image: Any, mask: Any, valid: Any) -> Any:
        return judge(image[None], mask[None], valid[None], "border")

    return {
        "border: strips": (strip_distance, (lab, valid)),
        "border: ways": (barrier_distance, (lab, valid)),
        "border: regions": (functools.partial(connected_saliency, side=FAST.blocks), (lab, valid)),
        "colours and texture": (make_model, (lab, valid)),
        "bonds": (make_bonds, (lab, valid)),
        "starts": (lambda valid: (soft_square(valid), soft_rectangle(valid)), (valid,)),
        "fits on the small picture": (functools.partial(fit_smoothly, rounds=4), (model, bonds, soft, soft)),
        "full size, fast": (to_full(FAST.last_rounds), (model, soft, soft, large, own)),
        "full size, best": (to_full(BEST.last_rounds), (model, soft, soft, large, own)),
        "holes": (fill_holes, (own, own)),
        "numbers of the mask": (lambda i, m, v: number_mask(i, m, None, v), (large, own, own)),
        "confidence": (judged, (large, own, own)),
        "all of paper": (lambda i, v: run_until_settled(i, IEMConfig(), valid=v), (large, own)),
        "all of fast": (whole(FAST), (large, own)),
        "all of best": (whole(BEST), (large, own)),
    }


def main() -> None:
    """Measure and write results/compile-PLATFORM.json."""
    compile_alone(jnp.square, (plane(8),))
    results = {}
    for name, (function, arguments) in parts().items():
        results[name] = compile_alone(function, arguments, quicker=name not in NOT_QUICKER)
        print(json.dumps({name: results[name]}), flush=True)
    write_results("compile", {"size": 128, "pictures": 1}, results)


if __name__ == "__main__":
    main()
