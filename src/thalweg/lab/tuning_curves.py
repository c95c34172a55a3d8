"""How good the best of n trials is expected to be: what a budget of trials buys, method by method."""

from collections.abc import Mapping, Sequence

import numpy as np

from .measures import Array, expected_best, expected_best_band
from .race_result import Columns
from .verdict import Measure


def tuning_curves(
    losses: Mapping[str, Sequence[float]], measure: Measure, worst: float, seed: int
) -> Columns:
    """The expected lowest of n of each method's trials, with a bootstrap band: method, n, expected, p5, p95.

    losses: of trials that looked at no other, +inf for what diverged. Means are taken where losses are compared, of
    logarithms where ratios are: a plain mean over thirty decades is its largest value. What ended above ``worst`` counts
    as that, the start for example, since nobody would keep it; an infinite trial would make every mean infinite.
    """
    table: Columns = {n: [] for n in ("method", "n", "expected", "p5", "p95")}

    def back(values: Array) -> Array:
        return measure.zero + np.exp(values) if measure.ratios else values

    for name, tried in losses.items():
        values = measure.scaled(np.minimum(np.asarray(tried, dtype=float), worst))
        low, high = expected_best_band(values, seed)
        table["method"] += [name] * len(values)
        table["n"] += list(range(1, len(values) + 1))
        for n, curve in (("expected", expected_best(values)), ("p5", low), ("p95", high)):
            table[n] += back(curve).tolist()
    return table
