"""How well the outline of a mask follows that of the ground truth."""

import numpy as np
from jaxtyping import Bool


def boundary_f_score(mask: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"], tolerance: int = 2) -> float:
    """Return the harmonic mean of the shares of each boundary that lie within `tolerance` pixels of the other."""
    edges = [_inner_edge(side) for side in (mask, truth)]
    if not (edges[0].any() and edges[1].any()):
        return 0.0
    precision, recall = (np.mean(_dilate(b, tolerance)[a]) for a, b in (edges, edges[::-1]))
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def _inner_edge(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    inner = mask.copy()
    for axis in (0, 1):
        view, source = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        view[1:] &= source[:-1]
        view[:-1] &= source[1:]
    return mask & ~inner


def _dilate(edge: Bool[np.ndarray, "h w"], tolerance: int) -> Bool[np.ndarray, "h w"]:
    height, width = edge.shape
    padded, reach = np.pad(edge, tolerance), range(-tolerance, tolerance + 1)
    near = np.zeros_like(edge)
    for dy, dx in ((y, x) for y in reach for x in reach if y * y + x * x <= tolerance**2):
        near |= padded[tolerance + dy : tolerance + dy + height, tolerance + dx : tolerance + dx + width]
    return near
