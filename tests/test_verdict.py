"""Verdicts of a race: exact where they can be counted by hand, calibrated where they cannot, and put into words."""

import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tools import verdict_error
from tools.pages import between

import thalweg as tw
from thalweg.lab import answers
from thalweg.lab.paired import differences, holm, interval, median, signed_rank
from thalweg.lab.reports.race_wording import sentences
from thalweg.lab.verdict import Measure, least_seeds, verdicts

Array = np.ndarray[Any, Any]


def counted(d: Array) -> float:
    """The p value by trying every choice of signs."""
    d = d[d != 0]
    ranks = stats.rankdata(np.abs(d))
    seen = ranks[d > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(d))])
    return float(min(1.0, 2 * min((sums <= seen).mean(), (sums >= seen).mean())))


@pytest.mark.parametrize(
    "d",
    [
        [1.0, 2.0, 3.0, -4.0, 5.0],
        [1.0, 1.0, 1.0, -1.0, 2.0, 2.0, 0.0],
        [np.inf, np.inf, -1.0, 2.0, 0.0, 3.0],
        [-np.inf, np.inf, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        [0.0, 0.0],
        [0.5],
    ],
)
def test_p_is_exact_with_ties_and_infinities(d: list[float]) -> None:
    assert signed_rank(np.array(d)) == pytest.approx(1.0 if not any(d) else counted(np.array(d)), abs=1e-15)


def test_p_is_scipys_where_scipy_is_exact() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 5, 20, 50):
        d = rng.standard_normal(n) + 0.4
        assert signed_rank(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue, rel=1e-9)


def test_an_interval_has_the_ranks_of_the_tables() -> None:
    """For eight pairs the two-sided 5 % value of the statistic is 3, so that the ends are the fourth means."""
    d = np.array([-2.0, 0.5, 1.0, 3.0, 4.5, 5.0, 7.0, 9.0])
    walsh = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(d, 2))
    assert interval(d, 0.05) == (walsh[3], walsh[-4])
    assert interval(d[:5], 0.05) == (-np.inf, np.inf)
    low, high = interval(np.array([np.inf] * 3 + [1.0] * 9), 0.05)
    assert low == 1.0 and high == np.inf
    rng = np.random.default_rng(1)
    misses = sum(
        not low <= 0 <= high for low, high in (interval(rng.standard_t(2, 20), 0.1) for _ in range(400))
    )
    assert misses <= 400 * 0.1 + 3 * np.sqrt(400 * 0.1 * 0.9)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_medians_and_differences_of_runs_that_failed() -> None:
    inf = np.inf
    assert differences(np.array([inf, inf, 1.0, 2.0]), np.array([inf, 1.0, inf, 2.0])).tolist() == [
        0,
        inf,
        -inf,
        0,
    ]
    assert median(np.array([inf, -inf])) == 0
    assert median(np.array([1.0, 2.0, inf])) == 2
    assert median(np.array([1.0, inf])) == inf


def test_the_measure_is_fixed_by_the_problem() -> None:
    starts, eps = np.array([10.0, 10.0]), 2.0**-52
    gap = Measure.of_losses(starts, np.array([3.0, 4.0]), 2.0, eps)
    assert gap.ratios and gap.zero == 2.0 and gap.floor == pytest.approx(8e-8)
    assert np.exp(gap.scaled(np.array([2.0, 2.0 + 1e-9, 3.0, np.nan]))).tolist() == pytest.approx(
        [8e-8, 8e-8, 1.0, np.inf]
    )
    plain = Measure.of_losses(starts, np.array([3.0, np.inf]), None, eps)
    assert plain.ratios and plain.zero == 0
    signed = Measure.of_losses(starts, np.array([3.0, -1.0]), None, eps)
    assert not signed.ratios and signed.relevant == pytest.approx(0.02 * 9)


