"""Cut the objects out of pictures: `python run.py --dataset_path=PATH`, or `--images=PATH` for any pictures."""

import sys

from iem_jax.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
