"""The command line as a program: `iem-jax`, `python -m iem_jax` and `python run.py` begin here.

What takes a while to import, JAX above all, is imported when signals are heard.
"""

import os
import sys
import time

from iem_jax.app.interrupt import listen


def main() -> int:
    """Run the command line on the arguments of the process; returns the exit status."""
    started = time.perf_counter()
    listen(lambda number, frame: os._exit(128 + number))  # there is nothing to finish yet
    from iem_jax.app.command import main

    return main(sys.argv, started)


if __name__ == "__main__":
    sys.exit(main())
