"""`python -m iem_jax`: the command line."""

import sys

from iem_jax.app.command import main

if __name__ == "__main__":
    sys.exit(main())
