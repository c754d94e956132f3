"""Masks as polygons with few points, one for each part.

1. Parts are connected by the sides of pixels: where two touch at a corner alone, they are two.
2. An outline runs through the middles of pixels' sides: slanted edges, which are stairs along the sides, are nearly
   straight there. Corners of straight sides are kept. As it is, it holds exactly the mask's pixels, by their centres.
3. Points are left out as long as none lies farther from the new outline than the first of `TOLERANCES` that keeps an
   IoU of `LEAST_IOU` with the part, and its area. Where none does, as with specks, the outline is the pixels' sides.
4. Holes are joined to their part by a seam that runs there and back, which encloses nothing.
"""

from collections.abc import Iterator

import numpy as np
import scipy.ndimage
import scipy.spatial
from jaxtyping import Bool, Float

TOLERANCES = (1.0, 0.8, 0.65, 0.5)  # pixels
LEAST_IOU = 0.992  # with the part; programs that decide in another way which pixels lie inside find a little less
STRAIGHT = 3  # pixels
OTHER_AREA = 0.03  # by how much the area may differ, as a share: of a pixel, its sides' middles enclose a half

Ring = Float[np.ndarray, "_ 2"]  # x, y; closed, the first point is not repeated


def to_polygons(mask: Bool[np.ndarray, "h w"]) -> Iterator[Ring]:
    """Yield a polygon for each part of the mask, holes joined; at least 3 points each, IoU at least `LEAST_IOU`."""
    labels = np.zeros(mask.shape, np.int32)
    scipy.ndimage.label(mask, output=labels)
    for number, (down, across) in enumerate(scipy.ndimage.find_objects(labels), 1):
        yield _outline(labels[down, across] == number) + np.array([across.start, down.start])


def _outline(part: Bool[np.ndarray, "h w"]) -> Ring:
    corners = list(trace(part))
    middles = [_through_middles(ring) for ring in corners]
    for tolerance in TOLERANCES:
        polygon = _join([simplify(ring, tolerance) for ring in middles])
        filled, pixels = fill(polygon, part.shape), part.sum()
        is_like = (filled & part).sum() >= LEAST_IOU * (filled | part).sum()
        if is_like and abs(_area(polygon) - pixels) <= OTHER_AREA * pixels:
            return polygon
    return _join([simplify(ring, 0.0) for ring in corners])


def _through_middles(corners: Ring) -> Ring:
    """Return the middles of an outline's sides, and the corners between two straight stretches of `STRAIGHT` pixels."""
    steps = np.roll(corners, -1, axis=0) - corners
    is_straight = np.logical_and.reduce([(np.roll(steps, -n, axis=0) == steps).all(1) for n in range(STRAIGHT)])
    # A stretch begins here, and another one ends.
    is_kept = is_straight & np.roll(is_straight, STRAIGHT)
    points = np.stack([corners, corners + steps / 2], 1)
    return points[np.stack([is_kept, np.ones_like(is_kept)], 1)]


def trace(mask: Bool[np.ndarray, "h w"]) -> Iterator[Ring]:
    """Yield the outlines along the sides of pixels, a point at each corner; the object is on the right hand."""
    width = mask.shape[1] + 1
    onward = _sides(mask, width)
    while onward:
        start = next(corner for corner, ends in onward.items() if len(ends) == 1)
        corners = np.array(_follow(onward, start, width))
        points = np.stack([corners % width, corners // width], 1)
        yield points.astype(float)


def _sides(mask: Bool[np.ndarray, "h w"], width: int) -> dict[int, list[int]]:
    """Return from each corner of pixels where sides of the outline lead; corners are numbered row by row."""
    inside = np.pad(mask, 1).astype(np.int8)
    onward: dict[int, list[int]] = {}
    for change, step in ((np.diff(inside, axis=0)[:, 1:-1], 1), (-np.diff(inside, axis=1)[1:-1], width)):
        for sign in (1, -1):
            rows, columns = np.nonzero(change == sign)
            first = rows * width + columns
            starts, ends = (first, first + step) if sign == 1 else (first + step, first)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                onward.setdefault(start, []).append(end)
    return onward


def _follow(onward: dict[int, list[int]], start: int, width: int) -> list[int]:
    """Take the sides of one outline out of `onward`; return its corners. It begins where one side leads onward."""
    right = {1: width, width: -1, -1: -width, -width: 1}
    at, step, corners = start, 0, []
    while not corners or at != start:
        corners.append(at)
        ends = onward[at]
        end = ends.pop(ends.index(at + right[step]) if len(ends) > 1 else 0)  # where pixels touch, stay with one's own
        if not ends:
            del onward[at]
        at, step = end, end - at
    return corners


def simplify(ring: Ring, tolerance: float) -> Ring:
    """Return the ring with fewer points (Douglas and Peucker); at least 3 of them."""
    far = int(np.argmax(((ring - ring[0]) ** 2).sum(1)))
    closed = np.concatenate([ring, ring[:1]])
    kept, waiting = {0, far}, [(0, far), (far, len(ring))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        distances = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            kept.add(middle)
            waiting += [(first, middle), (middle, last)]
    return ring[sorted(kept)] if len(kept) > 2 else ring


def _distances(points: Ring, start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]) -> Float[np.ndarray, " n"]:
    """Return how far points lie from a segment."""
    along, offset = end - start, points - start
    share = np.clip(offset @ along / max(float(along @ along), 0.25), 0, 1)
    return np.hypot(*(offset - share[:, None] * along).T)


def _join(rings: list[Ring]) -> Ring:
    """Return one ring of an outline and its holes, which run the other way, each joined where it is nearest."""
    areas = [_area(ring) for ring in rings]
    outer = int(np.argmax(areas))
    whole = rings[outer]
    for number, ring in enumerate(rings):
        if number != outer:
            distance, nearest = map(np.asarray, scipy.spatial.KDTree(whole).query(ring))
            at = int(np.argmin(distance))
            to, hole = int(nearest[at]), np.roll(ring, -at, axis=0)
            whole = np.concatenate([whole[: to + 1], hole, hole[:1], whole[to:]])
    return whole


def _area(ring: Ring) -> float:
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum()) / 2


def fill(ring: Ring, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Return which centres of pixels lie in a polygon."""
    crossings = np.zeros((shape[0], shape[1] + 1), np.int64)
    for (x, y), (end_x, end_y) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
        rows = np.arange(np.ceil(min(y, end_y) - 0.5), np.ceil(max(y, end_y) - 0.5)).astype(int)
        if len(rows):
            at = x + (rows + 0.5 - y) * (end_x - x) / (end_y - y)
            np.add.at(crossings, (rows, np.clip(np.ceil(at - 0.5).astype(int), 0, shape[1])), 1)
    return np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1
