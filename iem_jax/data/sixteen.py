"""RGB of 16 bits, of which Pillow keeps the upper 8: where these hold next to nothing, the lower ones count, too."""

import sys
from typing import Any

import numpy as np
from PIL import Image

from iem_jax.data.levels import DEPTHS, find_levels

DARK = (DEPTHS[-2] + 1) >> 8  # upper halves below hold values of 14 bits and less


def raw_modes(image: Image.Image) -> tuple[str, ...]:
    """Return how the tiles of an opened picture hold their samples, if that is RGB of 16 bits; for before `load`."""
    if image.mode not in ("RGB", "RGBA"):
        return ()
    tiles = getattr(image, "tile", ())
    modes = [tile.args if isinstance(tile.args, str) else (tile.args or [""])[0] for tile in tiles]
    return tuple(modes) if all(isinstance(mode, str) and ";16" in mode for mode in modes) else ()


def restore_depth(image: Image.Image, file: object, modes: tuple[str, ...]) -> Image.Image:
    """Return a loaded picture whose values fit into 14 bits or less as levels of these; any other as it is.

    Args:
      image: of which Pillow kept the upper halves.
      file: the open file.
      modes: of `raw_modes`.
    """
    upper = np.asarray(image)
    if not modes or upper[..., :3].max() >= DARK:
        return image
    file.seek(0)  # pyright: ignore[reportAttributeAccessIssue]
    again = Image.open(file, formats=(str(image.format),))  # pyright: ignore[reportArgumentType]
    tiles: Any = again.tile  # pyright: ignore[reportAttributeAccessIssue]
    again.tile = [  # pyright: ignore[reportAttributeAccessIssue]
        tile._replace(args=_other_half(mode) if isinstance(tile.args, str) else (_other_half(mode), *tile.args[1:]))
        for tile, mode in zip(tiles, modes, strict=True)
    ]
    again.load()
    pixels = upper.copy()
    pixels[..., :3] = find_levels(upper[..., :3].astype(np.uint16) << 8 | np.asarray(again)[..., :3])
    restored = Image.fromarray(pixels)
    restored.info = image.info
    if (turn := image.getexif().get(274)) is not None:
        restored.getexif()[274] = turn
    return restored


def _other_half(mode: str) -> str:
    is_little = mode[-1] == "L" or (mode[-1] == "N" and sys.byteorder == "little")
    return mode[:-1] + ("B" if is_little else "L")
