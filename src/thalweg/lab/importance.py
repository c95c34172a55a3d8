r"""How much of the differences between trials each setting explains: an analysis of variance of their ranks.

The losses' ranks (diverged trials last) are fitted by a parabola in the rank of each numeric setting, a constant for
each word, added up. A setting's share is omega squared,

    (SS - df * MSE) / (SS_all + MSE),

SS being what the fit loses without the setting, df its columns, MSE the mean square of what is left over: what chance
alone would explain is taken off, so a setting that does nothing has a share of about 0 (at least 0). What is left of 1
is chance, and what settings do together only.

Source: Hays, Statistics for Psychologists (1963), for omega squared.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dimensions import Settings, Value

Array = np.ndarray[Any, Any]
SPARE = 5  # trials more than the fit has columns, at least


def shares(tried: Sequence[Settings], losses: Sequence[float]) -> dict[str, float]:
    """The share of each setting that took several values; {} where there are too few trials to say.

    tried: the trials' settings, all of the same names. losses: what came of them, +inf where a run diverged.
    """
    names = [n for n in (tried[0] if tried else {}) if len({t[n] for t in tried}) > 1]
    if not names:
        return {}
    columns = {n: _columns([t[n] for t in tried]) for n in names}
    ranks = _ranks(losses)
    whole = _left_over(list(columns.values()), ranks)
    spare = len(ranks) - 1 - sum(c.shape[1] for c in columns.values())
    total = float(np.sum((ranks - ranks.mean()) ** 2))
    if spare < SPARE or total == 0:
        return {}
    error = whole / spare
    explained = {}
    for n in names:
        lost = _left_over([c for m, c in columns.items() if m != n], ranks) - whole
        explained[n] = max(0.0, (lost - columns[n].shape[1] * error) / (total + error))
    return explained


def _columns(values: Sequence[float | str]) -> Array:
    """What a setting brings to the fit (trials, df): rank and its square, or which word but the first."""
    if any(isinstance(v, str) for v in values):
        return np.array([[float(v == word) for word in sorted(set(map(str, values)))[1:]] for v in values])
    places = _ranks(values)
    places = (places - places.mean()) / len(values)
    distinct = len(set(values)) > 2  # two values have no parabola
    return np.stack([places, places**2], axis=1) if distinct else places[:, None]


def _ranks(values: Sequence[Value]) -> Array:
    """The rank of each value from 1 on, equal ones sharing theirs."""
    from scipy.stats import rankdata  # takes half a second to import

    return np.asarray(rankdata(values), float)


def _left_over(columns: Sequence[Array], ranks: Array) -> float:
    """The sum of squares that a least-squares fit by these columns and a constant leaves."""
    design = np.concatenate([np.ones((len(ranks), 1)), *columns], axis=1)
    fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    return float(np.sum((ranks - fitted) ** 2))
