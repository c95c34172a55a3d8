"""What a look is summed of, coordinate by coordinate, as formulas: compiled with the sums over each tensor."""

from ...core.formula import lift
from ...core.math import abs, maximum, where


def _look(w, after, g, expected, step, rate, alone, /, rounding):
    """What a look is summed of, a coordinate: its step ``after - w`` and, by the formula, where it should have led.

    step: what the formula moves but for decay, -rate * m, m being the gradient or the method's average of it. alone:
    the rate if epsilon were 0.
    """
    moved = after - w
    off = maximum(abs(expected - after) - 4 * rounding * abs(w), 0)
    m = step / rate
    ruled = where(_share(w, after, g, rate, alone) > 0.5, 1, 0)
    return moved * moved, w * w, g * g, _still(w, after, g), off * off, m * g, m * m, ruled


def _still(w, after, g, /):
    """1 where there is no gradient and nothing moves, else 0."""
    return where(g == 0, where(after == w, 1, 0), 0)


def _share(w, after, g, rate, alone, /):
    """Epsilon's part of a denominator; none where nothing is divided, without a gradient and a move."""
    part = where(rate == alone, 0, where(alone == 0, 1, 1 - rate / alone))
    return where(_still(w, after, g) == 1, 0, part)


def _turn(a, b, /):
    """What two gradients are compared by: signs that there are in both, those that differ, and their products."""
    product = a * b
    return where(product == 0, 0, 1), where(product < 0, 1, 0), product, a * a, b * b


LOOK = lift(_look, ("moved", "size", "gradient", "still", "off", "along", "average", "ruled"))
SHARE = lift(_share)
TURN = lift(_turn, ("there", "turned", "product", "before", "after"))
