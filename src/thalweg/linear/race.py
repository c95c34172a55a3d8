"""A short race: which learning rate, and how many passes, learn a sample best.

Part of the sample is held out. Learning rates begin at the rule's own and go by factors of 4 to where the
held-out loss is least, then by 2; each is followed over the passes asked for. Of a small set every row is
held out once, of a very small one up to three times, beside others each time, since a few rows say little.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..core.schedule import Schedule
from ..engines.cpu.csr import Matrix, Rows, fault, rows_of
from ..engines.memory import Array
from ..errors import HyperparameterError, ProblemError
from .model import Model, Settings

SAMPLE = 40_000  # rows of a race
FOLDS = 4  # of which one is held out
FEW = 4_000  # rows below which each fold is held out once
AGAIN = 1_200  # rows that are held out in all where rows are fewer: the folds are then drawn anew,
TIMES = 3  # at most so often
STEPS = 40_000  # up to which passes are added where their number is open
CLOSE = 0.003  # of rates whose losses are so near, the lowest: more rows than a sample has overfit at less
MANY = 256  # passes, at most
PASSES = 3  # where it is open and the set is larger than a sample
HARDLY = 1e-4  # of the loss: lower rates that win less than so much tell no more
MOST = 64  # factors of 4 from where a race begins: as far as units go


Part: TypeAlias = tuple[
    Any, Array, Array | None
]  # rows, their targets and weights, as ``Model.learn`` takes them


class Fold(NamedTuple):
    """What is learnt from, what is held out, and the seed of the order in which the rows are learnt."""

    train: Part
    held_out: Part
    seed: int


def part(rows: Rows, which: Array) -> Matrix:
    """Some of the rows, copied."""
    if rows.indices is None or rows.indptr is None:
        return rows.data[which]
    from scipy.sparse import csr_array

    sample: Matrix = csr_array((rows.data, rows.indices, rows.indptr), shape=rows.shape)[which]
    return sample


def race(
    settings: Settings,
    features: int,
    classes: Array | None,
    rows: Matrix | Rows,
    targets: Array,
    weights: Array | None = None,
    *,
    passes: int | None = PASSES,
    rate: bool = True,
    seed: int = 0,
) -> tuple[Settings, int]:
    """Return the settings with the rule's lr that learns a sample best, and the number of passes.

    rows, targets, weights: as for ``Model.learn``. passes: None chooses them too, where the rows are few.
    rate: False keeps the lr. Raises HyperparameterError where the rule has no number as lr.
    """
    lr = settings.rule.hyperparameters.get("lr")
    if rate and (lr is None or isinstance(lr, Schedule)):
        raise HyperparameterError(
            f"learning_rate: {type(settings.rule).__name__}'s lr is {lr!r}, not a number to be chosen"
        )
    known = isinstance(rows, Rows)
    rows = rows_of(rows)
    if not known and (wrong := fault(rows)):
        raise ProblemError(f"rows: {wrong}")
    told = np.arange(rows.shape[0]) if weights is None else np.flatnonzero(weights)
    rows = _narrowed(rows)
    features = rows.shape[1]
    total = len(told)  # a row of weight 0 tells nothing
    if passes is None and total > SAMPLE:
        passes = PASSES
    if total < 4 or (passes is not None and not rate):
        return settings, passes or PASSES
    folds = _folds(rows, targets, weights, told, np.random.default_rng(seed))
    longest = passes or min(MANY, max(PASSES, STEPS // len(folds[0].train[1])))
    rungs = [passes] if passes else [2**k for k in range(12) if 2**k < longest] + [longest]
    curves = _Curves(settings, features, classes, folds, rungs)
    best = None  # the rule's own
    if rate:
        assert isinstance(lr, float | int)
        best = _lowest(curves.least, float(lr) or 0.1, 1.0 + (CLOSE if total > SAMPLE else 0.0))
        settings = settings._replace(rule=settings.rule.replace(lr=best))
    if not math.isfinite(curves.least(best)):
        raise ProblemError("learning_rate: no rate keeps the loss finite: scale the features, or lower lr")
    curve = curves.at(best)
    return settings, rungs[curve.index(min(curve))]


def _narrowed(rows: Rows) -> Rows:
    """The rows over the features that they have: weights of all others stay 0, and models of each rate and fold hold none.

    Dense rows, and those whose entries are more than their features, stay as they are.
    """
    if rows.indices is None or rows.shape[1] <= len(rows.indices):
        return rows
    present = np.zeros(rows.shape[1], bool)
    present[rows.indices] = True
    place = np.cumsum(present) - 1
    indices = place[rows.indices].astype(rows.indices.dtype)
    return rows._replace(indices=indices, shape=(rows.shape[0], max(1, int(place[-1]) + 1)))


def _folds(
    rows: Rows, targets: Array, weights: Array | None, told: Array, rng: np.random.Generator
) -> list[Fold]:
    """Cut a sample of the rows ``told`` into folds: one is held out, or of few rows each in turn."""
    total = len(told)
    cuts: list[tuple[Array, Array]] = []
    for order in [rng.permutation(told)[:SAMPLE] for _ in range(max(1, min(TIMES, AGAIN // total)))]:
        edges = np.linspace(0, len(order), FOLDS + 1).astype(int)[: None if total < FEW else 2]
        cuts += [
            (np.delete(order, slice(lo, hi)), order[lo:hi]) for lo, hi in itertools.pairwise(edges.tolist())
        ]

    def taken(which: Array) -> Part:
        return part(rows, which), targets[which], None if weights is None else weights[which]

    def learnt(which: Array) -> Part:
        x, y, w = taken(which)
        return rows_of(x), y, w  # looked at already, with all the rows

    return [Fold(learnt(train), taken(held_out), int(rng.integers(1 << 31))) for train, held_out in cuts]


class _Curves:
    """Held-out losses against passes, learnt once for each learning rate; None is the rule as it is.

    rungs: the passes after which the loss is looked at. A rate that fails has a loss of inf; the rule's own raises.
    """

    def __init__(
        self,
        settings: Settings,
        features: int,
        classes: Array | None,
        folds: Sequence[Fold],
        rungs: Sequence[int],
    ) -> None:
        self.settings, self.features, self.classes = settings, features, classes
        self.folds, self.rungs = folds, rungs
        self.known: dict[float | None, list[float]] = {}

    def least(self, lr: float | None) -> float:
        """The lowest loss at any rung."""
        return min(self.at(lr))

    def at(self, lr: float | None) -> list[float]:
        """The loss after each rung's passes, the mean over the folds, up to where it rises; inf where it fails."""
        if lr not in self.known:
            self.known[lr] = self._learnt(lr)
        return self.known[lr]

    def _learnt(self, lr: float | None) -> list[float]:
        losses: list[float] = []
        try:
            rule = self.settings.rule if lr is None else self.settings.rule.replace(lr=lr)
            models = [
                Model(self.settings._replace(rule=rule), self.features, self.classes) for _ in self.folds
            ]
            draws = [np.random.default_rng(fold.seed) for fold in self.folds]
            for more in np.diff([0, *self.rungs]).tolist():
                each = []
                for model, draw, fold in zip(models, draws, self.folds, strict=True):
                    count = len(fold.train[1])
                    shuffled = np.concatenate([draw.permutation(count) for _ in range(more)])
                    model.learn(*fold.train, order=shuffled)
                    each.append(model.loss_of(*fold.held_out))
                losses.append(float(np.mean(each)))
                if not losses[-1] < min(losses[-2:-1], default=math.inf):
                    break
        except (ProblemError, HyperparameterError):  # it diverged, or would shrink w beyond 0
            if lr is None:
                raise
        return [x if math.isfinite(x) else math.inf for x in losses] or [math.inf]


def _lowest(loss: Callable[[float], float], rate: float, slack: float) -> float:
    """Go by factors of 4 from ``rate`` to where the loss is least, then by 2.

    slack: the lowest rate whose loss is within this factor of the least is taken. Rates at which nothing is learnt are
    all alike: the way down ends where the loss hardly changes any more.
    """
    for factor, share in ((4.0, 1.0), (0.25, 1.0 - HARDLY)):
        for _ in range(MOST):
            if not loss(rate * factor) < share * loss(rate):
                break
            rate *= factor
    near = (rate / 2.0, rate, rate * 2.0)
    least = min(map(loss, near)) * slack
    return next((x for x in near if loss(x) <= least), rate)
