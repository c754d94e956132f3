"""Every public function in JAX's modes; what eight devices need runs in a process of its own."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
from programs import CONFIG, assert_same, calls, make_batch

import iem_jax
from iem_jax import IEMConfig, Segmentation, UsageError, run, segment
from iem_jax.core import batch

ROOT = Path(__file__).parents[2]
MODES = {
    "x64": lambda: jax.enable_x64(True),
    "strict": lambda: jax.numpy_dtype_promotion("strict"),
    "debug_nans": lambda: jax.debug_nans(True),
    "transfer guard": lambda: jax.transfer_guard("disallow"),
}


@pytest.fixture(scope="module")
def expected() -> dict:
    return {name: jax.device_get(call()) for name, call in calls().items()}


@pytest.mark.parametrize(
    "mode",
    ["strict", "transfer guard", *[pytest.param(mode, marks=pytest.mark.slow) for mode in ("x64", "debug_nans")]],
)
def test_modes(mode: str, expected: dict):
    on_device = mode == "transfer guard"
    every = calls(jax.device_put if on_device else lambda values: values)
    jax.clear_caches()
    for name, call in every.items():
        if on_device and name in programs.HOST_ONLY:
            continue
        with MODES[mode]():
            got = call()
        assert_same(got, expected[name], name)


def test_float64_pictures_under_x64(expected: dict):
    with jax.enable_x64(True):
        every = calls(floats=np.float64)
        assert_same(every["segment of floats"](), expected["segment of floats"], "segment")
        assert every["objective"]().dtype == jnp.float64  # what is asked for in float64 is computed so


def test_without_jit():
    """On a picture of 4 x 4, since nothing is compiled."""
    pictures = make_batch(1)[0][:, 6:10, 6:10]
    config = IEMConfig(sigma=1.0, kernel_size=3, reps=1, iters=3)
    one = pictures[0]
    of_one_mask = [iem_jax.inpaint, iem_jax.inpainting_error, iem_jax.diversity, iem_jax.objective]
    for function in (
        lambda: segment(pictures, config).mask,
        lambda: run(one, config).mask,
        lambda: iem_jax.step(one, iem_jax.init(one, config), config)[0].mask,
        lambda: iem_jax.score_masks(np.eye(4), np.ones((4, 4)) - np.eye(4)).iou,
        *(functools.partial(function, one, np.eye(4)) for function in of_one_mask),
    ):
        compiled = function()
        with jax.disable_jit():
            np.testing.assert_allclose(function(), compiled, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("part", ["sample", pytest.param("all", marks=pytest.mark.slow)])
def test_eight_devices(part: str):
    """See `eight_devices.py`."""
    settings = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    settings["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, str(ROOT / "tests" / "core" / "eight_devices.py"), part]
    result = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.parametrize("kind", [np.float16, jnp.bfloat16])
def test_half_precision(kind: type):
    """Computed in float32: what the same values in float32 give."""
    halves = (make_batch()[0] / 255 * 2 - 1).astype(kind)
    found = segment(halves, CONFIG)
    assert found.status.tolist() == [0, 0]
    jax.tree.map(np.testing.assert_array_equal, found, segment(halves.astype(np.float32), CONFIG))
    np.testing.assert_array_equal(run(halves[0], CONFIG).mask, found.mask[0])


def test_uint8_into_functions_of_one_picture():
    pictures, truths = make_batch(1)
    real = pictures[0].astype(np.float32) / np.float32(255) * np.float32(2) - np.float32(1)
    for function in (iem_jax.objective, iem_jax.inpainting_error, iem_jax.diversity, iem_jax.inpaint):
        np.testing.assert_array_equal(function(pictures[0], truths[0]), function(real, truths[0]))


def test_run_and_steps_are_segment(photographs: tuple[np.ndarray, np.ndarray]):
    images, config = photographs[0][:4, ::2, ::2], IEMConfig(iters=20)
    masks = segment(images, config).mask
    for image, mask in zip(images, masks, strict=True):
        np.testing.assert_array_equal(run(image, config).mask, mask)
        state = iem_jax.init(image, config)
        for _ in range(config.iters):
            state, _ = iem_jax.step(image, state, config)
        np.testing.assert_array_equal(state.mask, mask)


def test_backwards():
    """With a sentence where it cannot be, with the slope of the differences where it can."""
    image = make_batch(1)[0][0] / np.float32(127.5) - 1

    def error(sigma, early_finish: bool):
        settings = IEMConfig(sigma=sigma, kernel_size=5, iters=6)
        return segment(image[None], settings, early_finish=early_finish).info.inp_error[0, 0]

    with pytest.raises(UsageError, match=r"backwards.*`early_finish=False`.*`run`, `objective` or `inpaint`"):
        jax.grad(error)(2.0, True)
    with jax.enable_x64(True):

        def exact(sigma):
            return run(image.astype(np.float64), IEMConfig(sigma=sigma, kernel_size=5, iters=6)).info.inp_error[0]

        slope = (exact(2.001) - exact(1.999)) / 0.002
        np.testing.assert_allclose(jax.grad(exact)(2.0), slope, rtol=1e-4)
    # In float32 its terms cancel to a tenth of it.
    np.testing.assert_allclose(jax.grad(error)(2.0, False), slope, rtol=0.2)
    np.testing.assert_allclose(jax.jacfwd(error)(2.0, True), slope, rtol=0.2)


def test_export_of_any_batch():
    """A `Segmentation` out, an `IEMConfig` in, a batch of a size that is not known."""
    (number,) = jax.export.symbolic_shape("b")
    arguments = jax.ShapeDtypeStruct((number, 16, 16, 3), np.uint8), CONFIG
    exported = jax.export.export(jax.jit(segment), platforms=("cpu", "cuda", "tpu"))(*arguments)
    again = jax.export.deserialize(exported.serialize())
    for size in (1, 5):  # a size that is not known is one or more
        pictures = make_batch(size)[0]
        found = again.call(pictures, CONFIG)
        assert isinstance(found, Segmentation)
        np.testing.assert_array_equal(found.mask, segment(pictures, CONFIG).mask)


@pytest.mark.slow
def test_exported_program_in_a_new_process(tmp_path: Path):
    """As docs/jax.md says: `Segmentation` is imported first, and with it what an `IEMConfig` is."""
    pictures = make_batch()[0]
    path = tmp_path / "segment.bin"
    path.write_bytes(jax.export.export(jax.jit(segment))(pictures, CONFIG).serialize())
    np.save(tmp_path / "pictures.npy", pictures)
    program = f"""
