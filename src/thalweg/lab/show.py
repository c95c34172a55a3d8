"""A landscape with the paths of methods on it: each at its best rate, from one start.

Where no rate is given every method is tried at the same number of rates on the logarithmic range of its unit,
and the one that comes to the target first and stays is shown; the target is a thousandth of the way from the
minimum (where none is known, the lowest value in the window) to the start. Where a landscape falls out of its window
nobody stays: the fastest way out is one leap, which shows nothing. There the fastest rate is shown whose steps inside
the window are at most a fortieth of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..errors import HyperparameterError, ProblemError, ThalwegError
from ..files import Forms
from ..notebook import paragraphs, table
from ..problems import landscape
from ..problems.base import stream
from ..problems.formula import FormulaProblem
from . import methods as naming
from .dimensions import Range
from .formatting import plain
from .methods import Method
from .pictures.panels import Chart, Curve, Map, Panel, Picture
from .pictures.panels import Path as Way
from .ranges import Scales, scale_of, space
from .record import FORMS as TABLES
from .record import record, write
from .search import grid, try_rates
from .search_summary import steady_gain
from .theory import diagnose
from .trial import Trial

Array = np.ndarray[Any, Any]
Span = tuple[float, float]
Progress = Callable[[str, int, int], None]

TRIALS = 49  # rates a method, ends included
SHARE = 1e-3
HOP = 1 / 40  # of the window's diagonal: the longest step shown on a landscape that falls out of its window
DEEPEST = 1e-15  # of the start's height: what is drawn; below is rounding
PICTURES = Forms("a picture of paths", (".svg", ".pdf", ".png", ".gif", ".mp4"))
MOST = 100_000  # steps whose path is kept whole
FALLS = (
    "the lowest point of the window lies on its rim: each method has the fastest of its rates whose steps inside are at"
    " most a fortieth of the window"
)
POINTS = 161  # of the grid under the paths, each way


@dataclass(frozen=True)
class Walk:
    """One method's run: ``path`` (T + 1, d), ``loss`` (T + 1,), both ending where it died.

    ``lr`` is None for a rule without one, ``gain`` what it comes to under a constant gradient where that is another
    number; ``reached`` the step from which it stays at the target, None if never; ``left`` the step at which it fell
    out of the window of a landscape without a minimum there, where the path ends; ``sentence`` says why it diverged,
    or that its rate is the last of those that were tried.
    """

    method: Method
    rule: Rule
    lr: float | None
    path: Array
    loss: Array
    reached: int | None
    died: bool
    sentence: str = ""
    gain: float | None = None
    left: int | None = None

    @property
    def label(self) -> str:
        """Its name with its rate: Momentum, lr 0.01 (gain 0.1)."""
        gain = "" if self.gain is None else f" (gain {plain(self.gain)})"
        return self.method.name + ("" if self.lr is None else f", lr {plain(self.lr)}{gain}")

    @property
    def end(self) -> str:
        """What became of it, in words: f where it ended, that it diverged, or when it left."""
        if self.left is not None:
            return f"left at step {self.left}"
        return "diverged" if self.died else f"{self.loss[-1]:.4g}"


@dataclass(frozen=True)
class Shown:
    """All walks on a problem, with the picture of them; ``note`` says how rates were chosen where no minimum is near."""

    def __repr__(self) -> str:
        ends = (f"{w.method.name:<14} {w.end}" for w in self.walks)
        return "\n".join([f"{self.problem.title}, {self.steps} steps:", *ends])

    def _repr_html_(self) -> str:
        """The picture over the table of methods."""
        from .pictures.notebook import display, picture_part  # matplotlib is slow to import

        head = ["method", "rate", "steps to target", "f at the end", "note"]
        left = (0, 4)
        rows = [
            [w.method.name, plain(w.lr), "never" if w.reached is None else w.reached, w.end, w.sentence]
            for w in self.walks
        ]
        return display(picture_part(self.picture), paragraphs(self.note), table(head, rows, left=left))

    problem: FormulaProblem
    start: Array
    steps: int
    target: float
    walks: list[Walk]
    picture: Picture
    note: str = ""


def show(
    problem: str | FormulaProblem,
    methods: Sequence[str | Rule] | str | None = None,
    *,
    start: Sequence[float] | None = None,
    steps: int | None = None,
    lr: float | None = None,
    window: tuple[Span, Span] | None = None,
    rotate: float = 0.0,
    scale: float | Sequence[float] = 1.0,
    shift: float | Sequence[float] = 0.0,
    noise: float = 0.0,
    seed: int = 0,
    out: str | PathLike[str] | None = None,
    theme: str = "light",
    table: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Shown:
    """Run methods on a landscape and draw their paths.

    problem: a landscape's name (``thalweg show`` lists them) or a FormulaProblem. methods: as for
    ``race``. start: (d,), by default the problem's first usual one. steps: at most, by default the
    problem's. lr: one rate for all, by default each method's own where it was given one, as in
    ``Adam(lr=0.1)``, else its best. window: ((x low, x high), (y low, y high)). rotate (degrees), scale,
    shift, noise: see ``FormulaProblem.transformed``. seed: fixes the noise. out: .svg, .pdf, .png, .gif
    or .mp4. theme: "light" or "dark". table: .parquet or .csv for everything that happened in every run.

    Raises UnknownProblemError, ProblemError, HyperparameterError, FileError before anything is run.
    """
    p = problem if isinstance(problem, FormulaProblem) else landscape(problem)
    try:
        p = p.transformed(rotate=rotate, scale=scale, shift=shift, noise=noise)
        stream(seed, 0)  # a bad seed is told before anything runs
    except ProblemError as error:
        raise HyperparameterError(str(error)) from None
    entrants = naming.methods(methods)
    steps = p.steps if steps is None else steps
    if not isinstance(steps, Integral) or not 1 <= steps <= MOST:
        raise HyperparameterError(f"steps={steps!r}: a whole number in 1 .. {MOST} is needed")
    view = _window(p, window)
    at = _start(p, start, view)
    place = None if out is None else PICTURES.of(out)[0]
    columns = None if table is None else TABLES.of(table)[0]
    if theme not in ("light", "dark"):
        raise HyperparameterError(f"theme={theme!r}: 'light' or 'dark'")
    first, floor = p.loss(at), _floor(p, view)
    target = floor + SHARE * (first - floor)
    report = progress or (lambda what, done, total: None)
    report("methods", 0, len(entrants))
    exits = view if view is not None and _falls(p, view) else None
    walks = []
    for m in entrants:
        rule, note = _rate(p, m, at, steps, seed, lr, target, exits)
        walks.append(_walk(p, m, rule, note, at, steps, seed, target, exits))
        report("methods", len(walks), len(entrants))
    note = "" if exits is None or lr is not None else FALLS
    shown = Shown(p, at, steps, target, walks, _picture(p, walks, view, floor), note)
    if place is not None:
        _draw(shown.picture, place, theme)
    if columns is not None:
        _keep(p, walks, at, steps, seed, columns)
    return shown


def _window(p: FormulaProblem, window: tuple[Span, Span] | None) -> tuple[Span, Span] | None:
    """The window to show; HyperparameterError where it is empty or the landscape has no map."""
    if window is None:
        return p.window
    if len(p.starts[0]) != 2:
        raise HyperparameterError(f"{p.name}: has {len(p.starts[0])} coordinates; a window needs two")
    if np.shape(window) != (2, 2):
        raise HyperparameterError(f"window={window!r}: ((x low, x high), (y low, y high)) is needed")
    for name, (low, high) in zip("xy", window, strict=True):
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise HyperparameterError(
                f"window: {name} runs from {low:g} to {high:g}; it needs a width above 0"
            )
    return window


def _start(p: FormulaProblem, start: Sequence[float] | None, view: tuple[Span, Span] | None) -> Array:
    try:
        at = np.array(p.starts[0] if start is None else start, dtype=float)
    except (TypeError, ValueError):
        raise HyperparameterError(f"start={start!r}: numbers are needed") from None
    d = len(p.starts[0])
    if at.shape != (d,):
        raise HyperparameterError(f"start: {p.name} has {d} coordinates, got {at.size}")
    shown = f"({', '.join(f'{x:g}' for x in at)})"
    if not np.isfinite(p.loss(at)):
        raise HyperparameterError(
            f"start {shown}: {p.name} is {p.loss(at)} there; choose a point of its domain"
        )
    for name, x, (low, high) in zip("xy", at, view or (), strict=False):
        if not low <= x <= high:
            raise HyperparameterError(
                f"start {shown}: lies outside the window, {name} from {low:g} to {high:g};"
                " choose another start or window"
            )
    return at


def _floor(p: FormulaProblem, view: tuple[Span, Span] | None) -> float:
    """The minimum; where there is none the lowest value in the window, else 0."""
    if p.minimum is not None:
        return p.minimum
    return 0.0 if view is None else float(np.nanmin(_grid(p, view)[2]))


def _grid(p: FormulaProblem, view: tuple[Span, Span]) -> tuple[Array, Array, Array]:
    x, y = (np.linspace(low, high, POINTS) for low, high in view)
    return x, y, p.values(*np.meshgrid(x, y))


def _falls(p: FormulaProblem, view: tuple[Span, Span]) -> bool:
    """Whether a landscape without a known minimum is lowest at its window's rim."""
    if p.minimum is not None or p.minima:
        return False
    f = _grid(p, view)[2]
    return bool(np.nanmin(f) < np.nanmin(f[1:-1, 1:-1]))


