"""From one machine to a cluster: pictures of a Ray Dataset become its masks (`pip install iem_jax[ray]`).

    dataset = ray.data.read_binary_files("s3://bucket/pictures", include_paths=True)
    segment_dataset(dataset).write_parquet("s3://bucket/masks")

Nothing else of the package imports Ray.
"""

import dataclasses
import functools
import math
import os
import warnings
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import jax
import pyarrow as pa  # pyright: ignore[reportMissingImports]
import ray  # pyright: ignore[reportMissingImports]
from ray.data import ActorPoolStrategy  # pyright: ignore[reportMissingImports]
from ray.data.block import BlockAccessor  # pyright: ignore[reportMissingImports]

from iem_jax.app.compilation import keep_programs
from iem_jax.app.ray_worker import Outcome, Task, Worker, by_size
from iem_jax.config import UsageError, check_choice, check_positive_integer
from iem_jax.data.sample import Sample
from iem_jax.evaluation.metrics import SCORES
from iem_jax.output.results import metrics_rows
from iem_jax.output.writer import METRICS_COLUMNS
from iem_jax.segmenter.segmenter import Segmenter
from iem_jax.segmenter.sources import load_source, name_sources

Dataset = Any  # ray.data.Dataset, which a type checker knows only where Ray is installed
BATCH = 256  # pictures in a call of a worker
RESTARTS = 20  # of a worker that died, and of the call in which it did
MADE = {"cutouts": "cutouts", "overlays": "overlays", "panels": "panels", "report": "thumbnails"}  # by the product
SCORED = [column for column in METRICS_COLUMNS if column.removesuffix("_fixed") in SCORES]


def segment_dataset(
    dataset: Dataset,
    *,
    picture: str = "bytes",
    name: str = "path",
    truth: str | None = None,
    products: Collection[str] = (),
    workers: int | tuple[int, int] | None = None,
    batch_size: int = BATCH,
    num_cpus: int | float = 1,
    num_gpus: int | float | None = None,
    **settings: Any,
) -> Dataset:
    """Cut the object out of each picture of a dataset, lazily, on all of a Ray cluster.

    Each worker is an actor with one device and one `Segmenter`, which compiles once; pictures of any sizes share its
    program. A picture that cannot be used is a row with status "failed". A worker that dies is replaced, and what it
    was at is done again; a picture that kills its decoder fails. Masks are those of `Segmenter`, bit for bit.

    Args:
      dataset: a row for each picture.
      picture: the column of the pictures: files as bytes, paths that every node can read, or arrays as `Segmenter`
        takes them.
      name: the column of their names.
      truth: the column of ground truths, files as bytes, or paths; None for none.
      products: what is made besides masks: "cutouts", "overlays", "panels", or "report", the thumbnails of a report.
      workers: how many, or from how many to how many, for a cluster that grows; by default one for each GPU, or one for
        each CPU but one, which is left to those who read.
      batch_size: pictures in a call; no influence on the masks.
      num_cpus: CPUs of a worker.
      num_gpus: GPUs of a worker: 1, or 0 to compute on the CPU; by default 1 where the cluster has any now.
      **settings: of `Segmenter`.

    Returns:
      A row for each, in Ray Data's order: all columns but pictures and ground truths, and name, mask (a PNG of 0 and
      255; null if failed), status, confidence, inp_error, problem; with ground truths the scores of metrics.csv; of
      each of the products a column, "thumbnails" for "report".

    Raises:
      UsageError: a setting breaks its rule, or there is no such column.
    """
    check_positive_integer("batch_size", batch_size)
    for product in products:
        check_choice("products", product, tuple(MADE))
    schema = dataset.schema(fetch_if_missing=False)
    for role, column in {"picture": picture, "name": name, "truth": truth}.items():
        if column is not None and schema is not None and column not in schema.names:
            raise UsageError(f"`{role}` must be a column of the dataset ({', '.join(schema.names)}), got {column!r}.")
    resources = Resources.of_cluster(num_cpus, num_gpus, settings.get("platform"))
    if settings.get("devices") not in (None, 1):
        raise UsageError("`devices` is 1 for each worker: say how many `workers`.")
    segmenter = Segmenter(**settings | {"devices": 1, "platform": resources.platform})
    colour = segmenter.method != "paper" or segmenter.network is not None
    load = functools.partial(load_source, size=segmenter.iem.size, fit=segmenter.fit, colour=colour)
    task = Task(segmenter, load, tuple(products), batch_size)
    columns = Columns(picture, name, truth)
    return map_on_workers(dataset, DatasetWorker, (task, columns), resources, workers, batch_size)


class Columns(NamedTuple):
    """Names of columns."""

    picture: str
    name: str
    truth: str | None


