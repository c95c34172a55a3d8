"""The explorer: one page, one file, on which methods run as one drags their start, computed by the library's formulas."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from numbers import Integral
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any

from ..._version import __version__
from ...core.rule import Rule
from ...errors import HyperparameterError
from ...files import require_writable, write_text
from ...problems import landscape_catalogue
from ...problems.formula import FormulaProblem
from ...rules import resolved
from .. import methods as naming
from ..browser import browse, passing_place
from ..methods import Method
from ..pictures.style import palette
from .address import MOST_STEPS, address
from .payload import data
from .subject import Subject, Window, checked_start, checked_window, subject

METHODS = ("SGD", "Momentum", "Nesterov", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax")
MOST_METHODS = 12  # as web/src has it
STEPS = 300


@dataclass(frozen=True)
class Explorer:
    """The page: ``html``, and where it was written, if anywhere."""

    html: str
    title: str
    path: Path | None = None

    def __repr__(self) -> str:
        return f"Explorer of {self.title}, {len(self.html)} characters" + (
            f", in {self.path}" if self.path else ""
        )

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(self.title)}" style="width:100%;height:900px;border:0">'
            "</iframe>"
        )


def explore(
    problem: Any = "rosenbrock",
    methods: Sequence[str | Rule] | str | None = None,
    *,
    start: Sequence[float] | None = None,
    window: Window | None = None,
    steps: int = STEPS,
    out: str | PathLike[str] | None = None,
    open: bool = False,
) -> Explorer:
    """Make the page on which methods run on a landscape while one moves their start, rates and all other values.

    problem: a landscape's name (``thalweg show`` lists them); a formula of x and y, ``"x**2 + 10*y**2"``;
    ``"FILE.py:NAME"``, a landscape or function there; a FormulaProblem; a function. A function of two names that
    keeps to the grammar of formulas is computed by the page; any other, f(w) of an array of two, is sampled with its
    gradient on a grid and interpolated, and the page says so. methods: as for ``race``, twelve at most; the page
    chooses the rate of those named without one. start: (2,), window: ((x low, x high), (y low, y high)), by default
    the problem's. out: the file to write, one page that needs no other; open: also show it in the browser, from a
    temporary folder where there is no out; a UserWarning where there is no browser.

    Raises UnknownProblemError, ProblemError, HyperparameterError, FileError before anything is written.
    """
    names = naming.several(methods, METHODS)
    entrants = naming.methods(names)
    if len(entrants) > MOST_METHODS:
        raise HyperparameterError(f"methods: {MOST_METHODS} at most on one page, got {len(entrants)}")
    if not isinstance(steps, Integral) or isinstance(steps, bool) or not 1 <= steps <= MOST_STEPS:
        raise HyperparameterError(f"steps={steps!r}: a whole number in 1 .. {MOST_STEPS} is needed")
    shown = subject(problem, checked_window(window), checked_start(start))
    place = passing_place("explore.html") if out is None and open else out
    path = None if place is None else require_writable(place)
    free = [resolved(n)[1] for n in names]
    page = _page(shown, list(zip(entrants, free, strict=True)), int(steps), start, _landscapes())
    if path is not None:
        write_text(path, page)
        if open and not browse(path):
            warnings.warn(f"explore: there is no browser here; open {path} in one", stacklevel=2)
    return Explorer(page, shown.title, path)


def embedded(problem: FormulaProblem, rules: Sequence[Rule], start: Sequence[float], steps: int) -> str:
    """Return the page with one landscape alone, that a report can carry; RuleError where a rule cannot be printed."""
    source = problem.source
    named = source is not None and source.name in landscape_catalogue()
    shown = subject(source.name if named and source else problem, None, None)
    return _page(shown, [(naming.method(r), False) for r in rules], steps, start, {})


def _landscapes() -> dict[str, FormulaProblem]:
    """The library's landscapes of two coordinates."""
    return {n: p for n, make in landscape_catalogue().items() if (p := make()).window is not None}


def _page(
    shown: Subject,
    methods: Sequence[tuple[Method, bool]],
    steps: int,
    start: Sequence[float] | None,
    landscapes: Mapping[str, FormulaProblem],
) -> str:
    here = resources.files(__package__)

    def text(name: str) -> str:
        return (here / name).read_text(encoding="utf-8")

    light, dark = ("".join(f"--{n}:{v};" for n, v in palette(t).items()) for t in ("light", "dark"))
    return Template(text("page.html")).substitute(
        title=escape(shown.title),
        version=__version__,
        light=light,
        dark=dark,
        css=text("explorer.css"),
        data=data(shown, {n: p for n, p in landscapes.items() if n != shown.name}, methods, steps, start),
        script=text("explorer.js").replace("</", "<\\/"),
    )


__all__ = ["MOST_METHODS", "MOST_STEPS", "Explorer", "address", "embedded", "explore"]
