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

Of the modules those in ``_MODULES`` are public; the others are no attributes of this one, even once imported.
"""

import sys as _sys
from collections.abc import Mapping as _Mapping
from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING, Any

from . import rules as _rules
from ._version import __version__ as __version__
from .core import (
    IdleModel as IdleModel,
)
from .core import (
    Row as Row,
)
from .core import (
    Rule as Rule,
)
from .core import (
    Scalar as Scalar,
)
from .core import (
    Schedule as Schedule,
)
from .core import (
    constant as constant,
)
from .core import (
    cosine as cosine,
)
from .core import (
    exponential as exponential,
)
from .core import (
    fraction as fraction,
)
from .core import (
    inverse_sqrt as inverse_sqrt,
)
from .core import (
    inverse_time as inverse_time,
)
from .core import (
    join as join,
)
from .core import (
    nonnegative as nonnegative,
)
from .core import (
    number as number,
)
from .core import (
    positive as positive,
)
from .core import (
    restarts as restarts,
)
from .core import (
    row as row,
)
from .core import (
    rule as rule,
)
from .core import (
    state as state,
)
from .core import (
    step_decay as step_decay,
)
from .core import (
    warmup as warmup,
)
from .core.rule import STARTERS as _STARTERS
from .core.rule import Optimizer as Optimizer

if TYPE_CHECKING:
    from .engines.cpu.pool import set_threads as set_threads
    from .engines.cpu.pool import threads as threads
    from .lab.comparison import Compared as Compared
    from .lab.comparison import compare as compare
    from .lab.diff.run import Diff as Diff
    from .lab.diff.run import diff as diff
    from .lab.experiments import claims as claims
    from .lab.explorer import Explorer as Explorer
    from .lab.explorer import explore as explore
    from .lab.race import Race as Race
    from .lab.race import race as race
    from .lab.show import show as show
    from .lab.study import Study as Study
    from .lab.study import study as study
    from .lab.watch import Watch as Watch
    from .lab.watch import watch as watch
    from .optimizer.gradients import Rows as Rows
    from .optimizer.loading import load as load
    from .rules.adabelief import AdaBelief as AdaBelief
    from .rules.adadelta import Adadelta as Adadelta
    from .rules.adagrad import Adagrad as Adagrad
    from .rules.adam import Adam as Adam
    from .rules.adamax import Adamax as Adamax
    from .rules.adamw import AdamW as AdamW
    from .rules.amsgrad import AMSGrad as AMSGrad
    from .rules.asgd import ASGD as ASGD
    from .rules.ftrl import FTRL as FTRL
    from .rules.lion import Lion as Lion
    from .rules.lpprop import LpProp as LpProp
    from .rules.maxprop import MaxProp as MaxProp
    from .rules.momentum import Momentum as Momentum
    from .rules.momentum_sutskever import MomentumSutskever as MomentumSutskever
    from .rules.nadam import NAdam as NAdam
    from .rules.nesterov import Nesterov as Nesterov
    from .rules.nesterov_sutskever import NesterovSutskever as NesterovSutskever
    from .rules.radam import RAdam as RAdam
    from .rules.rmsprop import RMSprop as RMSprop
    from .rules.rmsprop_centred import RMSpropCentred as RMSpropCentred
    from .rules.rmsprop_centred_momentum import RMSpropCentredMomentum as RMSpropCentredMomentum
    from .rules.rmsprop_centred_momentum_sutskever import (
        RMSpropCentredMomentumSutskever as RMSpropCentredMomentumSutskever,
    )
    from .rules.rmsprop_momentum import RMSpropMomentum as RMSpropMomentum
    from .rules.rmsprop_momentum_sutskever import RMSpropMomentumSutskever as RMSpropMomentumSutskever
    from .rules.rprop import Rprop as Rprop
    from .rules.sgd import SGD as SGD
    from .rules.yogi import Yogi as Yogi
    from .scipy import minimize as minimize

_MODULES = (
    "core", "engines", "errors", "fitting", "keras", "lab", "linear", "optax", "printing", "problems", "reading",
    "rules", "scipy", "sklearn", "torch",
)  # fmt: skip

_LATER = {  # where a public name stands that needs NumPy or more
    "load": "optimizer.loading",
    "minimize": "scipy",
    "Rows": "optimizer.gradients",
    "set_threads": "engines.cpu.pool",
    "threads": "engines.cpu.pool",
    "race": "lab.race",
    "Race": "lab.race",
    "study": "lab.study",
    "Study": "lab.study",
    "claims": "lab.experiments",
    "Explorer": "lab.explorer",
    "explore": "lab.explorer",
    "compare": "lab.comparison",
    "Compared": "lab.comparison",
    "show": "lab.show",
    "diff": "lab.diff.run",
    "watch": "lab.watch",
    "Watch": "lab.watch",
    "Diff": "lab.diff.run",
}

_RENAMED = {  # names of 0.1.0 and what they are called now
    "Comparison": "Diff",
    "Coast": "IdleModel",
}


# What rules do with rooms above the core: those are imported when first asked for.


def _start(rule: Rule, params: Any, groups: _Mapping[str, Any], engine: str, **settings: Any) -> Optimizer:
    from .optimizer.optimizer import start
    from .optimizer.options import Settings

    return start(rule, params, groups, engine, Settings(**settings))


def _repr_latex_(self: Rule) -> str:
    from .printing.latex import display

    return display(self)


_STARTERS.append(_start)
Rule._repr_latex_ = _repr_latex_  # type: ignore[attr-defined]  # only notebooks ask for it


_HERE = [
    "IdleModel",
    "Optimizer",
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
    "restarts",
    "row",
    "rule",
    "state",
    "step_decay",
    "warmup",
]


def __getattr__(name: str) -> Any:
    """Return a rule, a public module (``tw.problems``) or what needs NumPy, imported when first asked for."""
    if name == "__all__":
        return [*_HERE, *_LATER, *_rules.shipped()]
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _RENAMED:
        raise AttributeError(f"thalweg.{name} is thalweg.{_RENAMED[name]} now")
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    value: Any = None
    if name in _LATER:
        value = getattr(_import_module(f".{_LATER[name]}", __name__), name)
    else:
        value = _rules.load(name)
    if value is None:
        raise AttributeError(_where(name))
    globals()[name] = value
    return value


def _where(name: str) -> str:
    """Return the line of error for a name that is not public."""
    if _find_spec(f".{name}", __name__) is not None:
        return f"thalweg.{name} is an internal module; public ones are {', '.join(_MODULES)}"
    from .errors import nearest

    return f"thalweg has no {name!r}: {nearest(name, __dir__())}"


def __dir__() -> list[str]:
    return sorted([*_HERE, *_LATER, *_MODULES, *_rules.shipped()])


class _Package(_ModuleType):
    """The type of this module: a submodule becomes an attribute of it only if it is public."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system sets every submodule that it has loaded; `from thalweg import files` finds it without.
        if not isinstance(value, _ModuleType) or name in _MODULES:
            super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package
