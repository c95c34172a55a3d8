"""What of a method can be tuned, and where it is looked for: both read off the lines of its rule.

A setting is a line of a rule (``lr``, ``beta1``, ``eps``, a state's start), one of three names that mean what each
rule calls otherwise (``LIKE``), or something that stands around a rule (``AROUND``). Ranges come from units:
what has the gradient's unit is looked for relative to the gradient at the start, what has the weights' grows with them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.line import Line, short
from ..core.rule import Rule
from ..errors import HyperparameterError, nearest
from ..problems import Problem, Raced
from ..problems.base import Params, pack
from .dimensions import Choice, Dimension, Fraction, Range, Space, Start, Value
from .entrants import Entrant

# Where learning rates are looked for, by their unit: the sources of the ranges are those of the
# benchmarks that lab papers agree on; a rate with the unit of w grows with the weights themselves.
RATES = {"w/g": (1e-5, 1e1), "w": (1e-5, 1e0), "1": (1e-3, 1e2)}
# Other lines by their unit, those of the gradient relative to it. An epsilon of 1e4 gradients makes a method plain descent.
UNITS = {
    "g": (1e-8, 1e4),
    "g^2": (1e-16, 1e8),
    "g/w": (1e-6, 1e0),
    "1/w": (1e-4, 1e1),
    "w": (1e-6, 1e0),
    "w^2": (1e-12, 1e0),
}
BETA1, BETA = (0.0, 1 - 1e-3), (0.0, 1 - 1e-4)  # fractions kept of the gradient, and of anything else
STATE = (1e-6, 1e4)  # where an average of sizes may begin, in units of the gradient's; or at 0
BATCHES = (
    8  # times as few and as many rows a step as usual: all see the same rows, in as many more or fewer steps
)
CLIP = (1e-2, 1e1)  # bounds on the gradient's norm, in units of that at the start

SCHEDULES = ("constant", "cosine", "warmup-stable-decay")
AROUND = ("weight_decay", "clip_norm", "batch", "schedule")
"""Settings that no line has: options of ``Rule.on``, the rows a step, and the shape of the rate over the run."""
LIKE = ("beta1", "beta2", "eps", "accumulator")
"""Settings by what they do: kept of the gradients, kept of their sizes, the guard of the division, where sizes begin."""


@dataclass(frozen=True)
class Tuning:
    """What the user asks for: settings by name, ranges in place of the usual, and who chooses.

    sampler: "halton", one quasi-random sequence for all methods, or "optuna", whose sampler learns from what came of
    the trials before.
    """

    tune: tuple[str, ...] = ("lr",)
    ranges: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    sampler: str = "halton"


SAMPLERS = ("halton", "optuna")


@dataclass(frozen=True)
class Scales:
    """What ranges are relative to, at the start: the weights' size, a gradient's coordinate, its norm; all rows, and those of a step (0: all)."""

    weights: float = 1.0
    gradient: float = 1.0
    norm: float = 1.0
    rows: int = 0
    batch: int = 0


def scale_of(start: Params) -> float:
    """The larger of 1 and the start's root mean square."""
    packed = pack(start)
    return max(1.0, float(np.sqrt(np.mean(packed * packed))))


def scales(p: Raced, seed: int, batch: int, tuning: Tuning) -> Scales:
    """The scales at a seed's start; 1 where a gradient is not needed, or is none, or a training loop keeps it."""
    if not isinstance(p, Problem):
        return Scales()
    start = p.start(seed)
    weights = scale_of(start)
    if not set(tuning.tune) - {"lr", "batch", "schedule"}:
        return Scales(weights, rows=p.rows, batch=batch)
    with np.errstate(all="ignore"):
        gradient = pack(p.gradient(start, None))
        norm = float(np.linalg.norm(gradient))
    if not (np.isfinite(norm) and norm > 0):
        return Scales(weights, rows=p.rows, batch=batch)
    return Scales(weights, norm / math.sqrt(gradient.size), norm, p.rows, batch)


def ranges(given: Mapping[str, Sequence[Value]] | None) -> dict[str, tuple[Value, ...]]:
    """Where a user wants settings to be looked for; HyperparameterError for what is no range by name."""
    usual = "(low, high) by name of a setting is needed, such as {'lr': (1e-4, 1)}"
    if given is not None and not isinstance(given, Mapping):
        raise HyperparameterError(f"range: {usual}, got {short(given)}")
    for ends in (given or {}).values():
        if not isinstance(ends, Iterable) or isinstance(ends, str):
            raise HyperparameterError(f"range: {usual}, got {short(given)}")
    return {n: tuple(ends) for n, ends in (given or {}).items()}


