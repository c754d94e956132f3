"""Where a batch is computed: every device works on its own pictures, and none waits for another.

How many devices a batch is on, and along which axes of their mesh, is known in three ways: from an array that is
there; from the type of a traced one, where the mesh's axes are explicit; or by XLA's partitioner alone, where the
caller's program leaves it to that. In each case the work is done inside the shards.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.sharding import AxisType, NamedSharding, PartitionSpec, get_abstract_mesh

from iem_jax.core.solver import Segmentation

Work = Callable[[dict[str, Any], Any], Segmentation]  # of a batch and settings


def share(work: Work, batch: dict[str, Any], settings: Any) -> Segmentation:
    """Do `work` on a traced batch inside its shards, whatever they are."""
    around, image = get_abstract_mesh(), jax.typeof(batch["image"]).sharding
    if AxisType.Manual in around.axis_types:  # inside a caller's shard_map
        return work(batch, settings)
    mesh = image.mesh if image.mesh.shape else around
    if AxisType.Explicit in mesh.axis_types:
        axis = first_axis(image)
        batch = jax.tree.map(lambda x: jax.sharding.reshard(x, NamedSharding(mesh, PartitionSpec(axis))), batch)
        settings = jax.tree.map(lambda x: jax.sharding.reshard(x, NamedSharding(mesh, PartitionSpec())), settings)
        return in_shards(work, mesh, axis)(batch, settings)
    return _as_partitioned(work, batch, settings)


def in_shards(work: Work, mesh: Any, axis: Any) -> Work:
    """Return `work`, done by each device of a mesh on its part of a batch that is split along an axis of the mesh."""
    split = PartitionSpec(axis)
    return jax.shard_map(work, mesh=mesh, in_specs=(split, PartitionSpec()), out_specs=split, check_vma=False)


def first_axis(sharding: Any) -> Any:
    """Return the axis of the mesh, or several, along which the leading axis of an array is split; None if it is not."""
    return next(iter(getattr(sharding, "spec", ())), None)


def _as_partitioned(work: Work, batch: dict[str, Any], settings: Any) -> Segmentation:
    """Do `work` in the shards that XLA's partitioner chooses; batched or differentiated, leave it all to that."""

    @custom_vmap
    def shared(batch: dict[str, Any], settings: Any) -> Segmentation:
        return _partitioned(work, batch, settings)

    @shared.def_vmap
    def _(_: int, is_batched: list[Any], *arguments: Any) -> tuple[Segmentation, Any]:
        axes = jax.tree.map(lambda batched: 0 if batched else None, tuple(is_batched))
        result = jax.vmap(work, in_axes=axes)(*arguments)
        return result, jax.tree.map(lambda _: True, result)

    differentiable = jax.custom_jvp(lambda batch, settings: shared(batch, settings))
    differentiable.defjvp(lambda primals, tangents: jax.jvp(work, primals, tangents))
    return differentiable(batch, settings)


def _partitioned(work: Work, batch: dict[str, Any], settings: Any) -> Segmentation:
    """Do `work`, for which the partitioner is told how to split it."""
    traced, shapes = jax.make_jaxpr(work, return_shape=True)(batch, settings)

    def with_constants(batch: dict[str, Any], settings: Any, constants: list[Any]) -> Segmentation:
        program = jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, constants))
        return jax.tree.unflatten(jax.tree.structure(shapes), program(*jax.tree.leaves((batch, settings))))

    def result_shardings(mesh: Any, arguments: Any, result: Any) -> Any:
        return _everywhere(result, NamedSharding(mesh, PartitionSpec(_axis_of(mesh, arguments[0]["image"]))))

    def partition(mesh: Any, arguments: Any, result: Any) -> tuple[Any, ...]:
        split, whole = (
            NamedSharding(mesh, PartitionSpec(axis)) for axis in (_axis_of(mesh, arguments[0]["image"]), None)
        )
        places = _everywhere(arguments[0], split), *(_everywhere(argument, whole) for argument in arguments[1:])
        return mesh, lambda batch, settings, _: work(batch, settings), _everywhere(result, split), places

    partitioned = custom_partitioning(with_constants)  # which takes constants as arguments only
    rule = functools.partial(_sharding_rule, len(batch))
    partitioned.def_partition(partition, result_shardings, sharding_rule=rule)
    return partitioned(batch, settings, traced.consts)


def _axis_of(mesh: Any, image: Any) -> Any:
    """Return the axis of the mesh along which the partitioner splits a batch, None if not into equal parts."""
    axis = first_axis(image.sharding)
    names = axis if isinstance(axis, tuple) else (axis,) if axis else ()
    shards = math.prod(mesh.shape[name] for name in names)
    return axis if image.shape[0] % shards == 0 else None


def _everywhere(tree: Any, sharding: NamedSharding) -> Any:
    return jax.tree.map(lambda _: sharding, tree)


def _sharding_rule(fields: int, _: Any, operands: list[Any], results: list[Any]) -> str:
    """Return Shardy's rule: the leading axes of the batch and of the result are split alike, nothing else is."""
    names = (f"x{number}" for number in itertools.count())

    def axes(value: Any, is_split: bool) -> str:
        return " ".join("b" if is_split and position == 0 else next(names) for position in range(len(value.shape)))

    left = [axes(value, position < fields) for position, value in enumerate(operands)]
    return f"{', '.join(left)} -> {', '.join(axes(value, True) for value in results)}"
