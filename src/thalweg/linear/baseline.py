"""What a model is measured against: the best constant, one score for every row whatever its features."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import entr

from ..engines.memory import Array
from ..engines.ops import vectorised
from . import losses
from .losses import MULTINOMIAL, Loss

SLACK = 0.01  # of what there is to lose or to win: a model that is worse by no more is not said to be
GAIN = 0.001  # of the constant's loss: a model that gains no more is said to be no better
NEAR = 1e-6  # how near the best constant is found, of its size
DOUBLINGS = 1100  # from 1 to beyond the largest float64

Mean = Callable[[float], tuple[float, float]]  # of a score: the mean loss and its slope


class Against(NamedTuple):
    """A model's mean loss, that of the best constant on the same rows, and that of the score 0, where models begin."""

    loss: float
    constant: float
    zero: float

    @property
    def worse(self) -> bool:
        """Whether the constant is better, by more than the noise of a last step."""
        return self.loss > self.constant + SLACK * max(abs(self.constant), self.zero - self.constant)

    @property
    def no_better(self) -> bool:
        """Whether the model gains next to nothing on the constant."""
        return self.loss > self.constant - GAIN * abs(self.constant)

    def __str__(self) -> str:
        return f"{self.loss:.4g}, where one constant for all rows gets {self.constant:.4g}"


def against_constant(
    value: float,
    loss: Loss,
    outputs: int,
    targets: Array,
    weights: Array | None = None,
    unit: float = 1.0,
) -> Against:
    """Return a mean loss beside that of the best constant on the same rows.

    targets, weights: as ``Model.learn`` takes them; not all weights are 0. unit: what one of the loss of those targets
    is in the unit of ``value`` (``Model.loss_unit``). The best constant of the logistic and
    the multinomial loss is the entropy of the classes' shares; else it is where the mean slope of the loss, which
    is convex, changes its sign.
    """
    w = np.ones(len(targets)) if weights is None else weights
    if outputs > 1:
        sums = np.bincount(targets.astype(np.int64), weights=w, minlength=outputs)
        shares = sums / sums.sum()
        if loss.name == MULTINOMIAL:
            return Against(value, float(entr(shares).sum()), math.log(outputs))
    elif loss.margin:
        sums = np.bincount(targets > 0, weights=w, minlength=2)
        shares = sums[1:] / sums.sum()
    else:
        against = _against(value, [_mean(loss, targets, w / w.sum())])
        return against._replace(constant=unit * against.constant, zero=unit * against.zero)
    each = np.stack([1.0 - shares, shares], axis=1)  # of a score: the shares of targets -1 and +1
    if loss.formula in (None, losses.log_loss):
        return Against(value, float(entr(each).sum()), len(each) * math.log(2.0))
    return _against(value, [_mean(loss, np.array([-1.0, 1.0]), pair) for pair in each])


def _against(value: float, means: Sequence[Mean]) -> Against:
    return Against(value, sum(map(_least, means)), sum(mean(0.0)[0] for mean in means))


def _mean(loss: Loss, y: Array, weights: Array) -> Mean:
    """The mean of a loss and of its slope over targets, as functions of the score that all have."""
    evaluate = vectorised(losses.formula(loss.formula or losses.log_loss))

    def mean(z: float) -> tuple[float, float]:
        value, slope = evaluate(z, y, *loss.values)
        with np.errstate(all="ignore"):
            return float(weights @ value), float(weights @ np.broadcast_to(slope, y.shape))

    return mean


def _between(mean: Mean, low: float, high: float) -> float:
    """Return the least value between two scores where the slope has different signs, by bisection.

    SciPy's would take 22 MB to import, of what ``thalweg fit --memory`` shares out.
    """
    falls = mean(low)[1] < 0
    value = math.inf
    while abs(high - low) > NEAR * abs(high + low):
        middle = 0.5 * (low + high)
        there, slope = mean(middle)
        value = min(value, there)
        if middle in (low, high) or slope == 0.0:
            break
        low, high = (middle, high) if (slope < 0) == falls else (low, middle)
    return value


def _least(mean: Mean) -> float:
    """Return the least value of a convex function."""
    value, slope = mean(0.0)
    if slope == 0.0:
        return value
    step = -1.0 if slope > 0 else 1.0
    before = 0.0
    for _ in range(DOUBLINGS):
        there, turned = mean(step)
        if not np.isfinite(there):
            return value
        value = min(value, there)
        if turned * slope <= 0:
            return min(value, _between(mean, before, step))
        if abs(turned) < 1e-9 * abs(slope):  # it only falls on towards infinity
            return value
        before, step = step, 2.0 * step
    return value
