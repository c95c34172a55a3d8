"""Several settings at once: what can be tuned, where it is looked for, and what a search finds there."""

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

import thalweg as tw
from thalweg import rules
from thalweg.errors import HyperparameterError
from thalweg.lab import dimensions, ranges
from thalweg.lab.audit import tuned_lines
from thalweg.lab.configuration import Configuration, configured, shaped
from thalweg.lab.dimensions import Fraction, Range, Settings, Start
from thalweg.lab.entrants import Entrant, entrant
from thalweg.lab.importance import shares
from thalweg.lab.methods import Method, method
from thalweg.lab.ranges import Scales, Tuning, lines_of, space
from thalweg.lab.search import Search, Tuner, quantiles
from thalweg.lab.trial import Array, Trial
from thalweg.problems.base import Problem
from thalweg.problems.quadratic import of
from thalweg.problems.wilson import Wilson

ALL = ("lr", "beta1", "beta2", "eps", "accumulator", *ranges.AROUND)


@pytest.mark.parametrize("name", sorted(rules.shipped()))
def test_every_setting_of_every_rule_is_one_that_it_takes(name: str) -> None:
    """All that a space proposes, at both ends and between, is in the range of the line it sets."""
    racer = method(name)
    names = tuple(dict.fromkeys([*ALL, *(n for n, line in racer.lines.items() if line.low >= 0)]))
    names = tuple(n for n in names if not (n == "eps" and "eps" not in racer.lines) or lines_of(racer, n))
    found = space(racer, Scales(2.0, 0.3, 1.0, 100, 10), Tuning(names))
    assert "lr" in found
    for q in (0.0, 0.05, 0.5, 1.0):
        for n, dimension in found.items():
            made = configured(racer, {n: dimension.at(q)}, 40, 10, 100)
            assert isinstance(made.tuned, Method)
            made.tuned.rule.at(made.steps - 1)  # a value out of its range raises


def told(racer: Entrant) -> dict[str, tuple[str, ...]]:
    """Which lines the names that all methods share set, those that it has."""
    return {n: lines for n in ranges.LIKE if (lines := lines_of(racer, n))}


def test_one_name_is_what_each_method_calls_otherwise() -> None:
    calls = {
        "SGD": {},
        "Momentum": {"beta1": ("beta",)},
        "Adagrad": {"eps": ("eps",), "accumulator": ("s",)},
        "Adagrad:keras": {"eps": ("eps_root",), "accumulator": ("s",)},
        "RMSprop": {"beta2": ("beta",), "eps": ("eps",), "accumulator": ("v",)},
        "RMSpropMomentum": {"beta1": ("mu",), "beta2": ("beta",), "eps": ("eps",), "accumulator": ("v",)},
        "Adadelta": {"beta2": ("beta",), "eps": ("eps_v", "eps_u"), "accumulator": ("v",)},
        "Adam": {"beta1": ("beta1",), "beta2": ("beta2",), "eps": ("eps",), "accumulator": ("v",)},
        "Adamax": {"beta1": ("beta1",), "beta2": ("beta2",), "eps": ("eps_in",), "accumulator": ("u",)},
        "Lion": {"beta1": ("beta1",), "beta2": ("beta2",)},
    }
    for name, lines in calls.items():
        assert told(entrant(name)) == lines, name

    def elsewhere(
        params: object, lr: float = 0.1, momentum: float = 0.0, alpha: float = 0.99, eps: float = 1e-8
    ) -> None:
        """An optimizer with the words that torch.optim.RMSprop has."""

    assert told(entrant(elsewhere)) == {"beta1": ("momentum",), "beta2": ("alpha",), "eps": ("eps",)}


def test_ranges_come_from_units() -> None:
    """Rates with the weights, guards and sizes with the gradient, fractions by what is lost, in hard ends."""
    at, tuning = Scales(weights=3.0, gradient=0.01), Tuning(("lr", "beta1", "beta2", "eps", "accumulator"))
    adam = space(method("Adam"), at, tuning)
    assert adam["lr"] == Range(1e-5 * 3.0, 3.0)
    assert adam["beta1"] == Fraction(0.0, 0.999) and adam["beta2"] == Fraction(0.0, 0.9999)
    assert adam["eps"] == Range(1e-10, 1e2, guard=0.01)
    assert adam["accumulator"] == Start(pytest.approx(1e-10), pytest.approx(1.0))
    inside = space(method("Adagrad:keras"), at, tuning)["eps"]
    assert isinstance(inside, Range) and (inside.low, inside.power) == (pytest.approx(1e-20), 2)
    assert space(method("SGD"), at, tuning) == {"lr": Range(1e-5, 1e1)}
    assert adam["beta1"].at(0.0) == 0.0 and adam["beta1"].at(1.0) == 0.999
    assert adam["beta1"].at(0.5) == pytest.approx(1 - 10**-1.5, abs=1e-5)  # evenly in log(1 - beta)
    assert [adam["beta1"].side(b) for b in (0.0, 0.5, 0.999)] == [0, 0, 1]  # below 0 there is nothing
    assert adam["beta1"].beyond(1) == adam["beta1"] and not adam["beta1"].widens
    assert adam["accumulator"].at(0.05) == 0.0


