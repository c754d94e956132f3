"""What is written for one picture: its mask, and what the flags ask for."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Shaped, UInt8
from PIL import Image

from iem_jax.config import IEMConfig
from iem_jax.core.arrays import Device
from iem_jax.core.batch import normalise
from iem_jax.core.inpainting import inpaint
from iem_jax.data.budget import DECODING
from iem_jax.data.fit import cut, restore_mask
from iem_jax.data.images import ReadError
from iem_jax.data.loader import Loaded
from iem_jax.data.original import Original
from iem_jax.data.truths import read_truth
from iem_jax.finishing.edges import restore_refined
from iem_jax.output.figures import LONGEST_JPEG, cut_out, fit_inside, fit_mask, overlay, strip, thumbnail
from iem_jax.output.writer import PATTERNS, OutputError, Writer, Written

TILE = 384  # long side in pixels of a picture in a panel
THUMBNAIL = 192
LARGEST_OVERLAY = 50_000_000  # pixels; beyond, an overlay is smaller than its picture, which has to fit into memory


class Subject(NamedTuple):
    """What the files of a picture are made of."""

    item: Loaded
    found: Bool[np.ndarray, "h w"]  # the mask of the square
    original: Original
    mask: Bool[np.ndarray, "H W"]  # of the picture's own size


class Products:
    """Writes the files of pictures, in any thread."""

    def __init__(self, writer: Writer, wanted: Collection[str], resolution: str, config: IEMConfig, device: Device):
        """Take what is wanted besides masks, of what resolution, and what panels are inpainted with."""
        self._writer, self._resolution, self._iem, self._device = writer, resolution, config, device
        makers = {
            "cutouts": ("cutouts", self._cut_out),
            "overlays": ("overlays", self._overlay),
            "panels": ("panels", self._panel),
            "thumbnails": ("report", self._thumbnail),
        }
        self._makers: dict[str, Callable[[Subject], Image.Image]] = {
            kind: make
            for kind, (name, make) in makers.items()
            if name in wanted or (name == "report" and "figures" in wanted)
        }

    def are_whole(self, name: str, files: Any) -> bool:
        """Return whether all files of a picture that are wanted are there as they were written.

        Args:
          name: of the picture.
          files: what a record says of them; anything else counts as nothing.
        """
        if not isinstance(files, dict) or not {"masks", *self._makers} <= set(files):
            return False
        others = {kind: written for kind, written in files.items() if kind != "masks"}
        return self.are_there(name, {"masks": files["masks"]}, by_bytes=True) and self.are_there(name, others)

    def are_there(self, name: str, files: Mapping[str, Any], by_bytes: bool = False) -> bool:
        """Return whether the files of a picture are there with their sizes, or with their bytes."""
        return all(
            kind in PATTERNS
            and isinstance(written, list | tuple)
            and len(written) == 2
            and self._writer.is_whole(PATTERNS[kind].format(name), Written(*written), by_bytes)
            for kind, written in files.items()
        )

    def write(
        self, item: Loaded, found: Bool[np.ndarray, "h w"], is_turned: bool = False
    ) -> tuple[dict[str, Written], str]:
        """Write all files of a picture.

        Args:
          item: the picture.
          found: its mask, of the square.
          is_turned: a review wants it inside out; thumbnails show what was found.

        Returns:
          What was written, and why some are missing, for instance because the picture has gone meanwhile, else "".

        Raises:
          OutputError: a file cannot be written.
        """
        width, height = item.placement.picture_size if item.placement else (0, 0)
        files: dict[str, Written] = {}
        with DECODING.share(width * height):
            try:
                problem = self._write(item, np.asarray(found), is_turned, files)
            except OutputError:
                raise
            except MemoryError:
                problem = "files: not enough memory"
            except Exception as error:  # whatever is wrong with one picture, the others are done
                problem = f"files: {type(error).__name__}: {error}"
        return files, problem

    def _write(self, item: Loaded, found: Bool[np.ndarray, "h w"], is_turned: bool, files: dict[str, Written]) -> str:
        original, problem, name = Original(item), "", item.sample.name
        try:
            mask = self._restore(item, found, original)
        except (ReadError, MemoryError) as error:
            problem = f"masks: {str(error) or 'not enough memory'}"
            mask = found if item.placement is None else restore_mask(found, item.placement)
        written = mask
        if item.placement is not None and self._resolution == "model":
            written = cut(found, item.placement.box)
        files["masks"] = self._writer.write_mask(name, ~written if is_turned else written)
        subject = Subject(item, found, original, mask)
        turned = subject._replace(found=~found, mask=~mask) if is_turned else subject
        for kind, make in self._makers.items():
            if problem:
                break
            try:
                image = make(subject if kind == "thumbnails" else turned)
            except (ReadError, MemoryError) as error:
                return f"{kind}: {str(error) or 'not enough memory'}"
            files[kind] = self._writer.write_image(PATTERNS[kind].format(name), image, kept=False)
        return problem

    def _restore(self, item: Loaded, found: Bool[np.ndarray, "h w"], original: Original) -> Bool[np.ndarray, "H W"]:
        """Return the mask at the picture's own size, with edges that follow the picture if they are wanted."""
        placement = item.placement
        if placement is None:
            return found
        if self._resolution == "model":
            return restore_mask(found, placement)
        return restore_refined(original.pixels, found, placement.region, placement.box)

    def _cut_out(self, subject: Subject) -> Image.Image:
        return cut_out(subject.original.colour, subject.mask)

    def _overlay(self, subject: Subject) -> Image.Image:
        mask = subject.mask
        smaller = math.ceil(max((mask.size / LARGEST_OVERLAY) ** 0.5, max(mask.shape) / LONGEST_JPEG))
        if smaller <= 1:
            return overlay(subject.original.on_white, mask)
        picture = _preview(subject, max(mask.shape) // smaller)
        return overlay(picture, fit_mask(mask, picture.size))

    def _panel(self, subject: Subject) -> Image.Image:
        item = subject.item
        picture = _preview(subject, TILE)
        tiles = [picture]
        if item.ground_truth is not None:
            tiles.append(_show(_truth(item), picture.size))
        tiles.append(_show(subject.mask, picture.size))
        with jax.default_device(self._device):
            sides = inpaint_sides(np.asarray(item.image), subject.found, self._iem, _valid(item))
        box = item.placement.box if item.placement else None
        tiles.append(Image.fromarray(sides).resize(picture.size, Image.Resampling.BICUBIC, box=box))
        return strip(tiles)

    def _thumbnail(self, subject: Subject) -> Image.Image:
        placement = subject.item.placement
        largest = max(placement.picture_size if placement else subject.found.shape)
        picture = _preview(subject, min(THUMBNAIL, largest))
        return thumbnail(picture, fit_mask(subject.mask, picture.size))


def inpaint_sides(
    image: UInt8[np.ndarray, "h w c"],
    mask: Bool[np.ndarray, "h w"],
    config: IEMConfig,
    valid: Bool[np.ndarray, "h w"] | None = None,
) -> UInt8[np.ndarray, "h w c"]:
    """Return the picture with each side of the mask inpainted from the other, as in the paper's figures."""
    return np.asarray(_inpaint_sides(image, mask, np.ones_like(mask) if valid is None else valid, config))


@jax.jit
def _inpaint_sides(
    image: Shaped[Array, "h w c"], mask: Bool[Array, "h w"], valid: Bool[Array, "h w"], config: IEMConfig
) -> Array:
    pixels = normalise(image)
    from_background, from_object = (inpaint(pixels, side & valid, config) for side in (~mask, mask))
    sides = jnp.where(mask[..., None], from_background, from_object)
    return jnp.rint(jnp.clip(jnp.nan_to_num(sides) * 127.5 + 127.5, 0, 255)).astype(jnp.uint8)


def _preview(subject: Subject, side: int) -> Image.Image:
    """Return a small picture in its own proportions; as it is, if it is not to be brought back to its own size."""
    placement = subject.item.placement
    if placement is None:
        return subject.original.on_white
    return subject.original.preview(fit_inside(placement.picture_size, side))


def _valid(item: Loaded) -> Bool[np.ndarray, "h w"] | None:
    return item.placement.valid_pixels(np.asarray(item.image).shape[0]) if item.placement else None


def _truth(item: Loaded) -> Bool[np.ndarray, "h w"]:
    path = item.sample.mask_path
    if item.placement is None or path is None:
        return np.asarray(item.ground_truth)
    truth = read_truth(path, item.placement.picture_size, item.turn, item.sample.mask_orientation)
    return np.asarray(truth.mask) > 0


def _show(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(fit_mask(mask, size)).convert("RGB")
