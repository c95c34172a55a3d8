"""Scored problems: compiled runs against the optimizer, derivatives against differences, hitting times."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import thalweg as tw
from thalweg.core.objective import Scored, Softmax
from thalweg.engines.cpu import loops, pool
from thalweg.engines.cpu.csr import Labelled, rows_of
from thalweg.errors import HyperparameterError, ProblemError, RuleError
from thalweg.problems import problem
from thalweg.problems.least_squares import OBJECTIVE, factored, scaled
from thalweg.problems.logistic import Zipf
from thalweg.problems.quadratic import matrix
from thalweg.problems.scored import ScoredProblem
from thalweg.problems.wilson import Wilson, minimum_norm

from .strategies import few_rules_in_time

NAMES = ("quadratic-100", "zipf", "wilson")


@few_rules_in_time
def test_compiled_runs_walk_the_optimizers_path(name: str) -> None:
    """Every kind of rule, a batch of rows a step; sums of a score run in another order than NumPy's."""
    p = Zipf(rows=60, features=19)
    rule = getattr(tw, name)()
    order = p.order(3, 7, 40)
    assert order is not None
    trace = loops.run(
        rule, p.objective, p.start(3)[None], 40, record=("path", "loss"), data=p.data, order=order[None]
    )
    assert trace.path is not None
    assert trace.loss is not None
    w = p.start(3)
    opt = rule.on(w, engine="plain")
    for t, rows in enumerate(order, start=1):
        opt.step(p.gradient(w, rows))
        np.testing.assert_allclose(trace.path[0, t], w, rtol=1e-9, atol=1e-11)
    assert trace.loss[0, -1] == pytest.approx(p.loss(w), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_hessian_are_derivatives(name: str) -> None:
    p = problem(name)
    assert isinstance(p, ScoredProblem)
    rng = np.random.default_rng(0)
    w, v = (0.3 * rng.standard_normal(p.start(0).size) for _ in range(2))
    h = 1e-5
    for rows in (None, np.array([1, 4, 4])):
        ahead, behind = (p.gradient(w + s * h * v, rows) for s in (1, -1))
        np.testing.assert_allclose(
            p.hessian_product(w, v, rows), (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-9
        )
        np.testing.assert_allclose(
            p.hessian(w, rows) @ v, p.hessian_product(w, v, rows), rtol=1e-10, atol=1e-14
        )
    slope = (p.loss(w + h * v) - p.loss(w - h * v)) / (2 * h)
    assert p.gradient(w, None) @ v == pytest.approx(slope, rel=1e-6)


def test_a_factored_quadratic_is_the_quadratic() -> None:
    h = matrix(7, 0.6)
    p = factored("q", "", "", np.linalg.cholesky(h).T)
    x = np.arange(1.0, 8.0)
    assert p.loss(x) == pytest.approx(0.5 * x @ h @ x, rel=1e-13)
    np.testing.assert_allclose(p.hessian(x), h, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(scaled(4, 0.1).hessian(np.zeros(4)), matrix(4, 0.1), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("objective", ["scored", "unrolled"])
def test_a_run_ends_where_it_meets_the_target(objective: str) -> None:
    """The first record at or below it; what comes later is NaN, and the curve before it is as without."""
    p = problem("wilson") if objective == "scored" else problem("beale")
    starts, lrs = np.tile(p.start(0), (4, 1)), np.array([1e-4, 0.003, 0.01, 1e3])
    where = {"vary": {"lr": lrs}, "data": p.data, "every": 2}
    whole = loops.run(tw.SGD(), p.objective, starts, 200, **where)
    assert whole.loss is not None
    target = float(np.sort(whole.loss[1])[40])
    made = loops.run(tw.SGD(), p.objective, starts, 200, stop=target, **where)
    assert made.loss is not None
    for c in range(4):
        met = np.flatnonzero(whole.loss[c] <= target)
        end = met[0] if met.size else len(whole.steps) - 1
        assert made.reached[c] == (2 * end if met.size else -1)
        np.testing.assert_array_equal(made.loss[c, : end + 1], whole.loss[c, : end + 1])
        assert np.all(np.isnan(made.loss[c, end + 1 :]))
        seen = np.where(np.isnan(whole.loss[c, : end + 1]), np.inf, whole.loss[c, : end + 1])
        np.testing.assert_array_equal(made.ends[c], [whole.loss[c, end], seen.max()])
    assert set(made.reached > 0) == {True, False}
    bare = loops.run(tw.SGD(), p.objective, starts, 200, stop=target, record=("ends",), **where)
    assert bare.loss is None
    np.testing.assert_array_equal(bare.reached, made.reached)
    np.testing.assert_array_equal(bare.ends, made.ends)


@pytest.mark.parametrize(("n", "p"), [(10, 0.6), (100, 0.6), (50, 0.9)])
def test_wilsons_closed_form(n: int, p: float) -> None:
    made = Wilson(n, p)
    least = made.least_norm()
    np.testing.assert_allclose(least, np.linalg.pinv(made.inputs) @ made.targets, atol=1e-10)
    np.testing.assert_allclose(made.inputs @ least, made.targets, atol=1e-10)
    plus, minus = minimum_norm(made.positives, made.negatives)
    assert plus > 0 > minus
    assert made.metric(least) == 0
    assert made.metric(np.sign(made.inputs.T @ made.targets)) == pytest.approx(1 - p)
    assert made.metric(np.zeros(least.size)) == 1


def test_bad_input() -> None:
    for n, p in ((100, 0.5), (100, 1.0), (10, 0.4), (2, 0.99)):
        with pytest.raises(ProblemError, match="wilson: needs both classes"):
            Wilson(n, p)
    with pytest.raises(ProblemError, match="zipf"):
        Zipf(1, 5)
    with pytest.raises(ProblemError, match="inputs"):
        ScoredProblem("x", "", "", OBJECTIVE, np.ones((3, 2)), np.ones(2), starts=[(0, 0)])
    p = problem("wilson")
    with pytest.raises(HyperparameterError, match="scored objective needs float64 data"):
        loops.run(tw.SGD(), p.objective, p.start(0)[None], 5, data=p.data[:, 1:])
    with pytest.raises(HyperparameterError, match="scored objective needs float64 data"):
        loops.run(tw.SGD(), p.objective, p.start(0)[None], 5, data=p.data, dtype="float32")
    classes, table = Softmax(3), np.ones((5, 7))  # 4 inputs
    for d, given, told in (
        (13, {"data": table}, "3 parameters for each input, got 13"),
        (12, {"data": table[:, 1:]}, r"float64 data \(rows, 7\), got \(5, 6\)"),
        (12, {"data": Labelled(rows_of(csr_array(table[:, :3])), np.ones(5))}, r"got \(5, 5\)"),
        (12, {"data": Labelled(rows_of(csr_array(table[:, :3])), np.ones((4, 3)))}, "got none"),
        (12, {"data": table, "l2": -1.0}, "l2 >= 0"),
    ):
        with pytest.raises(HyperparameterError, match=told):
            loops.run(tw.SGD(), classes, np.zeros((1, d)), 5, **given)
    with pytest.raises(RuleError, match="not \\(z, /, y\\)"):
        Scored(lambda z: z, OBJECTIVE.slope, OBJECTIVE.curvature)


def test_few_configurations_are_shared_out_to_threads() -> None:
    before, slices = tw.threads(), []
    tw.set_threads(2)
    try:
        pool.split(lambda lo, hi: slices.append((lo, hi)) or 0, 3, 1)
    finally:
        tw.set_threads(before)
    assert sorted(slices) == [(0, 1), (1, 2), (2, 3)]


def test_settled_is_where_the_target_is_kept() -> None:
    """From the first record after the last one above it; a passing visit does not count."""
    p = problem("beale")
    starts, lrs = np.tile(p.start(0), (60, 1)), np.geomspace(1e-3, 1, 60)
    whole = loops.run(tw.RMSprop(), p.objective, starts, 300, vary={"lr": lrs})
    made = loops.run(
        tw.RMSprop(), p.objective, starts, 300, vary={"lr": lrs}, record=("ends",), target=0.02, every=3
    )
    assert whole.loss is not None
    below = whole.loss[:, ::3] <= 0.02
    for c in range(60):
        away = np.flatnonzero(~below[c])
        last = 0 if away.size == 0 else away[-1] + 1
        assert made.settled[c] == (3 * last if last < below.shape[1] else -1)
    visits = (below.any(axis=1)) & (made.settled < 0)
    assert visits.any()
    assert (made.settled >= 0).any()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"starts": np.ones(2)}, "starts must be"),
        ({"starts": np.ones((1, 3))}, "starts must have 2 columns"),
        ({"steps": -1}, "steps >= 0"),
        ({"every": 0}, "every >= 1"),
        ({"record": ("paths",)}, "did you mean 'path'"),
        ({"vary": {"lrr": np.ones(1)}}, "did you mean 'lr'"),
        ({"vary": {"lr": np.ones(2)}}, "needs 1 values"),
        ({"data": np.ones((2, 3))}, "data must have 2 columns"),
        ({"data": None}, "data must have 2 columns"),
        ({"order": np.zeros((1, 4, 1), int)}, "order must be"),
        ({"order": np.full((1, 5, 1), 2)}, "row indices"),
        ({"order": np.full((1, 5, 1), -1)}, "row indices"),
        ({"order": np.zeros((1, 5, 1), int), "stream": np.array([1])}, "stream must be"),
        ({"order": np.zeros((1, 5, 1), int), "stream": np.array([-1])}, "stream must be"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_kernel_never_sees_what_it_could_read_beyond(wrong: dict[str, object], told: str) -> None:
    p = problem("neuron")
    given = {"starts": np.ones((1, 2)), "steps": 5, "data": p.data, **wrong}
    with pytest.raises(HyperparameterError, match="loops") as caught:
        loops.run(tw.SGD(), p.objective, **given)  # type: ignore[arg-type]
    assert told in str(caught.value)