def _rate(
    p: FormulaProblem,
    m: Method,
    at: Array,
    steps: int,
    seed: int,
    lr: float | None,
    target: float,
    exits: tuple[Span, Span] | None,
) -> tuple[Rule, str]:
    """The method at the rate that is asked for, or was given to it, else at its best one; and a word where that is the last tried."""
    usual = space(m, Scales(scale_of(at))).get("lr")
    if not isinstance(usual, Range) or (lr is None and "lr" in m.own):
        return m.rule, ""
    if lr is not None:
        return m.rule.replace(lr=lr), ""
    low, high = usual.low, usual.high
    rates = grid(low, high, TRIALS)
    if exits is None:
        tried = try_rates(m.rule, p, rates, steps, target, start=at, batch=p.batch, seeds=(seed,), stay=True)
        best = tried.best
    else:
        best = _unhurried(p, m, rates, at, steps, seed, exits)
    edge = f"its rate is the last of those tried, {low:.3g} to {high:.3g}"
    return m.rule.replace(lr=float(f"{rates[best]:.3g}")), edge if best in (0, TRIALS - 1) else ""


def _outside(path: Array, exits: tuple[Span, Span]) -> Array:
    """Which points of paths (..., d) lie outside a window."""
    low, high = np.array(exits).T
    with np.errstate(invalid="ignore"):
        return np.asarray(~np.all((path >= low) & (path <= high), axis=-1))


