"""The validity mask V: pictures that were padded, and pictures of many shapes in one program."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import make_images, make_mask

from iem_jax import IEMConfig, Segmentation, run, segment
from iem_jax.core.solver import STATUSES

PAPER = IEMConfig(iters=60)
SCALED = IEMConfig(sigma=2.5, kernel_size=7, scale_factor=2, iters=60)
SMALL = IEMConfig(sigma=3.0, kernel_size=7, iters=20)
PADDINGS = [
    # config, top, bottom, left, right
    (PAPER, 0, 7, 0, 0),
    pytest.param(PAPER, 5, 0, 0, 0, marks=pytest.mark.slow),
    (PAPER, 0, 0, 0, 1),
    pytest.param(PAPER, 0, 0, 33, 0, marks=pytest.mark.slow),
    (PAPER, 40, 13, 9, 71),
    (SCALED, 2, 30, 64, 4),
]


def assert_identical(first: Segmentation, second: Segmentation) -> None:
    jax.tree.map(np.testing.assert_array_equal, first, second)


def pad(values: np.ndarray, top: int, bottom: int, left: int, right: int, fill: float = 0) -> np.ndarray:
    widths = ((0, 0), (top, bottom), (left, right)) + ((0, 0),) * (values.ndim - 3)
    return np.pad(values, widths, constant_values=fill)


def assert_same_when_padded(images: np.ndarray, config: IEMConfig, sides: tuple[int, int, int, int], **masks) -> None:
    plain = segment(images, config, **masks)
    valid = pad(np.ones(images.shape[:3], bool), *sides)
    wide = {name: pad(value, *sides, fill=1) for name, value in masks.items()}
    padded = segment(pad(images, *sides, fill=1), config, valid=valid, **wide)
    expected = pad(np.asarray(plain.mask), *sides)
    np.testing.assert_array_equal(padded.mask, expected)
    np.testing.assert_array_equal(padded.status, plain.status)
    np.testing.assert_array_equal(padded.info.area, plain.info.area)
    np.testing.assert_array_equal(padded.info.overlap, plain.info.overlap)
    np.testing.assert_allclose(padded.info.inp_error, plain.info.inp_error, rtol=1e-5)


def test_all_valid_changes_no_bit(photographs: tuple[np.ndarray, np.ndarray]):
    images, truths = (values[:4] for values in photographs)
    everywhere = np.ones(truths.shape, bool)
    plain = segment(images, ground_truths=truths)
    assert_identical(segment(images, ground_truths=truths, valid=everywhere), plain)


@pytest.mark.parametrize(("config", "top", "bottom", "left", "right"), PADDINGS)
def test_padding_photographs(photographs, config: IEMConfig, top: int, bottom: int, left: int, right: int):
    images, truths = photographs
    assert_same_when_padded(images[:6], config, (top, bottom, left, right), ground_truths=truths[:6])


# Each side and each number of channels once, the other pairs when there is time.
SIDES = {1: (8, 0, 0, 0), 3: (0, 0, 0, 24), 5: (3, 5, 7, 1)}
PAIRS = [(channels, sides) for channels in SIDES for sides in SIDES.values()]


@pytest.mark.parametrize(
    ("channels", "sides"),
    [pytest.param(*pair, marks=() if SIDES[pair[0]] == pair[1] else pytest.mark.slow) for pair in PAIRS],
)
def test_padding_made_up_pictures(channels: int, sides: tuple[int, int, int, int]):
    images = make_images(2, 32, 40, channels)
    images = np.concatenate([images, np.roll(images, (16, 20), axis=(1, 2))])  # objects that grow in from the border
    starts = np.stack([make_mask(seed + 9, 32, 40) for seed in range(4)])
    assert_same_when_padded(images, SMALL, sides)
    assert_same_when_padded(images, SMALL, sides, initial_masks=starts)


def test_any_shape_of_valid_pixels():
    """V need not be a box: what is outside never shows, and the object inside is found."""
    images = make_images(3, 48, 48)
    rows, columns = np.mgrid[:48, :48]
    disc = np.hypot(rows - 23.5, columns - 23.5) < 23
    valid = np.broadcast_to(disc, (3, 48, 48))
    noisy = np.where(disc[..., None], images, np.random.default_rng(0).uniform(-1, 1, images.shape).astype(np.float32))
    result = segment(images, SMALL, valid=valid)
    assert_identical(segment(noisy, SMALL, valid=valid), result)
    masks, truths = np.asarray(result.mask), np.stack([make_mask(seed, 48, 48) for seed in range(3)]) & disc
    assert not masks[:, ~disc].any()
    assert ((masks & truths).sum((1, 2)) / (masks | truths).sum((1, 2)) > 0.75).all()


def padded_batch() -> dict[str, np.ndarray]:
    """Pictures of five shapes in frames of 40 x 40, with starts."""
    shapes = ((40, 40), (40, 17), (9, 40), (23, 31), (1, 40))
    images, valid = make_images(5, 40, 40), np.zeros((5, 40, 40), bool)
    for row, (height, width) in enumerate(shapes):
        top, left = (40 - height) // 2, (40 - width) // 2
        valid[row, top : top + height, left : left + width] = True
    starts = np.stack([make_mask(seed + 3, 40, 40) for seed in range(5)])
    return {"images": images, "valid": valid, "initial_masks": starts}


@pytest.mark.parametrize("early_finish", [False, True])
def test_batch_order_and_chunks_do_not_matter(early_finish: bool):
    batch = padded_batch()
    whole = segment(**batch, config=SMALL, early_finish=early_finish)
    backwards = segment(**{k: v[::-1] for k, v in batch.items()}, config=SMALL, early_finish=early_finish)
    assert_identical(jax.tree.map(lambda field: field[::-1], backwards), whole)
    chunked = segment(**batch, config=SMALL, early_finish=early_finish, chunk_size=2)
    np.testing.assert_array_equal(chunked.mask, whole.mask)
    alone = segment(**{k: v[2:3] for k, v in batch.items()}, config=SMALL, early_finish=early_finish)
    assert_identical(alone, jax.tree.map(lambda field: field[2:3], whole))
    assert np.isfinite(whole.info.inp_error).all()


def test_vmap_equals_segment():
    batch = {k: jnp.asarray(v) for k, v in padded_batch().items()}
    result = jax.jit(jax.vmap(lambda x, v, m: run(x, SMALL, valid=v, initial_mask=m)))(
        batch["images"], batch["valid"], batch["initial_masks"]
    )
    np.testing.assert_array_equal(result.mask, segment(**batch, config=SMALL).mask)


def test_shapes_share_one_program(compilations: list[str]):
    batch = padded_batch()
    masks = [segment(**{k: v[:1] for k, v in batch.items()}, config=SMALL).mask]
    jax.block_until_ready(masks)
    compilations.clear()
    masks += [segment(**{k: v[i : i + 1] for k, v in batch.items()}, config=SMALL).mask for i in range(1, 5)]
    jax.block_until_ready(masks)
    assert compilations == []


SLIVERS = [((1, 1), "uniform"), ((2, 2), "full"), ((1, 40), "empty"), ((3, 5), None), ((5, 40), None)]


@pytest.mark.parametrize(("shape", "status"), SLIVERS)
def test_slivers_stay_finite(shape: tuple[int, int], status: str | None):
    """The start fills 2 x 2 whole; smoothing leaves nothing of a single row; nothing is NaN."""
    valid = np.zeros((1, 40, 40), bool)
    valid[0, : shape[0], : shape[1]] = True
    result = segment(make_images(1, 40, 40), SMALL, valid=valid)
    assert np.isfinite(result.info.inp_error).all()
    assert not np.asarray(result.mask)[~valid].any()
    assert status in (None, STATUSES[int(result.status[0])])
    nothing = segment(make_images(1, 40, 40), SMALL, valid=np.zeros_like(valid))
    assert not nothing.mask.any()
    assert np.isfinite(nothing.info.inp_error).all()


def test_devices_do_not_matter(tmp_path: Path):
    """Two devices, in a process of their own, give what one gives."""
    batch = padded_batch()
    np.savez(tmp_path / "batch.npz", **batch)
    program = f"""
import jax, numpy as np
from iem_jax import IEMConfig, segment
config = IEMConfig(sigma=3.0, kernel_size=7, iters=20)
result = segment(**np.load({str(tmp_path / "batch.npz")!r}), config=config, devices=jax.devices())
assert len(jax.devices()) == 2
np.save({str(tmp_path / "mask.npy")!r}, result.mask)
"""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=Path(__file__).parents[2])
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), segment(**batch, config=SMALL).mask)
