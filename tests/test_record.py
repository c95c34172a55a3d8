"""Records: the path is the optimizer's to the last bit, and every column is what it says."""

import csv
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import thalweg as tw
from thalweg.errors import FileError, ProblemError
from thalweg.lab.record import fed, record
from thalweg.problems import problem
from thalweg.problems.base import pack
from thalweg.rules import shipped


@pytest.mark.parametrize("name", shipped())
def test_a_record_walks_the_optimizers_path(name: str) -> None:
    """Weights, states and rates of every rule, to the last bit (one ulp where pow is NumPy's own)."""
    rule = getattr(tw, name)()
    if name == "ASGD":
        rule = rule.replace(lr=1e-3)  # at its own rate it leaves the valley for good
    p = problem("rosenbrock")
    got = record(rule, p, 50)
    w = p.start(0)
    opt = rule.on(w, rates=rule.parts.rate is not None)
    close = {"rtol": 1e-13, "atol": 0} if name == "LpProp" else {"rtol": 0, "atol": 0}
    for t in range(1, 51):
        g = p.gradient(w, None)
        before = w.copy()
        opt.step(g)
        np.testing.assert_allclose(got.weights[t], w, **close)
        np.testing.assert_allclose(got.gradient[t], g, **close)
        np.testing.assert_allclose(got.update[t], w - before, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(got.rate[t], opt.rates(), **close)
        for n in rule.parts.states:
            np.testing.assert_allclose(got.states[n][t], opt.state[n], **close)


def test_ratio_is_the_rate_where_there_is_no_momentum() -> None:
    got = record(tw.Adagrad(lr=0.1), problem("beale"), 20)
    np.testing.assert_allclose(got.ratio[1:], got.rate[1:], rtol=1e-9)


@pytest.mark.parametrize(
    ("rule", "state"), [(tw.RMSprop(eps=1e-3), "v"), (tw.Adagrad(eps=1e-3), "s")], ids=["RMSprop", "Adagrad"]
)
def test_eps_share_is_epsilon_over_the_denominator(rule: tw.core.Rule, state: str) -> None:
    got = record(rule, problem("beale"), 20)
    root = np.sqrt(got.states[state][1:])
    np.testing.assert_allclose(got.eps_share[1:], 1e-3 / (root + 1e-3), rtol=1e-9, atol=1e-12)


def test_eps_share_ends() -> None:
    """Nearly 1 where epsilon is all there is, 0 where there is none."""
    p = problem("rosenbrock")
    assert np.all(record(tw.Adam(eps=1e9), p, 3).eps_share[1:] > 0.999)
    assert np.all(record(tw.Adam(eps=0.0), p, 3).eps_share[1:] == 0)
    assert record(tw.Adam(eps=1e9), p, 3).summary()["eps_dominates"][1:].tolist() == [1, 1, 1]


def test_networks_batches_and_every() -> None:
    p = problem("digits-network")
    got = record(tw.Adam(), p, 20, every=5, batch=16)
    assert got.steps.tolist() == [0, 5, 10, 15, 20]
    assert got.weights.shape == (5, pack(p.start(0)).size)
    assert got.loss[-1] < got.loss[0]
    summary = got.summary()
    assert set(map(len, summary.values())) == {5}
    assert np.all(summary["update_to_weight"][1:] > 0)


def test_a_run_that_dies_keeps_what_was_seen() -> None:
    got = record(tw.SGD(lr=10.0), problem("rosenbrock"), 100)
    assert got.died
    assert len(got.steps) < 20
    assert np.all(np.isfinite(got.loss[:-1]))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_plain_columns_to_disk(tmp_path: Path, suffix: str) -> None:
    got = record(tw.Adam(), problem("beale"), 10)
    file = got.save(tmp_path / f"run{suffix}")
    names = ["method", *got.columns()]
    if suffix == ".parquet":
        table = parquet.read_table(file)
        assert table.column_names == names
        np.testing.assert_array_equal(table["weight"], got.weights.reshape(-1))
    else:
        with open(file, newline="") as lines:
            rows = list(csv.reader(lines))
        assert rows[0] == names
        assert len(rows) == 1 + got.weights.size


def test_bad_input(tmp_path: Path) -> None:
    p = problem("beale")
    with pytest.raises(FileError, match=r"\.parquet or \.csv"):
        record(tw.Adam(), p, 1).save(tmp_path / "run.txt")
    with pytest.raises(FileError, match="folder does not exist"):
        record(tw.Adam(), p, 1).save(tmp_path / "no" / "run.csv")
    with pytest.raises(ProblemError, match="3 numbers, 2 are needed"):
        record(tw.Adam(), p, 1, start=np.ones(3))
    with pytest.raises(ProblemError, match="every"):
        record(tw.Adam(), p, 1, every=0)
    with pytest.raises(ProblemError, match="every"):
        record(tw.Adam(), p, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="start must be numbers"):
        record(tw.Adam(), p, 1, start="here")
    with pytest.raises(ProblemError, match="gradients must be"):
        fed(tw.Adam(), np.ones(3))
    with pytest.raises(ProblemError, match="2 numbers, 3 are needed"):
        fed(tw.Adam(), np.ones((2, 3)), start=np.ones(2))
    with pytest.raises(ProblemError, match="raise every"):
        record(tw.Adam(), p, 1000, maximum=100)


def test_rule_and_problem_by_name() -> None:
    one, two = record("RMSprop:keras", "beale", 5), record(tw.RMSprop.like("keras"), problem("beale"), 5)
    np.testing.assert_array_equal(one.weights, two.weights)
