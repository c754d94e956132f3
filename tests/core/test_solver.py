"""`init`, `step`, `run` and `segment`: whole runs, invariances, transforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.extend.core import ClosedJaxpr, Jaxpr
from pictures import make_image, make_images, make_mask, to_uint8

from iem_jax import IEMConfig, Segmentation, init, run, segment, step
from iem_jax.core.batch import normalise

SMALL = IEMConfig(sigma=3.0, kernel_size=7, iters=12)
MATRIX = [
    # height, width, channels, config
    (32, 32, 3, IEMConfig(iters=20)),
    (25, 40, 1, IEMConfig(sigma=3.0, kernel_size=7, reps=1, iters=20)),
    (32, 24, 5, IEMConfig(sigma=1.5, kernel_size=3, reps=3, lmbda=0.0, iters=20)),
    (32, 40, 3, IEMConfig(sigma=2.5, kernel_size=7, scale_factor=2, iters=20)),
    (32, 32, 3, IEMConfig(sigma=1.5, kernel_size=3, scale_factor=4, lmbda=0.01, iters=20)),
]


def assert_same_masks(masks: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for 1 pixel in 1000, where a gradient of rounding noise may fall to either side."""
    assert np.mean(np.asarray(masks) != np.asarray(expected)) <= 1e-3


def assert_identical(first: Segmentation, second: Segmentation) -> None:
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_step_by_hand():
    """A step is what its parts give, worked on 6 x 6 with the gradient's sign known: the object grows by one row.

    The object is the rows 0 to 3 of one colour; the mask starts as the rows and columns 1 to 4.
    """
    image = np.full((6, 6, 1), -0.5, np.float32)
    image[:4] = 0.5
    config = IEMConfig(sigma=2.0, kernel_size=3, reps=1, lmbda=1.0)
    state = init(jnp.asarray(image), config)
    np.testing.assert_array_equal(state.mask, reference.centred_square(6, 6))
    state, info = step(jnp.asarray(image), state, config)
    square = reference.centred_square(6, 6)
    slope = reference.make_gradient(config)(image, square)
    assert (slope[:4] > 0).all()  # where the diversity rules: object in,
    assert (slope[4:] < 0).all()  # ground out
    expected = np.zeros((6, 6), bool)
    expected[:4] = True  # by the signs; (4, 1..4) were in and leave; smoothing changes nothing
    np.testing.assert_array_equal(state.mask, expected)
    np.testing.assert_allclose(info.inp_error, reference.inpainting_error(image, square * 1.0, config), rtol=1e-4)
    assert int(info.area) == 24


@pytest.mark.parametrize(("height", "width", "channels", "config"), MATRIX)
def test_run_equals_reference(height: int, width: int, channels: int, config: IEMConfig):
    """In float64, where no gradient is rounding noise, on every pixel."""
    image = make_image(1, height, width, channels)
    mask, errors = reference.run(image, config)
    with jax.enable_x64(True):
        result = run(jnp.asarray(image, jnp.float64), config)
        np.testing.assert_array_equal(result.mask, mask)
        np.testing.assert_allclose(result.info.inp_error, errors, rtol=1e-9)


def test_object_is_found():
    result = segment(make_images(3, 48, 48), IEMConfig(iters=60))
    truths = np.stack([make_mask(seed, 48, 48) for seed in range(3)])
    masks = np.asarray(result.mask)
    assert ((masks & truths).sum((1, 2)) / (masks | truths).sum((1, 2)) > 0.9).all()
    assert result.status.tolist() == [0, 0, 0]


def test_shapes_and_dtypes():
    result = segment(make_images(3, 20, 24), SMALL)
    assert (result.mask.shape, result.mask.dtype) == ((3, 20, 24), jnp.bool_)
    assert (result.status.shape, result.status.dtype) == ((3,), jnp.int32)
    assert (result.info.inp_error.shape, result.info.inp_error.dtype) == ((3, 12), jnp.float32)
    np.testing.assert_array_equal(result.info.area[:, -1], result.mask.sum((1, 2)))


def test_overlap_with_the_truth():
    images, truths = make_images(3, 20, 24), np.stack([make_mask(seed, 20, 24) for seed in range(3)])
    result = segment(images, SMALL, ground_truths=truths)
    np.testing.assert_array_equal(result.info.overlap[:, -1], (np.asarray(result.mask) & truths).sum((1, 2)))
    assert not segment(images, SMALL).info.overlap.any()


