import math

import numpy as np
import pytest
from baselines import centred_ellipse, centred_square
from moved import aside, cut_by
from scoring import interval, rank_correlation, warning_scores


def test_rank_correlation_of_hand_worked_ranks():
    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * (1 + 1 + 1 + 1) / (4 * 15) = 0.6.
    assert rank_correlation(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.2, 0.9, 0.7])) == pytest.approx(0.6)
    # Ranks 1 2.5 2.5 4 against 1 2 3 4: covariance 4.5 over sqrt(4.5 * 5).
    tied = rank_correlation(np.array([0.1, 0.2, 0.2, 0.4]), np.array([0.1, 0.2, 0.3, 0.4]))
    assert tied == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_rank_correlation_without_ranks():
    assert math.isnan(rank_correlation(np.array([0.5, 0.5]), np.array([0.1, 0.9])))
    assert math.isnan(rank_correlation(np.array([0.5]), np.array([0.1])))


def test_warning_scores():
    flagged = np.array([True, True, True, False, False])
    bad = np.array([True, False, True, True, False])
    expected = {"flagged": 60.0, "bad": 60.0, "precision": 2 / 3, "recall": 2 / 3}
    assert warning_scores(flagged, bad) == pytest.approx(expected)
    assert math.isnan(warning_scores(~flagged & flagged, bad)["precision"])
    assert math.isnan(warning_scores(flagged, ~bad & bad)["recall"])


def test_interval_of_equal_differences_is_a_point():
    assert interval([np.full(7, 2.0), np.full(3, -1.0)]) == (0.5, 0.5)


def test_interval_is_that_of_the_normal_distribution():
    # Half -1, half +1: the mean of n = 400 has the standard error 1 / 20, a group's share of two halves it.
    differences = np.tile([-1.0, 1.0], 200)
    assert interval([differences]) == pytest.approx((-0.098, 0.098), abs=0.006)
    assert interval([differences, np.zeros(5)]) == pytest.approx((-0.049, 0.049), abs=0.003)


def test_shapes_that_have_not_seen_the_picture():
    image = np.zeros((20, 40, 3), np.uint8)
    assert (centred_square(image) == np.pad(np.ones((12, 24), bool), ((4, 4), (8, 8)))).all()
    ellipse = centred_ellipse(image)
    assert ellipse.mean() == pytest.approx(math.pi * 0.4**2, abs=0.01)
    assert ellipse[:, 20].sum() == 16
    assert ellipse[10].sum() == 32


def test_aside_keeps_the_object_and_takes_it_from_the_middle():
    truth = np.zeros((100, 200), bool)
    truth[40:60, 90:120] = True
    # On the right there is less to cut off, so that the object ends up farther from the middle; down is a tie.
    assert aside(truth) == (0, 38, 124, 100)
    left, top, right, bottom = aside(truth)
    assert truth[top:bottom, left:right].sum() == truth.sum()
    centre = (105 - left) / (right - left)
    assert abs(centre - 0.5) > 0.3


def test_aside_leaves_what_fills_the_picture():
    assert aside(np.ones((50, 60), bool)) == (0, 0, 60, 50)


@pytest.mark.parametrize(
    ("edge", "box"), [(0, (56, 0, 200, 100)), (1, (0, 46, 200, 100)), (2, (0, 0, 64, 100)), (3, (0, 0, 200, 54))]
)
def test_an_edge_cuts_three_tenths_away(edge: int, box: tuple[int, ...]):
    truth = np.zeros((100, 200), bool)
    truth[40:60, 50:70] = True
    assert cut_by(truth, edge) == box
