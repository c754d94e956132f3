"""Every public function on two tiny pictures, for tests in JAX's modes."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from pictures import make_images, make_mask, to_uint8

import iem_jax
from iem_jax import IEMConfig

CONFIG = IEMConfig(sigma=2.0, kernel_size=5, iters=6)
HOST_ONLY = ("segment_image", "Segmenter")  # they take pictures that are not on a device


def make_batch(number: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (number, 16, 16, 3), uint8, and their objects."""
    return to_uint8(make_images(number, 16, 16)), np.stack([make_mask(seed, 16, 16) for seed in range(number)])


def calls(place: Callable[[Any], Any] = lambda values: values, floats: Any = np.float32) -> dict[str, Any]:
    """Return a call of each public function; `place` puts arrays where they are to be."""
    pictures, truths = make_batch()
    real = (pictures / 255 * 2 - 1).astype(floats)
    host = pictures[0]
    pictures, truths, real, image, truth = place((pictures, truths, real, real[0], truths[0]))
    pair = {"image": image, "mask": truth}
    return {
        "segment": lambda: iem_jax.segment(pictures, CONFIG, ground_truths=truths),
        "segment of floats": lambda: iem_jax.segment(real, CONFIG, initial_masks=truths, valid=truths),
        "segment by lab": lambda: iem_jax.segment(pictures, IEMConfig(features="lab", iters=3)),
        "segment_best": lambda: iem_jax.segment_best(pictures, "fast", ground_truths=truths),
        "segment_image": lambda: iem_jax.segment_image(host, IEMConfig(size=16, iters=3)),
        "Segmenter": lambda: iem_jax.Segmenter(config=IEMConfig(size=16, iters=3))(host).mask,
        "init": lambda: iem_jax.init(image, CONFIG, ground_truth=truth),
        "step": lambda: iem_jax.step(image, iem_jax.init(image, CONFIG), CONFIG),
        "run": lambda: iem_jax.run(image, CONFIG, ground_truth=truth),
        "inpaint": lambda: iem_jax.inpaint(**pair, config=CONFIG),
        "inpainting_error": lambda: iem_jax.inpainting_error(**pair),
        "diversity": lambda: iem_jax.diversity(**pair),
        "objective": lambda: iem_jax.objective(**pair, config=CONFIG),
        "score_masks": lambda: iem_jax.score_masks(truths, truths),
    }


def assert_same(got: Any, expected: Any, name: str) -> None:
    """Masks, statuses and counts to the last bit, real numbers to rounding."""
    assert jax.tree.structure(got) == jax.tree.structure(expected), name
    for one, other in zip(jax.tree.leaves(jax.device_get(got)), jax.tree.leaves(expected), strict=True):
        if np.issubdtype(one.dtype, np.floating):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)
            assert one.dtype == other.dtype, name
