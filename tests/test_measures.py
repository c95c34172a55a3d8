"""Measures over problems, against examples worked by hand, SciPy, and Monte Carlo."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from thalweg.lab import measures

Array = np.ndarray[Any, Any]
INF = np.inf


def test_targets_lie_on_the_way_to_the_minimum_or_to_the_lowest_that_was_reached() -> None:
    assert measures.targets(np.array([1.0, 11.0]), 1.0, (0.1, 0.001)).tolist() == [[1.0, 1.0], [2.0, 1.01]]
    # Moré and Wild's test, with f(x0) = 10, f_L = 2, a tenth left: f(x) <= 2.8.
    (goal,) = measures.targets(np.array([10.0]), 2.0, (0.1,))[0]
    assert goal == pytest.approx(2.8)
    assert 10 - goal == pytest.approx((1 - 0.1) * (10 - 2))


def test_a_time_is_the_first_step_that_meets_the_target_and_infinite_without_one() -> None:
    curves = np.array([[9.0, 4.0, 0.5, 2.0, 0.4, 0.3], [9.0, INF, INF, INF, INF, INF]])
    steps = np.arange(6) * 10
    goals = np.array([[5.0, 1.0, 0.1]] * 2)
    assert measures.times(curves, steps, goals).tolist() == [[10, 20, INF], [INF, INF, INF]]
    assert measures.times(curves, steps, goals, 2)[0].tolist() == [10, 40, INF]


def test_the_running_time_counts_what_failures_spent() -> None:
    """Three runs arrive after 10, 20, 30, two fail after 100: (60 + 200) / 3."""
    assert measures.running_time(np.array([10.0, INF, 20.0, 30.0, INF]), 100.0) == pytest.approx(260 / 3)
    assert measures.running_time(np.array([INF, INF]), 100.0) == INF
    assert measures.running_time(np.array([4.0, 6.0]), 100.0) == 5.0


def test_the_running_time_is_that_of_real_restarts() -> None:
    """A run succeeds with chance 0.3 after 1 to 20, else costs 50; restart until it does."""
    rng = np.random.default_rng(0)

    def run(size: int) -> Array:
        return np.where(rng.random(size) < 0.3, rng.integers(1, 21, size), INF)

    restarted = []
    for _ in range(4000):
        spent = 0.0
        while np.isinf(time := run(1)[0]):
            spent += 50.0
        restarted.append(spent + time)
    spread = np.std(restarted) / np.sqrt(len(restarted))
    assert measures.running_time(run(20_000), 50.0) == pytest.approx(np.mean(restarted), abs=4 * spread)


def test_what_was_never_met_stays_in_the_denominator() -> None:
    times = np.array([[1.0, 5.0], [INF, 2.0]])
    assert measures.solved_within(times, np.array([0.5, 1.0, 2.0, 10.0])).tolist() == [0, 0.25, 0.5, 0.75]


def test_the_band_holds_what_other_seeds_show() -> None:
    """Of 200 studies of 2 problems, 15 seeds each, the 90 % band holds the truth about as often."""
    rng = np.random.default_rng(1)
    cost = np.array([10.0])
    truth = (1 - np.exp(-1.0) + 1 - np.exp(-0.25)) / 2
    covered = 0
    for study in range(200):
        times = {"a": rng.exponential(10, (15, 1)), "b": rng.exponential(40, (15, 1))}
        low, high = measures.solved_band(times, cost, seed=study, draws=200)
        covered += bool(low[0] <= truth <= high[0])
    assert 160 <= covered <= 196


def test_a_bands_runs_keep_their_targets_together() -> None:
    """Both targets of a run are met or none: drawn apart, the band would be narrower."""
    together = {"a": np.repeat([[1.0], [INF]] * 10, 8, axis=1)}
    apart = {"a": np.repeat([[1.0], [INF]] * 10, 8, axis=1).reshape(160, 1)}
    wide, narrow = (
        np.ptp([b[0] for b in measures.solved_band(t, np.array([1.0]))]) for t in (together, apart)
    )
    assert wide > 2 * narrow


# Two methods win one problem each, the third problem is solved by one alone, the fourth by nobody.
TIMES = np.array([[10.0, 40.0, INF, INF], [20.0, 20.0, 7.0, INF]])


def test_profiles_and_the_score_by_hand() -> None:
    ratios = measures.ratios(TIMES)
    assert ratios.tolist() == [[1, 2, INF, INF], [2, 1, 1, INF]]
    at = np.array([1.0, 1.9, 2.0, 100.0])
    assert measures.profile(ratios, at).tolist() == [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 0.75, 0.75]]
    # (4 - 1) / 3 for a win, (4 - 2) / 3 for twice the best: (1 + 2/3) / 4 and (2/3 + 1 + 1) / 4.
    assert measures.score(ratios) == pytest.approx([5 / 12, 8 / 12])
    assert measures.ratios(np.array([[0.0, 3.0], [0.0, INF]])).tolist() == [[1, 1], [1, INF]]


def test_the_score_is_the_area_below_the_profile() -> None:
    ratios = measures.ratios(np.random.default_rng(0).lognormal(0, 1, (4, 30)))
    at = np.linspace(1, measures.R_MAX, 200_001)
    area = np.trapezoid(measures.profile(ratios, at), at) / (measures.R_MAX - 1)
    assert measures.score(ratios) == pytest.approx(area, abs=1e-4)


def test_hiding_the_best_reverses_the_others() -> None:
    """Gould and Scott's warning, so that profiles are drawn anew from the methods that are shown."""
    times = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 50.0], [2.0, 9.0, 100.0]])
    all_three, two = measures.ratios(times), measures.ratios(times[1:])
    at = np.array([2.0])
    assert measures.profile(all_three, at)[1:, 0].tolist() == [0, 1 / 3]  # the third is ahead
    assert measures.profile(two, at)[:, 0].tolist() == [1, 2 / 3]  # the second is


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0, 2.0], [5.0, 4.0, 3.0, 2.0, 1.0, INF]])
def test_the_expected_best_is_the_mean_over_all_choices(values: list[float]) -> None:
    every = [np.mean([min(c) for c in itertools.combinations(values, n)]) for n in range(1, len(values) + 1)]
    assert measures.expected_best(np.array(values)).tolist() == pytest.approx(every)


