"""A trained network as a segmenter: the same masks in any company, and checkpoints that cannot be used."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawings import draw, draw_folder
from pictures import make_images, make_mask, to_uint8
from PIL import Image

from iem_jax.app.config import RunConfig, change, run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.app.training import collect
from iem_jax.config import IEMConfig, UsageError
from iem_jax.core.solver import OK, STATUSES
from iem_jax.data.fit import place
from iem_jax.data.loader import Loaded
from iem_jax.data.sample import Sample
from iem_jax.refine import ModelState, NetConfig, TrainingError, load_model, predict
from iem_jax.refine.checkpoints import Checkpoints, remove_checkpoints
from iem_jax.refine.config import RefineConfig
from iem_jax.refine.model import init_parameters
from iem_jax.refine.network import follow_colours, segment_by_network
from iem_jax.refine.train import init_training
from iem_jax.search.polish import polish

ROOT = Path(__file__).parents[2]
NET = NetConfig(width=8, depth=1)
SIZE = 32


@pytest.fixture(scope="module")
def model() -> ModelState:
    """A network that knows nothing, whose masks are ragged."""
    return jax.device_get(ModelState(init_parameters(jax.random.key(3), NET), NET))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """The run's folder of a training that was not begun."""
    folder = tmp_path_factory.mktemp("run")
    config = RefineConfig(width=8, depth=1)
    with Checkpoints(folder / "refine/net", NET, config, "") as checkpoints:
        checkpoints.save(init_training(jax.random.key(3), NET, config))
    return folder


def settings(folder: Path, output: Path, checkpoint: Path, **changes) -> RunConfig:
    config = run_config(iem=IEMConfig(size=SIZE), images=str(folder), output_dir=str(output))
    return change(config, refine_checkpoint=str(checkpoint), **changes)


def test_masks_and_numbers(model):
    images = to_uint8(make_images(5, SIZE, SIZE))
    images[3] = (30, 90, 160)
    truths = np.stack([make_mask(seed, SIZE, SIZE) for seed in range(5)])
    found = segment_by_network(images, model, ground_truths=truths)
    usual = np.arange(5) != 3
    assert (np.asarray(found.status)[usual] == OK).all()
    assert STATUSES[int(found.status[3])] == "uniform"
    expected = np.asarray(predict(model, images)) > 0.5
    assert np.mean(np.asarray(found.mask)[usual] == expected[usual]) > 0.999  # the pictures' roundings differ
    np.testing.assert_array_equal(found.info.area[:, 0], found.mask.sum((1, 2)))
    np.testing.assert_array_equal(found.info.overlap[:, 0], (found.mask & truths).sum((1, 2)))


def test_devices_order_and_batch_bit_for_bit():
    """In a process that has several devices."""
    program = """
        import jax
        jax.config.update("jax_num_cpu_devices", 3)
        import numpy as np
        from iem_jax.refine.network import follow_colours, segment_by_network
        from iem_jax.refine import ModelState, NetConfig
        from iem_jax.refine.model import init_parameters
        from pictures import make_images, to_uint8

        net = NetConfig(width=8, depth=1)
        model = jax.device_get(ModelState(init_parameters(jax.random.key(0), net), net))
        images = to_uint8(make_images(7, 24, 32))
        one = segment_by_network(images, model, chunk_size=1)
        assert 0.02 < one.mask.mean() < 0.98
        for number in (1, 3):
            more = segment_by_network(images[::-1], model, chunk_size=1, devices=jax.devices()[:number])
            jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[::-1], b), more, one)
    """
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)


def test_a_folder_of_pictures(checkpoint, tmp_path, capsys):
    """Whole pictures, at their own size; the padding is never foreground; a second run has nothing to do."""
    folder = draw_folder(tmp_path / "in", 4, width=60, height=30)
    config = settings(folder, tmp_path / "out", checkpoint, cutouts=True, panels=True, figures=True, report=True)
    assert run_pipeline(config) == 0
    out, errors = capsys.readouterr()
    assert out.splitlines()[1].startswith("\tIter   0: InpError ")
    assert out.splitlines()[2].startswith("SegNet finished in ")
    for name in ("00", "01", "sub/02", "03"):
        with Image.open(tmp_path / f"out/masks/{name}.png") as mask:
            assert mask.size == (60, 30)
            assert set(np.unique(mask)) == {0, 255}
        assert (tmp_path / f"out/cutouts/{name}.png").is_file()
        assert (tmp_path / f"out/panels/{name}.jpg").is_file()
    assert (tmp_path / "out/figures/contact_sheet.png").is_file()
    before = (tmp_path / "out/metrics.csv").read_bytes()
    assert run_pipeline(config) == 0
    assert "there is no more to do" in capsys.readouterr().err
    assert (tmp_path / "out/metrics.csv").read_bytes() == before
    assert "Traceback" not in errors


