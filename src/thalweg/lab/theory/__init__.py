"""Theory of convergence on quadratics and on local quadratic models, read off the rules' own formulas."""

from .convergence import Tuned, fitted_factor, measured_limit, steps_to, transient, tuned
from .freeze import (
    ClosedForm,
    Map,
    factor,
    frozen,
    iteration_matrix,
    limit,
    limit_formula,
    own_rate,
    spectral_radius,
)
from .local import Diagnosis, curvature, diagnose, first_rates, margin, preconditioned, sharpness
from .scaling import Darve, darve, descent_steps, graded_spectrum

__all__ = [
    "ClosedForm",
    "Darve",
    "Diagnosis",
    "Map",
    "Tuned",
    "curvature",
    "darve",
    "descent_steps",
    "diagnose",
    "factor",
    "first_rates",
    "fitted_factor",
    "frozen",
    "graded_spectrum",
    "iteration_matrix",
    "limit",
    "limit_formula",
    "margin",
    "measured_limit",
    "own_rate",
    "preconditioned",
    "sharpness",
    "spectral_radius",
    "steps_to",
    "transient",
    "tuned",
]
