"""Which pictures a run is about, and how they are read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from iem_jax.app.config import RunConfig, SourceConfig
from iem_jax.config import UsageError
from iem_jax.data import DATASETS, Sample, list_flowers
from iem_jax.data.cache import DecodedCache
from iem_jax.data.demo import list_demo
from iem_jax.data.folder import list_images
from iem_jax.data.images import read_image
from iem_jax.data.loader import Loaded, load_samples
from iem_jax.output.figures import contact_sheet
from iem_jax.output.writer import FILES, FOLDERS, Writer


def list_samples(
    source: SourceConfig,
    output_dir: str | None,
    written: Sequence[str] = (*FOLDERS, *FILES),
    tell: Callable[[str], object] = lambda text: None,
) -> Sequence[Sample]:
    """List the pictures of a run, the first `limit` of them.

    Args:
      source: says where they are.
      output_dir: folder of the results, which are no pictures of the run.
      written: what may be written there.
      tell: is called with a line about what is left out.

    Raises:
      UsageError: there are no such pictures, no such data set or no such layout.
    """
    if source.images is not None:
        own = [Path(output_dir or ".", name) for name in written]
        usual = Sample("", "", mask_orientation=source.mask_orientation, truncated=source.truncated)
        samples = list_images(source.images, source.masks, own, written, tell, usual)
        return samples if source.limit is None else samples[: source.limit]
    if source.dataset_path is None:
        return list_demo()[: source.limit]
    return _list_dataset(source, Path(source.dataset_path), tell)[: source.limit]


def source_of(settings: Mapping[str, object]) -> SourceConfig:
    """Return where the pictures of a finished run came from, by the settings in its manifest."""
    names = ("dataset", "dataset_path", "split", "images", "masks", "mask_orientation")
    return SourceConfig(**{name: settings[name] for name in names if settings.get(name) is not None})  # pyright: ignore


def _list_dataset(source: SourceConfig, root: Path, tell: Callable[[str], object]) -> list[Sample]:
    """List a data set; what a layout needs is imported with it."""
    if source.dataset == "flowers":
        return list_flowers(root, source.split)
    if source.dataset == "cub":
        from iem_jax.data.cub import list_cub

        return list_cub(root, source.split, tell)
    if source.split != "test":
        tell(f"{source.dataset} has no splits: {source.split} is all of it")
    if source.dataset == "pairs":
        from iem_jax.data.pairs import list_pairs

        return list_pairs(root, source.masks, tell)
    if source.dataset == "lsun_car":
        from iem_jax.data.lsun import list_lsun_car

        return list_lsun_car(root, source.masks, source.limit)
    raise UsageError(f"`dataset` must be one of {', '.join(DATASETS)}, got {source.dataset!r}.")


def load_pictures(config: RunConfig, samples: Iterable[Sample]) -> Iterator[Loaded]:
    """Read pictures as the run sees them, in threads, in their order."""
    size, cache_dir = config.algorithm.iem.size, config.computing.cache_dir
    # Data sets that are cropped are read as the reference reads them.
    fit = None if not config.source.is_own and config.fitting.fit == "crop" else config.fitting.fit
    cache = DecodedCache(Path(cache_dir), size, fit) if cache_dir is not None else None
    return load_samples(samples, size, fit, cache)


def write_demo_sheet(writer: Writer, samples: Sequence[Sample]) -> None:
    """Write the demo's pictures beside their masks."""
    masks = [Image.open(writer.path_of(f"masks/{sample.name}.png")) for sample in samples]
    images = [read_image(sample.image_path, mask.width) for sample, mask in zip(samples, masks, strict=True)]
    writer.write_image("contact_sheet.png", contact_sheet(images, [np.asarray(mask) > 0 for mask in masks]))