def test_padding_is_never_foreground(model):
    images = to_uint8(make_images(2, SIZE, SIZE))
    valid = np.zeros((2, SIZE, SIZE), bool)
    valid[:, 8:24] = True
    found = segment_by_network(np.where(valid[..., None], images, 0), model, valid=valid)
    assert not (np.asarray(found.mask) & ~valid).any()
    assert np.asarray(found.mask).any()


def test_polarity_is_the_networks_own(tmp_path):
    """`border` is IEM's default for one's own pictures, not a network's."""
    folder, turned = draw_folder(tmp_path / "in", 6), tmp_path / "turned"
    config = RefineConfig(width=8, depth=1)
    state = init_training(jax.random.key(3), NET, config)
    last = jax.tree.map(lambda leaf: -leaf, state.average["last"])  # the other side of all masks
    with Checkpoints(turned, NET, config, "") as checkpoints:
        checkpoints.save(state._replace(average=state.average | {"last": last}))
    masks = {}
    for polarity in (None, "start", "border"):
        output = tmp_path / str(polarity)
        assert run_pipeline(settings(folder, output, turned, polarity=polarity)) == 0
        masks[polarity] = {path.name: path.read_bytes() for path in output.rglob("masks/**/*.png")}
    assert masks[None] == masks["start"] != masks["border"]


@pytest.mark.parametrize("place", ["", "refine", "refine/net", "refine/net/0"])
def test_found_in_all_its_folders(checkpoint, place):
    assert load_model(checkpoint / place).net == NET


@pytest.mark.parametrize("damage", ["manifest", "removed", "data", "settings", "other shapes"])
def test_damaged_checkpoint_is_one_sentence(damage, checkpoint, tmp_path):
    """In a process of its own, where it is seen what orbax would say from its threads."""
    shutil.copytree(checkpoint, tmp_path / "run")
    step = tmp_path / "run/refine/net/0"
    metadata = step / "_CHECKPOINT_METADATA"
    if damage == "manifest":
        (step / "network/manifest.ocdbt").write_bytes((step / "network/manifest.ocdbt").read_bytes()[:20])
    if damage == "removed":
        (step / "network/manifest.ocdbt").unlink()
    if damage == "data":
        for path in (step / "network/d").iterdir():
            path.write_bytes(path.read_bytes()[:100])
    if damage == "settings":
        metadata.write_bytes(metadata.read_bytes()[:-30])
    if damage == "other shapes":
        text = metadata.read_text()
        changed = text.replace('"width": 8', '"width": 16')
        assert changed != text
        metadata.write_text(changed)
        (step / "checksums.json").unlink()  # it would say that this was changed
    draw(1).save(tmp_path / "a.jpg")
    flags = [f"--images={tmp_path / 'a.jpg'}", f"--output_dir={tmp_path / 'out'}", "--size=32"]
    command = [sys.executable, str(ROOT / "run.py"), *flags, f"--refine_checkpoint={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{step} cannot be read: it is damaged or of another shape; "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()


def test_ctrl_c_waits_for_the_checkpoint(tmp_path, monkeypatch, capfd):
    config = RefineConfig(width=8, depth=1)
    with Checkpoints(tmp_path, NET, config, "") as checkpoints:
        real = checkpoints._checkpointer.save_checkpointables

        def save(*arguments, **settings):
            signal.raise_signal(signal.SIGINT)
            return real(*arguments, **settings)

        monkeypatch.setattr(checkpoints._checkpointer, "save_checkpointables", save)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(init_training(jax.random.key(3), NET, config))
        assert checkpoints.restore() is not None
    assert load_model(tmp_path).net == NET
    assert capfd.readouterr().err == ""


def test_network_that_does_not_fit_the_run(checkpoint, tmp_path):
    folder = draw_folder(tmp_path / "in", 1)
    with pytest.raises(UsageError, match="`size` must be divisible by 4"):
        run_pipeline(settings(folder, tmp_path / "out", checkpoint, iem=IEMConfig(size=30)))
    net, config = NetConfig(channels=4, width=8, depth=1), RefineConfig(width=8, depth=1)
    with Checkpoints(tmp_path / "net", net, config, "") as checkpoints:
        checkpoints.save(init_training(jax.random.key(0), net, config))
    with pytest.raises(UsageError, match="pictures of 3 channels, got 4"):
        run_pipeline(settings(folder, tmp_path / "out", tmp_path / "net"))
    assert not (tmp_path / "out").exists()


def test_flax_is_needed_by_the_network_only(checkpoint, tmp_path):
    draw(1).save(tmp_path / "a.jpg")
    program = f"""
        import sys
        sys.modules["optax"] = None
        import run
        own = ["run.py", "--images={tmp_path / "a.jpg"}", "--size=32", "--output_dir={tmp_path / "out"}"]
        assert run.main([*own, "--iters=2"]) == 0
        assert not {{"flax", "orbax"}} & set(sys.modules)
        for flag in ("--refine", "--refine_checkpoint={checkpoint}"):
            assert run.main([*own, flag]) == 2
    """
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-2:] == [
        f"`{flag}` needs optax, which is not installed: `pip install flax optax orbax-checkpoint`."
        for flag in ("refine", "refine_checkpoint")
    ]