def test_the_expected_best_is_unbiased() -> None:
    """Over fresh sets of trials the estimates' mean is that of fresh tunings of n trials."""
    rng = np.random.default_rng(2)
    estimates = measures.expected_best(rng.lognormal(size=(20_000, 12)))
    for n in (1, 3, 12):
        fresh = rng.lognormal(size=(20_000, n)).min(axis=1)
        spread = np.hypot(fresh.std(), estimates[:, n - 1].std()) / np.sqrt(20_000)
        assert estimates[:, n - 1].mean() == pytest.approx(fresh.mean(), abs=4 * spread)


def test_the_expected_bests_band_surrounds_it() -> None:
    values = np.random.default_rng(3).lognormal(size=30)
    low, high = measures.expected_best_band(values)
    middle = measures.expected_best(values)
    assert np.all(low <= middle) and np.all(middle <= high)
    low, high = measures.expected_best_band(np.append(values, INF))
    assert np.isfinite(low[1:]).all() and np.isinf(high[0])


def test_a_paired_effect_by_hand() -> None:
    a = {"p": np.log([1.0, 2.0, 4.0, INF]), "q": np.log([1.0, 1.0, 1.0, 1.0])}
    b = {"p": np.log([2.0, 4.0, 4.0, INF]), "q": np.log([2.0, 3.0, INF, 0.5])}
    effect = measures.paired_effect(a, b)
    # The differences in order: -inf, -log 3, -log 2 three times, 0 twice, log 2; the middle four of them.
    assert effect.middle == pytest.approx((3 * -np.log(2) + 0) / 4)
    assert effect.faster == (5 + 0.5 * 2) / 8
    assert effect.low <= effect.middle <= effect.high
    back = measures.paired_effect(b, a)
    assert back.middle == pytest.approx(-effect.middle)


def test_a_paired_effect_finds_a_shift_and_covers_it() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for study in range(50):
        noise = {n: rng.standard_t(3, 20) for n in "pqr"}
        effect = measures.paired_effect(
            {n: d + 0.3 for n, d in noise.items()}, dict.fromkeys(noise, np.zeros(20)), study
        )
        covered += effect.low <= 0.3 <= effect.high
    assert 42 <= covered <= 50


def test_friedmans_p_is_exact_where_all_orders_can_be_counted() -> None:
    """Three methods on three problems: of 216 orders those with at least so large a statistic."""
    table = np.array([[1.0, 1.0, 2.0], [2.0, 3.0, 1.0], [3.0, 2.0, 3.0]])
    seen = stats.friedmanchisquare(*table).statistic
    orders = list(itertools.permutations([1.0, 2.0, 3.0]))
    counted = np.mean(
        [
            stats.friedmanchisquare(*np.transpose(c)).statistic >= seen - 1e-9
            for c in itertools.product(orders, repeat=3)
        ]
    )
    p, ranks = measures.friedman(table)
    assert p == pytest.approx(counted, abs=0.015)
    assert ranks.tolist() == pytest.approx([4 / 3, 2, 8 / 3])


def test_friedmans_p_nears_scipys_for_many_problems() -> None:
    table = np.random.default_rng(5).standard_normal((4, 200)) + np.array([[0.0], [0.0], [0.0], [0.25]])
    assert measures.friedman(table)[0] == pytest.approx(stats.friedmanchisquare(*table).pvalue, abs=0.01)


def test_across_problems_failures_are_worst_and_alike() -> None:
    values = {"A": np.zeros(8), "B": np.array([INF] * 7 + [1.0]), "C": np.array([INF] * 8)}
    found = measures.across(values)
    assert found.ranks == {"A": 1.0, "B": 2.0 + 7 / 16, "C": 3.0 - 7 / 16}
    assert found.p < 0.01
    (a, b, middle, p), _, (c, d, zero, q) = found.pairs
    assert (a, b, middle) == ("A", "B", -INF) and p == pytest.approx(3 * 2 / 2**8)
    assert (c, d, zero, q) == ("B", "C", 0.0, 1.0)
    assert measures.across({"A": np.zeros(3)}).p == 1.0
