"""Checkpoints: a training that was stopped ends as one that was not; what cannot be read is one sentence."""

import dataclasses

import jax
import numpy as np
import pytest
from test_refine_train import TINY, assert_same, make_pictures

from iem_jax.config import UsageError
from iem_jax.refine import TrainingError, fit, load_model
from iem_jax.refine import fit as fit_function

pytestmark = pytest.mark.slow

CONFIG = dataclasses.replace(TINY, steps=6)


class StopHereError(Exception):
    pass


def stop_after(number: int):
    """Return a report that stops the training from outside, at its checkpoint `number`."""
    calls = []

    def report(progress):
        calls.append(progress)
        if len(calls) == number:
            raise StopHereError

    return report


@pytest.fixture(scope="module")
def pictures():
    return make_pictures()


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, fit(pictures.images, pictures.targets > 0, CONFIG, folder=folder)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_stopped_training_goes_on_bit_for_bit(number, pictures, trained, tmp_path):
    masks = pictures.targets > 0
    with pytest.raises(StopHereError):
        fit(pictures.images, masks, CONFIG, folder=tmp_path, report=stop_after(number))
    steps = []
    model = fit(pictures.images, masks, CONFIG, folder=tmp_path, report=lambda row: steps.append(row.step))
    assert steps == [2, 4, 6][number - 1 :]  # what was reported but not yet written is done again
    assert_same(model.parameters, trained[1].parameters)


def test_finished_training_is_only_read(pictures, trained):
    steps = []
    model = fit(pictures.images, pictures.targets > 0, CONFIG, folder=trained[0], report=steps.append)
    assert not steps
    assert_same(model.parameters, trained[1].parameters)


def test_folder_does_not_change_weights(pictures, trained):
    model = fit(pictures.images, pictures.targets > 0, CONFIG)
    assert_same(model.parameters, trained[1].parameters)


def test_load_model(trained):
    folder, model = trained
    for path in (folder, folder / "6"):
        loaded = load_model(path)
        assert loaded.net == model.net
        assert_same(loaded.parameters, model.parameters)


def test_other_settings_or_pictures_are_refused(pictures, trained):
    folder, _ = trained
    masks = pictures.targets > 0
    wider = dataclasses.replace(CONFIG, width=12)
    with pytest.raises(UsageError, match=r"another training \(`width` is 8 there and 12 here\)"):
        fit(pictures.images, masks, wider, folder=folder)
    with pytest.raises(UsageError, match="`learning_rate` is"):
        fit(pictures.images, masks, dataclasses.replace(CONFIG, learning_rate=1e-4), folder=folder)
    with pytest.raises(UsageError, match="its pictures or masks differ"):
        fit(pictures.images, ~masks, CONFIG, folder=folder)


@pytest.mark.parametrize("name", ["_METADATA", "_CHECKPOINT_METADATA"])
def test_damaged_checkpoint_is_one_sentence(name, pictures, tmp_path):
    fit(pictures.images, pictures.targets > 0, TINY, folder=tmp_path)
    for path in tmp_path.rglob(name):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match="cannot be read: it is damaged"):
        load_model(tmp_path)
    with pytest.raises(UsageError, match="cannot be read: it is damaged"):
        fit(pictures.images, pictures.targets > 0, TINY, folder=tmp_path)


def test_no_checkpoint(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match="there is none in"):
            load_model(folder)


def test_not_finite_names_the_last_good_checkpoint(pictures, tmp_path, monkeypatch):
    module = __import__("sys").modules[fit_function.__module__]
    real = module.train_steps

    def broken(state, *arguments, **settings):
        step = int(state.step)
        state, info = real(state, *arguments, **settings)
        return state, info._replace(loss=info.loss * np.nan) if step >= 2 else info

    monkeypatch.setattr(module, "train_steps", broken)
    with pytest.raises(TrainingError, match=r"at step 3; the last good checkpoint is .*/2"):
        fit(pictures.images, pictures.targets > 0, TINY, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(load_model(tmp_path).parameters))
