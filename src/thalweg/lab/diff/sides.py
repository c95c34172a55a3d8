"""The two rules that are looked at: each one's name and world, and the settings that both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ... import rules
from ...core.rule import Rule
from ...errors import HyperparameterError, nearest
from ..diff_result import Setting, Side, value_text
from ..methods import method


def side(rule: Rule | str) -> Side:
    """A rule or its name as one side; HyperparameterError."""
    if isinstance(rule, str):
        head, tail, _ = rules.spelled(rule)
        named = method(rule)
        world = tail.partition(":")[2] if head.endswith(".py") else tail
        return Side(named.name, named.rule, world or _world(named.rule))
    if not isinstance(rule, Rule):
        raise HyperparameterError(f"diff: must be given a rule or its name, got {rule!r}")
    kind, world = type(rule).__name__, _world(rule)
    return Side(f"{kind}:{world}" if world else kind, rule, world)


def _world(rule: Rule) -> str:
    """The dialect that this rule is, with that world's own values; "" where it is none's."""
    exact = [n for n in rule.parts.dialects if type(rule).like(n) == rule]
    return rule.dialect or ("torch" if "torch" in exact else next(iter(exact), ""))


def distinguished(a: Side, b: Side) -> tuple[Side, Side]:
    """Both sides; where they have one name but other values, with the lines that differ behind it."""
    if a.name != b.name or a.rule == b.rule:
        return a, b
    lines = [n for n in shared_lines(a.rule, b.rule) if getattr(a.rule, n) != getattr(b.rule, n)]
    name_a, name_b = (
        f"{s.name}({', '.join(f'{n}={value_text(getattr(s.rule, n))}' for n in lines)})" for s in (a, b)
    )
    return replace(a, name=name_a), replace(b, name=name_b)


def with_same(side: Side, same: Mapping[str, Any]) -> Side:
    """The side with lines that both are to have; HyperparameterError where it cannot have them."""
    values: dict[str, Any] = {}
    targets = {} if side.row is None else side.targets
    for name, value in same.items():
        lines = (name,) if name in side.rule.parts.lines else targets.get(name)
        if lines is None:
            known = dict.fromkeys([*side.rule.parts.lines, *targets])
            raise HyperparameterError(f"same: {side.name} has no {name!r}: {nearest(name, known)}")
        each = tuple(value) if isinstance(value, tuple | list) else (value,) * len(lines)
        if len(each) != len(lines):
            raise HyperparameterError(
                f"same: {name} sets {', '.join(lines)} of {side.name}, so it must be {len(lines)} values, got {value!r}"
            )
        for line in lines:
            if side.row is not None and line in side.row.pinned:
                raise HyperparameterError(
                    f"same: {side.name} has no {line} (pinned at {side.row.pinned[line]:g}); leave {name} out"
                )
        values |= zip(lines, each, strict=True)
    return replace(side, rule=side.rule.replace(**values)) if values else side


def shared_lines(a: Rule, b: Rule) -> list[str]:
    """Lines that mean the same in both: of one name and unit."""
    of_a, of_b = a.parts.lines, b.parts.lines
    return [n for n in of_a if n in of_b and of_a[n].unit == of_b[n].unit]


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
