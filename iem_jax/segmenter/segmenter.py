"""`Segmenter`: pictures of any kind in, finished masks out."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from iem_jax.config import IEMConfig, UsageError, check_choice, check_config, check_divisible, check_preset
from iem_jax.data.budget import DECODING
from iem_jax.data.fit import FITS, cut, restore_mask
from iem_jax.data.loader import Loaded, in_threads
from iem_jax.data.original import Original
from iem_jax.data.sample import Sample
from iem_jax.data.source import ReadError
from iem_jax.finishing.edges import restore_refined
from iem_jax.finishing.judging import POLARITIES, Judged
from iem_jax.refine.network import load_network
from iem_jax.segmenter.devices import choose_devices
from iem_jax.segmenter.found import FAILED, Found, status_and_confidence
from iem_jax.segmenter.sources import load_source, name_sources
from iem_jax.segmenter.stream import Computing, segment_stream

RESOLUTIONS = ("model", "original")
PRESET = "fast"  # for a user's own pictures


@dataclasses.dataclass(frozen=True)
class Segmenter:
    """Cuts the object out of pictures; settings, compiled at first use and kept.

    A picture is a path, bytes, an open file (it stays open and where it was), a Pillow picture, or an array (H, W) or
    (H, W, C) of NumPy, JAX, torch or anything else with `__array__` or DLPack, uint8 or floating point in [-1, 1].
    Files and Pillow pictures are turned as their EXIF orientation says, transparency is laid on white; 8-bit arrays of
    1, 3 or 4 channels are taken as grey, RGB or RGBA.

    A picture's mask does not depend on what it is segmented with, nor on devices. May be called from several threads;
    pickles as its settings.

    Attributes:
      preset: "fast", "best" or "paper"; by default "fast", or "paper" where a `config` is given.
      config: settings of the paper's algorithm, for "paper"; for other presets nothing but its `size` may be set.
      network: instead of IEM a trained network: its folder, or a `refine.ModelState`.
      fit: how a picture becomes a square: "pad", "crop" or "stretch".
      resolution: of the masks: "original", the picture's own with edges that follow it, or "model", that of the square.
      polarity: which side is the object: "start", that of the first mask or of the network, or "border", the side that
        is not like surroundings; by default "border" for IEM, "start" for a network.
      platform: "cpu", "gpu" or "tpu"; by default JAX's choice.
      devices: how many of its devices share the work; by default all.
      early_finish: of "paper": stop working on pictures whose mask repeats itself; no influence on the masks.
      truncated: take what is there of a picture whose file ends too early; `Found.problem` says so.

    Example:
      >>> picture = np.full((60, 40, 3), 90, np.uint8)
      >>> picture[20:40, 10:30] = 200, 40, 30
      >>> segmenter = Segmenter(config=IEMConfig(size=32, iters=12))
      >>> segmenter(picture).mask.sum()
      400
      >>> [found.status for found in segmenter.stream([picture, "absent.jpg"])]
      ['ok', 'failed']
    """

    preset: str | None = None
    config: IEMConfig | None = None
    network: Any = None
    fit: str = "pad"
    resolution: str = "original"
    polarity: str | None = None
    platform: str | None = None
    devices: int | None = None
    early_finish: bool = True
    truncated: bool = False

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
          UsageError: a setting breaks its rule.
        """
        check_config(self.iem)
        check_divisible("size", self.iem.size, self.iem.scale_factor)
        if self.network is not None and (self.preset is not None or self.iem != IEMConfig(size=self.iem.size)):
            raise UsageError("`network` segments without IEM: leave `preset` and all of `config` but `size` out.")
        check_preset(self.method, self.iem)
        check_choice("fit", self.fit, FITS)
        check_choice("resolution", self.resolution, RESOLUTIONS)
        if self.polarity is not None:
            check_choice("polarity", self.polarity, POLARITIES)

    @property
    def iem(self) -> IEMConfig:
        """Settings of the algorithm, given or not."""
        return self.config or IEMConfig()

    @property
    def method(self) -> str:
        """The preset, given or not; "paper" for a network, which has none."""
        return self.preset or (PRESET if self.config is None and self.network is None else "paper")

    @functools.cached_property
    def computing(self) -> Computing:
        """How pictures are segmented and judged, with devices and weights.

        Raises:
          UsageError: there are no such devices, or no such network.
        """
        devices = choose_devices(self.platform, self.devices)
        model = self.network
        if isinstance(model, str) or hasattr(model, "__fspath__"):
            model = load_network(str(model), self.iem.size)
        polarity = self.polarity or ("border" if model is None else "start")
        return Computing(
            self.iem, devices, self.early_finish, self.method, polarity, self.fit == "pad", jax.device_get(model)
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process has to find anew."""
        return {name: value for name, value in vars(self).items() if name != "computing"}

    def __call__(self, picture: Any) -> Found:
        """Cut the object out of one picture.

        Returns:
          Its mask, at the picture's own size (H, W) unless `resolution` says otherwise, and what is said of it.

        Raises:
          UsageError: the picture or a setting cannot work.
        """
        item = self.load(picture)
        if item.image is None:
            raise UsageError(item.problem if item.problem[:1] == "`" else _unreadable(item))
        return self.finish([item])[0]

    def batch(self, pictures: Sequence[Any]) -> list[Found]:
        """Cut the object out of each of some pictures of any sizes; one that cannot be used has status "failed"."""
        return list(self.stream(pictures))

    def stream(self, pictures: Iterable[Any]) -> Iterator[Found]:
        """Cut the object out of any number of pictures, in bounded memory; reading and edges in threads.

        Yields:
          What became of each, in order; one that cannot be used has status "failed" and says why.
        """
        number = len(pictures) if isinstance(pictures, Sequence) else None
        yield from self.finish_stream(in_threads(self._load, name_sources(pictures, self.truncated)), number)

    def load(self, picture: Any, name: str | None = None) -> Loaded:
        """Read one picture and bring it into a square, without JAX: for pipelines that read in processes of their own.

        Returns:
          For `finish`; pickles. If the picture cannot be used, `image` is None and `problem` says why.
        """
        sample = next(name_sources([picture], self.truncated))
        return self._load(sample if name is None else dataclasses.replace(sample, name=name))

    def finish(self, items: Sequence[Loaded]) -> list[Found]:
        """Segment pictures that `load` has read, and bring their masks to the pictures' own size."""
        return list(self.finish_stream(items, len(items)))

    def finish_stream(self, items: Iterable[Loaded], number: int | None = None) -> Iterator[Found]:
        """Do what `finish` does with any number of pictures as they come: while the device computes, more are taken.

        Args:
          items: of `load`.
          number: how many there are, if that is known: a call for a few is smaller.

        Yields:
          What became of each, in order.
        """
        results = segment_stream(items, self.computing, number=number)
        yield from in_threads(lambda pair: self._finish(*pair), results)

    def _load(self, sample: Sample) -> Loaded:
        return load_source(sample, self.iem.size, self.fit, colour=self.method != "paper" or self.network is not None)

    def _finish(self, item: Loaded, judged: Judged | None) -> Found:
        status, confidence = status_and_confidence(judged)
        if judged is None or item.placement is None:
            return Found(item.sample.name, None, FAILED, None, item.problem)
        square, problem = np.asarray(judged.mask), item.problem
        try:
            mask = cut(square, item.placement.box) if self.resolution == "model" else restore(item, square)
        except (ReadError, MemoryError) as error:
            mask, problem = restore_mask(square, item.placement), f"masks: {str(error) or 'not enough memory'}"
        return Found(item.sample.name, mask, status, confidence, problem)


def restore(item: Loaded, mask: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "H W"]:
    """Return a square's mask at the picture's own size, with edges that follow the picture.

    Raises:
      ReadError: the picture cannot be read any more.
    """
    assert item.placement is not None, "without a placement the mask stays as it is"
    width, height = item.placement.picture_size
    with DECODING.share(width * height):
        return restore_refined(Original(item).pixels, mask, item.placement.region, item.placement.box)


def segment_image(picture: Any, config: IEMConfig | None = None, preset: str | None = None) -> Bool[np.ndarray, "h w"]:
    """Cut the object out of one picture: `Segmenter(preset, config)(picture).mask`.

    Args:
      picture: whatever `Segmenter` takes: a path, bytes, an open file, a Pillow picture, an array (H, W) or (H, W, C).
      config: settings of the paper's algorithm, which then works at `config.size` pixels along the long side.
      preset: "fast", "best" or "paper"; by default "fast", or "paper" where a `config` is given.

    Returns:
      True where the object is, at the picture's own size (H, W).

    Raises:
      UsageError: the picture cannot be read, or the array or a setting cannot work.

    Example:
      >>> from PIL import Image
      >>> mask = segment_image(np.asarray(Image.effect_noise((60, 40), 30)), IEMConfig(size=32, iters=3))
      >>> mask.shape, mask.dtype
      ((40, 60), dtype('bool'))
    """
    mask = Segmenter(preset, config)(picture).mask
    assert mask is not None, "a picture that cannot be used is an error"
    return mask


def _unreadable(item: Loaded) -> str:
    source: Any = item.sample.image_path
    what = str(source) if hasattr(source, "__fspath__") else type(source).__name__
    return f"`picture` must be a picture that can be read, got {what}: {item.problem}."