def test_a_difference_must_be_relevant_and_seeds_enough() -> None:
    base = np.exp(np.random.default_rng(0).standard_normal(12))
    (small,) = verdicts({"a": base, "b": base * 1.01}, Measure(True))
    assert small.verdict == "tie" and small.p < 0.01
    (large,) = verdicts({"a": base, "b": base * 1.03}, Measure(True))
    assert large.verdict == "better" and large.wins == 12
    assert [least_seeds(k) for k in (2, 4, 9)] == [6, 8, 11]
    for n in (5, 6):
        (v,) = verdicts({"a": base[:n], "b": base[:n] * 2}, Measure(True))
        assert v.verdict == ("better" if n == 6 else "tie")


@pytest.mark.parametrize("count", [64, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", verdict_error.EQUAL, ids=lambda case: case.text)
def test_equal_methods_are_rarely_told_apart(case: verdict_error.Case, count: int) -> None:
    """Any false "better" in at most 28 of 400 races: 5 % and two deviations. Tails, ties, failures and floors in turn."""
    assert verdict_error.wrong(case, count) <= {64: 7, 400: 28}[count]


@pytest.mark.parametrize("count", [20, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", verdict_error.APART, ids=lambda case: case.text)
def test_a_tenth_is_found(case: verdict_error.Case, count: int) -> None:
    """A true difference of 10 % whose paired logarithm of the ratio deviates by 10 %."""
    assert verdict_error.found(case, count) >= {2: 0.9, 9: 0.88}[case.methods]


@pytest.mark.slow
def test_the_page_has_the_figures_that_are_measured() -> None:
    page = verdict_error.PAGE.read_text(encoding="utf-8")
    assert between(page, "verdict error", "verdict_error", verdict_error.written()) == page


def test_answers_name_the_group_and_what_it_beats() -> None:
    rng = np.random.default_rng(0)
    base = np.exp(rng.standard_normal(30))
    ends = {
        "slow": 2 * base,
        "one": base * np.exp(0.1 * rng.standard_normal(30)),
        "two": base * np.exp(0.1 * rng.standard_normal(30)),
        "fails": np.full(30, np.inf),
    }
    said = answers.lowest(ends, np.full(30, 100.0), None, 1e-16)
    assert sorted(said["leaders"]) == ["one", "two"] and said["tested"]
    assert all(set(v) == {"slow", "fails"} for v in said["beats"].values())
    assert said["values"]["fails"] is None
    none = answers.fastest({"a": [np.inf] * 8, "b": [np.inf] * 8})
    assert none["leaders"] == [] and none["beats"] == {}
    accuracy = answers.held_out("accuracy", {"a": [0.9] * 12, "b": [0.95] * 12, "c": [-np.inf] * 12})
    assert accuracy["leaders"] == ["b"] and accuracy["beats"] == {"b": ["a", "c"]}
    (pair,) = [v for v in accuracy["verdicts"] if v["a"] == "b" and v["b"] == "a"]
    assert pair["difference"] is not None and pair["difference"]["median"] == pytest.approx(0.05)


def test_the_first_named_is_the_first_of_the_table() -> None:
    """By the plain median, also where the middle of two logarithms says otherwise."""
    said = answers.lowest({"a": [1e-6, 2.0], "b": [0.4, 0.5]}, np.full(2, 100.0), None, 1e-16)
    assert said["leaders"] == ["b", "a"] and said["values"] == {"b": 0.45, "a": pytest.approx(1.0)}


def test_decades_that_forgive() -> None:
    """A loss of |log10 lr| + 1 stays within a tenth over a fifth of a decade."""
    rates = [10.0**x for x in np.linspace(-1, 1, 201)]
    losses: list[Any] = [abs(np.log10(r)) + 1 for r in rates]
    said = answers.forgiving({"method": ["a"] * 201, "lr": rates, "loss": losses}, 0.0)
    assert said["values"]["a"] == pytest.approx(0.2, abs=1e-3) and not said["tested"]


def test_an_open_interval_and_a_failed_median_pair_are_told_by_their_sides() -> None:
    """Differences, since a loss is not positive: "−∞ to ∞", and who failed instead of an infinite difference."""
    race = tw.race("rosenbrock", ["Adam", "SGD"], trials=2, seeds=2, steps=20).data
    race["caveat"], race["basins"], race["audit"] = "", None, []

    def said(ends: Any, question: str = "lowest") -> str:
        race["answers"] = [
            answers.fastest(ends) if question == "fastest" else answers.lowest(ends, np.ones(8), None, 1e-16)
        ]
        return sentences(race)[0]

    assert "a minus b is -1.00 (−∞ to ∞), lower in 2 of 2" in said({"a": [-2.0, -3.0], "b": [-1.0, -2.0]})
    tiny = said({"a": [1e-43, 2e-43], "b": [0.01, 0.02]})
    assert "What is less than 1.6×10⁻¹⁵ counts as that." in tiny  # else the ratio would not be the medians'
    assert "counts as" not in said({"a": [0.1, 0.2], "b": [0.01, 0.02]})
    failed = said({"b": [np.inf] * 8, "a": [-1.0, -2.0] * 4})
    assert "The nearest is b: a alone does not fail in the median pair, a wins in 8 of 8" in failed
    assert said({"a": [16.0, 17.0]}, "fastest").endswith("a median of 16.5 steps.")
    assert said({"a": [1.0, 1.0]}, "fastest").endswith("a median of 1 step.")


def test_identical_methods_tie_and_the_page_says_what_was_run(tmp_path: Any) -> None:
    made = tw.race("rosenbrock", ["Adam", "Adam:torch", "SGD"], trials=5, seeds=9, steps=200)
    data = json.loads(made.json())
    assert [(v["a"], v["b"]) for v in data["verdicts"]] == [
        ("Adam", "Adam:torch"),
        ("Adam", "SGD"),
        ("Adam:torch", "SGD"),
    ]
    tie, better, _ = data["verdicts"]
    assert tie["verdict"] == "tie" and tie["ties"] == 9 and tie["p"] == 1
    assert better["verdict"] == "better" and better["wins"] == 9
    assert set(better) == {"a", "b", "verdict", "ratio", "difference", "wins", "ties", "pairs", "p"}
    assert set(better["ratio"]) == {"median", "low", "high"}
    told = sentences(made.data)
    assert "Adam and Adam:torch, not told apart" in told[0] and "Both beat SGD" in told[0]
    text = re.sub("<[^>]+>", "", made.html())
    assert "the same in all 9 paired runs" in text and "within noise" not in text


def test_few_seeds_give_effects_without_a_verdict() -> None:
    made = tw.race("rosenbrock", ["Adam", "SGD"], trials=2, seeds=4, steps=50)
    assert all(v["verdict"] == "tie" for v in made.verdicts)
    assert sentences(made.data)[-2:] == [
        "4 paired runs cannot tell 2 methods apart: a verdict takes 6 (--seeds 6).",
        "Nothing here is random but where runs begin: seeds are starts.",
    ]


def test_a_name_is_text_on_the_page() -> None:
    made = tw.race("rosenbrock", ["Adam", "SGD"], trials=1, seeds=6, steps=20)
    made.data["settings"]["loss_name"] = "<i>loss</i>"
    assert "<i>loss" not in made.html()


@pytest.mark.slow
def test_digits() -> None:
    """Adagrad and Nesterov are a true tie; SGD is beaten by both in nearly every pair."""
    made = tw.race("digits", ["SGD", "Adagrad", "Nesterov"])
    lowest = made.data["answers"][0]
    assert sorted(lowest["leaders"]) == ["Adagrad", "Nesterov"]
    assert all(beaten == ["SGD"] for beaten in lowest["beats"].values())
    assert all(v["wins"] >= 27 for v in made.verdicts if v["b"] == "SGD")


@pytest.mark.slow
def test_the_error_of_tuning_is_measured_on_copies_of_one_rule() -> None:
    """One tuning under two names is never told apart; copies tuned apart come to rates of their own."""
    from tools import race_error

    row = race_error.measured("rosenbrock", "Adam", 5)
    assert row["same"] == 0 and all(0 <= row[n] <= 1 for n in ("two", "nine", "two, three seeds"))
    make, steps = race_error.CASES["rosenbrock"]
    rates = {race_error.tuned(make(), "Adam", steps, luck) for luck in range(3)}
    assert len(rates) == 3
    page = race_error.PAGE.read_text()
    told = race_error.written([row])
    assert told.split("\n\n")[1].splitlines()[0] in page  # the page's table has these columns
