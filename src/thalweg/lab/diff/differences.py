"""Two rules side by side: which settings differ, what each of them does, and what makes the second follow the first.

A cause's part is found by running the rules in between, which have the first's side of some settings and the
second's of the others; an epsilon that changes its place, outside the root or inside it, is one setting
although it is two lines. A setting that
would make the second follow the first is taken from the first where the second's world has an argument for
it, and run as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ... import rules
from ...core.line import Scalar
from ...core.rule import Row, Rule, restore
from ...core.schedule import Schedule
from ...errors import HyperparameterError, nearest
from ..methods import method

Array = np.ndarray[Any, Any]
Shares = Mapping[str, float]  # of each kind of gradients: the largest distance in a run
Far = Callable[[Rule], Shares]  # how far a rule's path is from a given one

ROUNDING = 1e-11  # below this share of the path's largest |w| two float64 paths are one


@dataclass(frozen=True)
class Side:
    """A rule under the name it was given; ``world``: the dialect whose argument names it carries, or ""."""

    name: str
    rule: Rule
    world: str = ""

    @property
    def row(self) -> Row | None:
        """The dialect's row; None where the rule belongs to no world."""
        return self.rule.parts.dialects.get(self.world)

    @property
    def arguments(self) -> dict[str, str]:
        """What this world calls each line that it lets one set; without a world the lines' own names."""
        if self.row is None:
            return {n: n for n in self.rule.parts.lines}
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

    @property
    def text(self) -> tuple[str, str]:
        """Both sides in words, with the world's name for the line where that is another."""
        a, b = (
            "–" if v is None else value_text(v) + (f" ({name})" if name and name != self.line else "")
            for v, name in ((self.a, self.a_name), (self.b, self.b_name))
        )
        return a, b


@dataclass(frozen=True)
class Cause:
    """Something that differs. ``a``, ``b``: both sides of it in words; ``share``: its part of the difference."""

    title: str
    a: str
    b: str
    share: Shares


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
        return ", ".join(f"{n}={value_text(v)}" for n, v in self.settings.items())


# What is compared.


def side(given: Rule | str) -> Side:
    """A rule or its name as one side; HyperparameterError."""
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
    exact = [n for n in rule.parts.dialects if type(rule).like(n) == rule]
    return rule.dialect or ("torch" if "torch" in exact else next(iter(exact), ""))


def told_apart(a: Side, b: Side) -> tuple[Side, Side]:
    """Two rules of one name get the lines that differ behind it."""
    if a.name != b.name or a.rule == b.rule:
        return a, b
    lines = [n for n in _shared(a.rule, b.rule) if getattr(a.rule, n) != getattr(b.rule, n)]
    named = (f"{s.name}({', '.join(f'{n}={value_text(getattr(s.rule, n))}' for n in lines)})" for s in (a, b))
    return replace(a, name=next(named)), replace(b, name=next(named))


def with_same(side: Side, same: Mapping[str, Any]) -> Side:
    """The side with lines that both are to have; HyperparameterError where it cannot have them."""
    values: dict[str, Any] = {}
    names = {} if side.row is None else side.row.names
    for n, v in same.items():
        target = n if n in side.rule.parts.lines else names.get(n)
        if target is None:
            known = dict.fromkeys([*side.rule.parts.lines, *names])
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


# Settings, and which of them differ.


def _shared(a: Rule, b: Rule) -> list[str]:
    """Lines that mean the same in both: of one name and unit."""
    ours, theirs = a.parts.lines, b.parts.lines
    return [n for n in ours if n in theirs and ours[n].unit == theirs[n].unit]


def settings(a: Side, b: Side) -> list[Setting]:
    """Every line of either, A's first."""
    lines = {**b.rule.parts.lines, **a.rule.parts.lines}
    order = [*a.rule.parts.lines, *(n for n in b.rule.parts.lines if n not in a.rule.parts.lines)]
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


def value_text(value: Any) -> str:
    """A setting's value: ten digits at most."""
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))})"
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


def _mixed(
    a: Rule, b: Rule, lines: Iterable[str] = (), clock: bool = False, recurrence: bool = False
) -> Rule:
    """A with B's values of these lines, B's clock, or B's recurrence."""
    taken = {n: getattr(b, n) for n in lines}
    if recurrence:
        shared = {n: getattr(a, n) for n in _shared(a, b)}
        made: Rule = restore(type(b), b.dialect, {**b.values, **shared, **taken})
        return made
    with_b: Rule = restore(type(a), b.dialect if clock else a.dialect, {**a.values, **taken})
    return with_b