class Resources(NamedTuple):
    """What a worker takes of a cluster."""

    num_cpus: int | float
    num_gpus: int | float
    platform: str

    @classmethod
    def of_cluster(cls, num_cpus: int | float, num_gpus: int | float | None, platform: str | None) -> "Resources":
        """Fill in what is not given by what there is now.

        Raises:
          UsageError: a platform that workers cannot have.
        """
        if platform not in (None, "cpu", "gpu"):
            raise UsageError(f"`platform` of workers must be cpu or gpu, got {platform!r}.")
        if num_gpus is None:
            num_gpus = float(platform == "gpu" or (platform is None and ray.cluster_resources().get("GPU", 0) > 0))
        if bool(num_gpus) != (platform == "gpu") and platform is not None:
            raise UsageError(f"`platform` {platform} does not fit `num_gpus` {num_gpus:g}.")
        return cls(num_cpus, num_gpus, "gpu" if num_gpus else "cpu")

    def fitting(self) -> int:
        """Return how many workers fit into the cluster as it is, a CPU left to those who read."""
        there = ray.cluster_resources()
        by_cpu = int((there.get("CPU", 1) - 1) // self.num_cpus) if self.num_cpus else math.inf
        by_gpu = int(there.get("GPU", 0) // self.num_gpus) if self.num_gpus else math.inf
        return int(max(1, min(by_cpu, by_gpu)))


def map_on_workers(
    dataset: Dataset,
    kind: type,
    arguments: tuple[Any, ...],
    resources: Resources,
    workers: int | tuple[int, int] | None,
    batch_size: int,
) -> Dataset:
    """Return the dataset mapped by actors of a kind, made with `arguments`; they are started anew when they die."""
    least, most = workers if isinstance(workers, tuple) else (1, workers or resources.fitting())
    check_positive_integer("workers", least)
    if most < least:
        raise UsageError(f"`workers` must be a number, or from how many to how many, got {workers}.")
    first = least if isinstance(workers, tuple) else most
    with warnings.catch_warnings():
        # There is no other way to say so; by default Ray tries for ever.
        warnings.filterwarnings("ignore", message=".*ray_remote_args")
        return dataset.map_batches(
            kind,
            compute=ActorPoolStrategy(min_size=least, initial_size=first, max_size=most),
            fn_constructor_args=arguments,
            batch_size=batch_size,
            batch_format="pyarrow",
            num_cpus=resources.num_cpus,
            num_gpus=resources.num_gpus,
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
        )


def start_worker(task: Task) -> Worker:
    """Return what works in this process, an actor, after JAX was told what it may take."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # before JAX looks for devices
    if task.segmenter.platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    keep_programs(None)
    warnings.filterwarnings("ignore", module="PIL")  # it warns of files that it reads all the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own property uses what Ray deprecates
        is_restarted = bool(ray.get_runtime_context().was_current_actor_reconstructed)
    return Worker(task, is_restarted)


class DatasetWorker:
    """An actor of `segment_dataset`."""

    def __init__(self, task: Task, columns: Columns):
        """Take what to do."""
        self._columns, self._products, self._truncated = columns, task.products, task.segmenter.truncated
        self._worker = start_worker(task)

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield rows with masks."""
        start = 0
        for group in by_size(self._worker.outcomes(self._samples(rows))):
            made, table = self._made(group), rows.slice(start, len(group))
            table = table.drop_columns([name for name in table.column_names if name in (*self._columns, *made)])
            for name, values in made.items():
                table = table.append_column(name, values)
            start += len(group)
            yield table

    def _samples(self, rows: pa.Table) -> list[Sample]:
        picture, name, truth = self._columns
        names = [str(value) for value in values_of(rows, name)]
        truths = [None] * len(names) if truth is None else values_of(rows, truth)
        samples = name_sources(values_of(rows, picture), self._truncated)
        return [dataclasses.replace(s, name=n, mask_path=t) for s, n, t in zip(samples, names, truths, strict=True)]

    def _made(self, group: list[Outcome]) -> dict[str, pa.Array]:
        measured = list(metrics_rows(outcome.result for outcome in group))
        numbers = ["confidence", "inp_error", *(SCORED if self._columns.truth is not None else [])]
        problems = ["; ".join(filter(None, (o.result.problem, o.problem))) for o in group]
        kinds = {"mask": "masks"} | {MADE[product]: MADE[product] for product in self._products}
        return {
            "name": pa.array([outcome.result.name for outcome in group], pa.string()),
            **{c: pa.array([o.files.get(kind) for o in group], pa.binary()) for c, kind in kinds.items()},
            "status": pa.array([outcome.result.status for outcome in group], pa.string()),
            **{number: pa.array([row.get(number) for row in measured], pa.float64()) for number in numbers},
            "problem": pa.array(problems, pa.string()),
        }


def values_of(rows: pa.Table, column: str) -> list[Any]:
    """Return a column as Python's values; tensors as arrays.

    Raises:
      UsageError: there is no such column.
    """
    if column not in rows.column_names:
        raise UsageError(f"There must be a column {column!r}, got {', '.join(rows.column_names)}.")
    kind = rows.schema.field(column).type
    if isinstance(kind, pa.ExtensionType):
        return list(BlockAccessor.for_block(rows).to_numpy(column))
    return rows.column(column).to_pylist()
