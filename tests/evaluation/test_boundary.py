"""The F-score of boundaries, on rectangles that are counted by hand."""

import numpy as np
import pytest

from iem_jax.evaluation.boundary import boundary_f_score


def rectangle(top: int, left: int, bottom: int, right: int, side: int = 40) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_boundary_f_score():
    square = rectangle(10, 10, 30, 30)
    assert boundary_f_score(square, square) == 1
    assert boundary_f_score(square, rectangle(12, 10, 32, 30)) == 1  # 2 pixels down: within the tolerance
    # 3 pixels down: of the 76 pixels of the boundary the 20 of the top are far from the other's, and of those of the
    # bottom all but 3 at each end, which the other's sides pass. The other way round it is the same, so that is F.
    assert boundary_f_score(square, rectangle(13, 10, 33, 30)) == pytest.approx(42 / 76)
    assert boundary_f_score(square, np.zeros_like(square)) == 0


def test_the_picture_s_edge_is_no_boundary():
    assert boundary_f_score(rectangle(0, 0, 40, 20), rectangle(0, 0, 40, 21), tolerance=1) == 1
    assert boundary_f_score(rectangle(0, 0, 40, 20), rectangle(0, 0, 20, 40), tolerance=0) < 0.1