def test_masks_are_read_back_into_their_squares(tmp_path):
    picture = np.zeros((16, 16, 3), np.uint8)
    mask = np.zeros((8, 16), bool)
    mask[2:5, 3:9] = True
    (tmp_path / "masks").mkdir()
    items = [Loaded(Sample("broken", Path("absent")), problem="file not found")]
    for name in ("a", "b", "c"):
        Image.fromarray(mask).save(tmp_path / f"masks/{name}.png")
        items.append(Loaded(Sample(name, Path("absent")), picture, placement=place((40, 20), 16, "pad")))
    learned = collect(items, tmp_path, {"a", "c", "broken"})
    assert learned.images.shape == (2, 16, 16, 3)
    assert (learned.valid.sum((1, 2)) == 8 * 16).all()
    assert learned.valid[0, 4:12].all()
    np.testing.assert_array_equal(learned.masks[1, 4:12], mask)
    assert not learned.masks[:, :4].any()
    assert not learned.masks[:, 12:].any()
    with pytest.raises(TrainingError, match="1 of 4 could be read"):
        collect(items, tmp_path, {"b"})


def test_only_checkpoints_are_removed(checkpoint, tmp_path):
    shutil.copytree(checkpoint / "refine", tmp_path / "refine")
    (tmp_path / "refine/net/2.orbax-checkpoint-tmp").mkdir()
    for name in ("train/masks", "mine", "empty"):
        (tmp_path / "refine" / name).mkdir(parents=True)
    (tmp_path / "refine/mine/notes.txt").write_text("kept")
    remove_checkpoints(tmp_path / "refine/net")
    remove_checkpoints(tmp_path / "refine")
    names = {path.relative_to(tmp_path / "refine").as_posix() for path in tmp_path.glob("refine/**")}
    assert names == {".", "net", "train", "train/masks", "mine", "empty"}


def two_colours(side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture in [-1, 1] of a disc whose lower half has nearly the ground's colour, and where it is."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    disc = rows**2 + columns**2 < (side / 3) ** 2
    picture = np.where(disc[..., None], (30, 60, 190), (120, 115, 110))
    picture = np.where((disc & (rows > 0))[..., None], (126, 118, 112), picture)
    picture = picture + np.random.default_rng(0).integers(-15, 16, (side, side, 3))
    return np.asarray(picture / 127.5 - 1, np.float32), disc


def follow(picture: np.ndarray, probability: np.ndarray, valid: np.ndarray) -> np.ndarray:
    image, chance = (jnp.asarray(x, jnp.float32) for x in (picture, probability))
    return np.asarray(follow_colours(image, chance, 3, jnp.asarray(valid)))


def test_colours_do_not_overrule_a_network_that_is_sure():
    picture, disc = two_colours()
    valid = np.ones_like(disc)
    assert (np.asarray(polish(picture, disc, 3)) & disc).sum() < 0.8 * disc.sum()  # by colours alone
    found = follow(picture, np.where(disc, 0.99, 0.01), valid)
    assert (found != disc).mean() < 0.03


def test_colours_find_the_edge_of_what_a_network_means():
    rows, columns = np.mgrid[:48, :48] - 24
    disc = rows**2 + columns**2 < 16**2
    picture = np.where(disc[..., None], (190, 40, 60), (60, 130, 50)) / 127.5 - 1
    rough = np.clip(0.5 + (16 - np.hypot(rows - 3, columns + 2)) / 12, 0, 1)
    valid = np.broadcast_to(columns < 20, disc.shape)
    found = follow(picture, rough, valid)
    assert ((rough > 0.5) != disc).mean() > 0.05
    assert (found != disc & valid).mean() < 0.002


@pytest.mark.parametrize("probability", [0.2, 0.8])
def test_a_network_that_sees_one_side_is_left_with_it(probability):
    picture, disc = two_colours()
    seen = np.full(disc.shape, probability)
    np.testing.assert_array_equal(follow(picture, seen, np.ones_like(disc)), seen > 0.5)
