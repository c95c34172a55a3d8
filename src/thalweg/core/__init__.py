"""Core: what a rule is made of. Knows only the standard library."""

from .dialect import Row, row
from .idle_model import IdleModel
from .line import Scalar, fraction, nonnegative, number, positive, state
from .math import (
    abs,
    cos,
    exp,
    expm1,
    floor,
    log,
    log1p,
    maximum,
    minimum,
    ratio,
    sign,
    sin,
    sqrt,
    tanh,
    where,
)
from .rule import Rule
from .schedule import (
    Schedule,
    constant,
    cosine,
    exponential,
    inverse_sqrt,
    inverse_time,
    join,
    restarts,
    step_decay,
    warmup,
)

# Last: in place of the module of that name, for type checkers too.
from .declaration import rule  # isort: skip

__all__ = [
    "IdleModel",
    "Row",
    "Rule",
    "Scalar",
    "Schedule",
    "abs",
    "constant",
    "cos",
    "cosine",
    "exp",
    "expm1",
    "exponential",
    "floor",
    "fraction",
    "inverse_sqrt",
    "inverse_time",
    "join",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "nonnegative",
    "number",
    "positive",
    "ratio",
    "restarts",
    "row",
    "rule",
    "sign",
    "sin",
    "sqrt",
    "state",
    "step_decay",
    "tanh",
    "warmup",
    "where",
]
