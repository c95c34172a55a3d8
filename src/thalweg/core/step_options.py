"""What a user sets around a rule's step: each option's check, and which pieces are there, without a number in it."""

import math
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any, NamedTuple

from ..errors import HyperparameterError, nearest
from .line import Line, short


class StepOptions(NamedTuple):
    """A field for each piece (see ``pieces``), true where it is there; ``rates`` keeps what the rule's rate gave."""

    accumulate: bool = False
    clip_norm: bool = False
    maximize: bool = False
    coupled: bool = False
    clip_value: bool = False
    decoupled: bool = False
    average: bool = False
    polyak: bool = False
    rates: bool = False
    metric: bool = False
    l1: bool = False
    l2: bool = False
    total: bool = False


BARE = StepOptions()
MOST = 1 << 53  # calls: a count up to here is a float64 too

# Plain numbers: a schedule belongs to a hyperparameter.
_POSITIVE = Line(1.0, 0.0, math.inf, True, True, "g", "", is_state=True)
_NONNEGATIVE = Line(0.0, 0.0, math.inf, False, True, "g/w", "", is_state=True)


def choice(where: str, name: str, value: object, allowed: Sequence[str]) -> str:
    """Return one of the words allowed; HyperparameterError for anything else."""
    if not isinstance(value, str) or value not in allowed:
        raise HyperparameterError(
            f"{where}: {name} must be one of {', '.join(map(repr, allowed))}; got {short(value)}"
        )
    return value


def switch(where: str, name: str, value: object, allowed: Sequence[bool | None]) -> bool | None:
    """Return True, False or None where allowed, NumPy's too; HyperparameterError for anything else."""
    plain = bool(value) if type(value).__name__ in ("bool", "bool_") else value
    for a in allowed:
        if plain is a:
            return a
    choices = " or ".join(map(repr, allowed))
    raise HyperparameterError(f"{where}: {name} must be {choices}, got {short(value)}")


def _bound(where: str, name: str, value: float | None) -> float | None:
    return None if value is None else _POSITIVE.number(where, name, value)


def _count(where: str, name: str, value: int) -> int:
    try:
        count = 0 if isinstance(value, bool) else index(value)
    except TypeError:
        count = 0
    if not 1 <= count <= MOST:
        raise HyperparameterError(
            f"{where}: {name} must be a whole number of at least 1 (and at most 2^53), got {short(value)}"
        )
    return count


def _average(where: str, name: str, value: float | str | None) -> float | str | None:
    if value is None or (isinstance(value, str) and value == "polyak"):
        return value
    try:
        beta = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        beta = math.nan
    if not 0 < beta < 1:
        raise HyperparameterError(
            f"{where}: {name} must be None, 'polyak' or the decay of a moving average in (0, 1), got {short(value)}"
        )
    return beta


_CHECKS: Mapping[str, Callable[[str, str, Any], Any]] = {
    "weight_decay": _NONNEGATIVE.number,
    "decay": lambda where, name, value: choice(where, name, value, ("coupled", "decoupled", "proximal")),
    "l1_decay": _NONNEGATIVE._replace(unit="g").number,
    "clip_value": _bound,
    "clip_norm": _bound,
    "average": _average,
    "accumulate": _count,
    "maximize": lambda where, name, value: switch(where, name, value, (True, False)),
}

NAMES = tuple(_CHECKS)
"""What a user can set around a step, whatever the door."""


def checked(where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as plain values; HyperparameterError, led by ``where``, for one unknown or out of its range."""
    for n in options:
        if n not in _CHECKS:
            raise HyperparameterError(f"{where}: no option {n!r}: {nearest(n, NAMES)}")
    plain = {n: _CHECKS[n](where, n, value) for n, value in options.items()}
    if plain.get("l1_decay") and plain.get("decay") != "proximal":
        raise HyperparameterError(
            f"{where}: l1_decay={plain['l1_decay']!r} is a penalty in the rule's own metric: it needs decay='proximal'"
        )
    return plain


__all__ = ["BARE", "NAMES", "StepOptions", "checked", "choice", "switch"]
