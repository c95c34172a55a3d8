"""Units as powers of w (the parameter) and g (its gradient).

A unit is written ``"w"``, ``"g^2"``, ``"w/g"``, ``"1"``; loss, being g times w, is ``"w g"``.
Powers of two scale exactly in binary floating point, so a run in other units can be compared bit
for bit: that is the units law.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_FACTOR = re.compile(r"([wg])(?:\^(-?\d+))?")


@dataclass(frozen=True)
class Unit:
    """w**w times g**g, with rational powers."""

    w: Fraction = Fraction(0)
    g: Fraction = Fraction(0)

    def __mul__(self, other: "Unit") -> "Unit":
        return Unit(self.w + other.w, self.g + other.g)

    def __truediv__(self, other: "Unit") -> "Unit":
        return Unit(self.w - other.w, self.g - other.g)

    def __pow__(self, power: Fraction | int) -> "Unit":
        return Unit(self.w * power, self.g * power)

    def __str__(self) -> str:
        def write(pairs: list[tuple[str, Fraction]]) -> str:
            return " ".join(n if p == 1 else f"{n}^{p}" for n, p in pairs)

        over = write([(n, p) for n, p in (("w", self.w), ("g", self.g)) if p > 0])
        under = write([(n, -p) for n, p in (("w", self.w), ("g", self.g)) if p < 0])
        return f"{over or '1'}/{under}" if under else over or "1"

    def exponent(self, a: int, b: int) -> int:
        """The power of two by which a quantity grows when w grows by 2**a and g by 2**b."""
        power = self.w * a + self.g * b
        if power.denominator != 1:
            raise ValueError(f"unit {self}: 2^{power} is not a whole power of two")
        return int(power)


ONE = Unit()
W = Unit(w=Fraction(1))
G = Unit(g=Fraction(1))


def parse(text: str) -> Unit:
    """Read ``"g^2"``, ``"w/g"``, ``"w g"``, ``"1"``; ValueError when it is none of these."""
    over, slash, under = text.partition("/")
    unit = ONE
    for part, sign in ((over, 1), (under, -1)) if slash else ((over, 1),):
        for factor in part.split():
            if factor == "1":
                continue
            match = _FACTOR.fullmatch(factor)
            if match is None:
                raise ValueError(f"unit {text!r}: {factor!r} is not w, g or a power such as g^2")
            base = W if match[1] == "w" else G
            unit = unit * base ** (sign * int(match[2] or 1))
    return unit