class _Part(NamedTuple):
    """Something that differs, and how ``_mixed`` gives it to a rule."""

    title: str
    a: str
    b: str
    lines: tuple[str, ...] = ()
    clock: bool = False
    recurrence: bool = False


def _parts(a: Rule, b: Rule) -> list[_Part]:
    found = []
    for lines in _groups(a, b):
        if len(lines) > 1:
            found.append(_Part("place of eps", _placed(a, lines), _placed(b, lines), lines))
        else:
            ours, theirs = (value_text(getattr(rule, lines[0])) for rule in (a, b))
            found.append(_Part(lines[0], ours, theirs, lines))
    if type(a) is not type(b):
        found.append(_Part("recurrence", type(a).__name__, type(b).__name__, recurrence=True))
    elif a.clock is not b.clock:
        found.append(_Part("correction", _clock(a), _clock(b), clock=True))
    return found


def causes(a: Rule, b: Rule, apart: Shares, far: Far, far_b: Far) -> list[Cause]:
    """What differs, each with its part of the distance ``apart``; ``far``, ``far_b``: from A and from B.

    A rule with B's side of some settings has gone v = (d(A, rule) + d(A, B) - d(rule, B)) / 2 of the way, which
    lies in [0, d(A, B)]. A setting's part is what it adds to v, averaged over all orders in which the settings
    can be given (its Shapley value): the parts add up to 1, and exchanging A and B changes none. Of more than
    six settings only the first and the last place are looked at.
    """
    parts = _parts(a, b)
    count = len(parts)

    @cache
    def gone(given: frozenset[int]) -> Shares:
        if len(given) in (0, count):
            return {n: float(bool(given)) for n in apart}
        chosen = [parts[i] for i in sorted(given)]
        lines = [n for p in chosen for n in p.lines]
        mixed = _mixed(a, b, lines, any(p.clock for p in chosen), any(p.recurrence for p in chosen))
        from_a, from_b = far(mixed), far_b(mixed)
        return {n: _way(from_a[n], x, from_b[n]) for n, x in apart.items()}

    sizes = range(count) if count <= 6 else (0, count - 1)
    found = []
    for i, p in enumerate(parts):
        others = [k for k in range(count) if k != i]
        sets = [frozenset(c) for size in sizes for c in combinations(others, size)]
        weights = [1 / (len(sizes) * math.comb(count - 1, len(c))) for c in sets]
        share = dict.fromkeys(apart, 0.0)
        for n in (n for n, x in apart.items() if x > ROUNDING):
            share[n] = sum(w * (gone(c | {i})[n] - gone(c)[n]) for w, c in zip(weights, sets, strict=True))
        found.append(Cause(p.title, p.a, p.b, share))
    return found


def _way(from_a: float, apart: float, from_b: float) -> float:
    """How far on the way from A to B, in [0, 1]; a run that diverges is half-way."""
    if apart == 0 or not math.isfinite(apart + from_a + from_b):
        return 0.5
    return min(max((from_a + apart - from_b) / (2 * apart), 0.0), 1.0)


def _placed(rule: Rule, lines: Sequence[str]) -> str:
    """Which of these epsilons is in force, and where it stands."""
    held = [n for n in lines if getattr(rule, n) != 0]
    told = (f"{value_text(getattr(rule, n))} {rule.parts.lines[n].text.removeprefix('added ')}" for n in held)
    return " and ".join(told) or "none"


