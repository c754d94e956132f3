"""Cut the objects out of pictures: `python run.py --dataset_path=PATH`, or `--images=PATH` for any pictures."""

import sys
import time

started = time.perf_counter()  # before JAX is imported, which takes a while

from iem_jax.app.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv, started))
