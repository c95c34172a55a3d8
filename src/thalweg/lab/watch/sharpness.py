"""How near the edge of stability an optimizer runs: rates times curvature in the steepest direction, over its limit.

    margin    λ_max(S H S),   S² = rates / limit, coordinate by coordinate; 1 is the edge

The limit is that of the rule's own step with its rate held (``lab.theory``); where groups have different ones each
coordinate is measured against its own.
"""

from collections.abc import Iterable

import numpy as np

from ...core.rule import Rule
from ...errors import HyperparameterError, ProblemError, StateError
from ...optimizer.observing import Curvature, Stretch
from ..theory.freeze import limit, limit_formula
from ..theory.local import largest
from ..watch_result import Array, Sharpness

TOLERANCE = 1e-2  # relative, of the margin
WHERE = "sharpness"


def sharpness(curvature: Curvature, step: int) -> Sharpness:
    """Return the margin of an optimizer where it stands, after so many steps.

    Raises RuleError for a rule whose step is not linear, StateError where no rate is stable, ProblemError where the
    curvature is not finite.
    """
    bounds = _bounds(curvature.stretches)
    each = np.array([bounds[s.started.rule, s.t] for s in curvature.stretches])
    if not np.all(each > 0):
        raise StateError(f"{WHERE}: no rate of {_names(curvature.stretches)} is stable: there is no limit")
    per_coordinate = np.repeat(each, [s.length for s in curvature.stretches])
    scale = np.sqrt(curvature.rates / per_coordinate)
    if not np.all(np.isfinite(scale)):
        raise ProblemError(f"{WHERE}: the rates of the last step are not all finite and positive")

    def product(direction: Array) -> Array:
        values: Array = scale * curvature.product(scale * direction.ravel())
        if not np.all(np.isfinite(values)):
            raise ProblemError(f"{WHERE}: the curvature of the loss is not finite")
        return values

    margin = largest(WHERE, product, scale.size, TOLERANCE)
    least = float(each.min())
    known = limit_formula(curvature.stretches[int(np.argmin(each))].started.rule)
    text = "" if known is None or known.text.isdigit() else known.text
    return Sharpness(step, margin, least, text, _names(curvature.stretches), bool(each.max() > 1.01 * least))


def _bounds(stretches: Iterable[Stretch]) -> dict[tuple[Rule, int], float]:
    """Return the limit of each rule at its step count: of late steps, where its clock comes to rest."""
    bounds: dict[tuple[Rule, int], float] = {}
    for stretch in stretches:
        rule, t = stretch.started.rule, stretch.t
        if (rule, t) in bounds:
            continue
        try:
            bounds[rule, t] = limit(rule)
        except HyperparameterError:  # a schedule that the step reads: AdamW's decay
            bounds[rule, t] = limit(rule, t)
    return bounds


def _names(stretches: Iterable[Stretch]) -> str:
    return ", ".join(dict.fromkeys(type(s.started.rule).__name__ for s in stretches))
