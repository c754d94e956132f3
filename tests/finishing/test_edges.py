"""Masks brought to the picture's own size."""

from collections.abc import Callable

import numpy as np
import pytest
from pictures import to_uint8
from PIL import Image

from iem_jax import UsageError, segment
from iem_jax.data.fit import Placement, cut, fit_image, place
from iem_jax.finishing import edges
from iem_jax.finishing.edges import (
    BLOCK,
    CERTAIN,
    REACH,
    SIGMA,
    refine,
    refine_to,
    resize_mask,
    resize_picture,
    restore_refined,
)


def scene(height: int, width: int, seed: int = 0, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A wavy shape on a ground of another colour, with noise, and the shape."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:height, :width]
    y, x = (rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5
    truth = np.hypot(y, x) < 0.27 * (1 + 0.2 * np.sin(5 * np.arctan2(y, x) + seed))
    image = np.where(truth[..., None], 0.4, -0.3) + rng.normal(0, 0.2, (height, width, channels))
    return to_uint8(np.clip(image, -1, 1)), truth


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return (first & second).sum() / (first | second).sum()


def test_by_hand():
    """The mask misses a pixel of the bright half; its neighbours bring it back, and the dark half stays out.

    Bright pixels are worth ln(0.726 / 0.01) + 4.0 = 8.3, dark ones -16, the most that counts; with the Gaussian's
    taps 1, 0.607, 0.135 the second column has 8.3 * 1.607 - 16 * 0.742 = 1.5 > 0.
    """
    truth = np.zeros((4, 4), bool)
    truth[:, :2] = True
    picture = np.where(truth[..., None], 200, 30).astype(np.uint8).repeat(3, axis=-1)
    mask = truth.copy()
    mask[1, 1] = False
    np.testing.assert_array_equal(refine(picture, mask), truth)


def slow_refine(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The rule again, in float64, for pictures of the size of the grid that the Gaussians are fitted to."""
    image, sides = picture.astype(np.float64) * 2 / 255 - 1, []
    for side in (mask, ~mask):
        spread = np.cov(image[side].T, bias=True) + 1e-4 * np.eye(image.shape[-1])
        offset = image - image[side].mean(axis=0)
        distance = np.einsum("hwi,ij,hwj->hw", offset, np.linalg.inv(spread), offset)
        sides.append(-0.5 * distance - 0.5 * np.linalg.slogdet(spread)[1])
    ratio = np.pad(np.clip(sides[0] - sides[1], -CERTAIN, CERTAIN), 3)
    taps = np.exp(-0.5 * (np.arange(-3, 4) / SIGMA) ** 2)
    views = np.lib.stride_tricks.sliding_window_view(ratio, (7, 7))
    evidence = np.einsum("hwij,i,j->hw", views, taps, taps)
    result = mask.copy()
    for y, x in np.ndindex(mask.shape):
        around = mask[max(y - REACH, 0) : y + REACH + 1, max(x - REACH, 0) : x + REACH + 1]
        if around.any() and not around.all():
            result[y, x] = evidence[y, x] > 0
    return result


def test_equal_float64():
    picture, truth = scene(128, 128)
    mask = np.roll(truth, 5, axis=1)
    np.testing.assert_array_equal(refine(picture, mask), slow_refine(picture, mask))


def test_edges_follow_the_picture():
    picture, truth = scene(600, 450)
    small = resize_picture(picture, 128, 96)
    mask = np.asarray(segment(small[None]).mask[0])
    refined = refine_to(picture, mask)
    assert (refined.shape, refined.dtype) == ((600, 450), bool)
    assert iou(refined, truth) > 0.995 > iou(resize_mask(mask, 600, 450), truth)


@pytest.mark.parametrize(("block", "together"), [(12, 5), (20, 1), (64, 100), (500, 3)])
def test_blocks_do_not_show(block: int, together: int, monkeypatch: pytest.MonkeyPatch):
    picture, truth = scene(5 * BLOCK + 3, 8 * BLOCK + 5)
    mask = np.roll(truth, 6, axis=0)[::2, ::2]
    expected = refine_to(picture, mask)
    assert (expected != resize_mask(mask, *expected.shape)).any()
    monkeypatch.setattr(edges, "BLOCK", block)
    monkeypatch.setattr(edges, "TOGETHER", together)
    np.testing.assert_array_equal(refine_to(picture, mask), expected)


@pytest.mark.parametrize("shape", [(300, 401), (97, 513)])
def test_array_or_pillow(shape: tuple[int, int]):
    picture, truth = scene(*shape)
    mask = resize_mask(truth, 32, 32)
    expected = refine_to(picture, mask)
    np.testing.assert_array_equal(refine_to(Image.fromarray(picture), mask), expected)
    region, box = (5, 10, 90, 80), (2, 0, 22, 24)
    np.testing.assert_array_equal(
        restore_refined(Image.fromarray(picture), mask, region, box), restore_refined(picture, mask, region, box)
    )


def test_two_steps_are_one_after_the_other():
    """At 4 times the size: what is decided at twice the size, enlarged, is decided again."""
    picture, truth = scene(256, 256)
    mask = truth[2::4, 2::4]
    half = refine(resize_picture(picture, 128, 128), mask.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(refine_to(picture, mask), refine(picture, half.repeat(2, 0).repeat(2, 1)))


def test_channels_do_not_matter_where_they_say_nothing():
    picture, truth = scene(200, 150, channels=1)
    mask = np.roll(truth, 4, axis=0)
    constant = np.full_like(picture, 77)
    expected = refine(picture, mask)
    for channels in (2, 4, 5):
        more = np.concatenate([picture, *[constant] * (channels - 1)], axis=-1)
        np.testing.assert_array_equal(refine(more, mask), expected)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_turned(turn: Callable[..., np.ndarray]):
    picture, truth = scene(128, 128, seed=3)
    mask = np.roll(truth, 4, axis=0)
    axes = {"axes": (1, 0, 2)} if turn is np.transpose else {}
    turned = refine(turn(picture, **axes).copy(), turn(mask).copy())
    assert np.mean(turned != turn(refine(picture, mask))) < 1e-3  # the grid of samples is the same, sums are not


def test_sides_can_be_swapped():
    picture, truth = scene(150, 140)
    mask = np.roll(truth, 4, axis=0)
    np.testing.assert_array_equal(refine(picture, ~mask), ~refine(picture, mask))


def test_far_from_the_boundary_nothing_changes():
    picture, truth = scene(200, 200)
    mask = truth.copy()
    mask[60:140, 60:140] = True
    hole = mask.copy()
    hole[:3, :3] = True  # of the wrong colour, but decided anew
    refined = refine(np.where(np.arange(200)[None, :, None] > 190, 255, picture).astype(np.uint8), hole)
    inner = np.zeros_like(mask)
    inner[90:110, 90:110] = True
    assert refined[inner].all()
    assert not refined[:3, :3].any()


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (3, 700), (900, 2), (20000, 10), (10, 20000), (129, 127)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_shape(shape: tuple[int, int], channels: int):
    picture, truth = scene(*shape, channels=channels)
    longest = max(shape)
    small = tuple(max(round(side * 128 / longest), 1) for side in shape)
    mask = resize_mask(truth, *small)
    assert refine_to(picture, mask).shape == shape


@pytest.mark.parametrize("full", [False, True])
def test_empty_side_is_only_enlarged(full: bool):
    picture, _ = scene(300, 200)
    assert (refine_to(picture, np.full((12, 8), full)) == full).all()


def test_no_pixels():
    with pytest.raises(UsageError, match="must have pixels"):
        refine_to(np.zeros((0, 4, 3), np.uint8), np.ones((4, 4), bool))


def test_nothing_is_compiled(compilations: list[str]):
    refine_to(scene(310, 150)[0], scene(20, 20)[1])
    assert compilations == []


SHAPES = [(8, 8), (9, 31), (300, 400), (3000, 4000), (20000, 10), (1, 1)]


def pad(picture: np.ndarray, size: int) -> tuple[np.ndarray, Placement]:
    placement = place((picture.shape[1], picture.shape[0]), size, "pad")
    return np.asarray(fit_image(Image.fromarray(picture), placement, size)), placement


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_padded_and_back(height: int, width: int):
    picture = np.full((height, width, 3), 200, np.uint8)
    square, placement = pad(picture, 64)
    valid, box = placement.valid_pixels(64), placement.box
    assert (square[valid] == 200).all()
    assert (square[~valid] == 0).all()
    assert cut(valid, box).all()
    assert valid.any()
    assert max(valid.any(axis=0).sum(), valid.any(axis=1).sum()) == 64
    restored = restore_refined(picture, valid, (0, 0, width, height), box)
    assert restored.shape == (height, width)
    assert restored.all()


def test_whole_way():
    """A wide picture, padded, segmented and brought back; then only a region of it."""
    picture, truth = scene(200, 500)
    square, placement = pad(picture, 128)
    box = placement.box
    mask = np.asarray(segment(square[None], valid=placement.valid_pixels(128)[None]).mask[0])
    assert iou(restore_refined(picture, mask, (0, 0, 500, 200), box), truth) > 0.98
    part = restore_refined(picture, np.ones((64, 64), bool), (100, 0, 300, 200), (0, 0, 64, 64))
    assert part.sum() == 200 * 200
    assert part[:, 100:300].all()