from iem_jax import Segmentation
import jax, numpy as np
again = jax.export.deserialize(bytearray(open({str(path)!r}, "rb").read()))
from iem_jax import IEMConfig
found = again.call(np.load({str(tmp_path / "pictures.npy")!r}), IEMConfig(sigma=2.0, kernel_size=5, iters=6))
assert isinstance(found, Segmentation)
np.save({str(tmp_path / "masks.npy")!r}, found.mask)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    np.testing.assert_array_equal(np.load(tmp_path / "masks.npy"), segment(pictures, CONFIG).mask)


def test_chunk_is_that_of_the_platform_lowered_for():
    """Pictures of 128 x 128: one at a time for a CPU, 256 for a GPU, wherever the program is made."""
    shape = jax.ShapeDtypeStruct((512, 128, 128, 3), np.uint8)
    for platform, chunk in (("cpu", "1x128x128x3xui8"), ("cuda", "256x128x128x3xui8")):
        text = jax.export.export(jax.jit(segment), platforms=(platform,))(shape).mlir_module()
        assert f"tensor<{chunk}>" in text
        assert ("tensor<1x128x128x3xui8>" in text) == (platform == "cpu")


def test_chunk_fits_the_memory_of_the_device(monkeypatch: pytest.MonkeyPatch):
    """A chunk takes a quarter of it at most, 4 MiB for a picture of 128 x 128; also in a program and in exports."""
    assert batch.default_chunk_size(128, 128, "gpu", 80 * 2**30) == 256
    assert batch.default_chunk_size(128, 128, "gpu", 2**30, weight=4) == 64
    assert batch.default_chunk_size(4096, 4096, "gpu", 2**30) == 1
    assert batch.default_chunk_size(128, 128, "cpu", 2**20) == 1
    assert batch.device_memory(jax.devices("cpu")[0]) is None
    monkeypatch.setattr(batch, "device_memory", lambda: 2**30)
    shape = jax.ShapeDtypeStruct((384, 128, 128, 3), np.uint8)
    text = jax.jit(segment).trace(shape).lower(lowering_platforms=("cuda",)).as_text()
    assert "tensor<64x128x128x3xui8>" in text


