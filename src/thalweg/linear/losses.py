r"""Losses of a linear model: value and slope of one score z against one target y, as one formula.

Margin losses take y = -1 or +1 and m = y z:

    log_loss        log(1 + e^-m)                    Huber's modified loss    (1 - m)+^2 for m > -1, else -4 m
    hinge           (1 - m)+                         squared_hinge            (1 - m)+^2

Losses of a number take y itself and r = z - y:

    squared_error   r^2 / 2                          huber                    r^2 / 2 for |r| < eps, else eps |r| - eps^2 / 2
    epsilon_insensitive   (|r| - eps)+               squared_epsilon_insensitive   (|r| - eps)+^2
    poisson         e^z - y z, predicting e^z        quantile                 q (-r)+ + (1 - q) r+

``multinomial`` is log sum_c e^(z_c) - z_y over the scores of all classes; its kernel is printed by the
engine, since no scalar formula speaks of all of them.
Source: the losses that scikit-learn's SGDClassifier and SGDRegressor have; the modified Huber loss is Zhang
(ICML 2004), Poisson's is the negative log-likelihood but for a term of y alone, the quantile's is Koenker &
Bassett (Econometrica 46 (1978), 33-50).
"""

import sys
from functools import cache
from numbers import Real
from typing import NamedTuple

from ..core import abs, exp, log1p, maximum, sign, where
from ..core.formula import Formula, Function, lift
from ..errors import HyperparameterError, nearest


def log_loss(z, /, y):
    m = y * z
    e = exp(-abs(m))
    return maximum(-m, 0.0) + log1p(e), -y * where(m > 0.0, e, 1.0) / (1.0 + e)


def hinge(z, /, y):
    m = y * z
    return maximum(1.0 - m, 0.0), where(m <= 1.0, -y, 0.0)


def squared_hinge(z, /, y):
    short = maximum(1.0 - y * z, 0.0)
    return short * short, -2.0 * y * short


def modified_huber(z, /, y):
    m = y * z
    short = maximum(1.0 - m, 0.0)
    return where(m > -1.0, short * short, -4.0 * m), where(m > -1.0, -2.0 * y * short, -4.0 * y)


def squared_error(z, /, y):
    r = z - y
    return 0.5 * r * r, r


def huber(z, /, y, epsilon):
    r = z - y
    a = abs(r)
    return where(a <= epsilon, 0.5 * r * r, epsilon * a - 0.5 * epsilon * epsilon), where(
        a <= epsilon, r, epsilon * sign(r)
    )


def epsilon_insensitive(z, /, y, epsilon):
    r = z - y
    over = maximum(abs(r) - epsilon, 0.0)
    return over, where(over > 0.0, sign(r), 0.0)


def squared_epsilon_insensitive(z, /, y, epsilon):
    r = z - y
    over = maximum(abs(r) - epsilon, 0.0)
    return over * over, 2.0 * over * sign(r)


def poisson(z, /, y):
    e = exp(z)
    return e - y * z, e - y


def quantile(z, /, y, q):
    r = z - y
    return where(r > 0.0, (1.0 - q) * r, -q * r), where(r > 0.0, 1.0 - q, where(r < 0.0, -q, 0.0))


@cache
def formula(function: Function) -> Formula:
    """A loss as straight-line code: ``value`` and ``slope``."""
    return lift(function, outputs=("value", "slope"))


class Loss(NamedTuple):
    """A loss: its name, its formula (None: multinomial), and the values of what stands after y.

    margin: whether targets are -1 and +1 (classes, where several are taken one against the rest).
    """

    name: str
    formula: Function | None
    margin: bool
    values: tuple[float, ...] = ()


MARGIN = {f.__name__: f for f in (log_loss, hinge, squared_hinge, modified_huber)}
NUMBER = {
    f.__name__: f
    for f in (squared_error, huber, epsilon_insensitive, squared_epsilon_insensitive, poisson, quantile)
}
EITHER = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
"""Losses of a number that also tell classes apart, by the numbers -1 and +1."""

DEGREE = {
    "squared_error": 2, "huber": 2, "squared_epsilon_insensitive": 2, "epsilon_insensitive": 1, "quantile": 1
}  # fmt: skip
"""By which power of a factor the loss grows, where target, score and epsilon do: those of a number but Poisson's."""

EPSILON = 0.1
"""The default of epsilon where a target has no deviation to take it of: in the target's unit."""

MULTINOMIAL = "multinomial"
NAMES = (*MARGIN, MULTINOMIAL, *NUMBER)


def require_in_range(epsilon: object, quantile: object) -> None:
    """Raise HyperparameterError where one is out of its range."""
    for name, value, most, allowed in (
        ("epsilon", epsilon, sys.float_info.max, "a finite number >= 0"),
        ("quantile", quantile, 1.0, "a number in [0, 1]"),
    ):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= most:
            raise HyperparameterError(f"{name} must be {allowed}, got {value!r}")


def parameters(function: Function) -> tuple[str, ...]:
    """The names of what stands after y in a loss."""
    code = function.__code__
    return code.co_varnames[2 : code.co_argcount]


def has_epsilon(name: str) -> bool:
    """Whether the loss of that name has an epsilon."""
    return name in NUMBER and "epsilon" in parameters(NUMBER[name])


def loss(name: str, *, epsilon: float = EPSILON, quantile: float = 0.5) -> Loss:
    """The loss of that name; epsilon and quantile where it has them. Raises HyperparameterError."""
    require_in_range(epsilon, quantile)
    if name == MULTINOMIAL:
        return Loss(name, None, margin=True)
    if name in MARGIN:
        return Loss(name, MARGIN[name], margin=True)
    if name not in NUMBER:
        raise HyperparameterError(f"loss: unknown loss {name!r}: {nearest(name, NAMES)}")
    function = NUMBER[name]
    values = {"epsilon": float(epsilon), "q": float(quantile)}
    return Loss(name, function, margin=False, values=tuple(values[n] for n in parameters(function)))
