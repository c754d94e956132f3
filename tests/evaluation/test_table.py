"""Tables over runs: intervals, paired differences, published numbers, the measures of saliency."""

import numpy as np
import pytest
import scipy.stats

from iem_jax.evaluation.bootstrap import means_of
from iem_jax.evaluation.published import PUBLISHED
from iem_jax.evaluation.saliency import absolute_error, max_f, precision_and_recall
from iem_jax.evaluation.table import DIFFERENCE, MEASURED, PAPER, Scored, columns_of, table_rows


def scored(label: str, names: str, iou: list[float], pictures: int = 9) -> Scored:
    curves = np.stack([np.array([[0.5], [1.0]])] * len(names))
    return Scored(label, tuple(names), {"iou": np.array(iou)}, curves, pictures)


def test_intervals_are_those_of_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=(60, 2))
    for column, mean in zip(values.T, means_of(values), strict=True):
        expected = scipy.stats.bootstrap((column,), np.mean, method="percentile", rng=0).confidence_interval
        assert mean.value == pytest.approx(column.mean())
        assert (mean.low, mean.high) == pytest.approx(tuple(expected), abs=0.02)


def test_intervals_are_the_same_each_time_and_paired():
    values = np.random.default_rng(2).random((30, 1))
    first, again, shifted = means_of(values), means_of(values), means_of(values + 1)
    assert first == again
    np.testing.assert_allclose(np.subtract(shifted, first), 1)
    assert means_of(np.full((1, 1), 0.5)) == [(0.5, 0.5, 0.5)]


def test_rows():
    """Means over what a run has scores of, differences over what both have."""
    runs = [
        scored("first", "abc", [0.2, 0.4, 0.6]),
        scored("second", "cbx", [0.7, 0.8, 0.0]),
        scored("third", "z", [1.0]),
    ]
    rows = table_rows(runs, "cub")
    assert [row.kind for row in rows] == [MEASURED] * 3 + [DIFFERENCE] * 2 + [PAPER] * 4
    assert [row.cells["iou"].value for row in rows[:4]] == pytest.approx([40, 50, 100, 25])
    assert [(row.scored, row.pictures) for row in rows[:5]] == [(3, 9), (3, 9), (1, 9), (2, 2), (0, 0)]
    assert (rows[3].label, rows[3].against, rows[4].cells) == ("second", "first", {})
    assert rows[0].cells["max_f"].value == pytest.approx(100 * 1.3 * 0.5 / 1.15)
    assert columns_of(rows) == ["accuracy", "iou", "miou", "dice", "max_f"]


def test_published_numbers_are_those_of_the_paper():
    assert PUBLISHED["flowers"]["IEM"] == (88.3, 76.8, 79.0, 84.6)
    assert PUBLISHED["cub"]["ReDO"] == (84.5, 42.6, None, None)
    assert PUBLISHED["lsun_car"]["IEM + SegNet"] == (77.8, 68.5, 63.2, 80.5)
    redo = [row for row in table_rows([scored("a", "a", [1.0])], "flowers") if row.label == "ReDO"]
    assert [sorted(row.cells) for row in redo] == [["accuracy", "iou"]]


def test_saliency_against_the_definition():
    random = np.random.default_rng(3)
    levels, truth = random.integers(0, 256, (2, 9, 7)).astype(np.uint8), random.random((2, 9, 7)) < 0.3
    curves = np.stack([precision_and_recall(*pair) for pair in zip(levels, truth, strict=True)])
    best = 0.0
    for threshold in range(256):
        masks = levels >= threshold
        pairs = list(zip(masks, truth, strict=True))
        precision = np.mean([(m & t).sum() / max(m.sum(), 1) for m, t in pairs])
        recall = np.mean([(m & t).sum() / t.sum() for m, t in pairs])
        np.testing.assert_allclose(curves[:, :, threshold].mean(axis=0), [precision, recall])
        best = max(best, 1.3 * precision * recall / max(0.3 * precision + recall, 1e-12))
    assert max_f(curves) == pytest.approx(best)
    assert absolute_error(levels[0], truth[0]) == pytest.approx(np.abs(levels[0] / 255 - truth[0]).mean())
    assert max_f(np.zeros((2, 2, 1))) == 0
