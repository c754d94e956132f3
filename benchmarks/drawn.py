"""Large pictures with an exact ground truth: shapes of one photograph of scikit-image drawn over another."""

import numpy as np
import scipy.ndimage
import skimage.data
from jaxtyping import Bool, UInt8
from PIL import Image

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "immunohistochemistry", "retina")
TINT = 60  # grey levels up to which object and ground are shifted apart: IEM finds what differs in colour
SLIGHT_TINT = 25
NOISE = 6  # grey levels of sensor noise, at full resolution


def draw(
    seed: int, height: int, width: int, tint: float = TINT
) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Return a picture and its ground truth: a wavy closed shape, with edges as soft as a lens makes them."""
    random = np.random.default_rng(seed)
    truth = _shape(random, height, width)
    names = random.choice(PHOTOGRAPHS, 2, replace=False)
    opacity = scipy.ndimage.gaussian_filter(truth.astype(np.float32), 0.7)
    shift = random.uniform(-tint, tint, 3)
    noise = random.standard_normal((height, width), np.float32) * NOISE
    picture = np.empty((height, width, 3), np.uint8)
    inner, outer = (_cover(str(name), height, width) for name in names)
    for channel in range(3):  # one at a time, since 12 megapixels take room
        inside = _soften(inner[..., channel]) + np.float32(shift[channel])
        outside = _soften(outer[..., channel]) - np.float32(shift[channel])
        picture[..., channel] = np.clip(outside + opacity * (inside - outside) + noise, 0, 255)
    return picture, truth


def _shape(random: np.random.Generator, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    longest, (down, right) = max(height, width), random.uniform(-0.08, 0.08, 2)
    rows, columns = np.ogrid[:height, :width]
    y = ((rows + 0.5 - height / 2) / longest - down).astype(np.float32)
    x = ((columns + 0.5 - width / 2) / longest - right).astype(np.float32)
    angle, lobes = np.arctan2(y, x), int(random.integers(3, 9))
    radius = np.full_like(angle, random.uniform(0.2, 0.28) * min(height, width) / longest)
    waves = sum(
        random.uniform(0.03, 0.1) * np.sin(f * angle + random.uniform(0, 2 * np.pi))
        for f in (lobes, 2 * lobes + 1, 5 * lobes)
    )
    return np.hypot(y, x) < radius * (1 + waves)


def _cover(name: str, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    photograph = Image.fromarray(getattr(skimage.data, name)())
    growth = max(height / photograph.height, width / photograph.width)
    box = (0, 0, width / growth, height / growth)
    return np.asarray(photograph.resize((width, height), Image.Resampling.BICUBIC, box=box))


def _soften(plane: UInt8[np.ndarray, "h w"]) -> np.ndarray:
    """Halve the contrast."""
    return 0.5 * plane.astype(np.float32) + np.float32(0.5 * plane.mean())
