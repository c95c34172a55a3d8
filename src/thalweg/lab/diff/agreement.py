"""What makes the second rule follow the first: settings of its world, each tried by running it.

What the first has is taken over where the second's world has an argument for it. Where it has none, what comes
near is tried as well: an epsilon that stands elsewhere in the other's unit, and the learning rate that makes
the first moves equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ... import rules
from ...core.rule import Rule, restore
from ...core.schedule import Schedule
from ..diff_result import ROUNDING, Agreement, Array, Side, value_text
from .causes import Distance, clock_text, is_epsilon, mixed
from .sides import shared_lines


@dataclass(frozen=True)
class _Follower:
    """Who is to follow A: ``base``, which is B or, where B's world makes A of it by a switch, A's rule there.

    ``switches``: what makes ``base`` of B. ``distance`` runs a rule and tells how far it is from A's path.
    """

    base: Side
    b: Side
    switches: Mapping[str, bool]
    distance: Distance

    def tried(self, rule: Rule) -> Agreement:
        """Run this rule; the settings that make it of B, and what they leave."""
        return Agreement(self._settings(rule), rule, self.distance(rule))

    def _settings(self, rule: Rule) -> dict[str, Any]:
        """The settings that turn B into this rule, in the words of B's world."""
        targets = self.base.targets
        settings: dict[str, Any] = {n: on for n, on in self.switches.items() if n not in targets or not on}
        aliases = self.base.rule.parts.aliases.values()
        for argument, lines in targets.items():
            values = tuple(getattr(rule, n) for n in lines)
            if values != tuple(getattr(self.b.rule, n, None) for n in lines):
                one = len(lines) == 1 or (lines in aliases and len(set(values)) == 1)
                settings[argument] = values[0] if one else values
        return settings


def follow(a: Side, b: Side, distance: Distance, first_move: Callable[[Rule], Array]) -> Agreement:
    """The settings of B's world that come nearest to A's path, each tried by running it.

    ``distance``: how far a rule's path is from A's; ``first_move``: its first update, (d,).
    """
    base, switches = _base(a, b)
    follower = _Follower(base, b, switches, distance)
    free = base.arguments
    values = dict(base.rule.values)
    values |= {n: getattr(a.rule, n) for n in shared_lines(a.rule, base.rule) if n in free}
    barred = list(_barred(a.rule, base, distance))
    choices: list[Rule] = [
        restore(type(base.rule), base.rule.dialect, {**values, **epsilons})
        for epsilons in _epsilons(a.rule, base.rule, free)
    ]
    attempts = [follower.tried(rule) for rule in dict.fromkeys(choices)]
    if barred and "lr" in free and isinstance(values["lr"], float):
        rescaled = _rescaled(a.rule, attempts[0].rule, first_move)
        if rescaled is not None and (attempt := follower.tried(rescaled)).exact:
            attempts.append(attempt)
    # The smallest geometric mean first: no kind of gradients is given up for a small gain on another.
    best, *others = sorted(attempts, key=lambda x: sum(math.log(max(v, ROUNDING)) for v in x.left.values()))
    return replace(best, barred=tuple(barred), others=tuple(others))


def _base(a: Side, b: Side) -> tuple[Side, Mapping[str, bool]]:
    """B; or A's rule in B's world where that world makes it of B by switches, with these."""
    if type(a.rule) is not type(b.rule) and b.world in a.rule.parts.dialects:
        switches = _family(b.world, type(a.rule), type(b.rule))
        if switches is not None:
            return Side(b.name, type(a.rule).like(b.world), b.world), switches
    return b, {}


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


def _barred(a: Rule, base: Side, distance: Distance) -> Iterator[str]:
    """What of A cannot be set in this world, in words: lines, the recurrence, the correction."""
    world, free = base.world or type(base.rule).__name__, base.arguments
    for n in shared_lines(a, base.rule):
        of_a, of_b = getattr(a, n), getattr(base.rule, n)
        if n in free or of_a == of_b:
            continue
        line = base.rule.parts.lines[n]
        if line.is_state:
            yield f"{world} starts {n} ({line.text}) at {value_text(of_b)}, not at {value_text(of_a)}"
        else:
            yield f"{world} has no argument for {n} ({line.text}): it is {value_text(of_b)}, not {value_text(of_a)}"
    if type(a) is not type(base.rule):
        if max(distance(mixed(a, base.rule, recurrence=True)).values()) > ROUNDING:
            yield f"{type(base.rule).__name__} is another recurrence than {type(a).__name__}"
    elif a.clock is not base.rule.clock:
        yield f"its correction is another ({clock_text(base.rule)}; there {clock_text(a)})"


def _rescaled(a: Rule, b: Rule, first_move: Callable[[Rule], Array]) -> Rule | None:
    """B with the learning rate that makes the first moves equal, where one does: averages against sums."""
    of_a, of_b = first_move(a), first_move(b)
    moved = (of_a != 0) & (of_b != 0)
    if not moved.any():
        return None
    lr = float(f"{b.at(0)['lr'] * float(np.median(of_a[moved] / of_b[moved])):.12g}")
    return b.replace(lr=lr) if lr > 0 and math.isfinite(lr) else None


def _epsilons(a: Rule, b: Rule, free: Mapping[str, str]) -> list[dict[str, float]]:
    """Epsilons worth trying in B where A's stand elsewhere: A's own, in B's unit and before and after a correction.

    Outside the root and inside it they agree for large and for small gradients where the one inside is the
    other's square; a correction multiplies by sqrt(1 - beta2^t), which is sqrt(1 - beta2) at step 1 and 1 in the end.
    """
    barred = [n for n in shared_lines(a, b) if n not in free and getattr(a, n) != getattr(b, n)]
    other_clock = type(a) is type(b) and a.clock is not b.clock
    if not other_clock and not any(map(is_epsilon, barred)):
        return [{}]
    targets = [n for n in b.parts.hyperparameters if is_epsilon(n) and n in free]
    sources = [n for n in a.parts.lines if is_epsilon(n) and not isinstance(getattr(a, n), Schedule)]
    sources = [n for n in sources if getattr(a, n) > 0]
    # What A has at 0 because its epsilon stands elsewhere would leave B with none, and 0/0 there.
    choices: list[dict[str, float]] = [] if any(getattr(a, n, 1.0) == 0 for n in targets) else [{}]
    first = 1.0
    if other_clock and "beta2" in a.parts.hyperparameters:
        first = math.sqrt(1 - a.at(0)["beta2"])
    for target in targets:
        unit = b.parts.lines[target].dimension
        choices.append({target: getattr(b, target)})
        for source in sources:
            of = a.parts.lines[source].dimension
            if unit.w == of.w == 0 and of.g:
                power = float(unit.g / of.g)
                values = [(getattr(a, source) * f) ** power for f in dict.fromkeys((1.0, first, 1 / first))]
                choices += [{target: float(f"{v:.4g}")} for v in values]  # as it is printed
    return choices or [{}]
