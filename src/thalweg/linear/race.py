"""A short race: which learning rate, and how many passes, learn a sample best.

Part of the sample is held out. Learning rates begin at the rule's own and go by factors of 4 to where the
held-out loss is least, then by 2; each is followed over the passes asked for. Of a small set every row is
held out once, of a very small one up to three times, beside others each time, since a few rows say little.
"""

import itertools
import math
from typing import Any

import numpy as np

from ..core.schedule import Schedule
from ..engines.cpu.csr import Rows, rows_of
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
MOST = 64  # factors of 4 from where a race begins: as far as units go


def part(rows: Rows, which: Array) -> Any:
    """Some of the rows, copied."""
    if rows.indices is None or rows.indptr is None:
        return rows.data[which]
    from scipy.sparse import csr_array

    return csr_array((rows.data, rows.indices, rows.indptr), shape=rows.shape)[which]


def race(
    settings: Settings,
    features: int,
    classes: Array | None,
    rows: Any,
    targets: Array,
    weights: Array | None = None,
    *,
    passes: int | None = PASSES,
    rate: bool = True,
    seed: int = 0,
) -> tuple[Settings, int]:
    """The settings with the rule's lr that learns a sample best, and the number of passes.

    rows, targets, weights: as for ``Model.learn``. passes: None chooses them too, where the rows are few.
    rate: False keeps the lr. Raises HyperparameterError where the rule has no number as lr.
    """
    lr = settings.rule.hyperparameters.get("lr")
    if rate and (lr is None or isinstance(lr, Schedule)):
        raise HyperparameterError(
            f"learning_rate: {type(settings.rule).__name__}'s lr is {lr!r}, not a number to be chosen"
        )
    rows = rows_of(rows)
    told = np.arange(rows.shape[0]) if weights is None else np.flatnonzero(weights)
    total = len(told)  # a row of weight 0 tells nothing
    if passes is None and total > SAMPLE:
        passes = PASSES
    if total < 4 or (passes is not None and not rate):
        return settings, passes or PASSES
    rng = np.random.default_rng(seed)
    times = max(1, min(TIMES, AGAIN // total))
    folds = []
    for order in [rng.permutation(told)[:SAMPLE] for _ in range(times)]:
        cuts = np.linspace(0, len(order), FOLDS + 1).astype(int)[: None if total < FEW else 2]
        folds += [
            (np.delete(order, slice(lo, hi)), order[lo:hi]) for lo, hi in itertools.pairwise(cuts.tolist())
        ]
    parts = [
        [(part(rows, w), targets[w], None if weights is None else weights[w]) for w in fold] for fold in folds
    ]
    draws = [int(rng.integers(1 << 31)) for _ in folds]
    longest = passes or min(MANY, max(PASSES, STEPS // len(folds[0][0])))
    rungs = [passes] if passes else [2**k for k in range(12) if 2**k < longest] + [longest]
    known: dict[Any, list[float]] = {}

    def run(lr: Any) -> list[float]:
        """The held-out loss after each rung's passes, the mean over the folds, up to where it rises."""
        if lr in known:
            return known[lr]
        made = known[lr] = [math.inf]
        try:
            chosen = settings._replace(rule=settings.rule.replace(lr=lr))
            models = [Model(chosen, features, classes) for _ in parts]
            random = [np.random.default_rng(d) for d in draws]
            for more in np.diff([0, *rungs]).tolist():
                losses = []
                for model, draw, (train, held) in zip(models, random, parts, strict=True):
                    shuffled = np.concatenate([draw.permutation(len(train[1])) for _ in range(more)])
                    model.learn(*train, order=shuffled)
                    losses.append(model.loss_of(*held))
                made.append(float(np.mean(losses)))
                if not made[-1] < made[-2]:
                    break
        except (ProblemError, HyperparameterError):  # it diverged, or would shrink w beyond 0
            if not rate:
                raise
        known[lr] = [x if math.isfinite(x) else math.inf for x in made[1:]] or [math.inf]
        return known[lr]

    def best(lr: Any) -> float:
        return min(run(lr))

    start: Any = lr
    if rate:
        start = float(start) or 0.1
        for factor in (4.0, 0.25):
            for _ in range(MOST):
                if not best(start * factor) < best(start):
                    break
                start *= factor
        near = (start / 2.0, start, start * 2.0)
        least = min(map(best, near)) * (1.0 + (CLOSE if total > SAMPLE else 0.0))
        start = next((x for x in near if best(x) <= least), start)
    if not math.isfinite(best(start)):
        raise ProblemError("learning_rate: no rate keeps the loss finite: scale the features, or lower lr")
    made = run(start)
    return settings._replace(rule=settings.rule.replace(lr=start)), rungs[made.index(min(made))]
