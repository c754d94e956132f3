"""Pictures made of noise and shapes, with their ground truths: what is hard about photographs, and nobody owns."""

from collections.abc import Iterator

import numpy as np
import scipy.ndimage
from jaxtyping import Bool, Float, UInt8

SIDE = 128
GREEN, SAND, SKY, GREY = (60, 110, 60), (200, 180, 140), (120, 170, 220), (120, 120, 125)
RED, BLUE, PALE, DARK = (190, 50, 45), (50, 70, 170), (225, 215, 205), (50, 40, 45)
Shape = Bool[np.ndarray, "s s"]
Picture = tuple[str, UInt8[np.ndarray, "s s 3"], Shape]


def pictures() -> Iterator[Picture]:
    """Yield a name, a picture and its object; always the same ones."""
    blob = _blob(0)
    yield "plain", *_paint(0, GREEN, [(blob, RED)], blob)
    aside = _blob(1, (0.3, 0.28), 0.2)
    yield "off-centre", *_paint(1, SAND, [(aside, BLUE)], aside)
    cut = _blob(2, (0.55, 0.95), 0.33)
    yield "cut by the edge", *_paint(2, GREY, [(cut, RED)], cut)
    cell = _blob(3, radius=0.34)
    nucleus = _blob(4, (0.47, 0.53), 0.16)
    cell_layers = [(cell, (224, 190, 170)), (nucleus, (110, 40, 120))]
    yield "pale, with a dark core", *_paint(3, (238, 232, 214), cell_layers, cell)
    body, sky = _blob(5, (0.6, 0.5), 0.27), np.broadcast_to(np.arange(SIDE)[:, None] < 0.36 * SIDE, (SIDE, SIDE))
    yield "bright sky", *_paint(4, GREEN, [(sky, SKY), (body, DARK)], body)
    parts = _blob(6, radius=0.3)
    upper = parts & (np.arange(SIDE)[:, None] < 0.48 * SIDE)
    yield "two colours", *_paint(5, GREY, [(parts, PALE), (upper, BLUE)], parts)
    soft = _blob(7, radius=0.27)
    yield "soft and faint", *_paint(6, (130, 125, 110), [(soft, (165, 140, 110))], soft, blur=3)
    furry = _blob(8, radius=0.28)
    yield "texture alone", *_paint(7, (125, 115, 100), [(furry, (128, 112, 98))], furry, grain=60)


def _blob(seed: int, centre: tuple[float, float] = (0.5, 0.5), radius: float = 0.27) -> Shape:
    """Return a wavy closed shape; lengths in sides."""
    random = np.random.default_rng(seed)
    grid = (np.arange(SIDE) + 0.5) / SIDE
    down, across = grid[:, None] - centre[0], grid[None, :] - centre[1]
    angle, waves = np.arctan2(down, across), np.ones((SIDE, SIDE))
    for frequency in (2, 3, 5, 7):
        waves += random.uniform(0.03, 0.09) * np.sin(frequency * angle + random.uniform(0, 2 * np.pi))
    return np.hypot(down, across) < radius * waves


def _paint(
    seed: int,
    ground: tuple[int, int, int],
    layers: list[tuple[Shape, tuple[int, int, int]]],
    truth: Shape,
    blur: float = 0.7,
    grain: float = 0,
) -> tuple[UInt8[np.ndarray, "s s 3"], Shape]:
    """Paint the layers over the ground, mottled, with soft edges; `grain` is that of the object's texture."""
    random = np.random.default_rng(100 + seed)
    picture = np.broadcast_to(np.float64(ground), (SIDE, SIDE, 3)) + _mottle(random, 8, 14)
    for shape, colour in layers:
        opacity = scipy.ndimage.gaussian_filter(shape.astype(float), blur)[..., None]
        painted = np.float64(colour) + _mottle(random, 6, 14)
        picture = picture + opacity * (painted + grain * random.standard_normal((SIDE, SIDE, 1)) - picture)
    picture = picture + 4 * random.standard_normal((SIDE, SIDE, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), truth


def _mottle(random: np.random.Generator, width: float, strength: float) -> Float[np.ndarray, "s s 3"]:
    noise = random.standard_normal((SIDE, SIDE, 3))
    smooth = scipy.ndimage.gaussian_filter(noise, (width, width, 0), mode="wrap")
    return strength * smooth / smooth.std()
