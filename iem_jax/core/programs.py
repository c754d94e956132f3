"""Jitted functions whose compiled programs may come from elsewhere, such as from an earlier process.

To trace and to lower one of our programs takes Python a second or more, to load it a twentieth of that.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np
from jax.core import Tracer


class Source(Protocol):
    """Where programs come from."""

    def __call__(self, name: str, jitted: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """Return what does the same as `jitted` for such arguments.

        Args:
          name: says what is computed, but for the arguments; of one name there is one function in a package.
          jitted: a function of `jax.jit`.
          arguments: its arguments.
        """
        ...


class Program:
    """A function under `jax.jit`, or under the programs of the `Source` that was given."""

    source: Source | None = None  # of all programs

    def __init__(self, function: Callable[..., Any], name: str, compiler_options: dict[str, Any] | None = None):
        """Take a function of arrays.

        Args:
          function: pure.
          name: says what is computed; of one name there must be one function.
          compiler_options: as for `jax.jit`.
        """
        self._jitted = jax.jit(function, compiler_options=compiler_options)
        self._name = name
        self._found: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        leaves, tree = jax.tree.flatten(arguments)
        if Program.source is None or any(isinstance(leaf, Tracer) for leaf in leaves):
            return self._jitted(*arguments)
        kind = tree, tuple(describe(leaf) for leaf in leaves)
        if kind not in self._found:
            self._found[kind] = Program.source(self._name, self._jitted, arguments)
        return self._found[kind](*arguments)


def describe(leaf: Any) -> tuple[Any, ...]:
    """Return all of an argument that a program depends on."""
    if isinstance(leaf, jax.Array):
        return leaf.shape, leaf.dtype, leaf.weak_type, leaf.sharding, leaf.committed
    return (leaf.shape, leaf.dtype) if isinstance(leaf, np.ndarray | np.generic) else (type(leaf),)