def _unhurried(
    p: FormulaProblem, m: Method, rates: Array, at: Array, steps: int, seed: int, exits: tuple[Span, Span]
) -> int:
    """The index of the rate that is out of the window soonest without a long step inside, the lowest where none is out."""
    paths = (
        Trial(m.rule, p, steps, (seed,), starts=at, batch=p.batch, vary={"lr": rates}, record=("path",))
        .run()
        .path[:, 0]
    )
    outside = _outside(paths, exits)
    gone = np.where(outside.any(axis=1), outside.argmax(axis=1), steps + 1)
    hops = np.hypot.reduce(np.diff(paths, axis=1), axis=-1)
    hops[np.arange(steps) >= gone[:, None]] = 0.0
    calm = hops.max(axis=1) <= HOP * np.hypot(*np.diff(exits, axis=1)[:, 0])
    heights = np.array([p.loss(path[min(end, steps)]) for path, end in zip(paths, gone, strict=True)])
    return int(np.lexsort((heights, gone, ~calm))[0])


def _walk(
    p: FormulaProblem,
    m: Method,
    rule: Rule,
    note: str,
    at: Array,
    steps: int,
    seed: int,
    target: float,
    exits: tuple[Span, Span] | None,
) -> Walk:
    runs = Trial(
        rule, p, steps, (seed,), starts=at, batch=p.batch, record=("loss", "path"), target=target
    ).run()
    loss, settled, path = runs.curves[0, 0], runs.settled[0, 0], runs.path[0, 0]
    died = not np.isfinite(loss[-1])
    end = int(np.argmax(~np.isfinite(loss))) if died else steps + 1
    left = None
    if exits is not None and (outside := _outside(path[:end], exits)).any():
        first = int(outside.argmax())
        if loss[first] < loss[0]:  # down, as it should: no divergence
            left, died, end = first, False, first + 1
    lr = float(rule.at(0)["lr"]) if "lr" in rule.parts.hyperparameters else None
    return Walk(
        m,
        rule,
        lr,
        path[:end],
        loss[:end],
        None if died or np.isinf(settled) else int(settled),
        died,
        _why(p, rule, at) if died else note,
        None if lr is None else steady_gain(rule, lr),
        left,
    )


def _why(p: FormulaProblem, rule: Rule, at: Array) -> str:
    """Why a run from there diverged, on the local quadratic model."""
    try:
        return diagnose(rule, p, at, where="at the start").sentence
    except ThalwegError:  # rates that overflow at once have no such model
        return "the first steps overflow: choose a far smaller learning rate"


