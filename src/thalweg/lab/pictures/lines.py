"""Lines as points: thinned, cut where they leave the panel, and where words may stand beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .axes import Axis

Array = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1

BINS = 200  # of a long line; each keeps its extremes
WINDOW: Box = (0.0, 0.0, 1.0, 1.0)


def panel_shares(x: Array, y: Array, xs: Axis, ys: Axis) -> Array:
    """Points (n, 2) in shares of both axes."""
    return np.stack([xs.shares(x), ys.shares(y)], axis=1)


def thin(columns: Sequence[Array], bins: Array) -> Array:
    """Indices that keep, in each bin, where every column is least and largest, first and last, and gaps.

    bins (n,): ascending bin of each point. Oscillation stays visible, however fast it is.
    """
    count = len(bins)
    edges = np.flatnonzero(np.diff(bins)) + 1
    starts = np.concatenate([[0], edges])
    kept = [starts, np.concatenate([edges, [count]]) - 1]
    for column in columns:
        gap = np.isnan(column)
        for sign in (1.0, -1.0):
            values = np.where(gap, np.inf, sign * column)
            least = np.minimum.reduceat(values, starts)
            hits = np.flatnonzero(values == least[np.searchsorted(starts, np.arange(count), "right") - 1])
            owner = np.searchsorted(starts, hits, "right")
            kept.append(hits[np.unique(owner, return_index=True)[1]])
        kept.append(np.flatnonzero(gap & np.concatenate([[True], ~gap[:-1]])))
    return np.unique(np.concatenate(kept))


def thin_swings(points: Array, gap: float) -> Array:
    """Indices of a path (n, 2) without swings that lie closer to the last one kept than ``gap``, which no eye tells apart.

    A swing is what lies between two points where the path turns back. Swings are left out by twos, all of whose points
    are so close, so that what is kept still goes to and fro, on points of the path. The first and the last point are kept.
    """
    ways = np.diff(points, axis=0)
    turning = np.flatnonzero((ways[1:] * ways[:-1]).sum(axis=1) < 0) + 1
    turns = np.concatenate([[0], turning, [len(points) - 1]])
    if len(turns) < 5:
        return np.arange(len(points))
    kept = np.ones(len(points), bool)
    k = 1
    while k + 1 < len(turns):
        begin, end = points[turns[k - 1]], points[turns[k]]  # the swing that was kept last
        back = k  # from which turn the next one goes back
        while back + 2 < len(turns):
            way = points[turns[back] : turns[back + 2] + 1]  # to and fro
            if _farthest(way, begin, end) >= gap:
                break
            back += 2
        kept[turns[k] + 1 : turns[back]] = False
        k = back + 1
    return np.flatnonzero(kept)


def _farthest(points: Array, begin: Array, end: Array) -> float:
    """How far the farthest of points (n, 2) is from the line between two others."""
    way = end - begin
    along = np.clip((points - begin) @ way / max(float(way @ way), 1e-12), 0, 1)
    return float(np.hypot(*(points - begin - along[:, None] * way).T).max())


def dense_swings(points: Array, near: float, tall: float) -> list[Array]:
    """Stretches of a line (n, 2) that goes up and down so fast that it would look solid, each as its turns' indices.

    A line turns where it goes back by more than ``tall``. A stretch is six turns or more, which are ``near`` to each
    other along x on average over any six. x ascends; a gap (NaN) ends a stretch. Units are those of the points.
    """
    stretches = []
    gaps = np.flatnonzero(np.isnan(points).any(axis=1))
    for begin, end in pairwise([-1, *gaps.tolist(), len(points)]):
        turns = begin + 1 + _turns(points[begin + 1 : end, 1], tall)
        spans = points[turns[5:], 0] - points[turns[:-5], 0]
        dense = np.zeros(len(turns), bool)
        for first in np.flatnonzero(spans < 5 * near):
            dense[first : first + 6] = True
        edges = np.flatnonzero(np.diff(dense, prepend=False, append=False))
        stretches += [turns[a:b] for a, b in edges.reshape(-1, 2)]
    return stretches


def _turns(y: Array, tall: float) -> Array:
    """Indices at which values (n,) turn back by more than ``tall``, highest and lowest in turn."""
    turns: list[int] = []
    best, sign = 0, 1.0
    for i, move in enumerate(y.tolist()):
        ahead = sign * (move - y[best])
        if ahead > 0:
            best = i
        elif -ahead > tall:
            turns.append(best)
            best, sign = i, -sign
    return np.array(turns, int)


def last_seen(points: Array, box: Box = WINDOW) -> Array | None:
    """Where a line (n, 2) is seen last inside the box (x0, y0, x1, y1); None if it is never inside."""
    real = points[np.isfinite(points).all(axis=1)]
    x0, y0, x1, y1 = box
    slack = 1e-6 * (x1 - x0 + y1 - y0)
    seen = np.flatnonzero(
        (real[:, 0] >= x0 - slack)
        & (real[:, 0] <= x1 + slack)
        & (real[:, 1] >= y0 - slack)
        & (real[:, 1] <= y1 + slack)
    )
    if not len(seen):
        return None
    last = np.clip(real[seen[-1]], (x0, y0), (x1, y1))
    if seen[-1] == len(real) - 1:
        return np.asarray(last)
    way = real[seen[-1] + 1] - last
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(way > 0, (np.array([x1, y1]) - last) / way, (np.array([x0, y0]) - last) / way)
    shares = shares[np.isfinite(shares)]
    return np.asarray(last + way * np.clip(shares.min() if len(shares) else 0.0, 0, 1))


def nearby(points: Array, reach: float = 10.0) -> Array:
    """A line (n, 2) in shares of the axes, cut where it goes farther than ``reach`` from the panel.

    A line that leaves the panel towards a place very far away keeps its direction.
    """
    with np.errstate(invalid="ignore"):
        far = np.any(np.abs(points - 0.5) > reach, axis=1)
    if not far.any():
        return points
    close = ~far & ~np.isnan(points).any(axis=1)
    kept = np.flatnonzero(~far)
    parts, order = [points[kept]], [kept.astype(float)]
    out = np.flatnonzero(far)
    for shift in (-1, 1):
        other = out + shift
        good = (other >= 0) & (other < len(points))
        here, there = out[good], other[good]
        here, there = here[close[there]], there[close[there]]
        way = points[here] - points[there]
        share = np.minimum(1.0, reach / np.abs(way).max(axis=1, keepdims=True))
        parts.append(points[there] + share * way)
        order.append(here + 0.2 * shift)
    parts.append(np.full((len(out), 2), np.nan))
    order.append(out.astype(float))
    return np.concatenate(parts)[np.argsort(np.concatenate(order), kind="stable")]


def label_anchors(points: Array, box: Box) -> Array:
    """A dozen places along a line inside the box, last first."""
    x0, y0, x1, y1 = box
    with np.errstate(invalid="ignore"):
        seen = (points[:, 0] >= x0) & (points[:, 0] <= x1) & (points[:, 1] >= y0) & (points[:, 1] <= y1)
    seen_points = points[seen]
    if not len(seen_points):
        return np.empty((0, 2))
    way = np.concatenate([[0], np.hypot(*np.diff(seen_points, axis=0).T).cumsum()])
    index = np.searchsorted(way, np.linspace(way[-1], 0, 13)[1:])
    return np.asarray(seen_points[np.minimum(index, len(seen_points) - 1)])
