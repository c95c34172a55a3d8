"""The arguments that both estimators share: checked, and as the settings of a linear model."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..errors import HyperparameterError, nearest
from ..linear import DEFAULT, Settings
from ..linear.losses import require_in_range

PENALTIES = ("l2", "l1", "elasticnet", None)


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
    if estimator.rule is not None and not isinstance(estimator.rule, Rule):
        raise HyperparameterError(f"{where}: rule must be a rule such as Adagrad(), got {estimator.rule!r}")
    number(where, "alpha", estimator.alpha, 0)
    number(where, "l1_ratio", estimator.l1_ratio, 0, 1)
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
    rate = estimator.learning_rate
    if not (rate is None or (isinstance(rate, str) and rate == "auto")):
        number(where, "learning_rate", rate, 0)


def settings(estimator: Any, losses: Sequence[str], dtype: np.dtype[Any], loss: str) -> Settings:
    """Return an estimator's arguments, checked, as the settings of a model of this dtype and loss."""
    require_arguments(estimator, losses)
    rule = DEFAULT if estimator.rule is None else estimator.rule
    if isinstance(estimator.learning_rate, Real):
        rule = rule.replace(lr=float(estimator.learning_rate))
    average = estimator.average
    share = {"l1": 1.0, "elasticnet": float(estimator.l1_ratio)}.get(estimator.penalty, 0.0)
    alpha = 0.0 if estimator.penalty is None else float(estimator.alpha)
    return Settings(
        loss=loss,
        rule=rule,
        l1=alpha * share,
        l2=alpha * (1 - share),
        intercept=bool(estimator.fit_intercept),
        average=None if not average else 0 if average is True else int(average),
        dtype=dtype.name,
        epsilon=float(estimator.epsilon),
        quantile=float(getattr(estimator, "quantile", 0.5)),
    )