def _plane(p: FormulaProblem, walks: Sequence[Walk]) -> tuple[Array, Array, float]:
    """Of more than two coordinates: a centre, two directions (2, d) that hold most of the paths, their share."""
    paths = np.vstack([w.path for w in walks])
    centre = np.array(p.minima[0]) if p.minima else paths.mean(axis=0)
    _, sizes, directions = np.linalg.svd(paths - centre, full_matrices=False)
    return centre, directions[:2], float(np.sum(sizes[:2] ** 2) / max(np.sum(sizes**2), 1e-300))


def _picture(
    p: FormulaProblem, walks: Sequence[Walk], view: tuple[Span, Span] | None, floor: float
) -> Picture:
    names = [w.method.name for w in walks]
    start = walks[0].path[0]
    if len(start) == 2:
        view = view or _around(np.vstack([w.path for w in walks]))
        title, labels, surface = p.title, p.objective.parameters, _grid(p, view)
        paths = [w.path for w in walks]
        marks = [(*start, "start"), *((*m, "minimum") for m in p.minima)]
    else:
        centre, plane, share = _plane(p, walks)
        paths = [(w.path - centre) @ plane.T for w in walks]
        view = _around(np.vstack(paths))
        x, y = (np.linspace(low, high, POINTS) for low, high in view)
        a, b = np.meshgrid(x, y)
        surface = x, y, p.values(*(c + a * u + b * v for c, u, v in zip(centre, *plane, strict=True)))
        title = f"{p.title}: the plane that holds {share:.0%} of the paths"
        labels = ("first direction", "second direction")
        marks = [(*paths[0][0], "start")] + [(0.0, 0.0, "minimum")] * bool(p.minima)
    ways = [Way(path, w.label, w.method.name, died=w.died) for path, w in zip(paths, walks, strict=True)]
    curves = [
        Curve(np.arange(len(w.loss)), np.maximum(w.loss - floor, 0.0), n, n, died=w.died)
        for w, n in zip(walks, names, strict=True)
    ]
    known = p.minimum is not None
    title_of_heights = "Height above the minimum" if known else "Height above the lowest value in the window"
    what = "f" if floor == 0 else f"f − {floor:.4g}" if floor > 0 else f"f + {-floor:.4g}"
    first = float(curves[0].y[0])
    heights = np.concatenate([c.y[c.y > 0] for c in curves] or [np.ones(1)])
    lowest = max(float(heights.min(initial=first)), DEEPEST * first)
    panels: list[Panel] = [
        Map(title, labels[0], labels[1], surface, ways, marks),
        Chart(
            title_of_heights,
            "step",
            what,
            curves,
            log="y",
            levels=[(SHARE * first, "target")] if first > 0 else [],
            y_range=(0.5 * lowest, 2 * float(heights.max(initial=first))) if first > 0 else None,
        ),
    ]
    return Picture(panels, f"Paths of {', '.join(names)} on {p.title}, and their heights.", tuple(names))


def _around(points: Array) -> tuple[Span, Span]:
    """A window around all finite points, with a margin."""
    good = points[np.all(np.isfinite(points), axis=1)]
    low, high = good.min(axis=0), good.max(axis=0)
    room = 0.08 * np.maximum(high - low, 1e-6 + 0.1 * np.max(high - low))
    (x0, y0), (x1, y1) = low - room, high + room
    return (float(x0), float(x1)), (float(y0), float(y1))


def _keep(
    p: FormulaProblem,
    walks: Sequence[Walk],
    at: Array,
    steps: int,
    seed: int,
    table: Path,
) -> None:
    """All that happened in each run, one method below the other; states that a method lacks are NaN."""
    runs = [record(w.rule, p, steps, start=at, seed=seed).columns() for w in walks]
    names = list(dict.fromkeys(n for run in runs for n in run))
    lengths = [len(run["step"]) for run in runs]
    columns = {"method": np.repeat([w.method.name for w in walks], lengths)}
    for n in names:
        columns[n] = np.concatenate(
            [run.get(n, np.full(length, np.nan)) for run, length in zip(runs, lengths, strict=True)]
        )
    write(columns, table)


def _draw(picture: Picture, path: Path, theme: str) -> None:
    from .pictures import draw, film  # matplotlib is slow to import

    if path.suffix.lower() in (".gif", ".mp4"):
        (land,) = [panel for panel in picture.panels if isinstance(panel, Map)]
        film.animate(land, path, theme)
    else:
        draw.write(picture, path, theme)
