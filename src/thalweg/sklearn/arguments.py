"""The arguments that both estimators share: checked, and as the settings of a linear model."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..core.schedule import Schedule
from ..errors import HyperparameterError, nearest
from ..linear import DEFAULT, Settings
from ..linear.losses import require_in_range
from ..rules import resolved

PENALTIES = ("l2", "l1", "elasticnet", None)
RATES = {
    "constant": "rule=tw.SGD(lr=eta0)",
    "invscaling": "rule=tw.SGD(lr=tw.inverse_sqrt(eta0)), whose power_t is 0.5",
    "optimal": "learning_rate='auto'",
    "adaptive": "learning_rate='auto', or a schedule such as tw.cosine",
}
"""What SGDClassifier calls its schedules: what to write here."""


def number(where: str, name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Raise HyperparameterError for what is no number in [low, high]."""
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high:
        raise HyperparameterError(f"{where}: {name} must be a number in [{low:g}, {high:g}]; got {value!r}")


def require_arguments(estimator: Any, losses: Sequence[str]) -> None:
    """Raise HyperparameterError for an argument of an estimator that is not allowed."""
    where = type(estimator).__name__
    if estimator.loss not in losses:
        raise HyperparameterError(
            f"{where}: unknown loss {estimator.loss!r}: {nearest(estimator.loss, losses)}"
        )
    if estimator.penalty not in PENALTIES:
        raise HyperparameterError(f"{where}: penalty must be one of {PENALTIES}, got {estimator.penalty!r}")
    number(where, "alpha", estimator.alpha, 0)
    if estimator.l1_ratio is not None:
        number(where, "l1_ratio", estimator.l1_ratio, 0, 1)
    elif estimator.penalty == "elasticnet":
        raise HyperparameterError(f"{where}: penalty='elasticnet' needs l1_ratio, a number in [0, 1]")
    if not isinstance(estimator.verbose, bool):
        number(where, "verbose", estimator.verbose, 0)
    require_in_range(estimator.epsilon, getattr(estimator, "quantile", 0.5))
    number(where, "validation_fraction", estimator.validation_fraction, 0, 1)
    for name, least in (("max_iter", 1), ("n_iter_no_change", 1)):
        value = getattr(estimator, name)
        if value is None and name == "max_iter":
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise HyperparameterError(
                f"{where}: {name} must be a whole number of at least {least}, got {value!r}"
            )
    if estimator.tol is not None:
        number(where, "tol", estimator.tol, -math.inf)
    average = estimator.average
    if not isinstance(average, bool | np.bool_ | Integral) or average < 0:
        raise HyperparameterError(
            f"{where}: average must be True, False or a number of rows, got {average!r}"
        )
    if estimator.scale is not None and estimator.scale != "auto":
        raise HyperparameterError(f"{where}: scale must be None or 'auto', got {estimator.scale!r}")
    rate = estimator.learning_rate
    if isinstance(rate, str) and rate in RATES:
        raise HyperparameterError(f"{where}: learning_rate={rate!r} is written {RATES[rate]} here")
    if isinstance(rate, str) and rate != "auto":
        raise HyperparameterError(
            f"{where}: learning_rate must be a number, a schedule, None or 'auto', got {rate!r}"
        )
    if not (rate is None or isinstance(rate, str | Schedule)):
        number(where, "learning_rate", rate, 0)


def start_rule(estimator: Any) -> tuple[Rule, bool]:
    """Return what ``rule`` says, and whether it leaves the lr open. Raises HyperparameterError where it is no rule."""
    if estimator.rule is None:
        return DEFAULT, True
    try:
        return resolved(estimator.rule)
    except HyperparameterError as error:
        raise HyperparameterError(f"{type(estimator).__name__}: rule: {error}") from None


def chosen_rule(estimator: Any) -> tuple[Rule, bool]:
    """Return the rule that an estimator begins with, and whether a race chooses its lr. Raises HyperparameterError."""
    start, is_open = start_rule(estimator)
    rate = estimator.learning_rate
    if rate is None or isinstance(rate, str):
        return start, is_open or rate == "auto"
    return start.replace(lr=rate if isinstance(rate, Schedule) else float(rate)), False


def settings(estimator: Any, losses: Sequence[str], dtype: np.dtype[Any], loss: str) -> Settings:
    """Return an estimator's arguments, checked, as the settings of a model of this dtype and loss."""
    require_arguments(estimator, losses)
    average = estimator.average
    share = {"l1": 1.0, "elasticnet": estimator.l1_ratio}.get(estimator.penalty, 0.0)
    alpha = 0.0 if estimator.penalty is None else float(estimator.alpha)
    return Settings(
        loss=loss,
        rule=chosen_rule(estimator)[0],
        l1=float(alpha * share),
        l2=float(alpha * (1 - share)),
        intercept=bool(estimator.fit_intercept),
        average=int(average) - 1 if average else None,  # the rows before the first that counts
        dtype=dtype.name,
        epsilon=float(estimator.epsilon),
        quantile=float(getattr(estimator, "quantile", 0.5)),
    )
