"""Pictures as plain values for a file of JSON, and back: what is drawn of them later looks the same.

Numbers keep five significant digits. A curve keeps what can be seen of it: of each column of pixels its first, lowest,
highest and last point; a landscape every second point of its grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from .panels import Array, Bars, Chart, Curve, Heat, Map, Panel, Path, Picture

_KINDS = {kind.__name__: kind for kind in (Chart, Map, Heat, Bars, Curve, Path)}
_DIGITS = 5
_COLUMNS = 400  # of a panel, about as many as pixels
_GRID = 80  # points along a side of a landscape, at most


def values(picture: Picture) -> dict[str, Any]:
    """A picture as JSON holds it: alt, methods, panels; numbers that are not finite are null."""
    panels = [_plain(_seen(panel)) for panel in picture.panels]
    return {"alt": picture.alt, "methods": list(picture.methods), "panels": panels}


def picture(given: Mapping[str, Any]) -> Picture:
    """The picture of such values; a gap (NaN) where a number is null. KeyError or TypeError for what are none."""
    panels: tuple[Panel, ...] = tuple(_restored(panel) for panel in given["panels"])
    return Picture(panels, given["alt"], tuple(given["methods"]))


def _seen(panel: Panel) -> Panel:
    """A panel without what is too fine to be seen."""
    if isinstance(panel, Chart):
        return replace(panel, curves=[_thinned(curve, panel.log) for curve in panel.curves])
    if isinstance(panel, Map):
        x, y, f = panel.grid
        across, down = (-(-len(a) // _GRID) for a in (x, y))
        return replace(panel, grid=(x[::across], y[::down], f[::down, ::across]))
    return panel


def _thinned(curve: Curve, log: str) -> Curve:
    """A curve with the ends and the extremes of each column; one that is short, or goes back, as it is."""
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    if len(x) <= 4 * (_COLUMNS + 2) or curve.band is not None or not np.all(np.diff(x) >= 0):
        return curve
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.log(x) if "x" in log else x
    seen = np.isfinite(along)
    low, high = along[seen].min(), along[seen].max()
    column = np.where(seen, (along - low) / (high - low or 1.0) * _COLUMNS, -1.0).astype(int)
    bounds = np.flatnonzero(np.diff(column, prepend=-2, append=_COLUMNS + 2))
    kept = set()
    for first, end in pairwise(bounds):
        part = y[first:end]
        kept |= {first, end - 1} | {first + int(i) for i in np.flatnonzero(~np.isfinite(part))[:1]}
        if np.isfinite(part).any():
            kept |= {first + int(np.nanargmin(part)), first + int(np.nanargmax(part))}
    index = np.array(sorted(kept))
    return replace(curve, x=curve.x[index], y=curve.y[index])


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": _numbers(value)}
    if type(value).__name__ in _KINDS:
        given = {f.name: getattr(value, f.name) for f in fields(_KINDS[type(value).__name__])}
        return {"kind": type(value).__name__} | {
            n: _plain(v) for n, v in given.items() if not _is_default(value, n, v)
        }
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return _number(value) if isinstance(value, float | np.number) else value


def _is_default(owner: object, name: str, value: object) -> bool:
    """Whether a field has the value that it has anyway; arrays have none."""
    default = type(owner).__dataclass_fields__[name].default  # type: ignore[attr-defined]
    return not isinstance(value, np.ndarray) and type(value) is type(default) and value == default


def _numbers(array: Array) -> Any:
    return [_numbers(a) for a in array] if array.ndim > 1 else [_number(x) for x in array.tolist()]


def _number(value: Any) -> float | int | None:
    """A number as short as it can be written."""
    value = float(value)
    if not np.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_restored(v) for v in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(value["array"], dtype=float)
    return _KINDS[value["kind"]](**{n: _restored(v) for n, v in value.items() if n != "kind"})
