"""thalweg: adaptive gradient methods, each written once as a formula.

    import numpy as np
    import thalweg as tw

    w = np.zeros(3)
    opt = tw.Adam(lr=0.1).on(w)
    for _ in range(200):
        opt.step(2 * (w - 1))          # the gradient of (w - 1)^2; w changes in place

The rules (``tw.Adam``, ``tw.Adagrad``, ...) are values; ``rule.on(arrays)`` starts one;
``Rule.like("torch", ...)`` writes it as another world does. NumPy and the compiled kernels are
imported when first used.
"""

from typing import TYPE_CHECKING, Any

from . import rules as _rules
from .core import (
    Row,
    Rule,
    Scalar,
    Schedule,
    constant,
    cosine,
    exponential,
    fraction,
    inverse_sqrt,
    inverse_time,
    join,
    nonnegative,
    number,
    positive,
    row,
    rule,
    state,
    step_decay,
    warmup,
)

if TYPE_CHECKING:
    from .engines.pool import set_threads, threads
    from .lab.race import Race, race
    from .optimizer import Optimizer, load
    from .rules.adadelta import Adadelta
    from .rules.adagrad import Adagrad
    from .rules.adam import Adam
    from .rules.adamax import Adamax
    from .rules.lpprop import LpProp
    from .rules.maxprop import MaxProp
    from .rules.momentum import Momentum
    from .rules.momentum_sutskever import MomentumSutskever
    from .rules.nesterov import Nesterov
    from .rules.nesterov_sutskever import NesterovSutskever
    from .rules.rmsprop import RMSprop
    from .rules.rmsprop_centred import RMSpropCentred
    from .rules.rmsprop_centred_momentum import RMSpropCentredMomentum
    from .rules.rmsprop_centred_momentum_sutskever import RMSpropCentredMomentumSutskever
    from .rules.rmsprop_momentum import RMSpropMomentum
    from .rules.rmsprop_momentum_sutskever import RMSpropMomentumSutskever
    from .rules.sgd import SGD

__version__ = "0.1.0"

_LATER = {  # where a public name stands that needs NumPy or more
    "Optimizer": "optimizer",
    "load": "optimizer",
    "set_threads": "engines.pool",
    "threads": "engines.pool",
    "race": "lab.race",
    "Race": "lab.race",
}


def _on(self: Rule, params: Any, **settings: Any) -> Any:
    from . import optimizer

    Rule.on = optimizer.on  # type: ignore[method-assign]
    return optimizer.on(self, params, **settings)


Rule.on = _on  # type: ignore[method-assign, assignment]


_ROOMS = ("engines", "lab", "optimizer", "problems")

_HERE = [
    "Row",
    "Rule",
    "Scalar",
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "fraction",
    "inverse_sqrt",
    "inverse_time",
    "join",
    "nonnegative",
    "number",
    "positive",
    "row",
    "rule",
    "state",
    "step_decay",
    "warmup",
]


def __getattr__(name: str) -> Any:
    """Rules and what needs NumPy, imported when first asked for."""
    if name == "__all__":
        return [*_HERE, *_LATER, *_rules.shipped()]
    value: Any
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name in _LATER:
        value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    else:
        value = None if name.startswith("_") else _rules.load(name)
    if value is None:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .errors import nearest

        raise AttributeError(f"thalweg has no {name!r}: {nearest(name, __dir__())}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HERE, *_LATER, *_rules.shipped()])
