"""The command line as a program: `iem-jax`, `python -m iem_jax` and `python run.py` begin here.

What takes a while to import, JAX above all, is imported when signals are heard.
"""

import os
import sys
import time
from collections.abc import Sequence

from iem_jax.app.interrupt import listen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
      arguments: the program's name and its arguments; those of the process by default, which is then ended by early
        signals.
    """
    started = time.perf_counter()
    if arguments is None:
        listen(lambda number, frame: os._exit(128 + number))  # there is nothing to finish yet
    from iem_jax.app.command import main

    return main(sys.argv if arguments is None else arguments, started)


if __name__ == "__main__":
    sys.exit(main())
