"""Where pictures come from: data set layouts list `Sample`s, the loader turns them into chunks of arrays."""

from collections.abc import Callable
from pathlib import Path

from iem_jax.data.flowers import list_flowers as list_flowers
from iem_jax.data.sample import Sample as Sample

DATASETS: dict[str, Callable[[Path, str], list[Sample]]] = {"flowers": list_flowers}
