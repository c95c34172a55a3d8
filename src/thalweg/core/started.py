"""A rule with its options settled: what every engine and door takes as it is.

    started = start(Adam(lr=1e-3), weight_decay=0.01, decay="decoupled")
    started.update                          the pass over arrays, for an engine
    started.scalars(t)                      its scalars at step t, 1 the first

A door to another framework asks for no more: it keeps an array for each name in ``update.arrays``, begun at
``started.begin(name)``, and hands them with ``scalars(t)`` to an engine (``engines.ops.applied``, say, or a batch of
``engines.engine``).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import clock as clocks
from .formula import Formula
from .math import log
from .pieces import own
from .rule import Rule
from .step_options import StepOptions
from .update import Update, update

OWN = "own"  # weight decay, and its kind, that are left to the rule


def settled(rule: Rule, weight_decay: float | str, decay: str) -> tuple[Rule, float, str]:
    """The rule, and how much weight decay of which kind stands around it.

    A rule with a line ``weight_decay`` (AdamW, Lion) decays inside its step: what is given replaces that
    line's value. Only where coupled decay is asked for does it stand around the rule, and the line is 0.
    Raises HyperparameterError where that line refuses the value.
    """
    amount: Any = weight_decay
    if "weight_decay" not in rule.parts.hyperparameters:
        return rule, 0.0 if _own(amount) else amount, "coupled" if _own(decay) else decay
    rule = rule if _own(amount) else rule.replace(weight_decay=amount)
    if isinstance(decay, str) and decay == "coupled":
        amount = rule.values["weight_decay"]
        return rule.replace(weight_decay=0.0), amount, decay
    return rule, 0.0, "decoupled" if _own(decay) else decay


def _own(value: object) -> bool:
    return isinstance(value, str) and value == OWN


class Started(NamedTuple):
    """A rule, which pieces stand around it, their ``values`` as the clock calls them, the update, its clock.

    ``scalars(t)`` are the update's scalars at step t in their order, in float64; with clipping by norm
    ``scalars(t, factor)``.
    """

    rule: Rule
    options: StepOptions
    values: Mapping[str, float]
    update: Update
    scalars: clocks.Clock

    def begin(self, array: str) -> float | str:
        """What an array holds before the first step: a number, or the name of another array."""
        starts = self.update.starts
        return starts[array] if array in starts else getattr(self.rule, array)

    def traced(self) -> tuple[Formula, tuple[float, ...]]:
        """The clock as a device prints it, and its inputs after t as they stand before the first step."""
        formula, logs = clocks.traced(self.update.clock)
        known = {**self.rule.at(0), **self.values}
        inputs = [known[n] for n in self.update.clock.inputs[1:]]
        return formula, (*inputs, *(log(known[n]) for n in logs))  # type: ignore[no-untyped-call]


def start(
    rule: Rule,
    *,
    weight_decay: float = 0.0,
    decay: str = "coupled",
    clip_value: float | None = None,
    clip_norm: float | None = None,
    average: float | str | None = None,
    accumulate: int = 1,
    maximize: bool = False,
    rates: bool = False,
    l1: float = 0.0,
    sum_after: int | None = None,
    varied: Iterable[str] = (),
) -> Started:
    """A rule with its options, which are plain numbers in their ranges by now; HyperparameterError.

    weight_decay, decay: those of ``settled``. average: the decay of a moving average, or "polyak". rates: also keep
    what the rule's rate gives. l1: penalty that truncates weights. sum_after: a step after which weights are summed
    up. varied: hyperparameters whose values are not the rule's.
    """
    options = StepOptions(
        accumulate=accumulate > 1,
        clip_norm=clip_norm is not None,
        maximize=maximize,
        coupled=weight_decay > 0 and decay == "coupled",
        clip_value=clip_value is not None,
        decoupled=weight_decay > 0 and decay == "decoupled",
        average=average is not None and average != "polyak",
        polyak=average == "polyak",
        rates=rates and rule.parts.rate is not None,
        truncate=l1 > 0,
        total=sum_after is not None,
    )
    given = {
        "accumulate": accumulate,
        "weight_decay": weight_decay,
        "clip_value": clip_value,
        "average": average,
        "l1": l1,
        "begin": sum_after,
    }
    made = update(rule, options, clocks.known(rule, varied))
    values = {own(n): float(v) for n, v in given.items() if own(n) in made.clock.inputs}  # type: ignore[arg-type]
    return Started(rule, options, values, made, clocks.clock(rule, made.clock, values))


__all__ = ["OWN", "Started", "settled", "start"]
