"""What differs between two rules, and each setting's part of the distance between their paths.

A part is found by running the rules in between, which have the first's side of some settings and the second's
of the others; an epsilon that changes its place, outside the root or inside it, is one setting although it is
two lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

from ...core.rule import Rule, restore
from ..diff_result import ROUNDING, Cause, Shares, value_text
from .sides import shared_lines

Distance = Callable[[Rule], Shares]  # how far a rule's path is from a given one

ALL_ORDERS = 6  # settings of which every order is looked at


class Difference(NamedTuple):
    """Something that differs, in words, and what ``mixed`` needs in order to give B's side of it to a rule."""

    title: str
    a: str
    b: str
    lines: tuple[str, ...] = ()
    clock: bool = False
    recurrence: bool = False


def is_epsilon(line: str) -> bool:
    """Whether this line is an epsilon: eps, eps_root, eps_in."""
    return line.split("_")[0] == "eps"


def clock_text(rule: Rule) -> str:
    """A clock in words: the first line of its documentation, or whose it is."""
    clock = rule.clock
    if clock is None or clock is rule.parts.clock:
        return f"{type(rule).__name__}'s own"
    doc = (clock.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return doc[:1].lower() + doc[1:] if doc else clock.__name__.replace("_", " ")


def mixed(a: Rule, b: Rule, lines: Iterable[str] = (), clock: bool = False, recurrence: bool = False) -> Rule:
    """A with B's values of these lines, B's clock, or B's recurrence."""
    from_b = {n: getattr(b, n) for n in lines}
    if recurrence:
        shared = {n: getattr(a, n) for n in shared_lines(a, b)}
        with_recurrence: Rule = restore(type(b), b.dialect, {**b.values, **shared, **from_b})
        return with_recurrence
    with_lines: Rule = restore(type(a), b.dialect if clock else a.dialect, {**a.values, **from_b})
    return with_lines


def _changed_lines(a: Rule, b: Rule) -> list[tuple[str, ...]]:
    """Shared lines that differ; an epsilon that changes its place is two lines that change together."""
    apart = [n for n in shared_lines(a, b) if getattr(a, n) != getattr(b, n)]
    epsilons = tuple(n for n in apart if is_epsilon(n))
    in_force_a, in_force_b = ([n for n in epsilons if getattr(rule, n) != 0] for rule in (a, b))
    if len(epsilons) > 1 and in_force_a != in_force_b:
        return [*((n,) for n in apart if n not in epsilons), epsilons]
    return [(n,) for n in apart]


def _place(rule: Rule, lines: Sequence[str]) -> str:
    """Which of these epsilons are in force, and where they stand."""
    in_force = {n: getattr(rule, n) for n in lines if getattr(rule, n) != 0}
    texts = (
        f"{value_text(v)} {rule.parts.lines[n].text.removeprefix('added ')}" for n, v in in_force.items()
    )
    return " and ".join(texts) or "none"


def differences(a: Rule, b: Rule) -> list[Difference]:
    """Lines, then the recurrence or the correction, wherever A and B have others."""
    several = []
    for lines in _changed_lines(a, b):
        if len(lines) > 1:
            several.append(Difference("place of eps", _place(a, lines), _place(b, lines), lines))
        else:
            value_a, value_b = (value_text(getattr(rule, lines[0])) for rule in (a, b))
            several.append(Difference(lines[0], value_a, value_b, lines))
    if type(a) is not type(b):
        several.append(Difference("recurrence", type(a).__name__, type(b).__name__, recurrence=True))
    elif a.clock is not b.clock:
        several.append(Difference("correction", clock_text(a), clock_text(b), clock=True))
    return several


def causes(a: Rule, b: Rule, apart: Shares, from_a: Distance, from_b: Distance) -> list[Cause]:
    """What differs, each with its part of the distance ``apart``; ``from_a``, ``from_b`` run a rule.

    A rule with B's side of some settings has gone v = (d(A, rule) + d(A, B) - d(rule, B)) / 2 of the way, which
    lies in [0, d(A, B)]. A setting's part is what it adds to v, averaged over all orders in which the settings
    can be given (its Shapley value): the parts add up to 1, and exchanging A and B changes none. Of more than
    ``ALL_ORDERS`` settings only the first and the last place are looked at.
    """
    several = differences(a, b)
    count = len(several)

    @cache
    def way(given: frozenset[int]) -> Shares:
        """How far on the way from A to B the rule is that has B's side of these."""
        if len(given) in (0, count):
            return {n: float(bool(given)) for n in apart}
        chosen = [several[i] for i in sorted(given)]
        lines = [n for p in chosen for n in p.lines]
        rule = mixed(a, b, lines, any(p.clock for p in chosen), any(p.recurrence for p in chosen))
        to_a, to_b = from_a(rule), from_b(rule)
        return {n: _way(to_a[n], x, to_b[n]) for n, x in apart.items()}

    sizes = range(count) if count <= ALL_ORDERS else (0, count - 1)

    def part(i: int) -> Shares:
        """The Shapley value of the i-th difference, of each kind on which the paths part."""
        others = [k for k in range(count) if k != i]
        sets = [frozenset(c) for size in sizes for c in combinations(others, size)]
        weights = [1 / (len(sizes) * math.comb(count - 1, len(c))) for c in sets]
        share = dict.fromkeys(apart, 0.0)
        for n in (n for n, x in apart.items() if x > ROUNDING):
            share[n] = sum(w * (way(c | {i})[n] - way(c)[n]) for w, c in zip(weights, sets, strict=True))
        return share

    return [Cause(p.title, p.a, p.b, part(i)) for i, p in enumerate(several)]


def _way(from_a: float, apart: float, from_b: float) -> float:
    """How far on the way from A to B, in [0, 1]; a run that diverges is half-way."""
    if apart == 0 or not math.isfinite(apart + from_a + from_b):
        return 0.5
    return min(max((from_a + apart - from_b) / (2 * apart), 0.0), 1.0)