def wanted(tune: str | Sequence[str], trials: int) -> tuple[str, ...]:
    """The settings of ``lr,beta1`` or of ``auto``: more of them the more trials there are. HyperparameterError."""
    if not isinstance(tune, Iterable):
        raise HyperparameterError(f"tune: names of settings are needed, such as lr,beta1, got {short(tune)}")
    names = [n.strip() for n in tune.split(",")] if isinstance(tune, str) else [str(n) for n in tune]
    if names == ["auto"]:
        more = [least for least in (10, 25, 100) if trials >= least]
        return ("lr", "beta1", "eps", "beta2")[: 1 + len(more)]
    names = [n for n in names if n]
    if not names:
        raise HyperparameterError("tune: name at least one setting, such as lr or lr,beta1,eps; or auto")
    twice = [n for k, n in enumerate(names) if n in names[:k]]
    if twice:
        raise HyperparameterError(f"tune: {twice[0]} is named twice")
    return tuple(names)


def lines_of(entrant: Entrant, name: str) -> tuple[str, ...]:
    """The lines of an entrant that a setting sets, none where it has no such line that could be tuned.

    Lines that a schedule drives, that a dialect holds still, or that may be negative are none.
    """
    lines = _lines_of(entrant, name)
    return lines if all(n in entrant.lines and entrant.lines[n].low >= 0 for n in lines) else ()


def _lines_of(entrant: Entrant, name: str) -> tuple[str, ...]:
    if name == "eps":
        return _guard(entrant)
    aliases = entrant.runs.parts.aliases if isinstance(entrant.runs, Rule) else {}
    if name in aliases:
        return tuple(aliases[name])
    if name in entrant.lines:
        return (name,)
    return _like(entrant, name) if name in LIKE else ()


def _guard(entrant: Entrant) -> tuple[str, ...]:
    """The line that guards the division; of several the one in use, since a dialect has the other at 0."""
    if isinstance(entrant.runs, Rule) and "eps" in entrant.runs.parts.aliases:
        return tuple(entrant.runs.parts.aliases["eps"])
    guards = [n for n in ("eps", "eps_root", "eps_in") if n in entrant.lines]
    used = [n for n in guards if entrant.values.get(n) != 0]
    return tuple((used or guards)[:1])


def _like(entrant: Entrant, name: str) -> tuple[str, ...]:
    """The line that does what a name of ``LIKE`` says, where it is called otherwise."""
    lines = entrant.lines
    if name == "accumulator":
        return tuple(n for n, line in lines.items() if line.is_state and line.low == 0 and "g" in line.unit)[
            :1
        ]
    if not isinstance(entrant.runs, Rule):
        calls = {"beta1": ("momentum",), "beta2": ("alpha", "rho")}[name]
        return tuple(n for n in calls if n in lines)[:1]
    states = [line for line in lines.values() if line.is_state]
    kept = [n for n, line in lines.items() if _is_fraction(line) and line.default > 0.5]
    # A rule whose states all have a sign averages gradients; one fraction beside other states averages sizes.
    first = len(kept) > 1 or (bool(kept) and all(line.low < 0 for line in states))
    second = len(kept) > 1 or (bool(kept) and not first)
    return tuple(kept[:1] if name == "beta1" and first else kept[-1:] if name == "beta2" and second else ())


def _is_fraction(line: Line) -> bool:
    return not line.is_state and line.unit == "1" and line.low == 0 and line.high == 1


def has(entrant: Entrant, name: str) -> bool:
    """Whether a setting can be tuned for an entrant."""
    if lines_of(entrant, name) or name == "batch":
        return True
    if not isinstance(entrant.runs, Rule):
        return False
    return bool(lines_of(entrant, "lr")) if name == "schedule" else name in AROUND


def remarks(entrant: Entrant, tuning: Tuning, trials: int) -> list[str]:
    """What is to be said of an entrant that lacks some of the settings, or was given some of those that are tuned."""
    lacks = [n for n in tuning.tune if not has(entrant, n)]
    said = [f"has no {' and no '.join(lacks)} to tune"] if lacks and len(tuning.tune) > 1 else []
    given = [n for n in tuning.tune if n in entrant.own and n in entrant.values]
    if given and trials > 1:
        values = ", ".join(f"{n}={entrant.values[n]:g}" for n in given)
        said.append(f"its own {values} is tuned as all others' are (trials=1 keeps it)")
    return said


def require(tuning: Tuning, entrants: Sequence[Entrant], p: Raced) -> None:
    """HyperparameterError for a setting that no entrant has, a range that is none, a sampler that is unknown."""
    if tuning.sampler not in SAMPLERS:
        raise HyperparameterError(f"sampler: got {tuning.sampler!r}; one of {', '.join(SAMPLERS)} is needed")
    names = dict.fromkeys([*(n for e in entrants for n in e.lines), *LIKE, *AROUND])
    known = [n for n in names if any(has(e, n) for e in entrants) and (n != "batch" or p.rows)]
    for n in tuning.tune:
        if n == "batch" and not p.rows:
            raise HyperparameterError(f"tune: batch: {p.name} has no rows to choose from: leave it out")
        if n not in known:
            signed = any(n in e.lines and e.lines[n].low < 0 for e in entrants)
            why = (
                "may be negative, so it has no range to look in" if signed else "is no setting of any method"
            )
            raise HyperparameterError(f"tune: {n!r} {why}: {nearest(n, known)}")
    for n in tuning.ranges:
        if n not in tuning.tune:
            raise HyperparameterError(
                f"range: {n!r} is not tuned: name it in tune too; {nearest(n, tuning.tune)}"
            )
        for e in entrants:
            if has(e, n):
                _given(e, n, tuning.ranges[n], p.rows)


