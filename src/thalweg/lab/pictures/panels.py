"""Pictures as values: what is to be seen. How it looks is decided in one place, where they are drawn.

A ``Picture`` is one or more panels side by side (below one another where there is little room). Text
is plain Unicode (β₁, 10⁻³), never markup. A label that is a method's name, or begins with one, gets
that method's colour, dash and marker through ``method``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Curve:
    """A line over an axis. x, y: (n,); gaps where y is not finite.

    ``label`` stands at its end ("" for none). ``method``: whose colour, dash and marker it takes; without
    one it takes a neutral colour of its own, the same for the same label. ``variant`` tells apart several
    curves of one method (0 as it is, 1 and 2 thinner and with other dashes). ``look``: "theory" is a
    thin dashed line in muted ink, "points" markers without a line, "steps" a staircase. ``band``: (low, high), each
    (n,). ``died``: the run ended here; a cross is drawn at the last finite point. ``aside``: a number in
    words, in muted ink before the label.
    """

    x: Array
    y: Array
    label: str = ""
    method: str = ""
    variant: int = 0
    look: Literal["line", "theory", "points", "steps"] = "line"
    band: tuple[Array, Array] | None = None
    died: bool = False
    aside: str = ""


@dataclass(frozen=True)
class Chart:
    """Curves over two axes.

    ``x`` and ``y`` say what the axes show, with units. ``log``: "", "x", "y" or "xy". ``levels``: horizontal
    lines (value, words); ``marks``: vertical ones. ``x_range``, ``y_range``: limits, else from the curves.
    ``equal``: one unit is as long on both axes (closed curves, circles).
    """

    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    log: Literal["", "x", "y", "xy"] = ""
    levels: Sequence[tuple[float, str]] = ()
    marks: Sequence[tuple[float, str]] = ()
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    equal: bool = False


@dataclass(frozen=True)
class Path:
    """A run on a map: points (n, 2), the label beside its end, a cross there where it ``died``.

    ``every``: steps between two points, so that a film can count them.
    """

    points: Array
    label: str
    method: str = ""
    variant: int = 0
    died: bool = False
    every: int = 1


@dataclass(frozen=True)
class Map:
    """A landscape from above with paths on it.

    ``grid``: x (m,), y (n,), f (n, m). Contour levels follow quantiles of log(f - min f). ``points`` are marked
    with words: the start, minima: (x, y, words).
    """

    title: str
    x: str
    y: str
    grid: tuple[Array, Array, Array]
    paths: Sequence[Path]
    points: Sequence[tuple[float, float, str]] = ()


@dataclass(frozen=True)
class Heat:
    """A map of numbers over two settings: columns (m,), rows (n,), values (n, m), NaN or inf hatched.

    ``log``: which of x, y and v (the values) are logarithmic. ``value`` names the values (beside the scale),
    ``missing`` what the hatching means ("diverged"). ``points``: marked cells (x, y, words).
    """

    title: str
    x: str
    y: str
    columns: Array
    rows: Array
    values: Array
    value: str
    log: str = "xyv"
    missing: str = "diverged"
    points: Sequence[tuple[float, float, str]] = ()


@dataclass(frozen=True)
class Bars:
    """One bar for each method or case: (label, value) from top to bottom, ``methods`` their colours.

    A value that is not finite is written as ``missing``. ``levels`` are vertical lines (value, words).
    """

    title: str
    x: str
    labels: Sequence[str]
    values: Sequence[float]
    methods: Sequence[str] = ()
    log: bool = False
    levels: Sequence[tuple[float, str]] = ()
    missing: str = "diverged"


Panel = Chart | Map | Heat | Bars


@dataclass(frozen=True)
class Picture:
    """Panels with one description: ``alt`` says in a sentence what is seen, for those who cannot see it."""

    panels: Sequence[Panel]
    alt: str
    methods: Sequence[str] = field(default=())
