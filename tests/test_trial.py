"""The lab's one way to run something: plain data in and out, compiled or stepped, many settings and seeds at once."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import thalweg as tw
from thalweg.lab.dimensions import Range
from thalweg.lab.methods import method
from thalweg.lab.search import ROUNDS, Search, Tuner
from thalweg.lab.trial import Runs, Trial, is_short, printable_of
from thalweg.problems import Problem, Source, landscape, problem
from thalweg.problems.base import Array, Grads, Params, Rows, pack
from thalweg.problems.linear import LeastSquares, LinearModel, LogisticRegression, SoftmaxRegression

from .strategies import RULES, few_rules_in_time


class Stepped(Problem):
    """A landscape that hides that its runs can be compiled."""

    def __init__(self, name: str) -> None:
        self.on = landscape(name)
        self.minimum, self.height = self.on.minimum, self.on.height
        self.name, self.rows = name, self.on.rows

    def start(self, seed: int) -> Array:
        return self.on.start(seed)

    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        return self.on.gradient(pack(params), rows)

    def loss(self, params: Params) -> float:
        return self.on.loss(pack(params))


WHOLE = ("loss", "path", "rates", "rate_bands", "ends")


def alike(a: Runs, b: Runs) -> None:
    np.testing.assert_array_equal(a.steps, b.steps)
    np.testing.assert_array_equal(a.reached, b.reached)
    np.testing.assert_array_equal(a.settled, b.settled)
    for name in a.records:
        np.testing.assert_allclose(a.records[name], b.records[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(("stop", "target"), [(-np.inf, 1.0), (1.0, -np.inf), (0.5, 2.0)])
def test_a_stepped_trial_says_what_a_compiled_one_says(stop: float, target: float) -> None:
    rates = {"lr": np.array([1e-3, 1e-2, 0.1])}
    compiled, stepped = (
        Trial(tw.Adam(), p, 60, (0, 3), vary=rates, every=2, record=WHOLE, stop=stop, target=target).run()
        for p in (landscape("beale"), Stepped("beale"))
    )
    assert compiled.loss.shape == (3, 2, 31)
    assert compiled.path.shape == (3, 2, 31, 2)
    assert np.isfinite(compiled.reached if stop > 0 else compiled.settled).any()
    assert np.isinf(compiled.reached if stop > 0 else compiled.settled).any()
    if stop > 0:  # after the end of a run the compiled records are NaN too
        ended = np.isfinite(compiled.reached)
        assert np.isnan(compiled.loss[ended][:, -1]).all()
    alike(compiled, stepped)


@pytest.mark.parametrize("p", [landscape("quadratic"), Stepped("quadratic")])
def test_a_diverged_run_is_infinite_from_there_on(p: Problem) -> None:
    runs = Trial(tw.SGD(), p, 40, vary={"lr": np.array([0.1, 10.0])}, record=("loss", "ends")).run()
    assert np.isfinite(runs.curves[0]).all()
    assert np.isinf(runs.curves[1, 0, -1])
    assert np.isinf(runs.last).tolist() == [[False], [True]]


def test_what_comes_back_from_above_the_ceiling_has_diverged() -> None:
    never = np.full((1, 1), np.inf)
    losses = np.array([[[1.0, 20.0, 0.5]]])
    runs = Runs(np.arange(3), {"loss": losses}, never, never, np.full((1, 1), 10.0), never)
    assert runs.curves.tolist() == [[[1.0, np.inf, np.inf]]] and runs.final("loss").tolist() == [[np.inf]]


def test_every_setting_and_seed_is_the_run_that_it_is_alone() -> None:
    on = landscape("neuron-sparse")
    rates = np.array([0.01, 0.1])
    together = Trial(tw.RMSprop(), on, 50, (1, 2, 5), batch=4, vary={"lr": rates}).run().loss
    for s, lr in enumerate(rates):
        for k, seed in enumerate((1, 2, 5)):
            alone = Trial(tw.RMSprop(lr=float(lr)), on, 50, (seed,), batch=4).run().loss
            np.testing.assert_array_equal(together[s, k], alone[0, 0])


def test_a_start_takes_the_place_of_the_seeds_and_is_left_as_it_is() -> None:
    at = np.array([0.5, 0.25])
    for p in (landscape("beale"), Stepped("beale")):
        runs = Trial(tw.SGD(lr=1e-3), p, 5, starts=at, record=("path",)).run()
        np.testing.assert_array_equal(runs.path[0, 0, 0], at)
    np.testing.assert_array_equal(at, [0.5, 0.25])


def test_options_stand_around_the_rule() -> None:
    plain, decayed = (
        Trial(tw.SGD(lr=1e-3), landscape("beale"), 20, options=options, record=("path",)).run().path
        for options in ({}, {"weight_decay": 0.1})
    )
    assert not np.array_equal(plain, decayed)


def test_a_trial_travels_with_a_rule_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    source = Path(__file__).parent.parent / "src/thalweg/rules/sgd.py"
    file.write_text(
        source.read_text().replace("from ..core", "from thalweg.core").replace("class SGD", "class Own")
    )
    trial = Trial(method(f"{file}:Own").rule, Source("beale"), 10, (4,), every=5)
    back = pickle.loads(pickle.dumps(trial))
    np.testing.assert_array_equal(back.run().loss, trial.run().loss)


def test_two_lines_are_searched_as_one_is() -> None:
    """All that a race asks of the search: rounds of settings, what came of them, the best and its edges."""
    space = {"lr": Range(1e-3, 1.0), "beta": Range(0.1, 0.9)}
    search = Search(method(tw.Momentum()), space)
    rounds = []
    for name, proposals in Tuner([search], 20, 0).rounds():
        rounds.append((name, len(proposals)))
        for found, settings in proposals:
            assert settings.keys() == space.keys()
            found.add(settings, -settings["lr"])  # the larger the better: the best lies at the edge
    assert rounds == [("tuning", 20), *[("tuning, wider", 5)] * ROUNDS]
    best = max(search.tried, key=lambda s: s["lr"])
    assert search.chosen == best
    assert search.space["lr"].high == 10.0**ROUNDS
    assert len({s["beta"] for s in search.tried}) == 20 + 5 * ROUNDS


def test_a_race_over_two_lines_needs_no_more_than_a_space_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"lr": Range(1e-4, 1e-2), "beta": Range(0.1, 0.99)}
    monkeypatch.setattr(
        "thalweg.lab.race.space", lambda entrant, at, tuning: both if "beta" in entrant.values else {}
    )
    race = tw.race("beale", ["Momentum", "Adam"], trials=4, seeds=2, steps=30)
    assert list(race.trials) == ["method", "lr", "beta", "loss"]
    tuned = [b for m, b in zip(race.trials["method"], race.trials["beta"], strict=True) if m == "Momentum"]
    assert len(set(tuned)) == len(tuned) >= 4
    assert any(f"beta={b!r}" in race.data["code"] + str(race.columns["rule"]) for b in tuned)
    assert "Momentum" in race.html()


@pytest.mark.parametrize("name", ["booth", "zipf", "tanh-regression"])
def test_records_stand_at_the_steps_that_are_asked_for(name: str) -> None:
    """Compiled or stepped through, the values are those of a run that is recorded at every step."""
    p = problem(name)
    record = ("loss", "end")
    whole = Trial(tw.SGD(lr=0.01), p, 12, seeds=(0, 1), record=record).run()
    some = Trial(tw.SGD(lr=0.01), p, 12, seeds=(0, 1), every=(1, 2, 5, 11), record=record).run()
    assert some.steps.tolist() == [0, 1, 2, 5, 11]
    np.testing.assert_array_equal(some.loss, whole.loss[..., some.steps])
    np.testing.assert_array_equal(
        Trial(tw.SGD(lr=0.01), p, 11, seeds=(0, 1), record=record).run().records["end"], some.records["end"]
    )


def table(kind: type[LinearModel], sparse: bool, rows: int = 29) -> LinearModel:
    """Rows of 11 inputs, half of them zeros, to train on, and 18 more; three classes for a softmax."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((rows + 18, 11)) * (rng.random((rows + 18, 11)) < 0.5)
    score = X[:, 0] - X[:, 3] + rng.standard_normal(rows + 18)
    classes = {LogisticRegression: [0.0], SoftmaxRegression: [-1.0, 0.5]}
    y = np.digitize(score, classes[kind]) if kind in classes else score
    a, b = rows, rows + 11
    parts = [csr_array(part) if sparse else part for part in (X[:a], X[a:b], X[b:])]
    more: dict[str, Any] = {"classes": 3} if kind is SoftmaxRegression else {}
    return kind(
        parts[0],
        y[:a],
        parts[2],
        y[b:],
        name="t",
        title="t",
        text="",
        l2=0.03,
        validation=(parts[1], y[a:b]),
        **more,
    )