@pytest.mark.parametrize("numbers", [{"sigma": 2}, {"sigma": np.float32(2)}, {"sigma": jnp.float32(2)}, {"size": 64}])
def test_one_program_for_equal_settings(numbers: dict, compilations: list[str]):
    pictures = make_batch()[0]
    segment(pictures, CONFIG)
    jnp.float32(2)
    compilations.clear()
    found = segment(pictures, IEMConfig(**{"sigma": 2.0, "kernel_size": 5, "iters": np.int64(6)} | numbers))
    assert compilations == []
    assert found.info.area.shape == (2, 6)


def test_empty_batch():
    found = segment(np.zeros((0, 8, 10, 3), np.uint8), CONFIG)
    assert (found.mask.shape, found.status.shape, found.info.area.shape) == ((0, 8, 10), (0,), (0, 6))
    assert iem_jax.segment_best(np.zeros((0, 8, 10, 3), np.uint8), "fast").mask.shape == (0, 8, 10)
    assert iem_jax.score_masks(np.zeros((0, 8, 10)), np.zeros((0, 8, 10))).iou.shape == (0,)


def test_foreign_byte_order_and_one_device():
    pictures, truths = make_batch()
    pictures, truths = (pictures / 127.5 - 1).astype(">f4"), truths.astype(">i4")
    found = segment(pictures, CONFIG, initial_masks=truths, devices=jax.devices()[0])
    native = segment(pictures.astype("=f4"), CONFIG, initial_masks=truths.astype(bool))
    jax.tree.map(np.testing.assert_array_equal, found, native)
    np.testing.assert_array_equal(run(pictures[0], CONFIG, initial_mask=truths[0]).mask, found.mask[0])
    assert (iem_jax.score_masks(truths, truths).iou == 1).all()


def test_values_out_of_range_inside_jit():
    """They are not known before: a status, as for other trouble with data, and nothing that is not finite."""
    pictures = (make_batch()[0] / np.float32(127.5) - 1).astype(np.float32)
    pictures[1] *= 255
    found = jax.jit(lambda images: segment(images, CONFIG))(pictures)
    assert found.status.tolist() == [0, 4]
    assert iem_jax.core.solver.STATUSES[4] == "invalid"
    assert np.isfinite(found.info.inp_error).all()
    np.testing.assert_array_equal(found.mask[0], segment(pictures[:1], CONFIG).mask[0])


PICTURE = np.zeros((8, 8, 3), np.uint8)
WRONG = {
    "`image` must have shape (H, W, C)": lambda: run(PICTURE[None], CONFIG),
    "`np.moveaxis(images, -3, -1)`": lambda: segment(np.zeros((2, 3, 16, 16), np.uint8), CONFIG),
    "`image` must have its channels last": lambda: run(np.zeros((3, 16, 16), np.uint8), CONFIG),
    "`image` must be uint8": lambda: iem_jax.inpaint(PICTURE.astype(np.int32), PICTURE[..., 0]),
    "`initial_masks` must have shape (1, 8, 8)": lambda: segment(
        PICTURE[None], CONFIG, initial_masks=np.ones((1, 4, 4))
    ),
    "`ground_truths` must have shape (1, 8, 8)": lambda: iem_jax.segment_best(PICTURE[None], ground_truths=PICTURE),
    "`images` of floating point must be finite and in [-1, 1]": lambda: segment(PICTURE[None] + np.nan, CONFIG),
    "`mask` must have shape (8, 8)": lambda: iem_jax.objective(PICTURE, PICTURE[:4, :, 0]),
    "`ground_truth` must have shape (8, 8)": lambda: iem_jax.init(PICTURE, CONFIG, ground_truth=np.ones((3, 3), bool)),
    "`state` must have shape (8, 8)": lambda: iem_jax.step(PICTURE, iem_jax.init(PICTURE[:4], CONFIG), CONFIG),
    "`devices` must be one of": lambda: segment(PICTURE[None], CONFIG, devices=8),
    "`devices` must be left out": lambda: jax.jit(lambda x: segment(x, CONFIG, devices=jax.devices()))(PICTURE[None]),
    "got '5'": lambda: segment(PICTURE[None], IEMConfig(sigma="5")),
    "`sigma` must be a finite number": lambda: run(PICTURE, IEMConfig(sigma=jnp.ones(3))),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments(text: str):
    with pytest.raises(UsageError) as error:
        WRONG[text]()
    assert text in str(error.value)
    assert str(error.value).endswith(".")
