"""A schedule of ours as the ``lr`` of a torch group: a number for who reads it, the schedule for who steps.

Loggers and torch's schedulers expect a number there. It is the rate of the next step; a factor multiplies the whole
schedule, so that LambdaLR, MultiplicativeLR, StepLR, ExponentialLR and LinearLR do on it what they do on a number.
Any other arithmetic gives a plain number, and a scheduler that writes one has replaced the schedule: refused.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.schedule import Schedule
from ..errors import HyperparameterError


class Clock:
    """How many steps a group has done, shared by all numbers that come of its schedule."""

    def __init__(self) -> None:
        self.steps = 0


class ScheduledRate(float):
    """What ``base`` times ``factor`` gives after the steps on ``clock``."""

    base: Schedule
    factor: float
    clock: Clock

    def __new__(cls, base: Schedule, factor: float, clock: Clock) -> "ScheduledRate":
        rate = super().__new__(cls, float(base(clock.steps)) * factor)
        rate.base, rate.factor, rate.clock = base, factor, clock
        return rate

    @property
    def schedule(self) -> Schedule:
        """The schedule that the group follows."""
        return self.base if self.factor == 1.0 else self.base * self.factor

    def __mul__(self, other: float) -> float:
        if isinstance(other, int | float) and 0 <= other < math.inf:
            return ScheduledRate(self.base, self.factor * float(other), self.clock)
        product: float = float(self) * other
        return product

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ScheduledRate):
            same = self.base is other.base or self.base == other.base
            return same and self.factor == other.factor
        return float(self) == other

    def __hash__(self) -> int:
        return hash((self.base, self.factor))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.base, self.factor, self.clock)


def show(group: dict[str, Any], states: Mapping[Any, Mapping[str, Any]]) -> bool:
    """Write the rate of the next step into a group that follows a schedule; return whether it does."""
    lr = group.get("lr")
    if isinstance(lr, Schedule):
        lr = ScheduledRate(lr, 1.0, Clock())
    elif not isinstance(lr, ScheduledRate):
        return False
    for p in group["params"]:
        if p in states and "step" in states[p]:  # those of the first that has taken a step stand for all
            lr.clock.steps = int(states[p]["step"].item())
            break
    group["lr"] = ScheduledRate(lr.base, lr.factor, lr.clock)
    return True


def require_followed(
    numbers: Iterable[int], param_groups: list[dict[str, Any]], states: Mapping[Any, Any]
) -> None:
    """HyperparameterError where a number has been written in place of a group's schedule, as schedulers do.

    Not for a 0 before the first step: distributed checkpoints take such a step to make room for the states, and put
    back what stood there.
    """
    for k in numbers:
        lr = param_groups[k].get("lr")
        if not isinstance(lr, ScheduledRate | Schedule):
            if isinstance(lr, float) and lr == 0 and not any(p in states for p in param_groups[k]["params"]):
                continue
            raise HyperparameterError(
                f"step: group {k}: lr={lr!r} was written in place of the rule's own schedule, by a scheduler of torch"
                " perhaps: begin the rule with a number for those, or multiply the schedule with LambdaLR; a number to"
                " stay is written as tw.constant(...); nothing has moved"
            )