def test_uint8_is_normalised():
    """uint8 x gives the same, to the last bit, as the floats x / 255 * 2 - 1."""
    images = to_uint8(make_images(3, 20, 24))
    floats = images.astype(np.float32) / np.float32(255) * np.float32(2) - np.float32(1)
    np.testing.assert_array_equal(normalise(jnp.asarray(images)), floats)
    assert_identical(segment(images, SMALL), segment(floats, SMALL))


@pytest.mark.parametrize("channels", [1, 6])
def test_any_number_of_channels(channels: int):
    result = segment(make_images(2, 32, 32, channels), IEMConfig(iters=30))
    for seed, mask in enumerate(np.asarray(result.mask)):
        assert reference.iou(mask, make_mask(seed, 32, 32)) > 0.8
    assert result.status.tolist() == [0, 0]


def test_repeated_channels_change_nothing_but_diversity():
    """E is a mean over channels; with lmbda 0 a grey picture is segmented like the same as RGB."""
    grey, config = make_images(2, 24, 24, 1), IEMConfig(iters=10, lmbda=0.0)
    assert_same_masks(segment(np.repeat(grey, 3, axis=-1), config).mask, segment(grey, config).mask)


@pytest.mark.parametrize("turn", [lambda x: x[:, ::-1], lambda x: x[:, :, ::-1], lambda x: np.rot90(x, axes=(1, 2))])
def test_turned_images(turn):
    images = make_images(4, 32, 24)
    config = IEMConfig(sigma=3.0, kernel_size=7, iters=15)
    turned = segment(turn(images).copy(), config).mask
    assert_same_masks(turned, turn(np.asarray(segment(images, config).mask)))


def test_colours_can_be_inverted():
    images = make_images(4, 24, 24)
    assert_same_masks(segment(-images, SMALL).mask, segment(images, SMALL).mask)


def test_batch_size_and_order():
    """Bit for bit: each picture alone, by sevens, all 96, and backwards."""
    images = to_uint8(make_images(96, 16, 16))
    whole = segment(images, SMALL)
    for size in (1, 7):
        parts = [segment(images[start : start + size], SMALL) for start in range(0, 96, size)]
        assert_identical(jax.tree.map(lambda *fields: np.concatenate(fields), *parts), whole)
    order = np.random.default_rng(0).permutation(96)
    assert_identical(segment(images[order], SMALL), jax.tree.map(lambda field: field[order], whole))


@pytest.mark.parametrize("chunk_size", [1, 3, 16])
def test_chunk_size(chunk_size: int):
    images = make_images(10, 24, 24)
    chunked, whole = segment(images, SMALL, chunk_size=chunk_size), segment(images, SMALL)
    np.testing.assert_array_equal(chunked.mask, whole.mask)
    np.testing.assert_array_equal(chunked.status, whole.status)
    np.testing.assert_allclose(chunked.info.inp_error, whole.info.inp_error, rtol=1e-5)


def test_photographs_bit_for_bit(photographs: tuple[np.ndarray, np.ndarray]):
    images, truths = photographs[0][:6], photographs[1][:6]
    config = IEMConfig(iters=10)
    whole = segment(images, config, ground_truths=truths)
    single = [segment(images[i : i + 1], config, ground_truths=truths[i : i + 1]) for i in range(len(images))]
    assert_identical(jax.tree.map(lambda *fields: np.concatenate(fields), *single), whole)
    inside = jax.jit(lambda batch, truth: segment(batch, config, ground_truths=truth))(images, truths)
    np.testing.assert_array_equal(inside.mask, whole.mask)


def test_callers_jit():
    images = make_images(5, 24, 24)
    inside = jax.jit(lambda batch: segment(batch * 1.0, SMALL))(images)
    np.testing.assert_array_equal(inside.mask, segment(images, SMALL).mask)