def _clock(rule: Rule) -> str:
    """A clock in words: the first line of its documentation, or whose it is."""
    clock = rule.clock
    if clock is None or clock is rule.parts.clock:
        return f"{type(rule).__name__}'s own"
    said = (clock.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return said[:1].lower() + said[1:] if said else clock.__name__.replace("_", " ")


# What makes B follow A.


def _family(world: str, kind: type[Rule], other: type[Rule]) -> dict[str, bool] | None:
    """The switches that turn ``other`` into ``kind`` in this world; None where they are no family there."""
    for parent in rules.shipped().values():
        row = parent.parts.dialects.get(world)
        if row is None or not row.members:
            continue
        switched = {parent.__name__: (), **{member: on for on, member in row.members.items()}}
        if kind.__name__ in switched and other.__name__ in switched:
            every = sorted({n for on in row.members for n in on})
            on, before = switched[kind.__name__], switched[other.__name__]
            return {n: n in on for n in every if (n in on) != (n in before)}
    return None


def follow(a: Side, b: Side, far: Far, first: Callable[[Rule], Array]) -> Agreement:
    """The settings of B's world that come nearest to A's path, each tried by running it.

    ``far``: how far a rule's path is from A's; ``first``: a rule's first move.
    """
    base, switches = b, {}
    if type(a.rule) is not type(b.rule):
        on = _family(b.world, type(a.rule), type(b.rule))
        if on is not None and b.world in a.rule.parts.dialects:
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
    if barred and "lr" in free and isinstance(values["lr"], float):
        tried += [
            found for found in _rescaled(a.rule, tried[0], first, far, base, b, switches) if found.exact
        ]
    # The smallest geometric mean first: no kind of gradients is given up for a small gain on another.
    best, *others = sorted(
        tried, key=lambda found: sum(math.log(max(x, ROUNDING)) for x in found.left.values())
    )
    return replace(best, barred=tuple(barred), others=tuple(others))


def _rescaled(
    a: Rule,
    found: Agreement,
    first: Callable[[Rule], Array],
    far: Far,
    base: Side,
    b: Side,
    switches: Mapping[str, bool],
) -> list[Agreement]:
    """The same with the learning rate that makes the first moves equal, where one does: averages against sums."""
    ours, theirs = first(a), first(found.rule)
    moved = (ours != 0) & (theirs != 0)
    if not moved.any():
        return []
    ratio = float(np.median(ours[moved] / theirs[moved]))
    lr = float(f"{found.rule.at(0)['lr'] * ratio:.12g}")
    if not (lr > 0 and math.isfinite(lr)):
        return []
    rule = found.rule.replace(lr=lr)
    return [Agreement(_spelled(base, b, rule, switches), rule, far(rule))]


def _barred(a: Side, b: Side, line: str) -> str:
    where = b.world or type(b.rule).__name__
    text = b.rule.parts.lines[line].text
    ours, theirs = value_text(getattr(a.rule, line)), value_text(getattr(b.rule, line))
    if b.rule.parts.lines[line].is_state:
        return f"{where} starts {line} ({text}) at {theirs}, not at {ours}"
    return f"{where} has no argument for {line} ({text}): it is {theirs}, not {ours}"


def _epsilons(a: Rule, b: Rule, free: Mapping[str, str]) -> list[dict[str, float]]:
    """Epsilons worth trying in B where A's stand elsewhere: A's own, in B's unit and before and after a correction.

    Outside the root and inside it they agree for large and for small gradients where the one inside is the
    other's square; a correction multiplies by sqrt(1 - beta2^t), which is sqrt(1 - beta2) at step 1 and 1 in the end.
    """
    targets = [n for n in b.parts.hyperparameters if _stem(n) == "eps" and n in free]
    # What A has at 0 because its epsilon stands elsewhere would leave B with none, and 0/0 there.
    tried: list[dict[str, float]] = [] if any(getattr(a, n, 1.0) == 0 for n in targets) else [{}]
    held = [n for n in a.parts.lines if _stem(n) == "eps" and not isinstance(getattr(a, n), Schedule)]
    held = [n for n in held if getattr(a, n) > 0]
    first = 1.0
    if type(a) is type(b) and a.clock is not b.clock and "beta2" in a.parts.hyperparameters:
        first = math.sqrt(1 - a.at(0)["beta2"])
    for target in targets:
        unit = b.parts.lines[target].dimension
        tried.append({target: getattr(b, target)})
        for source in held:
            of = a.parts.lines[source].dimension
            if unit.w == of.w == 0 and of.g:
                power = float(unit.g / of.g)
                values = [(getattr(a, source) * f) ** power for f in dict.fromkeys((1.0, first, 1 / first))]
                tried += [{target: float(f"{v:.4g}")} for v in values]  # as it is printed
    return tried or [{}]


def _spelled(base: Side, b: Side, rule: Rule, switches: Mapping[str, bool]) -> dict[str, Any]:
    """The settings that turn B into this rule, in the words of B's world."""
    names: dict[str, tuple[str, ...]] = {n: (n,) for n in rule.parts.lines}
    if base.row is not None:
        names = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in base.row.names.items()}
    settings: dict[str, Any] = {n: on for n, on in switches.items() if n not in names or not on}
    for argument, lines in names.items():
        values = tuple(getattr(rule, n) for n in lines)
        if values != tuple(getattr(b.rule, n, None) for n in lines):
            settings[argument] = values[0] if len(set(values)) == 1 and len(lines) == 1 else values
            if len(lines) > 1 and lines in base.rule.parts.together.values() and len(set(values)) == 1:
                settings[argument] = values[0]
    return settings
