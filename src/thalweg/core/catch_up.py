"""How rows that a gradient has not touched are brought up to date: the plan, from what a rule knows of idle steps."""

import ast
import math
from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple

from .formula import Function, lift, signature
from .pieces import PIECES, own, shrunk
from .rule import Rule
from .schedule import Schedule
from .step_options import StepOptions

Exact = Literal["value", "bits", "lazy"]
EXACT = ("value", "bits", "lazy")

GROWTH = 64.0  # by how much lr may grow before moves that should have vanished could be seen
_SLACK = 6  # further bits below the last one at which a move counts as vanished
_LONGEST = 4096  # steps over which the sums of a series are kept up to date


class CatchUp(NamedTuple):
    """How rows that a gradient has not touched are brought up to date.

    kind: ``closed`` (by ``idle``), ``series`` (sums kept for each step), ``bounded`` (replay of at most
    ``window`` steps, then ``idle_states``), ``replay`` (of every step) or ``lazy`` (not at all). constants:
    hyperparameters that must not have changed meanwhile. products: see ``IdleModel``. why: in words. idle: of
    ``closed``, the formula. still: closed, and nothing moves, so that no row is ever behind. penalties: the scalars of
    penalties in the rule's metric, which have a closed form of their own where w moves no more.
    """

    kind: Literal["closed", "series", "bounded", "replay", "lazy"]
    window: int
    constants: tuple[str, ...]
    products: tuple[tuple[str, tuple[str, ...]], ...]
    why: str
    idle: Function | None = None
    still: bool = False
    penalties: tuple[str, ...] = ()


def plan(rule: Rule, options: StepOptions, exact: Exact, bits: int) -> CatchUp:
    """The plan for a rule with pieces around it, in arithmetic whose mantissa has so many bits."""
    rule_parts = rule.parts
    idle_model, idle = rule_parts.idle_model, rule.idle
    if exact == "lazy":
        return CatchUp("lazy", 0, (), (), "untouched rows are left behind: another algorithm")
    if exact == "bits":
        return _replay("bit for bit")
    if options.coupled:
        return _replay("coupled weight decay moves every weight, with no closed form")
    if options.average or options.polyak:
        return _replay("the average of the weights follows every step")
    values = rule.hyperparameters
    decay = tuple(own(n) for n in signature(shrunk)[1]) if options.decoupled else ()
    penalties = tuple(own(signature(PIECES[n].formula)[1][0]) for n in ("l1", "l2") if getattr(options, n))
    if idle_model is None:
        if idle is None:
            return _replay("the rule has no closed form")
        needed = tuple(n for n in signature(idle)[1] if n != "t")
        if any(isinstance(values[n], Schedule) for n in needed):
            return _replay("its closed form needs constant hyperparameters")
        if decay and not rests(idle, rule_parts.states):
            return _replay("its closed form does not go with decoupled decay")
        if penalties and not rests(idle, rule_parts.states):
            return _replay("its closed form does not go with a penalty in its metric")
        if not (decay or options.metric or options.rates) and stays(
            idle, rule_parts.states
        ):  # rates kept are the last step's
            return CatchUp("closed", 0, needed, (), "nothing moves without a gradient", idle, still=True)
        shrinks = (("w", decay),) if decay else ()
        return CatchUp("closed", 0, needed, shrinks, "closed form", idle, penalties=penalties)
    move_terms = idle_model.move_terms if not any(values[n] for n in idle_model.zero) else None
    needed = tuple(
        dict.fromkeys(signature(idle_model.idle_states)[1] + (signature(move_terms)[1] if move_terms else ()))
    )
    bound = {n: values[n] for n in signature(idle_model.shrink)[1]}
    if any(isinstance(values[n], Schedule) for n in (*needed, *bound)):
        return _replay("a hyperparameter of its averages follows a schedule")
    ratio = _ratio(idle_model.shrink, bound)  # type: ignore[arg-type]
    if not ratio < 1:
        return _replay(f"moves without gradient do not shrink (by {ratio:.4g} a step)")
    below = bits + _SLACK + math.log2(GROWTH)
    window = 1 if ratio == 0 else math.ceil(below / -math.log2(ratio))
    multiplied: dict[str, tuple[str, ...]] = {n: (s,) for n, s in idle_model.products.items()}
    if decay:
        multiplied["w"] = multiplied.get("w", ()) + decay
    kept = tuple(multiplied.items())
    if move_terms is None or window > _LONGEST or options.rates or penalties:
        why = f"replay of at most {window} steps"
        return CatchUp("bounded", window, needed, kept, why, penalties=penalties)
    return CatchUp("series", window, needed, kept, f"series, or replay of at most {window} steps")


def _replay(why: str) -> CatchUp:
    return CatchUp("replay", 1 << 30, (), (), f"replay of every step: {why}")


def _ratio(shrink: Function, values: Mapping[str, float]) -> float:
    try:
        return float(shrink(**values))
    except ZeroDivisionError:
        return math.inf


@cache
def rests(idle: Function, states: tuple[str, ...]) -> bool:
    """Whether w stays where it is without a gradient."""
    moved = lift(idle, outputs=("w", *states)).outputs[0][1]
    return isinstance(moved, ast.Name) and moved.id == "w"


@cache
def stays(idle: Function, states: tuple[str, ...]) -> bool:
    """Whether neither w nor any state moves without a gradient."""
    moved = lift(idle, outputs=("w", *states)).outputs
    return all(isinstance(e, ast.Name) and e.id == n for n, e in moved)
