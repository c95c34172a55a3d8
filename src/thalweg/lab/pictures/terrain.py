"""A landscape seen from above: contour regions in one hue, bluer where it is lower."""

from __future__ import annotations

from typing import Any

import numpy as np
from contourpy import FillType, contour_generator
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from .axes import drawable
from .canvas import Canvas
from .style import layer_opacities

Array = np.ndarray[Any, Any]

_GRID = 220


def _rimmed(v: Array) -> Array:
    """The values with one more beyond either end."""
    return np.concatenate([[v[0] - 0.02 * np.ptp(v)], v, [v[-1] + 0.02 * np.ptp(v)]])


def terrain(ax: Axes, x: Array, y: Array, f: Array, canvas: Canvas, levels: int = 17) -> None:
    """Draw a landscape in one hue: bluer is lower; levels at quantiles of log10(f - min f + δ), finer near the floor."""
    x, y, f = np.asarray(x, float), np.asarray(y, float), drawable(f, False)
    if min(f.shape) >= 4 and not np.isnan(f).any():
        from scipy.interpolate import RectBivariateSpline  # slow to import, and a race on data has no map

        # A spline follows a narrow floor between the points of a grid; straight lines in log f would not.
        spline = RectBivariateSpline(y, x, f, s=0)
        x, y = np.linspace(x[0], x[-1], _GRID), np.linspace(y[0], y[-1], _GRID)
        f = np.maximum(spline(y, x), f.min())
    height = f - np.nanmin(f)
    positive = height[height > 0]
    if not len(positive):
        return
    depth = np.log10(height + 1e-3 * np.median(positive))
    cuts = np.unique(np.nanquantile(depth, np.linspace(0, 1, levels + 1) ** 1.5))[1:-1]
    # Rims outside the window, so that a region's outline is seen only where it is a contour line.
    x, y = _rimmed(x), _rimmed(y)
    depth = np.ma.masked_invalid(np.pad(depth, 1, mode="edge"))
    contours = contour_generator(x, y, depth, fill_type=FillType.OuterCode)
    # Regions lie on one another: each adds what its tint has more than the one around it.
    tints = [0.5 * (1 - i / levels) ** 1.5 for i in range(len(cuts))]
    bottom = float(depth.min()) - 1.0
    _, _, width, high = ax.bbox.bounds
    scale = np.array([width / np.ptp(x), high / np.ptp(y)])
    for cut, added in reversed(list(zip(cuts, layer_opacities(tints), strict=True))):
        filled: Any = contours.filled(bottom, cut)
        points, codes = filled
        parts = [_simple(p, c, scale) for p, c in zip(points, codes, strict=True)]
        if not parts:
            continue
        region = Outline(np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts]))
        blue = canvas.colour["water"]
        ax.add_artist(PathPatch(region, facecolor=(blue, added), edgecolor=(blue, 0.35), linewidth=0.7))


def _simple(points: Array, codes: Array, scale: Array, tolerance: float = 0.25) -> tuple[Array, Array]:
    """Outlines without points that lie within ``tolerance`` px of their neighbours' chord."""
    for _ in range(4):
        if len(points) < 8:
            break
        a, b, c = (points[:-2] * scale, points[1:-1] * scale, points[2:] * scale)
        chord = c - a
        length = np.maximum(np.hypot(*chord.T), 1e-9)
        off = np.abs(chord[:, 0] * (b - a)[:, 1] - chord[:, 1] * (b - a)[:, 0]) / length
        inner = (
            (codes[:-2] != Outline.CLOSEPOLY)
            & (codes[1:-1] == Outline.LINETO)
            & (codes[2:] == Outline.LINETO)
        )
        drop = np.zeros(len(points), bool)
        drop[1:-1] = inner & (off < tolerance)
        drop[1:] &= ~(drop[:-1] & (np.arange(1, len(points)) % 2 == 0))
        drop &= np.arange(len(points)) % 2 == 1
        if not drop.any():
            break
        points, codes = points[~drop], codes[~drop]
    return points, codes
