"""Units as powers of w (the parameter) and g (its gradient).

A unit is written ``"w"``, ``"g^2"``, ``"w/g"``, ``"1"``; loss, being g times w, is ``"w g"``.
Powers of two scale exactly in binary floating point, so a run in other units can be compared bit
for bit: that is the units law.
"""

import re
from typing import NamedTuple

_FACTOR = re.compile(r"([wg])(?:\^(-?\d+))?")


class Unit(NamedTuple):
    """w to one power times g to another."""

    w: int = 0
    g: int = 0

    def times(self, other: "Unit") -> "Unit":
        """The unit of a product."""
        return Unit(self.w + other.w, self.g + other.g)

    def over(self, other: "Unit") -> "Unit":
        """The unit of a quotient."""
        return Unit(self.w - other.w, self.g - other.g)

    def to(self, power: int) -> "Unit":
        """The unit of a power."""
        return Unit(self.w * power, self.g * power)

    def __str__(self) -> str:
        def write(pairs: list[tuple[str, int]]) -> str:
            return " ".join(n if p == 1 else f"{n}^{p}" for n, p in pairs)

        over = write([(n, p) for n, p in (("w", self.w), ("g", self.g)) if p > 0])
        under = write([(n, -p) for n, p in (("w", self.w), ("g", self.g)) if p < 0])
        return f"{over or '1'}/{under}" if under else over or "1"

    def exponent(self, a: int, b: int) -> int:
        """The power of two by which a quantity grows when w grows by 2**a and g by 2**b."""
        return self.w * a + self.g * b


ONE, W, G = Unit(), Unit(w=1), Unit(g=1)


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
            unit = unit.times(base.to(sign * int(match[2] or 1)))
    return unit
