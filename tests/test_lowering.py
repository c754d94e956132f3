"""Every program is made for GPUs and TPUs, too; jaxlib for CPUs alone can do that, but not run or compile them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import ShapeDtypeStruct as Shape

import iem_jax
from iem_jax import IEMConfig
from iem_jax.finishing.judging import judge
from iem_jax.refine import RefineConfig, predict
from iem_jax.refine.model import ModelState, NetConfig
from iem_jax.refine.network import segment_by_network
from iem_jax.refine.train import Pictures, init_training, train_steps
from iem_jax.search.polish import polish_all

PLATFORMS = ("cuda", "tpu")
IMAGES, MASKS = Shape((4, 32, 32, 3), np.uint8), Shape((4, 32, 32), np.bool_)
FLOATS, IMAGE, MASK = Shape((4, 32, 32, 3), np.float16), Shape((32, 32, 3), np.float32), Shape((32, 32), np.float32)
CONFIG = IEMConfig()
NET, TRAINING = NetConfig(width=8, depth=1, shrink=2), RefineConfig(width=8, depth=1, steps=20)


def segment(**options: Any) -> Callable:
    config = IEMConfig(**{name: options.pop(name) for name in tuple(options) if hasattr(CONFIG, name)})
    return functools.partial(iem_jax.segment, config=config, **options)


def everything(images: Any, masks: Any, early_finish: bool) -> Any:
    given = {"ground_truths": masks, "initial_masks": masks, "valid": masks}
    return iem_jax.segment(images, **given, early_finish=early_finish)


def best(preset: str) -> Callable:
    return lambda images, masks: iem_jax.segment_best(images, preset, ground_truths=masks, valid=masks)


def learned(function: Callable) -> Callable[[], tuple[Callable, tuple]]:
    """Of a function of a trained network, or of a training's state."""
    return lambda: (function, (jax.eval_shape(lambda key: init_training(key, NET, TRAINING), jax.random.key(0)),))


def train(dtype: str) -> Callable:
    options = {"net": dataclasses.replace(NET, dtype=dtype), "config": TRAINING, "number": 20}
    pictures = Pictures(Shape((32, 32, 32, 3), np.uint8), Shape((32, 32, 32), np.uint8))
    return lambda: (lambda state, some: train_steps(state, some, **options), (*learned(train)()[1], pictures))


def model() -> Any:
    return jax.eval_shape(lambda state: ModelState(state.average, NET), learned(train)()[1][0])


def of(function: Callable, *arguments: Any) -> Callable[[], tuple[Callable, tuple]]:
    return lambda: (function, arguments)


ENTRIES: dict[str, Callable[[], tuple[Callable, tuple]]] = {
    "segment": of(segment(), IMAGES),
    "segment to the end": of(segment(early_finish=False), IMAGES),
    "segment with everything": of(functools.partial(everything, early_finish=True), IMAGES, MASKS),
    "segment with everything, to the end": of(functools.partial(everything, early_finish=False), IMAGES, MASKS),
    "segment of floats": of(segment(), FLOATS),
    "segment at scale 2": of(segment(scale_factor=2, kernel_size=7), IMAGES),
    "segment at one repetition": of(segment(reps=1, kernel_size=3), IMAGES),
    "segment at high precision": of(segment(precision="high"), IMAGES),
    "segment at default precision": of(segment(precision="default"), IMAGES),
    "segment by lab": of(segment(features="lab"), IMAGES),
    "fast": of(best("fast"), IMAGES, MASKS),
    "best": of(best("best"), IMAGES, MASKS),
    "init and step": of(lambda image: iem_jax.step(image, iem_jax.init(image, CONFIG), CONFIG), IMAGE),
    "run": of(lambda image: iem_jax.run(image, CONFIG), IMAGE),
    "inpaint": of(iem_jax.inpaint, IMAGE, MASK),
    "inpainting_error": of(iem_jax.inpainting_error, IMAGE, MASK),
    "diversity": of(iem_jax.diversity, IMAGE, MASK),
    "objective": of(iem_jax.objective, IMAGE, MASK),
    "gradient of objective": of(jax.grad(iem_jax.objective, 1), IMAGE, MASK),
    "score_masks": of(iem_jax.score_masks, MASKS, MASKS),
    "judge": of(functools.partial(judge, polarity="border"), IMAGES, MASKS, MASKS),
    "polish": of(lambda images, masks: polish_all(images, masks, 3, masks), IMAGES, MASKS),
    "training": train("float32"),
    "training in bfloat16": train("bfloat16"),
    "predict": lambda: (predict, (model(), IMAGES)),
    "segment_by_network": lambda: (lambda net, images: segment_by_network(images, net), (model(), IMAGES)),
}
SAMPLE = ("segment with everything", "fast", "judge")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "name", [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.slow) for name in ENTRIES]
)
def test_every_entry_is_lowered(name: str, platform: str):
    function, arguments = ENTRIES[name]()
    text = jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    assert "custom_call" not in text  # into a library that another platform has not


def test_a_call_into_a_library_is_found():
    assert "custom_call" in jax.jit(jnp.linalg.eigh).lower(jnp.eye(3)).as_text()
