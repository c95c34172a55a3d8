"""Where the values of a setting are looked for: a range, shares, a start or a choice, from which a quantile draws one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np

Value: TypeAlias = float | str  # of a setting: words where it is a choice
Settings: TypeAlias = dict[str, Value]  # values by setting
Scale: TypeAlias = Literal["log", "complement", "words"]

EDGE = 0.2  # of a range, at either end
DECADE = 10.0  # by which a range is widened
ZERO = 0.1  # of the trials of a state's start begin at 0


class Dimension(Protocol):
    """Where one setting is looked for."""

    @property
    def widens(self) -> bool:
        """Whether more may be tried beyond its ends."""

    @property
    def scale(self) -> Scale:
        """How its values are spread: evenly in log x, in log (1 - x), or words."""

    def at(self, quantile: float, /) -> Value:
        """The value at a quantile of the range."""

    def side(self, value: Value, /) -> int:
        """-1 or 1 where a value lies at a low or high end beyond which there are others, else 0."""

    def beyond(self, side: int, /) -> "Dimension":
        """What lies next to the range on one side; the range itself for side 0."""

    def joined(self, other: "Dimension", /) -> "Dimension":
        """From the lower of both to the higher."""


@dataclass(frozen=True)
class Range:
    """The values of a line that are looked at, evenly on a log scale; both ends positive.

    widens: whether a decade more is tried beyond an end near which the good values lie. guard: of an epsilon, the value
    at which it is as large as the gradient (0: a rate does not follow it); power: of the gradient in its unit.
    """

    low: float
    high: float
    widens: bool = True
    guard: float = 0.0
    power: int = 1
    scale: ClassVar[Scale] = "log"

    def at(self, quantile: float, /) -> float:
        """The value at a quantile of the range, to four digits (as it is printed)."""
        return float(f"{self.low * (self.high / self.low) ** quantile:.4g}")

    def side(self, value: Value, /) -> int:
        """-1 or 1 where a value lies at the low or high end, else 0."""
        low, high = np.log(self.low), np.log(self.high)
        place = (np.log(value) - low) / (high - low)
        return -1 if place < EDGE else 1 if place > 1 - EDGE else 0

    def beyond(self, side: int, /) -> "Range":
        """The next decade on one side; the range itself for side 0, and where nothing is tried beyond."""
        if side == 0 or not self.widens:
            return self
        if side < 0:
            return replace(self, low=self.low / DECADE, high=self.low)
        return replace(self, low=self.high, high=self.high * DECADE)

    def joined(self, other: Dimension, /) -> "Range":
        """From the lower of both to the higher."""
        assert isinstance(other, Range)
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))


class _Fixed:
    """What is not widened."""

    widens = False

    def beyond(self, side: int, /) -> Dimension:
        return self  # type: ignore[return-value]

    def joined(self, other: Dimension, /) -> Dimension:
        return self  # type: ignore[return-value]


@dataclass(frozen=True)
class Fraction(_Fixed):
    """Shares that are kept, 0 <= low < high < 1, evenly over the logarithm of what is lost, 1 - share."""

    low: float
    high: float
    scale: ClassVar[Scale] = "complement"

    def at(self, quantile: float, /) -> float:
        """The share at a quantile, to four digits of 1 - share."""
        lost = Range(1 - self.high, 1 - self.low).at(1 - quantile)
        return float(f"{1 - lost:.12g}")

    def side(self, value: Value, /) -> int:
        """1 near the upper end, -1 near a lower one above 0, else 0: nothing lies below 0."""
        assert not isinstance(value, str)
        side = -Range(1 - self.high, 1 - self.low).side(1 - value)
        return 0 if side < 0 and self.low == 0 else side


@dataclass(frozen=True)
class Start(_Fixed):
    """Where a state may begin: at 0, or evenly on a log scale between two positive ends."""

    low: float
    high: float
    scale: ClassVar[Scale] = "log"

    def at(self, quantile: float, /) -> float:
        """0 in the lowest tenth; above it the value to four digits."""
        return 0.0 if quantile < ZERO else Range(self.low, self.high).at((quantile - ZERO) / (1 - ZERO))

    def side(self, value: Value, /) -> int:
        """1 near the upper end, else 0: nothing lies below 0."""
        return 1 if value and Range(self.low, self.high).side(value) > 0 else 0


@dataclass(frozen=True)
class Choice(_Fixed):
    """One of several values, each as likely as any other."""

    values: tuple[Value, ...]

    @property
    def scale(self) -> Scale:
        """Words, or numbers that are as many times one another."""
        return "words" if any(isinstance(v, str) for v in self.values) else "log"

    def at(self, quantile: float, /) -> Value:
        """The value of the equal part that the quantile lies in."""
        return self.values[min(int(quantile * len(self.values)), len(self.values) - 1)]

    def side(self, value: Value, /) -> int:
        """0: all there is takes part."""
        return 0


Space: TypeAlias = dict[str, Dimension]


def stretch(space: Mapping[str, Dimension], settings: Settings) -> float:
    """How many gradients an epsilon is worth, at least 1: beyond the gradient's size it divides the rate alone.

    So rates are looked for relative to it there; 1 where either of both is not tuned.
    """
    for n, dimension in space.items():
        if isinstance(dimension, Range) and dimension.guard and "lr" in space:
            gradients = float(settings[n]) / dimension.guard
            return max(1.0, math.pow(gradients, 1 / dimension.power))
    return 1.0


def drawn(space: Mapping[str, Dimension], quantiles: Mapping[str, float]) -> Settings:
    """The settings at quantiles by name, of which there may be more."""
    settings = {n: dimension.at(quantiles[n]) for n, dimension in space.items()}
    times = stretch(space, settings)
    if times > 1:
        settings["lr"] = float(f"{float(settings['lr']) * times:.4g}")
    return settings


def compared(space: Mapping[str, Dimension], settings: Settings) -> Settings:
    """The settings as they lie in their ranges: a rate relative to an epsilon beyond the gradient's size."""
    times = stretch(space, settings)
    return settings if times == 1 else {**settings, "lr": float(settings["lr"]) / times}
