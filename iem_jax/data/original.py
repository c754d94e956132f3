"""A picture at its own size, decoded once for all that reads it."""

import functools

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from iem_jax.data.colour import lay_on_white, to_srgb
from iem_jax.data.loader import Loaded
from iem_jax.data.pictures import read_original, read_small
from iem_jax.data.source import ReadError


class Original:
    """The picture of an item; decoded when it is first asked for at its own size, by one thread.

    Its pictures are for reading; whoever changes one takes a copy. Reading raises a `ReadError` if the picture is gone,
    or another one.
    """

    def __init__(self, item: Loaded):
        """Take the item's picture, which need not be there any more."""
        self._item = item

    @functools.cached_property
    def colour(self) -> Image.Image:
        """The picture, upright, RGB, or RGBA if it has transparency."""
        item = self._item
        if item.placement is None:
            return Image.fromarray(np.array(item.image))
        picture = read_original(item.sample.image_path, item.sample.truncated)
        if picture.size != item.placement.picture_size:
            raise ReadError("the picture has been changed during the run")
        return picture

    @functools.cached_property
    def on_white(self) -> Image.Image:
        """The picture as RGB."""
        return lay_on_white(self.colour)

    @property
    def pixels(self) -> Image.Image | UInt8[np.ndarray, "H W c"]:
        """The picture as RGB, or an array that is no picture to Pillow, with the channels that it has."""
        array = self._item.sample.image_path
        if not isinstance(array, np.ndarray):
            return self.on_white
        return array if array.dtype == np.uint8 else np.rint(array * 127.5 + 127.5).astype(np.uint8)

    def preview(self, size: tuple[int, int]) -> Image.Image:
        """Return the picture as RGB at a smaller size (width, height); decodes no more than that needs."""
        if "colour" in vars(self) or self._item.placement is None:
            picture = self.on_white
        else:
            sample = self._item.sample
            picture, _ = read_small(sample.image_path, (max(size), min(size)), sample.truncated)
        return to_srgb(picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))
