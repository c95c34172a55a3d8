"""Schedules: a hyperparameter's value as a function of the steps done so far.

A schedule is called with the number of steps done (0 first, as in Optax) and gives a float. It is a
value: two schedules with the same settings are equal. ``*`` multiplies, ``warmup`` ramps, ``join``
follows one by another.
"""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, dataclass_transform

from ..errors import HyperparameterError
from .math import power, where


def _need(good: bool, what: str, name: str, got: object, allowed: str) -> None:
    if not good:
        raise HyperparameterError(f"{what}: {name} must be {allowed}, got {got!r}")


def _is_finite(value: Real) -> bool:
    """Return whether a number is one that a float can hold."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def growth(factor: float, times: float) -> float:
    """Return ``factor`` to the power ``times`` as IEEE has it: infinite beyond the largest float.

    A whole power of a whole number is rounded once.
    """
    if isinstance(factor, int) and isinstance(times, Integral):
        if (factor.bit_length() - 1) * int(times) > 1024:  # to compute it exactly could take for ever
            return math.inf
        try:
            return float(factor ** int(times))
        except OverflowError:
            return math.inf
    return power(factor, times)  # type: ignore[no-untyped-call,no-any-return]


@dataclass_transform(frozen_default=True)
class Schedule:
    """Base of all schedules.

    A schedule of your own is a subclass with annotated fields and ``__call__(step) -> float``; it is
    built, compared, hashed and printed by its fields. Where a step is traced (``thalweg.optax``) the
    call is traced too: write ``where`` of ``thalweg.core`` instead of ``if``. (Not a dataclass: those
    take longer to define than all else that ``import thalweg`` does.)
    """

    KINDS: ClassVar[dict[str, type["Schedule"]]] = {}
    FIELDS: ClassVar[tuple[str, ...]] = ()
    WHOLE: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.FIELDS = tuple(n for n in cls.__annotations__ if not n.isupper())
        Schedule.KINDS.setdefault(cls.__name__, cls)

    def __init__(self, *values: Any, **named: Any) -> None:
        given = dict(zip(self.FIELDS, values, strict=False)) | named
        what = type(self).__name__
        unknown = [n for n in given if n not in self.FIELDS]
        _need(
            not unknown and len(values) <= len(self.FIELDS),
            what,
            "arguments",
            unknown or values,
            ", ".join(self.FIELDS),
        )
        for n in self.FIELDS:
            if n not in given and hasattr(type(self), n):
                given[n] = getattr(type(self), n)
            _need(n in given, what, n, "nothing", "given")
            value = given[n]
            if not isinstance(value, Schedule):
                good = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
                _need(good and value >= 0, what, n, value, "a finite number, 0 or more")
                value = int(value) if isinstance(value, Integral) else float(value)
            if n in self.WHOLE:
                _need(
                    isinstance(value, int) and value >= 1,
                    what,
                    n,
                    value,
                    "a whole number of steps, 1 or more",
                )
            object.__setattr__(self, n, value)

    @property
    def fields(self) -> dict[str, Any]:
        """The settings by name."""
        return {n: getattr(self, n) for n in self.FIELDS}

    def __call__(self, step: int) -> float:
        """The value after ``step`` steps (0 before the first)."""
        raise TypeError(f"{type(self).__name__}: a schedule defines __call__(step)")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a value and does not change")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash((type(self), *self.fields.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in self.fields.items())})"

    def __mul__(self, other: "float | Schedule") -> "Schedule":
        return Product(self, as_schedule(other))

    __rmul__ = __mul__


class Constant(Schedule):
    """Always ``value``."""

    value: float

    def __call__(self, step: int) -> float:
        return self.value


class StepDecay(Schedule):
    """value · factor^floor(step / every)."""

    WHOLE = ("every",)
    value: float
    factor: float
    every: int

    def __call__(self, step: int) -> float:
        return self.value * growth(self.factor, step // self.every)


class Exponential(Schedule):
    """value · factor^(step / every), smooth."""

    WHOLE = ("every",)
    value: float
    factor: float
    every: int = 1

    def __call__(self, step: int) -> float:
        return self.value * growth(self.factor, step / self.every)


class Cosine(Schedule):
    """Half a cosine from ``value`` down to ``end`` over ``steps`` steps, then ``end``."""

    WHOLE = ("steps",)
    value: float
    steps: int
    end: float = 0.0

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.end + (self.value - self.end) * 0.5 * (1.0 + math.cos(math.pi * done))


class Restarts(Schedule):
    """Half cosines from ``value`` to 0, one after another: the first of ``steps`` steps, each next one twice as long."""

    WHOLE = ("steps",)
    value: float
    steps: int

    def __call__(self, step: int) -> float:
        done = step / self.steps + 1.0  # a cosine begins at each power of two
        begun = 2.0 ** math.floor(math.log(done) / math.log(2.0) + 1e-9)  # log(8) / log(2) may be 3 - 1e-16
        return self.value * math.cos(0.5 * math.pi * (done / begun - 1.0)) ** 2


class InverseSqrt(Schedule):
    """value · sqrt(shift / (shift + step)): 1/sqrt(t) decay, flat for about ``shift`` steps."""

    WHOLE = ("shift",)
    value: float
    shift: int = 1

    def __call__(self, step: int) -> float:
        return self.value * math.sqrt(self.shift / (self.shift + step))


class InverseTime(Schedule):
    """value / (1 + decay · step): torch's ``lr_decay``, the older Keras' ``decay``."""

    value: float
    decay: float

    def __call__(self, step: int) -> float:
        return self.value / (1.0 + step * self.decay)


class WarmUp(Schedule):
    """``of``, times a ramp (step + 1) / steps that ends at 1."""

    WHOLE = ("steps",)
    of: Schedule
    steps: int

    def __call__(self, step: int) -> float:
        return self.of(step) * min(1.0, (step + 1) / self.steps)


class Product(Schedule):
    """The product of two schedules."""

    left: Schedule
    right: Schedule

    def __call__(self, step: int) -> float:
        return self.left(step) * self.right(step)


class Join(Schedule):
    """``first`` for ``at`` steps, then ``then``, which counts its own steps from 0."""

    WHOLE = ("at",)
    first: Schedule
    then: Schedule
    at: int

    def __call__(self, step: int) -> float:
        return where(step < self.at, self.first(step), self.then(max(step - self.at, 0)))  # type: ignore[no-any-return, no-untyped-call]


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


def restarts(value: float, *, steps: int) -> Schedule:
    """Cosines from ``value`` to 0, of ``steps`` steps, then 2 · ``steps``, 4 · ``steps``, ... (Loshchilov & Hutter 2017)."""
    return Restarts(value, steps)


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


def to_plain(value: float | Schedule) -> float | dict[str, Any]:
    """A hyperparameter's value as JSON can hold it."""
    if not isinstance(value, Schedule):
        return value
    inner = {n: to_plain(v) for n, v in value.fields.items()}
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
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "inverse_sqrt",
    "inverse_time",
    "join",
    "restarts",
    "step_decay",
    "warmup",
]
