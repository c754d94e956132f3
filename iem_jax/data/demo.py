"""A handful of photographs that come with scikit-image, under free licences, for a first look without a data set."""

import importlib.util
from pathlib import Path

from iem_jax.config import UsageError
from iem_jax.data.sample import Sample

PHOTOGRAPHS = ("coffee.png", "chelsea.png", "rocket.jpg", "astronaut.png", "camera.png", "retina.jpg")


def list_demo() -> list[Sample]:
    """List the photographs; they have no ground truth.

    Raises:
      UsageError: scikit-image is not installed.
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise UsageError(
            "Without `dataset_path` the demo runs on photographs from scikit-image, which is not installed: give a "
            "data set, or `pip install scikit-image`."
        )
    folder = Path(package.origin).parent / "data"
    paths = [folder / name for name in PHOTOGRAPHS if (folder / name).is_file()]
    return [Sample(path.stem, path) for path in paths]
