"""Measures over several problems: how long to a target, on how many of them, after how much tuning; pure functions.

A *time* is a cost at which a target was met, in gradient evaluations, +inf where it never was within its budget: such
a run is censored. It stays in every denominator and is never averaged as if it were a number.

Ranks and the trimmed mean are SciPy's. Its p value of Friedman's test is the limit for many problems; a study has few,
so that p comes from permutations (``friedman``); signed ranks: ``lab/paired``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from .paired import differences, holm, median, signed_rank
from .statistics import steps_to

Array = np.ndarray[Any, Any]

SHARES = (1e-1, 1e-3, 1e-5)  # of the way from the start to the floor, that the three targets leave
NOISY_SHARES = (1e-1, 3e-2, 1e-2)  # likewise, where the floor is the luckiest of many noisy runs
R_MAX = 4.0  # up to which ratio of times AlgoPerf's score rewards
DRAWS = 1000  # of a bootstrap
BAND = (0.05, 0.95)  # which of its quantiles are drawn
PERMUTATIONS = 20_000


# Targets and the times to them.


def targets(starts: Array, floor: float, shares: tuple[float, ...] = SHARES) -> Array:
    """The losses to be met by runs that began at ``starts`` (K,): (K, T), one for each share of the way that is left.

    floor: the known minimum, else the lowest loss that any method reached (Moré & Wild, SIAM J. Optim. 20 (2009) 172,
    equation 2.2, where f(x0) - f(x) >= (1 - share) (f(x0) - f_L)).
    """
    return floor + np.asarray(shares) * (np.asarray(starts, dtype=float)[:, None] - floor)


def times(curves: Array, steps: Array, goals: Array, consecutive: int = 1) -> Array:
    """When runs first met their targets: (K, T), +inf where they did not.

    curves: losses (K, R) at ``steps`` (R,). goals: (K, T). consecutive: records in a row that must meet a target,
    since a noisy loss may meet it by luck.
    """
    met = [[steps_to(c, steps, g, consecutive) for g in row] for c, row in zip(curves, goals, strict=True)]
    return np.array(met, dtype=float).reshape(goals.shape)


def running_time(times: Array, budget: float) -> float:
    """The expected time of a method that restarts after ``budget`` until it succeeds; +inf where no run did.

    All that was spent, failures at their whole budget, over the number of successes (Hansen et al., COCO,
    arXiv 1603.08785, section 3.1: aRT). times: (n,).
    """
    solved = np.isfinite(times)
    if not solved.any():
        return float("inf")
    return float((times[solved].sum() + budget * (~solved).sum()) / solved.sum())


# On how many of the targets, and at which cost.


def solved_within(times: Array, costs: Array) -> Array:
    """The share of all runs and targets met within each of ``costs`` (C,): (C,); what was never met counts as not.

    times: of any shape. Over problems it is the ECDF of running times, and of one time for each problem the data
    profile (Moré & Wild 2009).
    """
    ordered = np.sort(times, axis=None)
    shares: Array = np.searchsorted(ordered, costs, side="right") / max(1, ordered.size)
    return shares


def solved_band(
    times: Mapping[str, Array], costs: Array, seed: int = 0, draws: int = DRAWS
) -> tuple[Array, Array]:
    """The 5 % and 95 % quantiles of ``solved_within`` over bootstrap samples of the seeds of each problem: (C,) twice.

    times: of each problem (K, T), a row a seed: the targets of one run stay together. Problems are not drawn: the
    band says what other seeds would have shown on these problems.
    """
    rng = np.random.default_rng(seed)
    total, size = np.zeros((draws, len(costs))), 0
    for part in times.values():
        seeds = len(part)
        solved = (part[..., None] <= costs).sum(axis=1)  # (K, C): of each run
        weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
        total += weights @ solved
        size += part.size
    low, high = np.quantile(total / max(1, size), BAND, axis=0)
    return low, high


def ratios(times: Array) -> Array:
    """Each method's time over the best one's on each instance: (S, P) of times (S, P); +inf where it never arrived.

    An instance that none solved is +inf for all: it stays in the denominator.
    """
    best = times.min(axis=0)
    with np.errstate(all="ignore"):
        compared: Array = np.where(np.isinf(times), np.inf, np.where(times == best, 1.0, times / best))
    return compared


def profile(ratios: Array, at: Array) -> Array:
    """The performance profiles of methods: (S, A), the share of instances whose ratio is at most each of ``at`` (A,).

    ratios: (S, P), over the methods that are compared (Dolan & Moré, Math. Program. 91 (2002) 201). Without the best
    method the others' ratios are others, and may rank otherwise (Gould & Scott, ACM TOMS 43 (2016) 15).
    """
    return np.array([solved_within(row, at) for row in ratios])


def score(ratios: Array, r_max: float = R_MAX) -> Array:
    """The mean height of each profile between the ratios 1 and ``r_max``: (S,), in [0, 1], exactly.

    AlgoPerf's score (Dahl et al., arXiv 2306.07179, section 4.2): of each instance the share of that stretch that
    lies beyond its ratio. ``r_max`` is given and never taken from the data, which would make scores incomparable.
    """
    rewards: Array = np.clip((r_max - ratios) / (r_max - 1), 0, 1)
    return np.asarray(rewards.mean(axis=1))


# After how much tuning.


def expected_best(values: Array) -> Array:
    """The expected lowest of n of N trials, for n = 1 ... N: (N,), unbiased where trials do not look at each other.

    values: (N,) or, row by row, (..., N). Of all choices of n, comb(N - i, n - 1) have the i-th lowest as their
    lowest (i from 1; Dodge et al., EMNLP 2019, with the correction of Tang et al., ACL 2020: without replacement).
    An infinite value makes those infinite that may have nothing else.
    """
    ordered = np.sort(values, axis=-1)
    weights = _best_weights(ordered.shape[-1])
    endless = np.isinf(ordered)
    best: Array = np.where(endless, 0.0, ordered) @ weights.T
    best[endless @ (weights > 0).T] = np.inf
    return best


def _best_weights(count: int) -> Array:
    """The chance that the i-th lowest of ``count`` trials is the lowest of n: (n, i), both from 1."""
    every = [
        [comb(count - i, n - 1) / comb(count, n) for i in range(1, count + 1)] for n in range(1, count + 1)
    ]
    return np.array(every)


def expected_best_band(values: Array, seed: int = 0, draws: int = DRAWS) -> tuple[Array, Array]:
    """The 5 % and 95 % quantiles of ``expected_best`` over bootstrap samples of the trials (N,): (N,) twice."""
    rng = np.random.default_rng(seed)
    samples = values[rng.integers(0, len(values), size=(draws, len(values)))]
    curves = np.sort(expected_best(samples), axis=0)
    low, high = (curves[round(q * (draws - 1))] for q in BAND)  # no mean of neighbours: one may be infinite
    return low, high


# One method against another.


@dataclass(frozen=True)
class PairedEffect:
    """Method a against method b over all problems, from logarithms of ratios; below 0, or above a half: a is better.

    middle: the mean of the middle half of the differences, so that neither a diverged run nor one problem decides;
    low, high: its 95 % interval over bootstrap samples of the seeds of each problem. faster: the share of pairs in
    which a is better, equal ones counted half.
    """

    middle: float
    low: float
    high: float
    faster: float


def paired_effect(a: Mapping[str, Array], b: Mapping[str, Array], seed: int = 0) -> PairedEffect:
    """a against b: logarithms (K,) of each problem's runs, of which those with the same index are a pair.

    Seeds are drawn within each problem, as in Agarwal et al., NeurIPS 2021 (interquartile mean, stratified
    bootstrap). Where over a quarter of the differences are infinite the mean is, too.
    """
    parts = [differences(a[n], b[n]) for n in a]
    rng = np.random.default_rng(seed)
    drawn = [d[rng.integers(0, len(d), size=(DRAWS, len(d)))] for d in parts]
    samples = np.sort(_middle_half(np.concatenate(drawn, axis=1)))
    low, high = (float(samples[round(q * (DRAWS - 1))]) for q in (0.025, 0.975))
    whole = np.concatenate(parts)
    faster = float(np.mean((whole < 0) + 0.5 * (whole == 0)))
    return PairedEffect(float(_middle_half(whole)), low, high, faster)


def _middle_half(d: Array) -> Array:
    """The mean of the middle half along the last axis; 0 where as much is infinitely better as worse."""
    from scipy.stats import trim_mean  # takes a second to import

    with np.errstate(invalid="ignore"):
        middle = np.asarray(trim_mean(d, 0.25, axis=-1), dtype=float)
    return np.where(np.isnan(middle), 0.0, middle)


# Across problems.


@dataclass(frozen=True)
class Across:
    """Methods over problems: whether they differ at all, and which pairs do.

    ranks: each method's mean rank, 1 the best. p: of Friedman's test that all are alike. pairs: of every two methods
    (a, b, the median difference a - b over problems, p corrected for all pairs after Holm), in the order of names.
    """

    ranks: dict[str, float]
    p: float
    pairs: tuple[tuple[str, str, float, float], ...]


def across(values: Mapping[str, Array], seed: int = 0) -> Across:
    """Compare methods by one value (P,) each for every problem, lower ones better, +inf where a method failed.

    Values are on a scale that problems share, such as logarithms: the signed-rank test compares their differences.
    """
    names = list(values)
    table = np.array([values[n] for n in names], dtype=float)
    couples = list(combinations(range(len(names)), 2))
    apart = [differences(table[i], table[j]) for i, j in couples]
    adjusted = holm([signed_rank(d) for d in apart])
    p, mean_ranks = friedman(table, seed)
    return Across(
        dict(zip(names, mean_ranks.tolist(), strict=True)),
        p,
        tuple(
            (names[i], names[j], median(d), q) for (i, j), d, q in zip(couples, apart, adjusted, strict=True)
        ),
    )


def friedman(table: Array, seed: int = 0, draws: int = PERMUTATIONS) -> tuple[float, Array]:
    """The p value of Friedman's test that methods are alike, and their mean ranks (S,); table: (S, P), lower better.

    The statistic is SciPy's, corrected for ties: it grows with the variance of the mean ranks. Its law is drawn:
    under the hypothesis every order of a problem's values over the methods is as likely, whatever their number,
    where the chi-squared law needs many problems. (1 + draws as large) / (1 + draws) never rejects too often
    (Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39). p is 1 for fewer than two methods or problems.
    """
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(table, axis=0), dtype=float)
    middle = ranks.mean(axis=1)
    methods, problems = ranks.shape
    if methods < 2 or problems < 2:
        return 1.0, middle
    rng = np.random.default_rng(seed)
    sums = np.zeros((draws, methods))
    for column in ranks.T:
        sums += rng.permuted(np.broadcast_to(column, (draws, methods)), axis=1)
    drawn = (sums * sums).sum(axis=1)  # the statistic grows with it, all else being the same in every draw
    seen = float((ranks.sum(axis=1) ** 2).sum())
    return float((1 + (drawn >= seen * (1 - 1e-12)).sum()) / (1 + draws)), middle
