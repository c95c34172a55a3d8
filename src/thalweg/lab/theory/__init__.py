"""Theory of convergence on quadratics and on local quadratic models, read off the rules' own formulas."""

from .convergence import Tuned, fitted_factor, measured_limit, steps_to, transient, tuned
from .frozen import ClosedForm, Map, factor, frozen, iteration_matrix, limit, limit_formula, own_rate

__all__ = [
    "ClosedForm",
    "Map",
    "Tuned",
    "factor",
    "fitted_factor",
    "frozen",
    "iteration_matrix",
    "limit",
    "limit_formula",
    "measured_limit",
    "own_rate",
    "steps_to",
    "transient",
    "tuned",
]