def space(entrant: Entrant, at: Scales = Scales(), tuning: Tuning = Tuning()) -> Space:
    """The settings of an entrant that are tuned, and where: those that it has. at: what ranges are relative to."""
    found: Space = {}
    for n in tuning.tune:
        if has(entrant, n):
            given = tuning.ranges.get(n)
            found[n] = _usual(entrant, n, at) if given is None else _given(entrant, n, given, at.rows)
    eps, lr = found.get("eps"), lines_of(entrant, "lr")
    if isinstance(eps, Range) and lr and entrant.lines["lr"].unit == "w" and "lr" not in tuning.ranges:
        power = entrant.lines[lines_of(entrant, "eps")[0]].dimension.g
        found["eps"] = replace(eps, guard=at.gradient**power, power=power)
    return found


def _usual(entrant: Entrant, name: str, at: Scales) -> Dimension:
    """Where a setting that the entrant has is looked for."""
    lines = lines_of(entrant, name)
    if not lines:
        return _around(name, at)
    line = entrant.lines[lines[0]]
    if lines[0] == "lr":
        low, high = RATES.get(line.unit, RATES["w/g"])
        factor = at.weights if line.unit == "w" else 1.0
        return Range(low * factor, high * factor)
    if _is_fraction(line):
        return Fraction(*(BETA1 if lines == lines_of(entrant, "beta1") else BETA))
    unit = at.weights**line.dimension.w * at.gradient**line.dimension.g
    if line.is_state:
        return Start(STATE[0] * unit, STATE[1] * unit)
    if line.unit in UNITS:
        low, high = UNITS[line.unit]
        return Range(low * unit, high * unit, widens=name == "eps")
    usual = line.default or 0.1  # a plain number: two decades around what it is
    return Range(max(usual / 100, line.low), min(usual * 100, line.high), widens=False)


def _around(name: str, at: Scales) -> Dimension:
    """Where a setting around a rule is looked for."""
    if name == "schedule":
        return Choice(SCHEDULES)
    if name == "batch":
        usual = at.batch or at.rows
        return _batches(usual / BATCHES, min(usual * BATCHES, at.rows), at.rows)
    if name == "clip_norm":
        return Range(CLIP[0] * at.norm, CLIP[1] * at.norm, widens=False)
    unit = at.gradient / at.weights
    low, high = UNITS["g/w"]
    return Range(low * unit, high * unit, widens=False)


def _batches(low: float, high: float, rows: int) -> Choice:
    """Powers of two from low to high, and all rows where they lie there; high alone where there is none."""
    sizes = [float(2**k) for k in range(rows.bit_length()) if low <= 2**k <= high and 2**k < rows]
    return Choice((*sizes, float(rows)) if high >= rows else tuple(sizes) or (float(int(high)),))


def _given(entrant: Entrant, name: str, ends: tuple[Value, ...], rows: int) -> Dimension:
    """Where the user says that a setting is looked for; it is not widened. HyperparameterError."""
    got = ":".join(f"{v:g}" if isinstance(v, float | int) else str(v) for v in ends)
    if name == "schedule":
        unknown = [v for v in ends if v not in SCHEDULES]
        if unknown or not ends:
            raise HyperparameterError(
                f"range: schedule={got}: {nearest(unknown[0] if unknown else '', SCHEDULES)}"
            )
        return Choice(tuple(ends))
    low, high = (
        (float(v) if not isinstance(v, str) else math.nan for v in ends)
        if len(ends) == 2
        else (math.nan,) * 2
    )
    lines = [entrant.lines[n] for n in lines_of(entrant, name)]
    fraction = bool(lines) and _is_fraction(lines[0])
    least = "0 <=" if fraction else "0 <"
    most = (
        f"{'<' if fraction else '<='} {1 if fraction else rows}" if fraction or name == "batch" else "< inf"
    )
    sound = low < high and (low >= 0 if fraction else low > 0) and high < (1 if fraction else math.inf)
    if not sound or (name == "batch" and high > rows):
        raise HyperparameterError(f"range: {name}={got}: LOW:HIGH with {least} LOW < HIGH {most} is needed")
    for line in lines:
        if not line.holds(low) or not line.holds(high):
            raise HyperparameterError(
                f"range: {name}={got}: {entrant.name} takes {line.range}, unit {line.unit}"
            )
    if fraction:
        return Fraction(low, high)
    if name == "batch":
        return _batches(low, high, rows)
    if lines and lines[0].is_state:
        return Start(low, high)
    return Range(low, high, widens=False)
