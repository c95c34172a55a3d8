"""A rule's gain: what its steps come to move by under a constant gradient, over that gradient.

It is the metric in which a penalty is taken (``pieces``), so that data and penalty pull with the same force
and the minimiser of their sum is where steps rest. A rule file states it as ``gain(rate, *states, /, *scalars)``:
of what ``rate`` returned, of states after the step, and of t, hyperparameters and scalars of ``step``. What
depends on scalars alone is taken in float64, by the clock.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from .formula import Formula, Function, inlined, lift, signature, split
from .rule_parts import RuleParts


class Gain(NamedTuple):
    """A gain as straight-line code of ``rate``, the states after a step and ``scalars``.

    scalars: by name, of t, hyperparameters and whatever the clock's own lines are called.
    """

    scalars: Mapping[str, ast.expr]
    body: Sequence[tuple[str, ast.expr]]
    value: ast.expr


@cache
def gain(function: Function, clock: Formula) -> Gain:
    """Return a rule's gain beside the clock that gives the scalars of its step."""
    parts = split(lift(function), "_gain_")
    computed = inlined(parts.row, dict(clock.outputs))
    hoisted = {n: e for n, e in computed.items() if n.startswith("_gain_")}
    ((_, value),) = parts.outputs
    return Gain(hoisted, parts.body, value)


def lacks_gain(rule_parts: RuleParts) -> bool:
    """Whether a rule has no gain: its file says so, or it has no ``rate`` that its gain could come from."""
    stated = rule_parts.gain
    return stated is None or (rule_parts.rate is None and "rate" in signature(stated)[0])


__all__ = ["Gain", "gain", "lacks_gain"]