TABLES = [
    (LogisticRegression, False),
    (LeastSquares, True),
    (SoftmaxRegression, False),
    (SoftmaxRegression, True),
]
MEASURED = (*WHOLE, "metric", "validation", "end")


def agree(compiled: Runs, stepped: Runs, *, exact: bool = False) -> None:
    """The same records, to the last bit (parameters and rates) or to rounding."""
    assert compiled.failures == stepped.failures == ()
    assert set(stepped.records) <= set(compiled.records) == set(MEASURED)
    for n, values in stepped.records.items():
        bits = exact and n in ("path", "end", "rates")
        tolerance = {"rtol": 0, "atol": 0} if bits else {"rtol": 1e-12, "atol": 1e-13}
        np.testing.assert_allclose(compiled.records[n], values, err_msg=n, **tolerance)
    np.testing.assert_allclose(compiled.ceiling, stepped.ceiling, rtol=1e-12)


@few_rules_in_time
@pytest.mark.parametrize(
    ("kind", "sparse"), TABLES, ids=["dense", "sparse", "dense classes", "sparse classes"]
)
def test_a_table_is_stepped_through_in_the_compiled_loop(
    name: str, kind: type[LinearModel], sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same numbers: rows in the same order, batches of the same lengths, the penalty, what is measured; sparse runs
    of one score and less than eight rows a step, which NumPy sums one by one, have the same bits."""
    trial = Trial(
        RULES[name](), table(kind, sparse), 30, (0, 4), batch=7, every=(1, 2, 9, 30), record=MEASURED
    )
    assert len(trial.problem.order(0, 7, 5)[4][:1]) == 1 and trial.problem.order(0, 7, 5)[4, 1] == -1
    assert printable_of(trial) is not None
    compiled = trial.run()
    monkeypatch.setattr(LinearModel, "printable", None)
    agree(compiled, trial.run(), exact=sparse and kind is LeastSquares)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 32, 33, 64, 70])
def test_classes_are_scored_in_tiles_of_any_size(
    batch: int, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of a tile, of one row more, of all rows; scores beyond what exp takes; a rate that follows a schedule."""
    rule = tw.SGD(lr=tw.exponential(value=0.05, factor=0.9))
    on = table(SoftmaxRegression, sparse, 71)
    far = 1000 * np.random.default_rng(3).standard_normal(36)
    for starts in (None, far):
        trial = Trial(rule, on, 20, (1, 2), starts, batch=batch, record=MEASURED)
        with monkeypatch.context() as without:
            compiled = trial.run()
            without.setattr(LinearModel, "printable", None)
            stepped = trial.run()
        agree(compiled, stepped)
        assert (compiled.loss.min() > 700) == (starts is far)


def test_digits_run_compiled_on_every_thread_there_is() -> None:
    """A race's main job; seeds are shared out to threads, whatever their number, and give what each gives alone."""
    on = problem("digits")
    trial = Trial(tw.SGD(lr=0.5), on, 40, (0, 1, 2), batch=32, every=20, record=("loss", "metric", "end"))
    assert printable_of(trial) is not None and is_short(trial)
    together = trial.run()
    assert together.records["metric"].min() > 0.75
    for k, seed in enumerate(trial.seeds):
        alone = replace(trial, seeds=(seed,)).run()
        for n, values in together.records.items():
            np.testing.assert_array_equal(values[:, k], alone.records[n][:, 0])


@pytest.mark.parametrize(
    ("rows", "batch", "steps"), [(29, 7, 11), (28, 7, 11), (29, 28, 3), (29, 1, 40), (5, 3, 0)]
)
def test_an_order_is_its_batches(rows: int, batch: int, steps: int) -> None:
    p = LeastSquares(
        np.eye(rows), np.arange(rows), np.eye(rows), np.arange(rows), name="t", title="t", text=""
    )
    order = p.order(3, batch, steps)
    assert order is not None and order.shape == (steps, batch)
    for line, expected in zip(order, p.batches(3, batch, steps), strict=True):
        assert expected is not None
        np.testing.assert_array_equal(line, [*expected, *[-1] * (batch - len(expected))])
    assert p.order(3, 0, steps) is None and p.order(3, rows, steps) is None


def test_what_a_compiled_loop_cannot_hold_is_stepped_through() -> None:
    """Options, a network; orders and records that are too large."""
    p = table(LeastSquares, True)
    trial = Trial(tw.SGD(), p, 30, (0, 4), batch=7)
    assert printable_of(trial) is not None and is_short(trial)
    wide = replace(trial, every=1, steps=400_000, batch=3, record=("path",))
    assert printable_of(replace(wide, record=("loss",))) is not None and printable_of(wide) is None
    assert is_short(replace(wide, record=("loss",))) and not is_short(replace(wide, seeds=range(60)))
    assert printable_of(replace(trial, steps=200_000, batch=28)) is None
    assert printable_of(replace(trial, steps=200_000, batch=0)) is not None
    assert printable_of(replace(trial, options={"clip": 1.0})) is None
    assert printable_of(replace(trial, problem=problem("digits-network"))) is None