def test_a_rate_follows_an_epsilon_beyond_the_gradients_size() -> None:
    """There eps divides the rate alone: lr / eps has the range that lr has below, and an edge is told in it."""
    racer = space(method("Adam"), Scales(gradient=0.1), Tuning(("lr", "eps")))
    low, high = racer["lr"].at(0.0), racer["lr"].at(1.0)
    assert dimensions.drawn(racer, {"lr": 1.0, "eps": 0.0}) == {"lr": high, "eps": 1e-9}
    great = dimensions.drawn(racer, {"lr": 0.0, "eps": 1.0})
    assert great["lr"] == pytest.approx(float(low) * 1e4) and great["eps"] == 1e3
    assert dimensions.compared(racer, great)["lr"] == pytest.approx(low)
    search = Search(method("Adam"), racer)
    for k in range(5):  # all rates at the low end of their range, though large
        search.add({**great, "eps": 900.0 + k}, 1.0)
    assert search.edges["lr"] == -1


@pytest.mark.parametrize("dimensions", [1, 2, 7])
@pytest.mark.parametrize("seed", [0, 5])
def test_the_sequence_is_scipys_scrambled_halton(dimensions: int, seed: int) -> None:
    for count in (1, 25, 300):
        theirs = qmc.Halton(dimensions, scramble=True, rng=np.random.default_rng(seed)).random(count)
        assert quantiles(count, dimensions, seed).tobytes() == theirs.tobytes()


