"""The job: IEM's masks of one split, training, and the network's masks of another, with files read back."""

import numpy as np
import pytest
from PIL import Image
from test_refine_train import TINY, assert_same, make_pictures

from iem_jax.config import UsageError
from iem_jax.data.loader import load_samples
from iem_jax.data.sample import Sample
from iem_jax.refine import job, load_model

pytestmark = pytest.mark.slow

SIZE = 16
CONFIG = TINY


def bright(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] > 128


@pytest.fixture
def samples(tmp_path):
    pictures = make_pictures(8, SIZE)
    found = []
    for index, (image, target) in enumerate(zip(*pictures, strict=True)):
        path, mask_path = tmp_path / f"{index}.png", tmp_path / f"{index}_truth.png"
        Image.fromarray(image).save(path)
        Image.fromarray(target).save(mask_path)
        found.append(Sample(str(index), path, mask_path, bright))
    found.insert(2, Sample("broken", tmp_path / "absent.png", None, bright))
    return found


class Segmenter:
    """Stands for IEM: what is bright is foreground."""

    def __init__(self, failing=()):
        self.calls = 0
        self.failing = failing

    def __call__(self, samples):
        self.calls += 1
        for item in load_samples(samples, SIZE):
            fails = item.image is None or item.sample.name in self.failing
            yield item, None if fails else item.image[..., 0] > 100


def test_train_and_segment(samples, tmp_path):
    segment, output = Segmenter(failing=("1",)), tmp_path / "out"
    said = []
    refined = list(job.run_refine(CONFIG, samples, samples, output, segment, size=SIZE, say=said.append))
    assert segment.calls == 2
    assert [x.item.sample.name for x in refined] == ["0", "1", "broken", *"234567"]
    assert refined[2].mask is None
    assert refined[1].iem_mask is None
    assert refined[0].mask.shape == (SIZE, SIZE)
    np.testing.assert_array_equal(refined[0].mask, refined[0].probability > 127)
    assert refined[0].iem_scores.iou > 0.9
    means = job.summarise(refined)
    assert set(means) == {"net", "iem"}
    assert means["iem"]["iou"] > 0.9
    assert (output / "refine/history.csv").read_text().splitlines()[0] == "stage,step,loss,held_out"
    assert len((output / "refine/history.csv").read_text().splitlines()) == 3
    with Image.open(output / "refine/curves.png") as curves:
        assert curves.size == (640, 360)
    assert any("net step 4/4" in line for line in said)

    again = Segmenter(failing=("1",))
    second = list(job.run_refine(CONFIG, samples, samples, output, again, size=SIZE))
    assert again.calls == 1  # of the split only: the masks to learn from are on the disk
    assert len((output / "refine/history.csv").read_text().splitlines()) == 3
    for one, two in zip(refined, second, strict=True):
        assert one.mask is two.mask is None or (one.mask == two.mask).all()

    applied = list(job.run_refine(CONFIG, [], samples, None, None, size=SIZE, checkpoint=output / "refine" / "net"))
    assert all(x.iem_mask is None for x in applied)
    np.testing.assert_array_equal(applied[0].mask, refined[0].mask)
    assert set(job.summarise(applied)) == {"net"}


def test_stored_masks_belong_to_their_settings(samples, tmp_path):
    segment = Segmenter()
    for settings in ("a", "a", "b"):
        images, masks = job.collect_masks(samples, segment, SIZE, settings, tmp_path / "refine")
        assert images.shape == (8, SIZE, SIZE, 3)
        np.testing.assert_array_equal(masks, images[..., 0] > 100)
    assert segment.calls == 2
    stored = tmp_path / "refine" / "iem_masks.npz"
    stored.write_bytes(stored.read_bytes()[:100])
    job.collect_masks(samples, segment, SIZE, "b", tmp_path / "refine")
    assert segment.calls == 3


@pytest.mark.parametrize(
    ("chosen", "failing", "number"), [([2], (), 0), ([0], (), 1), ([0, 1, 3], ("0", "1", "2"), 0), ([], (), 0)]
)
def test_too_few_pictures(chosen, failing, number, samples):
    some = [samples[index] for index in chosen]
    with pytest.raises(UsageError, match=f"at least 2 pictures with a mask to learn from: {number} of {len(chosen)}"):
        job.run_refine(CONFIG, some, samples, None, Segmenter(failing), size=SIZE)


def test_settings_are_checked_first(samples):
    with pytest.raises(UsageError, match="divisible by 4"):
        job.run_refine(CONFIG, samples, samples, None, Segmenter(), size=18)
    with pytest.raises(UsageError, match="there is none in"):
        job.run_refine(CONFIG, samples, samples, None, None, size=SIZE, checkpoint="/nowhere")
    with pytest.raises(UsageError, match="needs IEM's masks"):
        job.run_refine(CONFIG, samples, samples, None, None, size=SIZE)


def test_polarity():
    object_in_the_middle = np.zeros((8, 8), bool)
    object_in_the_middle[2:6, 2:6] = True
    fixed = job.fix_polarity(np.stack([object_in_the_middle, ~object_in_the_middle]))
    np.testing.assert_array_equal(fixed, np.stack([object_in_the_middle] * 2))


def test_history_of_a_resumed_training_is_whole(samples, tmp_path):
    class StopHereError(Exception):
        pass

    def stop(text):
        if "step 2/4" in text:
            raise StopHereError

    images, masks = job.collect_masks(samples, Segmenter(), SIZE, "", None)
    with pytest.raises(StopHereError):
        job.train_on(images, masks, CONFIG, tmp_path, say=stop)
    model = job.train_on(images, masks, CONFIG, tmp_path)
    assert_same(model.parameters, load_model(tmp_path / "net").parameters)
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["step", "2", "4"]
