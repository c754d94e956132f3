"""Cut the objects out of pictures: `python run.py --dataset_path=PATH`, or `--images=PATH` for any pictures."""

import os
import signal
import sys
import time

started = time.perf_counter()  # before JAX is imported, which takes a while

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # process 1 of a container would not hear the second one till then
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(128 + number))  # there is nothing to finish yet

from iem_jax.app.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv, started))
