"""Schedules: a hyperparameter's value as a function of the steps done so far.

A schedule is called with the number of steps done (0 first, as in Optax) and gives a float. It is a
value: two schedules with the same settings are equal. ``*`` multiplies, ``warmup`` ramps, ``join``
follows one by another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ..errors import HyperparameterError


def _need(good: bool, what: str, name: str, got: object, allowed: str) -> None:
    if not good:
        raise HyperparameterError(f"{what}: {name} must be {allowed}, got {got!r}")


@dataclass(frozen=True)
class Schedule:
    """Base of all schedules. A schedule of your own: a frozen dataclass with ``__call__``."""

    KINDS: ClassVar[dict[str, type["Schedule"]]] = {}

    def __init_subclass__(cls) -> None:
        Schedule.KINDS.setdefault(cls.__name__, cls)

    def __call__(self, step: int) -> float:
        """The value after ``step`` steps (0 before the first)."""
        raise NotImplementedError  # abstract: every schedule below has its own

    def __mul__(self, other: "float | Schedule") -> "Schedule":
        return Product(self, as_schedule(other))

    __rmul__ = __mul__

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            good = isinstance(value, Schedule) or (
                isinstance(value, int | float) and math.isfinite(value) and value >= 0
            )
            _need(good, type(self).__name__, f.name, value, "a finite number, 0 or more")


@dataclass(frozen=True)
class Constant(Schedule):
    """Always ``value``."""

    value: float

    def __call__(self, step: int) -> float:
        return self.value


@dataclass(frozen=True)
class StepDecay(Schedule):
    """value · factor^floor(step / every)."""

    value: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.every >= 1, "step_decay", "every", self.every, "1 or more steps")

    def __call__(self, step: int) -> float:
        return self.value * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """value · factor^(step / every), smooth."""

    value: float
    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.every >= 1, "exponential", "every", self.every, "1 or more steps")

    def __call__(self, step: int) -> float:
        return self.value * float(self.factor ** (step / self.every))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from ``value`` down to ``end`` over ``steps`` steps, then ``end``."""

    value: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.steps >= 1, "cosine", "steps", self.steps, "1 or more")

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.end + (self.value - self.end) * 0.5 * (1.0 + math.cos(math.pi * done))


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """value · sqrt(shift / (shift + step)): 1/sqrt(t) decay, flat for about ``shift`` steps."""

    value: float
    shift: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.shift >= 1, "inverse_sqrt", "shift", self.shift, "1 or more steps")

    def __call__(self, step: int) -> float:
        return self.value * math.sqrt(self.shift / (self.shift + step))


@dataclass(frozen=True)
class InverseTime(Schedule):
    """value / (1 + decay · step): torch's ``lr_decay``, the older Keras' ``decay``."""

    value: float
    decay: float

    def __call__(self, step: int) -> float:
        return self.value / (1.0 + step * self.decay)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """``of``, times a ramp (step + 1) / steps that ends at 1."""

    of: Schedule
    steps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.steps >= 1, "warmup", "steps", self.steps, "1 or more")

    def __call__(self, step: int) -> float:
        return self.of(step) * min(1.0, (step + 1) / self.steps)


@dataclass(frozen=True)
class Product(Schedule):
    """The product of two schedules."""

    left: Schedule
    right: Schedule

    def __call__(self, step: int) -> float:
        return self.left(step) * self.right(step)


@dataclass(frozen=True)
class Join(Schedule):
    """``first`` for ``at`` steps, then ``then``, which counts its own steps from 0."""

    first: Schedule
    then: Schedule
    at: int

    def __call__(self, step: int) -> float:
        return self.first(step) if step < self.at else self.then(step - self.at)


def as_schedule(value: float | Schedule) -> Schedule:
    """A number as the constant schedule; a schedule as it is."""
    return value if isinstance(value, Schedule) else Constant(value)


def constant(value: float) -> Schedule:
    """Always ``value``."""
    return Constant(value)


def step_decay(value: float, *, factor: float, every: int) -> Schedule:
    """``value``, times ``factor`` after each ``every`` steps."""
    return StepDecay(value, factor, every)


def exponential(value: float, *, factor: float, every: int = 1) -> Schedule:
    """``value`` times ``factor`` to the power step / ``every``."""
    return Exponential(value, factor, every)


def cosine(value: float, *, steps: int, end: float = 0.0) -> Schedule:
    """From ``value`` to ``end`` along half a cosine of ``steps`` steps (Loshchilov & Hutter 2017)."""
    return Cosine(value, steps, end)


def inverse_sqrt(value: float, *, shift: int = 1) -> Schedule:
    """``value`` times sqrt(shift / (shift + step))."""
    return InverseSqrt(value, shift)


def inverse_time(value: float, *, decay: float) -> Schedule:
    """``value`` / (1 + ``decay`` · step)."""
    return InverseTime(value, decay)


def warmup(of: float | Schedule, *, steps: int) -> Schedule:
    """Ramp up to ``of`` over the first ``steps`` steps: (step + 1) / steps, then 1."""
    return WarmUp(as_schedule(of), steps)


def join(first: float | Schedule, then: float | Schedule, *, at: int) -> Schedule:
    """``first`` for ``at`` steps, then ``then`` from its own step 0."""
    return Join(as_schedule(first), as_schedule(then), at)


def to_plain(value: float | Schedule) -> Any:
    """A hyperparameter's value as JSON can hold it."""
    if not isinstance(value, Schedule):
        return value
    inner = {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    return {"schedule": type(value).__name__, **inner}


def from_plain(value: Any) -> float | Schedule:
    """The inverse of ``to_plain``; HyperparameterError for a schedule that is not ours."""
    if not isinstance(value, Mapping):
        return float(value)
    kind = Schedule.KINDS.get(value["schedule"])
    if kind is None:
        raise HyperparameterError(
            f"schedule {value['schedule']!r} is not one of thalweg's: pass the rule itself to load"
        )
    inner = {k: from_plain(v) if isinstance(v, Mapping) else v for k, v in value.items() if k != "schedule"}
    return kind(**inner)


__all__ = [
    "Schedule", "constant", "cosine", "exponential", "inverse_sqrt", "inverse_time", "join",
    "step_decay", "warmup",
]
