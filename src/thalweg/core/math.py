"""The functions that a formula may call, on Python floats with IEEE results (no exceptions).

``sqrt abs where exp log expm1 log1p cos sin tanh floor`` are primitives: every printer knows them.
The others are formulas themselves and are unfolded into primitives wherever they are called.
"""

import builtins
import math

LIBM = ("exp", "log", "expm1", "log1p", "cos", "sin", "tanh", "floor")  # called in float64, rounded once
PRIMITIVES = ("sqrt", "abs", "where", *LIBM)
DERIVED = ("maximum", "minimum", "sign", "ratio")


def sqrt(x):
    """Square root; NaN below zero."""
    return math.sqrt(x) if x >= 0 else math.nan


def abs(x):
    """Absolute value."""
    return builtins.abs(x)


def where(condition, x, y):
    """``x`` where the comparison holds, else ``y``; both are evaluated."""
    return x if condition else y


def exp(x):
    """e to the power x; infinite where it overflows."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x):
    """Natural logarithm; minus infinity at 0, NaN below."""
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def expm1(x):
    """exp(x) - 1 without cancellation near 0."""
    try:
        return math.expm1(x)
    except OverflowError:
        return math.inf


def log1p(x):
    """log(1 + x) without cancellation near 0."""
    if x > -1:
        return math.log1p(x)
    return -math.inf if x == -1 else math.nan


def cos(x):
    """Cosine of x in radians; NaN at infinity."""
    return math.cos(x) if math.isfinite(x) else math.nan


def sin(x):
    """Sine of x in radians; NaN at infinity."""
    return math.sin(x) if math.isfinite(x) else math.nan


def tanh(x):
    """Hyperbolic tangent."""
    return math.tanh(x)


def floor(x):
    """The largest whole number not above x, as a float."""
    return float(math.floor(x)) if math.isfinite(x) else x


def power(x, y):
    """x to the power y as C's pow has it: no exception, no complex result."""
    try:
        result = math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:  # 0 to a negative power, or a negative number to a broken one
        return math.nan if x != 0 else math.copysign(math.inf, x) if y % 2 == 1 else math.inf
    return result


def maximum(x, y):
    """The larger; NaN wins; the sign of a zero is not promised."""
    return where(x > y, x, where(x == x, y, x))


def minimum(x, y):
    """The smaller; NaN wins; the sign of a zero is not promised."""
    return where(x < y, x, where(x == x, y, x))


def sign(x):
    """-1, 0 or 1; NaN stays NaN."""
    return where(x > 0, 1.0, where(x < 0, -1.0, x))


def ratio(x, y):
    """x / y, and 0 where y is 0: a coordinate that has never seen a gradient does not move."""
    return where(y == 0, 0.0, x / where(y == 0, 1.0, y))
