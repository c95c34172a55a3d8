"""Where two rules part: the same gradients through both, step by step.

Both run in float64, so that what is seen is the formulas' difference and not rounding. A distance is a
share of the largest |w| on either path (coordinate by coordinate where each has gradients of its own kind),
or is counted in float32 ulps: of the largest of |w|, |w'| and their last moves, since near zero a plain ulp
means nothing. Why they part is
found by making one differing setting at a time equal and running again; what makes them agree is run too.
"""

from __future__ import annotations

import json as json_format
import math
import os
import webbrowser
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from .. import files, rules
from ..core.line import Scalar
from ..core.rule import Row, Rule, restore
from ..core.schedule import Schedule
from ..errors import FileError, GradientError, HyperparameterError, NonFiniteError, nearest
from ..problems import Problem
from ..problems import problem as named
from . import streams
from .methods import method
from .panels import Bars, Chart, Curve, Panel, Picture
from .record import Record, fed, record
from .words import listing, plain

Array = np.ndarray[Any, Any]
Shares = Mapping[str, float]  # of each kind of gradients: the largest distance in the run

ROUNDING = 1e-11  # below this share of the path's largest |w| two float64 paths are one
VISIBLE = 0.01  # of the largest |w|: what the eye sees in a picture of both paths
ULP = 2.0**-23  # of float32, as a share
SUFFIXES = (".html", ".json", ".svg", ".pdf", ".png")
MOST = 100_000  # steps
BUILT_IN = "the built-in gradients"


@dataclass(frozen=True)
class Side:
    """A rule under the name it was given; ``world``: the dialect whose argument names it carries, or ""."""

    name: str
    rule: Rule
    world: str = ""

    @property
    def row(self) -> Row | None:
        """The dialect's row; None where the rule belongs to no world."""
        return self.rule.anatomy.dialects.get(self.world)

    @property
    def arguments(self) -> dict[str, str]:
        """What this world calls each line that it lets one set; without a world the lines' own names."""
        if self.row is None:
            return {n: n for n in self.rule.anatomy.lines}
        targets = {k: (v,) if isinstance(v, str) else v for k, v in self.row.names.items()}
        return {line: k for k, lines in targets.items() for line in lines}


@dataclass(frozen=True)
class Setting:
    """One line on both sides; None where a rule has no such line, "" where its world has no argument for it."""

    line: str
    unit: str
    a: Scalar | None
    b: Scalar | None
    a_name: str
    b_name: str


@dataclass(frozen=True)
class Cause:
    """Something that differs. ``a``, ``b``: both sides of it in words.

    ``alone``: how far A moves when it alone takes B's side; ``left``: how far A then still is from B.
    """

    title: str
    a: str
    b: str
    alone: Shares
    left: Shares


