"""Problems written as formulas: gradients, minima, batches, maps."""

from typing import Any

import numpy as np
import pytest

from thalweg.errors import ProblemError, UnknownProblemError
from thalweg.problems import catalogue, problem
from thalweg.problems.formula import FormulaProblem
from thalweg.problems.quadratic import matrix, quadratic

FORMULAS = {n: p for n, make in catalogue().items() if isinstance(p := make(), FormulaProblem)}
every_problem = pytest.mark.parametrize("name", FORMULAS)


@every_problem
def test_gradient_is_the_derivative(name: str) -> None:
    """Against fourth-order central differences at random points."""
    p = FORMULAS[name]
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = np.array(p.starts[0]) + rng.standard_normal(len(p.starts[0]))
        h = 1e-3
        numeric = [
            (8 * (p.loss(x + h * e) - p.loss(x - h * e)) - (p.loss(x + 2 * h * e) - p.loss(x - 2 * h * e)))
            / (12 * h)
            for e in np.eye(x.size)
        ]
        np.testing.assert_allclose(p.gradient(x, None), numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", [n for n, p in FORMULAS.items() if p.minimum is not None])
def test_listed_minima_are_minima(name: str) -> None:
    p = FORMULAS[name]
    rng = np.random.default_rng(1)
    assert p.minima
    for m in p.minima:
        assert p.loss(np.array(m)) == pytest.approx(p.minimum, abs=1e-12)
        np.testing.assert_allclose(p.gradient(np.array(m), None), 0, atol=1e-12)
        for _ in range(100):
            assert p.loss(np.array(m) + 0.1 * rng.standard_normal(len(m))) >= p.minimum


@every_problem
def test_starts_and_batches_are_fixed_by_the_seed(name: str) -> None:
    p = FORMULAS[name]
    np.testing.assert_array_equal(p.start(5), p.start(5))
    assert (p.start(5) != p.start(6)).any()
    order = p.order(5, 1, 40)
    if p.rows:
        assert order is not None
        assert order.shape == (40, 1)
        np.testing.assert_array_equal(order, p.order(5, 1, 40))
        first = order[: p.rows].ravel()
        assert sorted(first) == list(range(p.rows))[: len(first)] or len(set(first)) == len(first)
        assert all((a == b).all() for a, b in zip(p.batches(5, 1, 40), order, strict=True))
    else:
        assert order is None


@pytest.mark.parametrize("name", ["neuron", "wilson", "digits", "booth"])
@pytest.mark.parametrize(
    "wrong", [{"batch": -1}, {"batch": 1.5}, {"batch": "a"}, {"steps": -1}, {"steps": None}, {"seed": -1}]
)
def test_batches_out_of_range_are_refused_by_every_problem(name: str, wrong: dict[str, Any]) -> None:
    p: Any = problem(name)
    given = {"seed": 0, "batch": 1, "steps": 2, **wrong}
    for asked in (p.batches, *((p.order,) if name != "digits" else ())):
        with pytest.raises(ProblemError, match=f"{next(iter(wrong))}: got .* an integer >= 0 is needed"):
            asked(**given)


@pytest.mark.parametrize("name", ["neuron", "wilson", "digits", "booth"])
def test_no_steps_have_no_batches(name: str) -> None:
    p: Any = problem(name)
    assert list(p.batches(0, 1, 0)) == []
    if p.rows and name != "digits":
        assert p.order(0, 1, 0).shape == (0, 1)


@every_problem
def test_a_map_is_the_loss(name: str) -> None:
    p: Any = FORMULAS[name]
    grid = p.grid(7)
    if p.window is None:
        assert grid is None
        return
    x, y, z = grid
    assert z.shape == (7, 7)
    assert z[2, 5] == pytest.approx(p.loss(np.array([x[5], y[2]])), rel=1e-12)


def test_darves_quadratic_is_badly_scaled() -> None:
    """Eigenvalues fall about as beta^(2 (i - 1)); H itself is well conditioned."""
    h = matrix(4, 0.1)
    values = np.linalg.eigvalsh(h)[::-1]
    np.testing.assert_array_less(np.abs(np.log10(values / values[0]) + 2 * np.arange(4)), 0.5)
    x = np.array([1.0, -2.0, 3.0, 4.0])
    np.testing.assert_allclose(quadratic().gradient(x, None), h @ x, rtol=1e-14)


@pytest.mark.parametrize(
    ("n", "beta", "told"), [(0, 0.1, "n: got 0"), (99, 0.1, "got 99"), (4, 0.0, "beta must lie")]
)
def test_a_quadratic_out_of_range_is_refused(n: int, beta: float, told: str) -> None:
    with pytest.raises(ProblemError, match=told):
        quadratic(n, beta)


def test_an_unknown_problem_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownProblemError, match="did you mean 'rosenbrock'"):
        problem("rosenbrok")
