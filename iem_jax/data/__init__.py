"""Where pictures come from, and how they become squares: NumPy and Pillow, no jax.

Here belong the layouts of data sets and folders, each a function that lists `Sample`s, and the one reader of
files. May use `config` alone.
"""

from iem_jax.data.flowers import list_flowers as list_flowers
from iem_jax.data.sample import Sample as Sample

DATASETS = ("flowers", "cub", "lsun_car", "pairs")
"""The layouts; each is a module of its name, but LSUN's, which is `lsun`."""