@dataclass(frozen=True)
class Agreement:
    """What to set in B's world to follow A, and how far apart that leaves them.

    ``barred``: what cannot be set. ``others``: what else was tried, with what that leaves.
    """

    settings: Mapping[str, Any]
    rule: Rule
    left: Shares
    barred: tuple[str, ...] = ()
    others: tuple[Agreement, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the paths are the same up to rounding."""
        return max(self.left.values()) <= ROUNDING

    @property
    def text(self) -> str:
        """The settings as they are written: ``rho=0.99, epsilon=1e-16``."""
        return ", ".join(f"{n}={_value(v)}" for n, v in self.settings.items())


@dataclass(frozen=True)
class Parting:
    """A step and coordinate at which the paths differ: the gradient there, w before the step and after it."""

    step: int
    coordinate: str
    gradient: float
    before: float
    a: float
    b: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two rules on the same gradients, or on the same problem.

    ``path_a``, ``path_b`` (T + 1, d) float64, row 0 the start; ``gradients`` (T, d) are those of A.
    ``sizes`` (d,): the largest |w| that distances are shares of. ``kinds``: names of the coordinates that
    belong together, with their slices. ``loss``: of a problem, at both ends. ``note``: why a run ended early.
    """

    a: Side
    b: Side
    source: str
    kinds: Mapping[str, slice]
    gradients: Array
    path_a: Array
    path_b: Array
    sizes: Array
    settings: Sequence[Setting]
    causes: Sequence[Cause]
    agreement: Agreement | None
    loss: tuple[float, float] | None = None
    note: str = ""
    command: str = ""

    @property
    def steps(self) -> int:
        """Steps that both were run for."""
        return len(self.path_a) - 1

    @cached_property
    def share(self) -> Array:
        """Distances as a share of the largest |w|: (T + 1, d)."""
        return _shares(self.path_a, self.path_b, self.sizes)

    @cached_property
    def ulps(self) -> Array:
        """Distances in float32 ulps: (T + 1, d)."""
        return _ulps(self.path_a, self.path_b)

    @property
    def growth(self) -> dict[str, Array]:
        """Of each kind, the largest share after each step: (T + 1,)."""
        return {n: self.share[:, k].max(axis=1) for n, k in self.kinds.items()}

    @property
    def milestones(self) -> list[int]:
        """Steps worth a column: 1, 10, 100, ... and the last."""
        powers = [10**k for k in range(6) if 10**k < self.steps]
        return [*powers, self.steps]

    def ulps_of(self, kind: str) -> Array:
        """Of a kind, the most float32 ulps after each step: (T + 1,)."""
        worst: Array = self.ulps[:, self.kinds[kind]].max(axis=1)
        return worst

    @property
    def parts(self) -> dict[str, float]:
        """Of each kind, the largest share in the run."""
        return {n: float(g.max()) for n, g in self.growth.items()}

    @property
    def verdict(self) -> str:
        """"identical" (bit for bit), "equal up to rounding", or "different"."""
        if np.array_equal(self.path_a, self.path_b):
            return "identical"
        return "equal up to rounding" if self.share.max() <= ROUNDING else "different"

    @property
    def first(self) -> Parting | None:
        """The first step at which any bit differs, where the share is largest; None where none does."""
        return self._parting(self.path_a != self.path_b)

    @property
    def seen(self) -> Parting | None:
        """The first step after which float32 would show it: a distance of an ulp or more; None if never."""
        return self._parting(self.ulps >= 1)

    def _parting(self, apart: Array) -> Parting | None:
        steps = np.flatnonzero(apart.any(axis=1))
        if not steps.size:
            return None
        t = int(steps[0])
        i = int(np.argmax(np.where(apart[t], self.share[t], -1.0)))
        a, b = float(self.path_a[t, i]), float(self.path_b[t, i])
        before, g = float(self.path_a[t - 1, i]), float(self.gradients[t - 1, i])
        return Parting(t, self.coordinate(i), g, before, a, b)

    def coordinate(self, i: int) -> str:
        """A coordinate's name: its kind and its place there."""
        kind, k = next((n, k) for n, k in self.kinds.items() if k.start <= i < k.stop)
        return f"{kind}[{i - k.start}]"

    @property
    def sentences(self) -> dict[str, str]:
        """In words: "verdict", "first" step, "why", and how to "agree"; what there is to say of these."""
        told = {"verdict": _verdict(self), "first": _first(self), "why": _why(self), "agree": _agree(self)}
        return {n: text for n, text in told.items() if text}

    @property
    def picture(self) -> Picture:
        """Growth of the difference, both paths where they part most, and what each setting explains."""
        return _picture(self)

    def __repr__(self) -> str:
        rows = [["", f"{self.a.name}", f"{self.b.name}"]]
        rows += [[s.line, *in_words(s)] for s in self.settings if s.a != s.b]
        width = [max(len(r[k]) for r in rows) for k in range(3)]
        table = ["  ".join(f"{x:<{w}}" for x, w in zip(r, width, strict=True)).rstrip() for r in rows]
        return "\n".join([*(table if len(table) > 1 else []), *self.sentences.values()])

    def _repr_html_(self) -> str:
        from .compare_report import fragment

        return fragment(self)

    def html(self) -> str:
        """The report: one self-contained page."""
        from .compare_report import page

        return page(self)

    def json(self) -> str:
        """The numbers as JSON; what is not finite is null."""
        return json_format.dumps(_data(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page (.html), the numbers (.json) or the picture (.svg, .pdf, .png); FileError."""
        target = _checked(path)
        if target.suffix.lower() in (".html", ".json"):
            text = self.html() if target.suffix.lower() == ".html" else self.json()
            files.write(target, lambda file: file.write(text.encode()))
        else:
            from .plots import write

            write(self.picture, target)
        return target

    def show(self) -> Path:
        """Open the page in the browser; where it was written."""
        path = self.save(Path(mkdtemp(prefix="thalweg-")) / "diff.html")
        webbrowser.open(path.as_uri())
        return path


def compare(
    rule_a: Rule | str,
    rule_b: Rule | str,
    *,
    gradients: Any = None,
    problem: Problem | str | None = None,
    same: Mapping[str, Any] | None = None,
    steps: int | None = None,
    start: Any = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Where two rules part, by how much, why, and what makes the second follow the first.

    rule_a, rule_b: rules, or names as for ``race``: "RMSprop:torch", "RMSprop:keras(rho=0.95)". gradients:
    your own, (T, ...), given to both; by default the fixed ones of ``thalweg.lab.streams``, 300 steps of
    seven kinds. problem: a problem, or its name; then each follows its own gradients, on the same batches.
    same: lines or arguments that both take, {"lr": 0.1}. steps: by default 300, or as many as there are
    gradients. start: where both begin: (d,), or in the problem's structure. seed: of a problem's start and
    batches. out: .html (the report), .svg, .pdf, .png (the picture) or .json; json: the numbers.

    Raises HyperparameterError, GradientError, ProblemError, UnknownProblemError, FileError before anything
    is run.
    """
    a, b = (_taken(_side(r), same or {}) for r in (rule_a, rule_b))
    for path in (out, json):
        if path is not None:
            _checked(path)
    if gradients is not None and problem is not None:
        raise HyperparameterError("compare: gradients and problem: give one of them")
    if steps is not None and (not isinstance(steps, Integral) or not 1 <= steps <= MOST):
        raise HyperparameterError(f"steps={steps!r}: a whole number in 1 .. {MOST} is needed")
    if problem is not None:
        p = problem if isinstance(problem, Problem) else named(problem)
        count, source, kinds = min(p.steps, steps or streams.STEPS), f"{p.title} ({p.name})", {}
        count = count if steps is None else int(steps)

        def run(rule: Rule) -> Record:
            return record(rule, p, count, start=start, seed=seed)
    else:
        source, kinds, given = _stream(gradients, steps)
        at = streams.starts(given.shape[1]) if start is None and gradients is None else start

        def run(rule: Rule) -> Record:
            return fed(rule, given, at)

    made = _compared(a, b, source, kinds, run, problem is not None)
    if same or isinstance(problem, str) or gradients is None:
        made = replace(made, command=_command(rule_a, rule_b, problem, same or {}, steps, seed))
    for path in (out, json):
        if path is not None:
            made.save(path)
    return made


# What the command line gives.


def from_file(path: str | os.PathLike[str]) -> Array:
    """Gradients from a .npy file; FileError."""
    try:
        made = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({files.reason(error)})") from None
    except ValueError:
        raise FileError(f"{path}: is no .npy file of numbers; write one with numpy.save") from None
    if not isinstance(made, np.ndarray):
        raise FileError(f"{path}: holds several arrays; a .npy file holds one")
    return made


def settings_of(text: str) -> dict[str, Any]:
    """What ``lr=0.1,beta=0.9`` says; HyperparameterError."""
    try:
        return rules.spelled(f"same({text})")[2]
    except HyperparameterError:
        raise HyperparameterError(f"same: got {text!r}; names with numbers are needed, as in lr=0.1,beta=0.9") from None


def within(x: float) -> str:
    """A distance in a table: 0 below what rounding makes, else two digits."""
    return "-" if not math.isfinite(x) else "0" if x <= ROUNDING else f"{x:.2g}"


# What is compared.


def _side(given: Rule | str) -> Side:
    if isinstance(given, str):
        head, tail, _ = rules.spelled(given)
        m = method(given)
        return Side(m.name, m.rule, _world(m.rule) if head.endswith(".py") else tail or _world(m.rule))
    if not isinstance(given, Rule):
        raise HyperparameterError(f"compare: a rule or its name is needed, got {given!r}")
    kind, world = type(given).__name__, _world(given)
    return Side(f"{kind}:{world}" if world else kind, given, world)


def _world(rule: Rule) -> str:
    """The dialect that this rule is, with that world's own values; "" where it is none's."""
    exact = [n for n in rule.anatomy.dialects if type(rule).like(n) == rule]
    return rule.dialect or ("torch" if "torch" in exact else next(iter(exact), ""))


def _taken(side: Side, same: Mapping[str, Any]) -> Side:
    """The side with lines that both are to have; HyperparameterError where it cannot have them."""
    values: dict[str, Any] = {}
    names = {} if side.row is None else side.row.names
    for n, v in same.items():
        target = n if n in side.rule.anatomy.lines else names.get(n)
        if target is None:
            known = [*side.rule.anatomy.lines, *names]
            raise HyperparameterError(f"same: {side.name} has no {n!r}: {nearest(n, known)}")
        lines = (target,) if isinstance(target, str) else target
        given = tuple(v) if isinstance(v, tuple | list) else (v,) * len(lines)
        if len(given) != len(lines):
            raise HyperparameterError(f"same: {n} sets {', '.join(lines)} of {side.name}, got {v!r}")
        for line, value in zip(lines, given, strict=True):
            if side.row is not None and line in side.row.held:
                raise HyperparameterError(
                    f"same: {side.name} has no {line} (held at {side.row.held[line]:g}); leave {n} out"
                )
            values[line] = value
    return replace(side, rule=side.rule.replace(**values)) if values else side


def _stream(gradients: Any, steps: int | None) -> tuple[str, dict[str, slice], Array]:
    if gradients is None:
        made = streams.kinds(steps or streams.STEPS)
        ends = np.cumsum([0, *(g.shape[1] for g in made.values())])
        kinds = {n: slice(int(i), int(j)) for n, i, j in zip(made, ends, ends[1:], strict=False)}
        return BUILT_IN, kinds, np.concatenate(list(made.values()), axis=1)
    try:
        given = np.asarray(gradients, dtype=float)
    except (TypeError, ValueError):
        raise GradientError(f"gradients: an array (T, ...) of numbers is needed, got {type(gradients)}") from None
    if given.ndim == 0 or not given.size:
        raise GradientError(f"gradients: an array (T, ...) of numbers is needed, got shape {given.shape}")
    given = given.reshape(len(given), -1)
    if not np.all(np.isfinite(given)):
        t, i = np.argwhere(~np.isfinite(given))[0]
        raise NonFiniteError(f"gradients: {given[t, i]} at step {t + 1}, coordinate {i}; all must be finite")
    if steps is not None and steps > len(given):
        raise HyperparameterError(f"steps={steps}: there are {len(given)} gradients")
    return "your gradients", {}, given[:steps]


def _compared(
    a: Side, b: Side, source: str, kinds: dict[str, slice], run: Callable[[Rule], Record], lossy: bool
) -> Comparison:
    of_a, of_b = run(a.rule), run(b.rule)
    count = min(len(of_a.weights), len(of_b.weights))
    good = np.isfinite(of_a.weights[:count]).all(axis=1) & np.isfinite(of_b.weights[:count]).all(axis=1)
    end = count if good.all() else int(np.argmin(good))
    note = ""
    if end < count or of_a.died or of_b.died:
        gone = [s.name for s, r in ((a, of_a), (b, of_b)) if r.died or not np.isfinite(r.weights[:count]).all()]
        note = f"{listing(gone)} {'diverges' if len(gone) == 1 else 'diverge'} at step {end if end < count else count - 1}"
        end = max(end, 1)
    paths = of_a.weights[:end], of_b.weights[:end]
    sizes = np.abs(np.concatenate(paths)).max(axis=0)
    if not kinds:
        kinds = {"w": slice(0, len(sizes))}
        sizes[:] = sizes.max()

    def far(x: Rule, y: Rule | None = None) -> Shares:
        """How far x's path is from A's, or from y's."""
        ours, theirs = run(x).weights, paths[0] if y is None else run(y).weights
        shortest = min(len(ours), len(theirs), end)
        share = _shares(ours[:shortest], theirs[:shortest], sizes)
        return {n: float(share[:, k].max()) for n, k in kinds.items()}

    causes, agreement = [], None
    if not np.array_equal(*paths):
        causes = _causes(a, b, far)
        agreement = _nearest(a, b, far)
    return Comparison(
        a,
        b,
        source,
        kinds,
        of_a.gradient[1:end],
        *paths,
        sizes,
        settings=_settings(a, b),
        causes=causes,
        agreement=agreement,
        loss=(float(of_a.loss[-1]), float(of_b.loss[-1])) if lossy else None,
        note=note,
    )


# Distances.


def _shares(a: Array, b: Array, sizes: Array) -> Array:
    with np.errstate(all="ignore"):
        share = np.abs(a - b) / np.where(sizes > 0, sizes, 1.0)
    return np.where(np.isnan(share), np.inf, share)


def _ulps(a: Array, b: Array) -> Array:
    size = np.maximum(np.abs(a), np.abs(b))
    for path in (a, b):
        size[1:] = np.maximum(size[1:], np.abs(np.diff(path, axis=0)))
    _, power = np.frexp(np.maximum(size, float(np.finfo(np.float32).tiny)))
    with np.errstate(all="ignore"):
        return np.abs(a - b) / np.ldexp(ULP, power - 1)


# Settings, and which of them differ.


def _shared(a: Rule, b: Rule) -> list[str]:
    """Lines that mean the same in both: of one name and unit."""
    ours, theirs = a.anatomy.lines, b.anatomy.lines
    return [n for n in ours if n in theirs and ours[n].unit == theirs[n].unit]


def _settings(a: Side, b: Side) -> list[Setting]:
    lines = {**b.rule.anatomy.lines, **a.rule.anatomy.lines}
    order = [*a.rule.anatomy.lines, *(n for n in b.rule.anatomy.lines if n not in a.rule.anatomy.lines)]
    return [
        Setting(
            n,
            lines[n].unit,
            getattr(a.rule, n, None),
            getattr(b.rule, n, None),
            a.arguments.get(n, ""),
            b.arguments.get(n, ""),
        )
        for n in order
    ]


def in_words(s: Setting) -> tuple[str, str]:
    """A setting's two sides in words, with its world's name for it where that is another."""
    sides = ((s.a, s.a_name), (s.b, s.b_name))
    return tuple(  # type: ignore[return-value]
        "–" if v is None else _value(v) + (f" ({name})" if name and name != s.line else "") for v, name in sides
    )


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _stem(line: str) -> str:
    return line.split("_")[0]


def _groups(a: Rule, b: Rule) -> list[tuple[str, ...]]:
    """Shared lines that differ; an epsilon that changes its place is two lines that change together."""
    apart = [n for n in _shared(a, b) if getattr(a, n) != getattr(b, n)]
    together = [n for n in apart if _stem(n) == "eps"]
    moved = {n for n in together if getattr(a, n) != 0} != {n for n in together if getattr(b, n) != 0}
    found = [tuple(together)] if moved and len(together) > 1 else []
    return [*((n,) for n in apart if not found or n not in found[0]), *found]


def _mixed(a: Rule, b: Rule, lines: Iterable[str] = (), clock: bool = False, recurrence: bool = False) -> Rule:
    """A with B's values of these lines, B's clock, or B's recurrence."""
    taken = {n: getattr(b, n) for n in lines}
    if recurrence:
        shared = {n: getattr(a, n) for n in _shared(a, b)}
        made: Rule = restore(type(b), b.dialect, {**b.values, **shared, **taken})
        return made
    made = restore(type(a), b.dialect if clock else a.dialect, {**a.values, **taken})
    return made


def _causes(a: Side, b: Side, far: Callable[..., Shares]) -> list[Cause]:
    found = []
    for lines in _groups(a.rule, b.rule):
        mixed = _mixed(a.rule, b.rule, lines)
        title = "place of eps" if len(lines) > 1 else lines[0]
        sides = [_placed(s.rule, lines) if len(lines) > 1 else _value(getattr(s.rule, lines[0])) for s in (a, b)]
        found.append(Cause(title, *sides, far(mixed), far(mixed, b.rule)))
    if type(a.rule) is not type(b.rule):
        mixed = _mixed(a.rule, b.rule, recurrence=True)
        names = (type(s.rule).__name__ for s in (a, b))
        found.append(Cause("recurrence", *names, far(mixed), far(mixed, b.rule)))
    elif a.rule.clock is not b.rule.clock:
        mixed = _mixed(a.rule, b.rule, clock=True)
        found.append(Cause("correction", _clock(a.rule), _clock(b.rule), far(mixed), far(mixed, b.rule)))
    return found


def _placed(rule: Rule, lines: Sequence[str]) -> str:
    """Which of these epsilons is in force, and where it stands."""
    held = [n for n in lines if getattr(rule, n) != 0]
    told = (f"{_value(getattr(rule, n))} {rule.anatomy.lines[n].text.removeprefix('added ')}" for n in held)
    return " and ".join(told) or "none"


def _clock(rule: Rule) -> str:
    """A clock in words: the first line of its documentation, or whose it is."""
    clock = rule.clock
    if clock is None or clock is rule.anatomy.clock:
        return f"{type(rule).__name__}'s own"
    said = (clock.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return said[:1].lower() + said[1:] if said else clock.__name__.replace("_", " ")


# What makes B follow A.


def _family(world: str, kind: type[Rule], other: type[Rule]) -> dict[str, bool] | None:
    """The switches that turn ``other`` into ``kind`` in this world; None where they are no family there."""
    for parent in rules.shipped().values():
        row = parent.anatomy.dialects.get(world)
        if row is None or not row.members:
            continue
        switched = {parent.__name__: (), **{member: on for on, member in row.members.items()}}
        if kind.__name__ in switched and other.__name__ in switched:
            every = sorted({n for on in row.members for n in on})
            on, before = switched[kind.__name__], switched[other.__name__]
            return {n: n in on for n in every if (n in on) != (n in before)}
    return None


def _nearest(a: Side, b: Side, far: Callable[..., Shares]) -> Agreement:
    """The settings of B's world that come nearest to A's path, each tried by running it."""
    base, switches = b, {}
    if type(a.rule) is not type(b.rule):
        on = _family(b.world, type(a.rule), type(b.rule))
        if on is not None and b.world in a.rule.anatomy.dialects:
            base, switches = Side(b.name, type(a.rule).like(b.world), b.world), on
    free = base.arguments
    shared = _shared(a.rule, base.rule)
    values = dict(base.rule.values)
    barred: list[str] = []
    for n in shared:
        if n in free:
            values[n] = getattr(a.rule, n)
        elif getattr(a.rule, n) != getattr(base.rule, n):
            barred.append(_barred(a, base, n))
    if type(a.rule) is not type(base.rule):
        if max(far(_mixed(a.rule, base.rule, recurrence=True)).values()) > ROUNDING:
            barred.append(f"{type(base.rule).__name__} is another recurrence than {type(a.rule).__name__}")
    elif a.rule.clock is not base.rule.clock:
        barred.append(f"its correction is another ({_clock(base.rule)}; there {_clock(a.rule)})")
    elsewhere = type(a.rule) is type(base.rule) and a.rule.clock is not base.rule.clock
    elsewhere = elsewhere or any(
        _stem(n) == "eps" and n not in free and getattr(a.rule, n) != getattr(base.rule, n) for n in shared
    )
    more = _epsilons(a.rule, base.rule, free) if elsewhere else [{}]
    choices: list[Rule] = [restore(type(base.rule), base.rule.dialect, {**values, **m}) for m in more]
    tried = [Agreement(_spelled(base, b, r, switches), r, far(r)) for r in dict.fromkeys(choices)]
    # The smallest geometric mean first: no kind of gradients is given up for a small gain on another.
    best, *others = sorted(tried, key=lambda found: sum(math.log(max(x, ROUNDING)) for x in found.left.values()))
    return replace(best, barred=tuple(barred), others=tuple(others))


def _barred(a: Side, b: Side, line: str) -> str:
    where = b.world or type(b.rule).__name__
    text = b.rule.anatomy.lines[line].text
    ours, theirs = _value(getattr(a.rule, line)), _value(getattr(b.rule, line))
    if b.rule.anatomy.lines[line].is_state:
        return f"{where} starts {line} ({text}) at {theirs}, not at {ours}"
    return f"{where} has no argument for {line} ({text}): it is {theirs}, not {ours}"


def _epsilons(a: Rule, b: Rule, free: Mapping[str, str]) -> list[dict[str, float]]:
    """Epsilons worth trying in B where A's stand elsewhere: A's own, in B's unit and before and after a correction.

    Outside the root and inside it they agree for large and for small gradients where the one inside is the
    other's square; a correction multiplies by sqrt(1 - beta2^t), which is sqrt(1 - beta2) at step 1 and 1 in the end.
    """
    tried: list[dict[str, float]] = [{}]
    held = [n for n in a.anatomy.lines if _stem(n) == "eps" and not isinstance(getattr(a, n), Schedule)]
    held = [n for n in held if getattr(a, n) > 0]
    first = 1.0
    if type(a) is type(b) and a.clock is not b.clock and "beta2" in a.anatomy.hyperparameters:
        first = math.sqrt(1 - a.at(0)["beta2"])
    for target in (n for n in b.anatomy.hyperparameters if _stem(n) == "eps" and n in free):
        unit = b.anatomy.lines[target].dimension
        tried.append({target: getattr(b, target)})
        for source in held:
            of = a.anatomy.lines[source].dimension
            if unit.w == of.w == 0 and of.g:
                power = float(unit.g / of.g)
                values = [(getattr(a, source) * f) ** power for f in dict.fromkeys((1.0, first, 1 / first))]
                tried += [{target: float(f"{v:.4g}")} for v in values]  # as it is printed
    return tried


def _spelled(base: Side, b: Side, rule: Rule, switches: Mapping[str, bool]) -> dict[str, Any]:
    """The settings that turn B into this rule, in the words of B's world."""
    names = {n: (n,) for n in rule.anatomy.lines}
    if base.row is not None:
        names = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in base.row.names.items()}
    settings: dict[str, Any] = {n: on for n, on in switches.items() if n not in names or not on}
    for argument, lines in names.items():
        values = tuple(getattr(rule, n) for n in lines)
        if values != tuple(getattr(b.rule, n, None) for n in lines):
            settings[argument] = values[0] if len(set(values)) == 1 and len(lines) == 1 else values
            if len(lines) > 1 and lines in base.rule.anatomy.together.values() and len(set(values)) == 1:
                settings[argument] = values[0]
    return settings


# In words.


def far_in_words(share: float) -> str:
    """A share in words: 12 %, 3×10⁻⁸ of it, 0."""
    if not math.isfinite(share):
        return "without bound"
    if share > 10:
        return f"{plain(share, 2)} times"
    return f"{plain(100 * share, 3)} %" if share >= 1e-3 else plain(share, 2)


def _on(kinds: Sequence[str], made: Comparison) -> str:
    """Where that is so: on smooth and flips gradients; nothing to say of a single kind."""
    if len(made.kinds) == 1:
        return ""
    return "on all gradients" if len(kinds) == len(made.kinds) else f"on {listing(kinds)} gradients"


def _verdict(made: Comparison) -> str:
    names = f"{made.a.name} and {made.b.name}"
    where = f"over {made.steps} steps of {made.source}"
    if made.verdict == "identical":
        text = f"{names} are identical: the same path, bit for bit, {where}."
    elif made.verdict == "equal up to rounding":
        worst = plain(float(made.share.max()), 2)
        text = f"{names} are equal up to rounding: at most {worst} of the largest |w| apart, {where}."
    else:
        parts = made.parts
        kind = _ordinary(made)
        text = f"{names} differ: {where} they come up to {far_in_words(parts[kind])} of the largest |w| apart"
        text += f" {_on([kind], made)}" if len(parts) > 1 else ""
        worst = max(parts, key=lambda n: parts[n])
        if parts[worst] > 1.5 * parts[kind]:
            text += f", {far_in_words(parts[worst])} {_on([worst], made)}"
        same = [n for n, x in parts.items() if x <= ROUNDING]
        text += f"; not at all {_on(same, made)}." if same else "."
    if made.loss is not None and not made.note:
        text += f" The loss ends at {plain(made.loss[0], 4)} and {plain(made.loss[1], 4)}."
    return text + (f" {made.note}." if made.note else "")


def _ordinary(made: Comparison) -> str:
    """The most ordinary kind of gradients on which they part."""
    return next((n for n, x in made.parts.items() if x > ROUNDING), next(iter(made.kinds)))


def _first(made: Comparison) -> str:
    at, seen = made.first, made.seen
    if at is None:
        return ""
    same, a = f"{at.a:.6g}" == f"{at.b:.6g}", made.a.name
    to_a, to_b = (f"{x:.17g}" if same else plain(x, 6) for x in (at.a, at.b))
    text = (
        f"They part at step {at.step}, most at {at.coordinate}: with g = {plain(at.gradient, 6)} w goes from"
        f" {plain(at.before, 6)} to {to_a} in {a} and to {to_b} in {made.b.name}."
    )
    if seen is None:
        return f"{text} In float32 that is never a whole ulp."
    return text + (f" In float32 it shows from step {seen.step} on." if seen.step > at.step else "")


def _why(made: Comparison) -> str:
    parts = {n: x for n, x in made.parts.items() if x > ROUNDING}
    if not made.causes or not parts:
        return ""
    if len(made.causes) == 1:
        c = made.causes[0]
        return f"What differs is {_about(c)}."
    sentences, by = [], {}
    for n, x in parts.items():
        best = min(made.causes, key=lambda c: c.left[n])
        by.setdefault(best.title if best.left[n] < 0.5 * x else "", []).append(n)
    for title, kinds in by.items():
        where = _on(kinds, made) if len(kinds) < len(parts) else ""
        if not title:
            sentences.append(f"{where} no single setting explains half of it".strip())
            continue
        c = next(c for c in made.causes if c.title == title)
        rest = max(c.left[n] / parts[n] for n in kinds)
        left = "nothing" if rest <= ROUNDING else f"at most {far_in_words(rest)}"
        sentences.append(f"{where} what decides is {_about(c)}: with it made equal {left} of the difference is left".strip())
    idle = [_article(c) for c in made.causes if max(c.alone.values()) <= ROUNDING]
    if idle:
        sentences.append(f"no difference here comes from {listing(idle)}")
    return ". ".join(s[:1].upper() + s[1:] for s in sentences) + "."


def _article(c: Cause) -> str:
    return f"the {c.title}" if c.title in ("recurrence", "correction", "place of eps") else c.title


def _about(c: Cause) -> str:
    return f"{_article(c)} ({c.a}{',' if ' ' in c.a else ''} against {c.b})"


def _agree(made: Comparison) -> str:
    found = made.agreement
    if found is None or made.verdict != "different":
        return ""
    a, b = made.a.name, made.b.name
    if found.exact:
        bits = "bit for bit" if max(found.left.values()) == 0 else "up to rounding"
        return f"To make {b} follow {a}, set {found.text}: run so, the paths are the same {bits}."
    why = f": {'; '.join(found.barred)}" if found.barred else ""
    text = f"No setting of {b} that was tried gives the path of {a}{why}."
    left = {n: x for n, x in found.left.items() if x > ROUNDING}
    kind, worst = next(iter(left)), max(left, key=lambda n: left[n])
    rest = f"{far_in_words(left[kind])} of the largest |w|" + (f" {_on([kind], made)}" if len(left) > 1 else "")
    if left[worst] > 1.5 * left[kind]:
        rest += f", {far_in_words(left[worst])} {_on([worst], made)}"
    same = [n for n, x in found.left.items() if x <= ROUNDING]
    rest += f", nothing {_on(same, made)}" if same else ""
    return f"{text} The nearest, {found.text or 'as it stands'}, leaves {rest}."


# As a picture, as numbers.


def _picture(made: Comparison) -> Picture:
    t = np.arange(made.steps + 1)
    if made.verdict == "identical":
        panels: list[Panel] = [_paths(made, t, int(np.argmax(np.ptp(made.path_a, axis=0))))]
        return Picture(panels, alt=made.sentences["verdict"])
    several = len(made.kinds) > 1
    curves = [
        Curve(t[1:], np.where(g > 0, g, np.nan), label=n if several else "worst coordinate")
        for n, g in ((n, np.maximum.accumulate(g[1:])) for n, g in made.growth.items())
        if g[-1] > (ROUNDING if made.verdict == "different" else 0.0)
    ]
    smallest = min(float(np.nanmin(c.y)) for c in curves)
    levels = [(ULP, "a float32 ulp")] if ULP > 0.1 * smallest else []
    kind = _ordinary(made)
    worst = max(made.parts, key=lambda n: made.parts[n])
    k = made.kinds[kind if made.parts[kind] > VISIBLE else worst]
    i = k.start + int(np.argmax(made.share[:, k].max(axis=0)))
    panels = [
        Chart(
            "How far they come apart",
            "step",
            "share of the largest |w|, so far",
            curves,
            log="xy",
            levels=levels,
        ),
        _paths(made, t, i),
    ]
    if len(made.causes) > 1:
        shown = [("as they are", made.parts[kind]), *((f"{c.title} equal", c.left[kind]) for c in made.causes)]
        panels.append(
            Bars(
                "What is left with one setting made equal",
                "share of the largest |w|" + (f", {kind} gradients" if several else ""),
                [n for n, _ in shown],
                [x for _, x in shown],
                levels=[(made.parts[kind], "")],
                missing="unbounded",
            )
        )
    return Picture(panels, alt=made.sentences["verdict"])


def _paths(made: Comparison, t: Array, i: int) -> Chart:
    sides = ((made.a.name, made.path_a), (made.b.name, made.path_b))
    if made.a.name == made.b.name:
        sides = sides[:1]
    return Chart(
        f"Both paths at {made.coordinate(i)}",
        "step",
        "w",
        [Curve(t, path[:, i], label=name, method=name) for name, path in sides],
    )


def _data(made: Comparison) -> dict[str, Any]:
    def real(x: float) -> float | None:
        return float(x) if math.isfinite(x) else None

    def shares(given: Shares) -> dict[str, float | None]:
        return {n: real(x) for n, x in given.items()}

    def worth(x: Any) -> Any:
        return x if x is None or isinstance(x, float | bool) else repr(x) if not isinstance(x, tuple) else list(x)

    found = made.agreement
    return {
        "a": {"name": made.a.name, "rule": repr(made.a.rule)},
        "b": {"name": made.b.name, "rule": repr(made.b.rule)},
        "source": made.source,
        "steps": made.steps,
        "verdict": made.verdict,
        "sentences": made.sentences,
        "note": made.note,
        "loss": None if made.loss is None else [real(x) for x in made.loss],
        "settings": [
            {"line": s.line, "unit": s.unit, "a": worth(s.a), "b": worth(s.b), "a_name": s.a_name, "b_name": s.b_name}
            for s in made.settings
        ],
        "first": None if made.first is None else vars(made.first),
        "seen": None if made.seen is None else vars(made.seen),
        "growth": {n: {"share": list(map(real, g)), "ulps": list(map(real, made.ulps_of(n)))} for n, g in made.growth.items()},
        "causes": [
            {"title": c.title, "a": c.a, "b": c.b, "alone": shares(c.alone), "left": shares(c.left)}
            for c in made.causes
        ],
        "agreement": None
        if found is None
        else {
            "settings": {n: worth(v) for n, v in found.settings.items()},
            "exact": found.exact,
            "left": shares(found.left),
            "barred": list(found.barred),
            "others": [
                {"settings": {n: worth(v) for n, v in o.settings.items()}, "left": shares(o.left)} for o in found.others
            ],
        },
    }


def _command(
    a: Rule | str, b: Rule | str, problem: Any, same: Mapping[str, Any], steps: int | None, seed: int
) -> str:
    """The command that makes this comparison again; "" for what the command line cannot name."""
    import shlex

    if not (isinstance(a, str) and isinstance(b, str) and (problem is None or isinstance(problem, str))):
        return ""
    parts = ["thalweg", "diff", a, b]
    if problem is not None:
        parts += ["--problem", problem, "--seed", str(seed)]
    if same:
        parts += ["--same", ",".join(f"{n}={v}" for n, v in same.items())]
    if steps is not None:
        parts += ["--steps", str(steps)]
    return shlex.join(parts)


def _checked(path: str | os.PathLike[str]) -> Path:
    """A path that a comparison can be written to; FileError."""
    target = files.require_writable(path)
    if target.suffix.lower() not in SUFFIXES:
        raise FileError(f"{target}: a comparison is saved as {' '.join(SUFFIXES)}")
    return target