def test_all_methods_share_one_sequence_by_name() -> None:
    """The same quantile of lr in the same trial, whatever else a method has; nothing is paid for a setting more."""
    tuning = Tuning(("eps", "lr", "beta1"))
    racers = [method(n) for n in ("SGD", "Momentum", "Adagrad", "Adam")]
    searches = [Search(m, space(m, tuning=tuning)) for m in racers]
    ((_, proposals), *_) = Tuner(searches, 8, 3, tuning.tune).rounds()
    assert [p[0] for p in proposals[:4]] == searches and len(proposals) == 4 * 8
    drawn = quantiles(8 + 3 * 2, 3, 3)
    for k, (search, settings) in enumerate(proposals):
        for n, dimension in search.space.items():
            if n != "lr" or "eps" not in settings:
                assert settings[n] == dimension.at(float(drawn[k // 4, tuning.tune.index(n)]))


def test_betas_have_hard_ends() -> None:
    """Their edge is told where more is kept beyond it, and no trial is spent on it; a user's range likewise."""
    for given, tune in (({}, "beta1"), ({"lr": (1e-4, 1e-2)}, "lr")):
        search = Search(method("Adam"), space(method("Adam"), tuning=Tuning((tune,), given)))
        rounds = 0
        for _, proposals in Tuner([search], 24, 0).rounds():
            rounds += 1
            for s, settings in proposals:
                s.add(settings, -float(settings[tune]))
        assert (rounds, search.open_edges, len(search.tried)) == (1, [tune], 24)


def test_more_is_tuned_the_more_trials_there_are() -> None:
    told = {t: ranges.wanted("auto", t) for t in (1, 9, 10, 24, 25, 50, 100)}
    assert [len(names) for names in told.values()] == [1, 1, 2, 2, 3, 3, 4]
    assert told[100] == ("lr", "beta1", "eps", "beta2")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tune": "lr,beta3"}, r"^tune: 'beta3' is no setting of any method: did you mean 'beta"),
        ({"tune": "eps", "methods": ["SGD"]}, r"^tune: 'eps' is no setting of any method: "),
        ({"tune": "m", "methods": ["Adam"]}, r"^tune: 'm' may be negative, so it has no range to look in: "),
        ({"tune": "batch"}, r"^tune: batch: beale has no rows to choose from: leave it out$"),
        ({"tune": ""}, r"^tune: name at least one setting"),
        ({"tune": "lr,lr"}, r"^tune: lr is named twice$"),
        ({"range": {"beta1": (0, 0.9)}}, r"^range: 'beta1' is not tuned: name it in tune too; known: lr$"),
        ({"range": {"lr": (1, 0.1)}}, r"^range: lr=1:0\.1: LOW:HIGH with 0 < LOW < HIGH < inf is needed$"),
        ({"range": {"lr": (0, math.nan)}}, r"^range: lr=0:nan: LOW:HIGH"),
        ({"range": {"lr": (1.0,)}}, r"^range: lr=1: LOW:HIGH"),
        (
            {"tune": "beta1", "range": {"beta1": (0, 1)}},
            r"^range: beta1=0:1: LOW:HIGH with 0 <= LOW < HIGH < 1 is",
        ),
        (
            {"tune": "schedule", "range": {"schedule": ("cosin",)}},
            r"^range: schedule=cosin: did you mean 'cosine'",
        ),
        ({"sampler": "tpe"}, r"^sampler: got 'tpe'; one of halton, optuna is needed$"),
        ({"budget": "big"}, r"^race: budget 'big': known: default, small, medium, large$"),
        ({"budget": "small", "trials": 3}, r"^race: budget 'small' is 25 trials and trials=3 is given too"),
    ],
    ids=str,
)
def test_what_cannot_be_tuned_is_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(HyperparameterError, match=said) as told:
        tw.race("beale", **given)
    assert "\n" not in str(told.value)


def test_a_race_over_several_settings_says_what_each_method_has(tmp_path: Path) -> None:
    """A column a setting, the method's own where it has none to tune; curves of tuning; the command again."""
    made = tw.race(
        "beale",
        ["SGD", "Adam"],
        tune="lr,beta1,eps",
        range={"beta1": (0.5, 0.95)},
        trials=6,
        seeds=2,
        steps=40,
    )
    data = json.loads(made.json())
    rows = {r["method"]: r for r in data["methods"]}
    assert rows["SGD"]["settings"].keys() == rows["Adam"]["settings"].keys() == {"lr", "beta1", "eps"}
    assert rows["Adam"]["sets"] == {"lr": ["lr"], "beta1": ["beta1"], "eps": ["eps"]}
    assert rows["SGD"]["sets"] == {"lr": ["lr"]}
    assert (
        rows["SGD"]["settings"]["beta1"] is None
        and rows["SGD"]["notes"][0] == "has no beta1 and no eps to tune"
    )
    assert 0.5 <= rows["Adam"]["settings"]["beta1"] <= 0.95
    for row in rows.values():
        assert row["lr"] == row["settings"]["lr"] and row["trials"] == rows["SGD"]["trials"]
    assert list(data["trials"]) == ["method", "lr", "beta1", "eps", "loss"]
    assert "--tune lr,beta1,eps --range beta1=0.5:0.95" in data["settings"]["command"]
    curves = data["tuning_curves"]
    own = [x for m, x in zip(curves["method"], curves["expected"], strict=True) if m == "Adam"]
    assert len(own) == 6 and all(a >= b for a, b in pairwise(own) if a is not None)
    first = [v for m, v in zip(data["trials"]["method"], data["trials"]["loss"], strict=True) if m == "Adam"][
        :6
    ]
    assert own[-1] == pytest.approx(min(v for v in first if v is not None))


def test_the_audit_knows_lines_by_what_the_settings_set() -> None:
    made = tw.race("beale", ["SGD", "Momentum"], tune="lr,beta1", trials=3, seeds=1, steps=5)
    assert tuned_lines(made.data) == {"SGD": ["lr"], "Momentum": ["lr", "beta"]}
    assert [c["untuned"] for c in made.data["audit"]] == [[]]


def test_what_stands_around_a_rule_is_searched_and_told() -> None:
    """Decay, a bound, rows a step and a schedule's shape; the code at the end runs them."""
    made = tw.race(
        "breast-cancer",
        ["SGD"],
        tune="lr,weight_decay,clip_norm,batch,schedule",
        range={"batch": (4, 8)},
        trials=3,
        seeds=1,
        steps=32,
        batch=16,
        workers=0,
    )
    row = made.data["methods"][0]
    assert row["settings"]["schedule"] in ranges.SCHEDULES and row["settings"]["batch"] in (4.0, 8.0)
    assert row["lr"] == row["settings"]["lr"]
    code = made.data["code"]
    assert f"weight_decay={row['settings']['weight_decay']!r}" in code and "clip_norm=" in code
    batch = int(row["settings"]["batch"])  # type: ignore[arg-type]
    assert f"batch={batch}, steps={32 * 16 // batch}" in code
    assert max(made.curves["step"]) == 32  # steps of the race: the same rows for all
    scope: dict[str, Any] = {"print": lambda *told: scope.setdefault("told", told)}
    exec(code, scope)
    assert scope["told"][0] == pytest.approx(row["loss"]["median"], rel=1e-9)


def test_what_a_setting_explains() -> None:
    """All, nothing, half each; words as well as numbers; nothing is said of too few trials."""
    rng = np.random.default_rng(0)
    u = rng.random((400, 3))
    words = [("flat", "falling")[k] for k in (u[:, 2] > 0.5).astype(int)]
    tried: list[Settings] = [
        {"lr": 10 ** (-4 * a), "eps": 10 ** (-8 * b), "schedule": w, "batch": 32.0}
        for (a, b, _), w in zip(u.tolist(), words, strict=True)
    ]
    alone = shares(tried, [abs(a - 0.5) for a in u[:, 0].tolist()])
    assert alone.keys() == {"lr", "eps", "schedule"}  # of one value there is nothing to say
    assert alone["lr"] > 0.9 and max(alone["eps"], alone["schedule"]) < 0.01
    both = shares(tried, [a + (w == "flat") for a, w in zip(u[:, 0].tolist(), words, strict=True)])
    assert both["schedule"] > both["lr"] > 0.1 and both["eps"] < 0.05
    assert max(shares(tried, rng.random(400).tolist()).values()) < 0.03
    lost = [np.inf if a > 0.8 else a for a in u[:, 0].tolist()]
    assert shares(tried, lost)["lr"] > 0.9  # runs that diverged are the last
    assert shares(tried[:8], lost[:8]) == {} == shares(tried, [1.0] * 400) == shares([], [])


def test_a_share_is_omega_squared() -> None:
    """Two words with two losses each of ranks 1, 2 and 3, 4, three times: SS 12 of 15, df 1, MSE 3/10."""
    tried: list[Settings] = [{"schedule": w} for w in ("a", "a", "b", "b")] * 3
    told = shares(tried, [1.0, 2.0, 3.0, 4.0] * 3)
    ranks = np.array([2, 5, 8, 11] * 3)  # each is the middle of three equal ones
    between, within = 12 * 3.0**2, 12 * 1.5**2
    assert np.var(ranks) * 12 == between + within
    assert told == {"schedule": pytest.approx((between - within / 10) / (between + within + within / 10))}


def test_the_report_draws_words_zeros_and_whole_numbers() -> None:
    """One panel a method along each setting and over each pair; a column and a share for each."""
    made = tw.race(
        "beale",
        ["Adagrad", "SGD"],
        tune="schedule,accumulator",
        range={"schedule": ("constant", "cosine")},
        trials=12,
        seeds=1,
        steps=10,
    )
    page = made.html()
    for name in ("schedule", "accumulator"):
        assert f'<figure id="along-{name}"' in page
    assert page.count('<figure id="over-') == 1
    assert "What each setting explains" in page and ">cosine<" in page
    assert '<th scope="col">schedule</th><th scope="col">accumulator</th>' in page
    assert '<figure id="sensitivity"' not in page  # trials are no line where other settings differ
    assert 'id="along-' not in tw.race("beale", ["SGD"], trials=2, seeds=1, steps=5).html()


def test_schedules_have_their_shapes() -> None:
    steps, lr = 100, 0.5
    flat, falling, stable = (shaped(n, lr, steps) for n in ranges.SCHEDULES)
    assert flat == lr
    assert not isinstance(falling, float) and not isinstance(stable, float)
    assert falling(0) == lr and falling(50) == pytest.approx(lr / 2) and falling(100) == pytest.approx(0)
    ramp = [stable(t) for t in range(6)]
    assert ramp == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    assert stable(79) == lr and 0 < stable(99) < 0.02


def test_a_momentums_steady_gain_stands_beside_its_rate() -> None:
    made = tw.race(
        "beale", ["SGD", "Momentum", "Momentum:slides", "Adam"], budget="default", seeds=1, steps=5
    )
    gains = {r["method"]: r["gain"] for r in made.data["methods"]}
    assert gains == {"SGD": None, "Momentum": pytest.approx(0.01), "Momentum:slides": None, "Adam": None}


def test_a_gain_is_told_of_a_rate_that_falls() -> None:
    """Beside the rate that the row shows, from which the schedule starts."""
    only = {"schedule": ("cosine",)}
    made = tw.race("beale", ["Momentum"], tune="lr,schedule", range=only, trials=2, seeds=1, steps=5)
    (row,) = made.data["methods"]
    assert row["schedules"] == ["lr"] and row["gain"] == pytest.approx(row["lr"] * 10)


def test_optunas_sampler_has_the_same_number_of_trials_and_no_tuning_curves() -> None:
    made = tw.race(
        "beale", ["SGD", "Adam"], tune="lr,beta1,schedule", sampler="optuna", trials=5, seeds=2, steps=30
    )
    assert made.data["tuning_curves"] is None
    assert [r["trials"] for r in made.data["methods"]] == [5, 5]
    assert "--sampler optuna" in made.data["settings"]["command"]
    assert (
        made.trials
        == tw.race(
            "beale", ["SGD", "Adam"], tune="lr,beta1,schedule", sampler="optuna", trials=5, seeds=2, steps=30
        ).trials
    )


# Problems whose good settings are known: a search finds them as often as random search would.


def ends(p: Problem, racer: Entrant, tried: Sequence[Settings], steps: int, batch: int) -> Array:
    """The final loss and the metric of each setting (n, 2) over the whole of ``steps``, in as few loops as there are batches."""
    told = np.full((len(tried), 2), np.nan)
    alike: dict[tuple[int, int], list[tuple[int, Configuration]]] = {}
    for k, settings in enumerate(tried):
        one = configured(racer, settings, steps, batch, p.rows)
        alike.setdefault((one.steps, one.batch), []).append((k, one))
    for (count, rows), members in alike.items():
        vary = {n: np.array([c.lines[n] for _, c in members]) for n in members[0][1].lines}
        runs = Trial(
            racer.runs, p, count, batch=rows, vary=vary, every=count, record=("loss", "metric")
        ).run()
        own = [k for k, _ in members]
        told[own, 0], told[own, 1] = runs.curves[:, 0, -1], runs.records["metric"][:, 0]
    return told


def found_as_often_as_by_chance(
    p: Problem, racer: Entrant, tuning: Tuning, trials: int, good: Callable[[Array], Array], **run: int
) -> None:
    """Over 200 sequences at least 1 - (1 - V)^T, less three standard errors; V: the share of the space that is good."""
    looked = space(racer, ranges.scales(p, 0, run["batch"], tuning), tuning)
    centres = (np.arange(14) + 0.5) / 14
    grid = [
        dimensions.drawn(looked, dict(zip(tuning.tune, q, strict=True)))
        for q in product(centres, repeat=len(tuning.tune))
    ]
    share = good(ends(p, racer, grid, **run)).mean()
    searches = [Search(racer, dict(looked)) for _ in range(200)]
    proposals = []
    for seed, search in enumerate(searches):
        _, first = next(Tuner([search], trials, seed, tuning.tune).rounds())
        proposals += first
    told = ends(p, racer, [settings for _, settings in proposals], **run)
    for (search, settings), (loss, metric) in zip(proposals, told, strict=True):
        search.add(
            settings, loss + (0.0 if np.isnan(metric) else metric)
        )  # no error first, then the lowest loss
    chosen = ends(p, racer, [search.chosen for search in searches], **run)
    found, chance = good(chosen).mean(), 1 - (1 - share) ** trials
    assert 0.02 < share < 0.2  # neither nothing nor everything
    assert found >= chance - 3 * np.sqrt(chance * (1 - chance) / len(searches)), (found, chance)


def test_three_settings_of_a_badly_scaled_quadratic_are_found() -> None:
    """lr, beta2 and eps of Adam over curvatures from 1 to a millionth: some three in a hundred come down in a hundred steps."""
    found_as_often_as_by_chance(
        of(np.diag([1.0, 1e-3, 1e-6]), (1.0, 1.0, 1.0)),
        method("Adam"),
        Tuning(("lr", "beta2", "eps")),
        25,
        lambda told: told[:, 0] <= 4e-6,
        steps=100,
        batch=0,
    )


@pytest.mark.slow
def test_wilsons_three_dials_are_found() -> None:
    """Rows a step, eps and where the accumulator begins: each alone rids Adagrad of its error on new examples."""
    found_as_often_as_by_chance(
        Wilson(40, 0.6),
        method("Adagrad(lr=0.1)"),
        Tuning(("batch", "eps", "accumulator"), {"batch": (1, 40)}),
        12,
        lambda told: (told[:, 1] == 0) & (told[:, 0] <= 1e-6),
        steps=50,
        batch=10,
    )
