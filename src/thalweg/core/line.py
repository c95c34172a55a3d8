"""One line of a rule: a hyperparameter or a state with its default, range and unit.

Signature, validation, error message, documentation table and command-line help all come from it.
"""

import math
from typing import Any, NamedTuple

from ..errors import HyperparameterError
from .schedule import Schedule
from .units import Unit, parse

Scalar = float | Schedule


def short(value: object) -> str:
    """A value as an error message shows it: on one line, and not at length."""
    text = " ".join(repr(value).split())
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:40]}..."


class Line(NamedTuple):
    """Default, range, unit and meaning of one hyperparameter or state."""

    default: float
    low: float
    high: float
    open_low: bool
    open_high: bool
    unit: str
    text: str
    is_state: bool = False

    @property
    def range(self) -> str:
        """The range as it is printed: ``(0, inf)``, ``[0, 1)``."""
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"

    @property
    def dimension(self) -> Unit:
        """The unit, as powers of w and g."""
        return parse(self.unit)

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range (NaN never does)."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def number(self, where: str, name: str, value: Scalar) -> float:
        """``checked`` for a line that no schedule may drive."""
        plain = self.checked(where, name, value)
        assert not isinstance(plain, Schedule)
        return plain

    def checked(self, where: str, name: str, value: Scalar) -> Scalar:
        """The value as a float or schedule; HyperparameterError says what is allowed."""
        if isinstance(value, Schedule):
            if self.is_state:
                raise HyperparameterError(
                    f"{where}: {name} must be a number in {self.range}, not a schedule; got {value!r}"
                )
            return value
        try:
            number = float(value) if not isinstance(value, str | bytes | bool) else math.nan
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not self.holds(number):
            kind = "a number" if self.is_state else "a number or a schedule"
            raise HyperparameterError(
                f"{where}: {name} must be {kind} in {self.range}, unit {self.unit}; got {short(value)}"
            )
        return number


def number(
    *, default: float, unit: str, text: str = "", low: float = -math.inf, high: float = math.inf
) -> Any:
    """A hyperparameter in [low, high]; infinite ends are left out."""
    parse(unit)
    return Line(default, low, high, math.isinf(low), math.isinf(high), unit, text)


def positive(*, default: float, unit: str, text: str = "") -> Any:
    """A hyperparameter in (0, inf)."""
    parse(unit)
    return Line(default, 0.0, math.inf, True, True, unit, text)


def nonnegative(*, default: float, unit: str, text: str = "") -> Any:
    """A hyperparameter in [0, inf)."""
    parse(unit)
    return Line(default, 0.0, math.inf, False, True, unit, text)


def fraction(*, default: float, unit: str = "1", text: str = "") -> Any:
    """A hyperparameter in [0, 1)."""
    parse(unit)
    return Line(default, 0.0, 1.0, False, True, unit, text)


def state(*, default: float, unit: str, text: str = "", signed: bool = False) -> Any:
    """A value kept for each coordinate, and where it starts: in [0, inf), or any number if signed."""
    parse(unit)
    low = -math.inf if signed else 0.0
    return Line(default, low, math.inf, signed, True, unit, text, is_state=True)
