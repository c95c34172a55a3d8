"""Paired comparisons: the signed-rank test exact with ties, the interval that belongs to it, Holm's correction.

Differences may be infinite: a run that diverged beside one that did not. Equal values differ by 0, infinite ones too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def differences(a: Array, b: Array) -> Array:
    """``a - b`` pair by pair: (n,), 0 where both are equal, infinite ones included."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, a - b)


def signed_rank(d: Array) -> float:
    """The two-sided p value of Wilcoxon's signed-rank test (Biometrics Bulletin 1 (1945) 80) of differences d: (n,).

    Zeros are dropped, equal sizes share their mean rank, and the distribution of the sum of ranks under changes of
    sign is convolved, so that p is exact with ties as well; SciPy's is exact without them only.
    """
    d = d[d != 0]
    if not len(d):
        return 1.0
    _, place, counts = np.unique(np.abs(d), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(counts) - counts + 1)[place]  # twice the mean ranks: whole numbers
    shares = _sums(doubled)
    seen = int(doubled[d > 0].sum())
    tail = min(shares[: seen + 1].sum(), shares[seen:].sum())
    return float(min(1.0, 2 * tail))


def interval(d: Array, level: float) -> tuple[float, float]:
    """The signed-rank interval of the centre of differences d: (n,), which misses it in a share of at most ``level``.

    Its ends are means of two differences (Walsh averages), at ranks that the exact distribution without ties gives
    (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3rd ed., 3.3). It holds the median as well.
    Infinite where there are too few pairs.
    """
    n = len(d)
    below = np.cumsum(_sums(np.arange(1, n + 1)))
    cut = int(np.searchsorted(below, level / 2, side="right"))  # so many sums are too small for the level
    if not cut:
        return -np.inf, np.inf
    first, second = np.triu_indices(n)
    with np.errstate(invalid="ignore"):
        walsh = np.sort(np.nan_to_num((d[first] + d[second]) / 2, nan=0.0, posinf=np.inf, neginf=-np.inf))
    centre = median(d)
    return min(float(walsh[cut - 1]), centre), max(float(walsh[-cut]), centre)


def median(d: Array) -> float:
    """The median of differences, of which some may be infinite."""
    ordered = np.sort(d)
    low, high = ordered[(len(d) - 1) // 2], ordered[len(d) // 2]
    return float(low if low == high else 0.0 if low == -high else (low + high) / 2)


def holm(p: Sequence[float]) -> list[float]:
    """p values of a family, adjusted so that no more than that share of families has a false one (Holm, Scand. J.
    Stat. 6 (1979) 65), in their order.
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, largest = [1.0] * len(p), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = largest
    return adjusted


def _sums(ranks: Array) -> Array:
    """The share of all choices of ranks whose sum is 0, 1, 2 ...: (sum of all + 1,)."""
    shares = np.zeros(int(ranks.sum()) + 1)
    shares[0] = 1.0
    for rank in ranks:
        shares = shares / 2
        shares[rank:] = shares[rank:] + shares[: len(shares) - rank]
    return shares
