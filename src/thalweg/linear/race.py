"""A short race: which learning rate, and how many passes, learn a sample best.

Part of the sample is held out. Learning rates begin at the rule's own and go by factors of 4 to where the
held-out loss is least, then by 2; each is followed over the passes asked for. A small set is split
several times, since a few held-out rows say little.
"""

import math
from typing import Any

import numpy as np

from ..core.schedule import Schedule
from ..engines.linear import Rows, rows_of
from ..engines.memory import Array
from ..errors import HyperparameterError, ProblemError
from .model import Model, Settings

SAMPLE = 20_000  # rows of a race
HELD_OUT = 0.25
FEW = 4_000  # rows below which a race has several splits
SPLITS = 4
STEPS = 60_000  # up to which passes are added where their number is open
PASSES = 3  # where it is open and the set is larger than a sample
MOST = 12  # factors of 4 from where a race begins


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
    total = rows.shape[0]
    if passes is None and total > SAMPLE:
        passes = PASSES
    if total < 4 or (passes is not None and not rate):
        return settings, passes or PASSES
    rng = np.random.default_rng(seed)
    splits = []
    for _ in range(SPLITS if total < FEW else 1):
        order = rng.permutation(total)[:SAMPLE]
        cut = max(1, int(HELD_OUT * len(order)))
        splits.append((order[cut:], order[:cut], [rng.permutation(len(order) - cut) for _ in range(4)]))
    longest = passes or min(256, max(PASSES, STEPS // max(1, len(splits[0][0]))))
    rungs = [passes] if passes else [2**k for k in range(12) if 2**k < longest] + [longest]
    known: dict[float, list[float]] = {}
    parts = [
        [(part(rows, w), targets[w], None if weights is None else weights[w]) for w in s[:2]] for s in splits
    ]

    def run(lr: float) -> list[float]:
        """The held-out loss at each rung, the mean over the splits; infinite where a run diverges."""
        if lr not in known:
            losses = np.zeros((len(splits), len(rungs)))
            for k, (train, held) in enumerate(parts):
                try:
                    model = Model(settings._replace(rule=settings.rule.replace(lr=lr)), features, classes)
                    done = 0
                    for j, rung in enumerate(rungs):
                        while done < rung:
                            model.learn(*train, order=splits[k][2][done % 4])
                            done += 1
                        losses[k, j] = model.loss_of(*held)
                except (ProblemError, HyperparameterError):
                    losses[k] = math.inf
            means = losses.mean(axis=0)
            known[lr] = [float(x) if math.isfinite(x) else math.inf for x in means]
        return known[lr]

    def best(lr: float) -> float:
        return min(run(lr))

    start = float(lr) if rate else lr  # type: ignore[arg-type]
    if rate:
        start = start or 0.1
        for factor in (4.0, 0.25):
            for _ in range(MOST):
                if not best(start * factor) < best(start):
                    break
                start *= factor
        start = min((start, start * 2.0, start / 2.0), key=best)
    if not math.isfinite(best(start)):
        raise ProblemError("learning_rate: no rate keeps the loss finite: scale the features, or lower lr")
    made = run(start)
    return settings._replace(rule=settings.rule.replace(lr=start)), rungs[made.index(min(made))]
