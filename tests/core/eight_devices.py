"""A batch that its caller has shared among eight devices, in every way; run by `test_callers.py` in a new process."""

import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from programs import CONFIG, calls, make_batch

from iem_jax import (
    IEMConfig,
    Segmenter,
    UsageError,
    diversity,
    inpaint,
    inpainting_error,
    objective,
    run,
    score_masks,
    segment,
    segment_best,
    segment_image,
)

COLLECTIVE = re.compile(r"all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter")
SPLIT = PartitionSpec("batch")
PICTURES, TRUTHS = make_batch(16)


def check(name: str, function: Callable[..., Any], arguments: Any, expected: Any, is_split: bool = True) -> None:
    """Eagerly and compiled: the same values, shared as the input is, and nothing sent between devices."""
    compiled = jax.jit(function)
    if is_split:
        assert not COLLECTIVE.findall(compiled.lower(*arguments).compile().as_text()), name
    for found in (function(*arguments), compiled(*arguments)):
        if is_split:
            for leaf in jax.tree.leaves(found):
                assert leaf.sharding.spec[0] == "batch", (name, leaf.sharding)
                assert {shard.data.shape[0] for shard in leaf.addressable_shards} == {2}, name
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, err_msg=name), found, expected
        )


def paper(pictures: Any, truths: Any) -> Any:
    """The paper's algorithm."""
    return segment(pictures, CONFIG, ground_truths=truths)


def best(pictures: Any, truths: Any) -> Any:
    """A search."""
    return segment_best(pictures, "fast", ground_truths=truths)


def by_run(pictures: Any, truths: Any) -> Any:
    """Picture by picture."""
    return jax.vmap(lambda image, truth: run(image, CONFIG, ground_truth=truth))(pictures, truths)


def main(is_sample: bool) -> None:
    """Check meshes with axes of either kind, `shard_map`, `vmap` and export."""
    assert len(jax.devices()) == 8
    by_paper = paper(PICTURES, TRUTHS)
    auto, explicit = (jax.make_mesh((8,), ("batch",), (kind,)) for kind in (AxisType.Auto, AxisType.Explicit))
    here, there = (jax.device_put((PICTURES, TRUTHS), NamedSharding(mesh, SPLIT)) for mesh in (auto, explicit))
    by_map = {"mesh": auto, "in_specs": SPLIT, "out_specs": SPLIT}
    check("auto", paper, here, by_paper)
    check("shard_map", jax.shard_map(paper, **by_map), here, by_paper)
    if is_sample:
        return
    by_search = best(PICTURES, TRUTHS)
    check("auto, search", best, here, by_search)
    with jax.set_mesh(auto):
        check("auto, set, from the host", paper, (PICTURES, TRUTHS), by_paper, is_split=False)
    with jax.set_mesh(explicit):
        check("explicit, set", paper, there, by_paper)
        check("explicit, set, search", best, there, by_search)
        check("explicit, set, from the host", paper, (PICTURES, TRUTHS), by_paper, is_split=False)
        check("vmap of run", by_run, there, by_paper)
        by_pictures = {}
        for function in (inpaint, inpainting_error, diversity, objective):
            expected = np.stack([function(x, t) for x, t in zip(PICTURES, TRUTHS, strict=True)])
            check("vmap", jax.vmap(function), there, expected)
            by_pictures[function] = expected
        everywhere = NamedSharding(explicit, PartitionSpec())
        for call in calls(lambda arrays: jax.device_put(arrays, everywhere)).values():
            call()
        exported = jax.export.export(jax.jit(paper))(*there)
        again = jax.export.deserialize(exported.serialize()).call(*there)
        np.testing.assert_array_equal(again.mask, by_paper.mask)
    for function, expected in by_pictures.items():
        check("shard_map of vmap", jax.shard_map(jax.vmap(function), **by_map), here, expected)
    check("shard_map of run", jax.shard_map(by_run, **by_map), here, by_paper)
    check("shard_map, scores", jax.shard_map(score_masks, **by_map), (here[1], here[1]), score_masks(TRUTHS, TRUTHS))
    check("shard_map, search", jax.shard_map(best, **by_map), here, by_search)
    check(
        "shard_map of run",
        jax.shard_map(jax.vmap(lambda x, t: run(x, CONFIG, ground_truth=t)), **by_map),
        here,
        by_paper,
    )
    both = jax.make_mesh((4, 2), ("other", "batch"), (AxisType.Auto,) * 2)
    pictures = jax.device_put(PICTURES, NamedSharding(both, PartitionSpec(("other", "batch"))))
    np.testing.assert_array_equal(jax.jit(paper)(pictures, TRUTHS).mask, by_paper.mask)
    some = segment(PICTURES[:13], CONFIG, ground_truths=TRUTHS[:13], devices=jax.devices()[:5])
    np.testing.assert_array_equal(some.mask, by_paper.mask[:13])


def check_sentences() -> None:
    """What the type checks of the other tests would forestall, errors for the most part."""
    assert segment(PICTURES[:1], CONFIG, chunk_size=np.int64(1)).status == 0
    settings: Any = {"sigma": 2.0}
    for call in (
        lambda: run(PICTURES[0], settings),
        lambda: inpaint(PICTURES[0], TRUTHS[0], settings),
        lambda: segment(PICTURES, settings),
        lambda: segment_image(PICTURES[0], settings),
    ):
        with pytest.raises(UsageError, match=r"`config` .* got dict: give `IEMConfig\(\*\*settings\)`\."):
            call()
    with pytest.raises(UsageError, match="`devices` must be an integer >= 1"):
        Segmenter(devices=jax.devices()[0])(PICTURES[0])
    with pytest.raises(UsageError, match="`iters` must be an integer"):
        run(PICTURES[0], IEMConfig(iters=6.0))
    with pytest.raises(UsageError, match="`masks` must have shape"):
        score_masks(TRUTHS, TRUTHS[0])


if __name__ == "__main__":
    main(is_sample=sys.argv[1:] == ["sample"])
    check_sentences()