def test_vmap_loop_and_steps_agree():
    images = jnp.asarray(make_images(2, 20, 24))
    batch = segment(images, SMALL)
    mapped = jax.vmap(lambda image: run(image, SMALL))(images)
    np.testing.assert_array_equal(mapped.mask, batch.mask)
    one_step = jax.jit(step)
    for row, image in enumerate(images):
        np.testing.assert_array_equal(run(image, SMALL).mask, batch.mask[row])
        state = init(image, SMALL)
        np.testing.assert_array_equal(state.mask, reference.centred_square(20, 24))
        for iteration in range(SMALL.iters):
            state, info = one_step(image, state, SMALL)
            np.testing.assert_allclose(info.inp_error, batch.info.inp_error[row, iteration], rtol=1e-5)
        np.testing.assert_array_equal(state.mask, batch.mask[row])


def test_strict_dtype_promotion():
    jax.clear_caches()
    with jax.numpy_dtype_promotion("strict"):
        segment(make_images(2, 12, 12), SMALL)


def test_no_second_compilation(compilations: list[str]):
    images = make_images(3, 18, 22)
    segment(images, SMALL)
    compilations.clear()
    segment(images[::-1], SMALL)
    segment(images, IEMConfig(sigma=2.0, lmbda=0.5, kernel_size=7, iters=12))
    assert compilations == []


def test_one_scan_and_no_callback():
    """All iterations are one `lax.scan` of length `iters`; beside it at most a loop over chunks.

    Without a chunk size a program holds this once for CPUs and once for others, of which one is compiled.
    """
    config = IEMConfig(iters=17)
    equations = list(
        _equations(
            jax.make_jaxpr(lambda batch: segment(batch, config, early_finish=False, chunk_size=8))(
                np.zeros((24, 16, 16, 3)) + 0.1
            )
        )
    )
    lengths = [equation.params["length"] for equation in equations if equation.primitive.name == "scan"]
    assert lengths.count(17) == 1
    assert len(lengths) <= 2
    names = {equation.primitive.name for equation in equations}
    assert not {name for name in names if "callback" in name or name in ("while", "infeed", "outfeed")}


def _equations(jaxpr: ClosedJaxpr | Jaxpr):
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield equation
        for value in jax.tree.leaves(tuple(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                yield from _equations(value)


def _is_jaxpr(value: object) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


@pytest.mark.parametrize("config", [SMALL, IEMConfig(sigma=3.0, kernel_size=7, iters=60), IEMConfig(iters=13)])
def test_early_finish_changes_nothing(config: IEMConfig):
    """Not the masks, not the history: fixed points and cycles of two are continued as the loop would."""
    images = make_images(8, 24, 32)
    truths = images[..., 0] > 0
    full = segment(images, config, ground_truths=truths, early_finish=False)
    assert_identical(segment(images, config, ground_truths=truths), full)


def test_early_finish_stops(monkeypatch: pytest.MonkeyPatch):
    """A uniform picture, a fixed point from the start, needs one block of iterations."""
    from iem_jax.core import early

    blocks, fill = [], early._fill
    monkeypatch.setattr(early, "_fill", lambda *arguments: (blocks.append(arguments[3]), fill(*arguments))[1])
    early.run_until_settled(jnp.zeros((8, 8, 1)), IEMConfig(iters=120))
    assert int(blocks[0]) == early.block_length(120) == 12


def test_cycle_of_two_is_continued():
    from iem_jax.core.early import _fill
    from iem_jax.core.solver import IEMInfo

    image, config = jnp.asarray(make_image(1, 8, 8, 3)), IEMConfig(iters=11)
    state = init(image, config)
    before, last = np.zeros((8, 8), bool), np.asarray(state.mask)
    history = IEMInfo(*(jnp.arange(12).reshape(3, 4) for _ in range(3)))
    result = _fill(state, jnp.asarray(before), history, jnp.int32(8), 11)
    np.testing.assert_array_equal(result.info.area, [0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 6])
    np.testing.assert_array_equal(result.mask, before)
    np.testing.assert_array_equal(_fill(state, jnp.asarray(before), history, jnp.int32(8), 10).mask, last)


@pytest.mark.parametrize("iters", [1, 2])
def test_fewer_than_three_iterations_are_run_with_early_finish_too(iters):
    images, config = to_uint8(make_images(1, 24, 24)), IEMConfig(2.0, kernel_size=5, iters=iters)
    early, plain = (segment(images, config, early_finish=early_finish) for early_finish in (True, False))
    jax.tree.map(np.testing.assert_array_equal, early, plain)
    assert early.info.inp_error[0, 0] > 0
