"""The figures of a study: targets met within a cost, profiles, tuning curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..race_result import Columns
from ..study_result import StudyResult
from . import charts
from .axes import Axis, fit_axis
from .canvas import Canvas
from .figure import alone
from .figure import figure as draw_figure
from .layout import NARROW, WIDE, Cell
from .multiples import Multiples
from .panels import Array, Chart, Curve, Picture
from .style import SENTINELS, Colours, styles
from .svg import drawing, inline

EVALUATIONS = "gradient evaluations"


def names(study: StudyResult) -> list[str]:
    """The methods, highest score first."""
    return [r["method"] for r in study["methods"]]


def _series(table: Columns, key: str, value: object) -> dict[str, Array]:
    """The rows in which a column has a value, as arrays of their numbers."""
    rows = [k for k, v in enumerate(table[key]) if v == value]
    texts = {"method", "problem"}
    return {n: np.array([column[k] for k in rows], float) for n, column in table.items() if n not in texts}


def _solved(study: StudyResult, colour: Colours, narrow: bool) -> Figure:
    """The share of targets met within a cost: all methods, and each one with its band."""
    order = names(study)
    looks = styles(order)
    series = {m: _series(study["ecdf"], "method", m) for m in order}
    curves = [Curve(s["cost"], s["share"], m, m, look="steps") for m, s in series.items()]
    last = max((float(s["cost"][-1]) for s in series.values()), default=1.0)
    chart = Chart(
        "", EVALUATIONS, "share of all runs' targets met", curves, "x", (), (), (1, last), (0, 1.02)
    )
    width, height, each = (NARROW, 270.0, 90.0) if narrow else (WIDE, 350.0, 110.0)

    def axes(across: float) -> tuple[Axis, Axis]:
        return fit_axis(1, last, True, across - 16, "x", 3), fit_axis(0, 1.02, False, each, "y", 3)

    def fill(canvas: Canvas, panel: Axes, name: str) -> None:
        for other in order:
            if other != name:
                s = series[other]
                panel.plot(
                    s["cost"], s["share"], color=colour["ghost"], linewidth=0.8, drawstyle="steps-post"
                )
        s, style = series[name], looks[name]
        panel.fill_between(
            s["cost"], s["low"], s["high"], step="post", color=colour[style.stroke], alpha=0.25, linewidth=0
        )
        panel.add_line(canvas.line(style, s["cost"], s["share"], drawstyle="steps-post"))

    small = Multiples(order, looks, narrow, each, axes, fill)
    layout = charts.layout(chart, looks, Cell(width, 1, narrow), height)
    canvas, ax, bottom = alone(chart, layout, colour, height, below=small.height + 30)
    layout.fill(canvas, ax)
    small.draw(canvas, bottom)
    return canvas.figure


def _chart(chart: Callable[[StudyResult], Chart]) -> Callable[[StudyResult, Colours, bool], Figure]:
    def draw(study: StudyResult, colour: Colours, narrow: bool) -> Figure:
        return draw_figure(Picture([chart(study)], "", names(study)), colour, narrow)

    return draw


def _profile_chart(study: StudyResult) -> Chart:
    parts = {m: _series(study["profile"], "method", m) for m in names(study)}
    last = max((float(s["ratio"][-1]) for s in parts.values()), default=2.0)
    curves = [Curve(s["ratio"], s["share"], m, m, look="steps") for m, s in parts.items()]
    x = "running time over the fastest method's"
    return Chart("", x, "share of targets", curves, "x", (), (), (1, last), (0, 1.02))


def _data_profile_chart(study: StudyResult) -> Chart:
    parts = {m: _series(study["data_profile"], "method", m) for m in names(study)}
    curves = [Curve(s["cost"], s["share"], m, m, look="steps") for m, s in parts.items()]
    last = max((float(s["cost"][-1]) for s in parts.values()), default=1.0)
    x = f"{EVALUATIONS}, restarts included"
    return Chart("", x, "share of targets", curves, "x", (), (), (1, last), (0, 1.02))


def _tuning(study: StudyResult, colour: Colours, narrow: bool) -> Figure:
    """For each problem what is expected of the best of so many trials."""
    panels = []
    for problem in dict.fromkeys(study["tuning"]["problem"]):
        own = [k for k, p in enumerate(study["tuning"]["problem"]) if p == problem]
        table = {n: [column[k] for k in own] for n, column in study["tuning"].items()}
        curves = []
        for m in names(study):
            s = _series(table, "method", m)
            if len(s["n"]):
                curves.append(Curve(s["n"], s["expected"], m, m))
        log = all(v > 0 for v in table["expected"])
        panels.append(Chart(problem, "trials", "expected best", curves, "xy" if log else "x"))
    return draw_figure(Picture(panels, "", names(study)), colour, narrow)


@dataclass(frozen=True)
class StudyPlot:
    """A figure of a study: call it for themable SVG; ``draw`` makes the matplotlib figure."""

    name: str
    draw: Callable[[StudyResult, Colours, bool], Figure]

    def __call__(self, study: StudyResult, alt: str = "", *, narrow: bool = False) -> str:
        """SVG whose colours are CSS variables; ``narrow`` lays it out for a phone."""
        with drawing():
            prefix = f"{self.name}-narrow" if narrow else self.name
            return inline(self.draw(study, SENTINELS, narrow), prefix, alt)


solved = StudyPlot("solved", _solved)
profile = StudyPlot("profile", _chart(_profile_chart))
data_profile = StudyPlot("data-profile", _chart(_data_profile_chart))
tuning = StudyPlot("tuning", _tuning)
