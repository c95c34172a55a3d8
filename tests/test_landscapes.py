"""The catalogue of landscapes: derivatives, minima, transformations, compiled runs, bad input."""

import ast
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.formula import Formula
from thalweg.engines.cpu import loops
from thalweg.engines.ops import vectorised
from thalweg.errors import ProblemError
from thalweg.problems import catalogue
from thalweg.problems.formula import FormulaProblem
from thalweg.problems.landscapes.ill_conditioned import ill_conditioned
from thalweg.problems.landscapes.monkey_saddle import monkey_saddle
from thalweg.problems.landscapes.nesterov_chain import nesterov_chain
from thalweg.problems.landscapes.neuron_feature import (
    neuron_cross_entropy,
    neuron_feature,
    neuron_feature_stochastic,
)
from thalweg.problems.landscapes.rosenbrock_nd import rosenbrock_nd
from thalweg.problems.landscapes.saddle import saddle
from thalweg.problems.least_squares import scaled
from thalweg.problems.logistic import Zipf
from thalweg.problems.quadratic import matrix, objective, of, quadratic, spectrum
from thalweg.problems.regression_network import RegressionNetwork, chebyshev
from thalweg.problems.wilson import Wilson

from .strategies import first_of

FORMULAS: dict[str, FormulaProblem] = {
    n: p for n, make in catalogue().items() if isinstance(p := make(), FormulaProblem)
}
every_landscape = pytest.mark.parametrize("name", FORMULAS)
COUNT = 1000
# Weights of f(x + k h) - f(x - k h) in the eighth-order central difference, k = 1 .. 4.
WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)


def points(p: FormulaProblem, reach: float = 1.0) -> np.ndarray:
    """(d, COUNT) random points of the window, or of the box 2 around minima and starts, times ``reach``."""
    known = np.array([*p.starts, *p.minima])
    low, high = known.min(axis=0) - 2, known.max(axis=0) + 2
    if p.window is not None:
        low, high = np.array(p.window).T
    middle, half = (low + high) / 2, (high - low) / 2
    spots = np.random.default_rng(0).uniform(-reach, reach, (COUNT, len(low)))
    return (middle + half * spots).T


def columns(p: FormulaProblem) -> list[np.ndarray]:
    """A random row of data for each point."""
    if p.data is None:
        return []
    return list(p.data[np.random.default_rng(1).integers(p.rows, size=COUNT)].T)


def evaluated(formula: Formula, x: np.ndarray, rest: list[np.ndarray]) -> np.ndarray:
    """Every output at every point, (outputs, COUNT)."""
    return np.array([np.broadcast_to(v, x.shape[1:]) for v in vectorised(formula)(*x, *rest)])


def is_analytic(formula: Formula) -> bool:
    """Does it keep to functions that NumPy knows for complex numbers?"""
    trees = [e for _, e in (*formula.body, *formula.outputs)]
    calls = {n.func.id for t in trees for n in ast.walk(t) if isinstance(n, ast.Call)}
    return not calls & {"where", "abs"}


def derivative(formula: Formula, x: np.ndarray, rest: list[np.ndarray]) -> np.ndarray:
    """The Jacobian at every point, (outputs, d, COUNT): by complex steps, else by differences.

    In long double, where the differences' rounding (eps / h = 4e-16) and truncation (h^8) are both
    far below what is asked.
    """
    x = x.astype(np.longdouble)
    unit = np.eye(len(x))[:, :, None]
    if is_analytic(formula):
        h = np.longdouble(1e-40)
        parts = [evaluated(formula, x + 1j * h * e, rest).imag / h for e in unit]
    else:
        h = np.longdouble(2.0**-12)
        parts = [
            sum(
                np.longdouble(w)
                * (evaluated(formula, x + k * h * e, rest) - evaluated(formula, x - k * h * e, rest))
                for k, w in enumerate(WEIGHTS, 1)
            )
            / h
            for e in unit
        ]
    return np.stack(parts, axis=1)


def assert_close(made: np.ndarray, wanted: np.ndarray) -> None:
    """1e-8 of the true derivative's norm at the point, and 16 eps of the window's largest.

    The second is rounding: terms that cancel at one point stand alone at another, so the largest
    derivative of the window bounds their size.
    """
    size = np.linalg.norm(wanted, axis=0)
    error = np.linalg.norm(made - wanted, axis=0)
    allowed = 1e-8 * size + 16 * np.finfo(float).eps * size.max()
    worst = np.argmax(error / allowed)
    assert (error <= allowed).all(), f"off by {error[worst]} of {size[worst]} at point {worst}"


def check_derivatives(p: FormulaProblem) -> None:
    """Gradient against value, Hessian against gradient, at 1000 points."""
    x, rest, o = points(p), columns(p), p.objective
    gradient = evaluated(o.gradient_formula, x, rest)
    assert_close(gradient, derivative(o.value_formula, x, rest)[0])
    assert o.hessian_formula is not None
    hessian = evaluated(o.hessian_formula, x, rest)
    full = derivative(o.gradient_formula, x, rest)
    upper = np.triu_indices(len(x))
    assert_close(hessian, full[upper])
    assert_close(hessian, full.transpose(1, 0, 2)[upper])


def place(p: FormulaProblem, degrees: float, scale: np.ndarray, shift: np.ndarray) -> Callable[..., Any]:
    """Where ``transformed`` puts a point: scaled, turned plane by plane, moved."""
    d = len(p.starts[0])
    angle = np.exp(1j * np.radians(degrees))

    def moved(q: Any) -> np.ndarray:
        q = np.array(q) * scale
        even = d - d % 2
        turned = (q[0:even:2] + 1j * q[1:even:2]) * angle
        q[0:even:2], q[1:even:2] = turned.real, turned.imag
        return q + shift

    return moved


@every_landscape
def test_derivatives(name: str) -> None:
    check_derivatives(FORMULAS[name])


@every_landscape
def test_derivatives_after_a_transformation(name: str) -> None:
    p = FORMULAS[name]
    d = len(p.starts[0])
    scale, shift = np.linspace(0.5, 2, d), np.linspace(-1, 1.5, d)
    turned = p.transformed(rotate=30, scale=scale, shift=shift)
    check_derivatives(turned)
    moved = place(p, 30, scale, shift)
    for old, new in ((p.minima, turned.minima), (p.starts, turned.starts)):
        np.testing.assert_allclose(new, [moved(q) for q in old], rtol=1e-14, atol=1e-14)
    for q in [*p.minima, *p.starts, *points(p)[:, :20].T]:
        before = p.loss(np.array(q))
        assert turned.loss(moved(q)) == pytest.approx(before, rel=1e-9, abs=1e-9)
    for q in turned.minima:
        slope = turned.gradient(np.array(q), None)
        kinks = name in CUSPS
        assert kinks or np.abs(slope).max() <= 1e-12 * curvature(turned)
    assert turned.minimum == p.minimum


CUSPS = ("ackley", "sinc-bowl")  # not differentiable at their minimum


def curvature(p: FormulaProblem) -> float:
    """The largest curvature at the listed minima or starts, at least 1."""
    return max(1.0, *(np.abs(p.hessian(np.array(q))).max() for q in [*p.minima, *p.starts]))


UNBOUNDED = {"saddle": -1.0, "mccormick": -(3**0.5) / 2 - np.pi / 3}  # the least of the window


@every_landscape
def test_minima(name: str) -> None:
    p = FORMULAS[name]
    assert (p.minimum is None) == (name in UNBOUNDED)
    least = UNBOUNDED[name] if p.minimum is None else p.minimum
    for m in map(np.array, p.minima):
        assert p.loss(m) == pytest.approx(least, rel=1e-15, abs=1e-15)
        assert np.abs(p.gradient(m, None)).max() <= 1e-15 * curvature(p) * max(1.0, np.abs(m).max())
        values = np.linalg.eigvalsh(p.hessian(m))
        assert values[0] >= -1e-14 * values[-1]
        near = m[:, None] + 0.01 * np.random.default_rng(2).standard_normal((len(m), COUNT))
        assert p.values(*near).min() >= least - 1e-14
    assert p.values(*points(p)).min() > least


@every_landscape
def test_starts_and_minima_are_on_the_map(name: str) -> None:
    p = FORMULAS[name]
    if p.window is not None:
        low, high = np.array(p.window).T
        for q in [*p.starts, *p.minima]:
            assert (low <= q).all() and (q <= high).all()


@every_landscape
def test_nothing_is_nan_far_outside(name: str) -> None:
    """Ten windows wide a value may overflow to infinity; nothing is NaN, no derivative is infinite."""
    p = FORMULAS[name]
    x, rest, o = points(p, reach=10.0), columns(p), p.objective
    assert not np.isnan(evaluated(o.value_formula, x, rest)).any()
    assert np.isfinite(evaluated(o.gradient_formula, x, rest)).all()
    assert o.hessian_formula is not None
    assert np.isfinite(evaluated(o.hessian_formula, x, rest)).all()


@every_landscape
def test_gradient_noise(name: str) -> None:
    """Its rows average to no noise at all; its spread is what was asked for."""
    p = FORMULAS[name]
    noisy = p.transformed(noise=0.3)
    x = np.array(p.starts[0]) + 0.1
    base = p.gradient(x, None)
    np.testing.assert_allclose(noisy.gradient(x, None), base, rtol=1e-12, atol=1e-14)
    assert noisy.loss(x) == pytest.approx(p.loss(x), rel=1e-12, abs=1e-13)
    each = max(1, p.rows)
    assert noisy.noisy and 512 <= noisy.rows < 512 + 2 * each
    assert noisy.data is not None
    draws = noisy.data[:, -x.size :]
    assert [math.fsum(column) for column in draws.T] == [0.0] * x.size
    spread = np.sqrt((draws**2).mean())
    assert abs(spread / 0.3 - 1) < 5 / np.sqrt(2 * (draws.size / 2))  # five standard errors
    for r in range(0, noisy.rows, 37):  # the row's own gradient and its draw
        own = p.gradient(x, np.array([r % each]))
        np.testing.assert_allclose(noisy.gradient(x, np.array([r])) - own, draws[r], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("name", "rows"), [("neuron-sparse", 600), ("neuron", 512), ("booth", 512)])
def test_noise_repeats_rows_no_more_than_it_needs(name: str, rows: int) -> None:
    p = FORMULAS[name]
    noisy = p.transformed(noise=0.3)
    again = p.transformed(noise=0.3)
    assert noisy.data is not None and again.data is not None
    assert noisy.rows == rows
    np.testing.assert_array_equal(noisy.data, again.data)
    if p.data is not None:
        np.testing.assert_array_equal(noisy.data[:, : p.data.shape[1]], np.tile(p.data, (rows // p.rows, 1)))


def test_noise_on_an_odd_number_of_rows_still_pairs() -> None:
    """3 rows 171 times would be 513: one more time, so that every draw has its opposite."""
    p = FORMULAS["neuron"]
    data = np.array([[0.5, 0.2], [2.5, 0.9], [1.0, 0.4]])
    odd = FormulaProblem("odd", "", "", p.objective, starts=p.starts, spread=0.1, data=data)
    noisy = odd.transformed(noise=2.0)
    assert noisy.rows == 516
    x = np.array([0.3, -0.7])
    np.testing.assert_allclose(noisy.gradient(x, None), odd.gradient(x, None), rtol=1e-12, atol=1e-14)


def test_changes_compose_and_noise_comes_last() -> None:
    """Two changes in two calls are those in one; a problem without mini-batches stays without."""
    p = FORMULAS["booth"]
    once = p.transformed(rotate=30, scale=2, shift=[1, -1])
    twice = p.transformed(scale=2).transformed(rotate=10).transformed(rotate=20).transformed(shift=[1, -1])
    for x in points(p)[:, :20].T:
        assert twice.loss(x) == pytest.approx(once.loss(x), rel=1e-10)
        np.testing.assert_allclose(twice.gradient(x, None), once.gradient(x, None), rtol=1e-9, atol=1e-9)
    noisy = p.transformed(rotate=30).transformed(noise=1.0)
    for change in ({"rotate": 10}, {"scale": 2}, {"shift": 1}, {"noise": 1}):
        with pytest.raises(ProblemError, match="booth: noise comes last"):
            noisy.transformed(**change)
    assert noisy.transformed() is noisy
    assert not of(np.eye(2), (1.0, 1.0)).transformed(rotate=30).noisy
    assert of(np.eye(2), (1.0, 1.0)).transformed(noise=1).noisy


@first_of(FORMULAS, list(FORMULAS)[::5])
def test_adam_runs_compiled_from_every_start(name: str) -> None:
    p = FORMULAS[name]
    starts = np.array(p.starts)
    trace = loops.run(
        tw.Adam(lr=1e-2), p.objective, starts, 100, every=10, record=("loss", "path"), data=p.data
    )
    assert trace.loss is not None and trace.path is not None
    assert np.isfinite(trace.loss).all() and np.isfinite(trace.path).all()
    assert (trace.loss[:, -1] < trace.loss[:, 0]).all()
    np.testing.assert_allclose(trace.loss[:, 0], [p.loss(s) for s in starts], rtol=1e-12, atol=1e-14)


def test_a_closed_mean_is_the_mean_of_the_rows() -> None:
    p = FORMULAS["neuron-feature-stochastic"]
    x = points(p)[:, :50]
    assert p.data is not None
    rows = vectorised(p.objective.value_formula)(*x[:, :, None], *p.data.T)[0].mean(axis=1)
    np.testing.assert_allclose(p.values(*x), rows, rtol=1e-12)
    closed = FORMULAS["neuron-feature"]
    np.testing.assert_allclose(closed.values(*x), rows, rtol=1e-12)
    for q in x.T:
        np.testing.assert_allclose(p.gradient(q, None), closed.gradient(q, None), rtol=1e-11, atol=1e-16)
        np.testing.assert_allclose(p.hessian(q), closed.hessian(q), rtol=1e-11, atol=1e-16)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def cross_entropy(x: Any, y: Any, q: float = 0.1) -> Any:
    """Log loss of the student minus that of the teacher."""
    total = 0.0
    for z, target, share in ((x, 1.0, 1 - q), (x + y, -2.0, q)):
        s, t = sigmoid(z), sigmoid(target)
        total = total + share * (t * np.log(t / s) + (1 - t) * np.log1p(-t) - (1 - t) * np.log(sigmoid(-z)))
    return total


def goldstein(x: Any, y: Any) -> Any:
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    b = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return a * b


TAU = 2 * np.pi
TEXTBOOK = {
    "ackley": lambda x, y: (
        -20 * np.exp(-0.2 * np.sqrt((x**2 + y**2) / 2))
        - np.exp((np.cos(TAU * x) + np.cos(TAU * y)) / 2)
        + np.e
        + 20
    ),
    "booth": lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2,
    "easom": lambda x, y: -np.cos(x) * np.cos(y) * np.exp(-((x - np.pi) ** 2) - (y - np.pi) ** 2),
    "goldstein-price": goldstein,
    "griewank": lambda x, y: 1 + (x**2 + y**2) / 4000 - np.cos(x) * np.cos(y / np.sqrt(2)),
    "gutter": lambda x, y: 50 * y**2 + np.log(np.cosh(x)),
    "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "ill-conditioned": lambda x, y: (x**2 + 100 * y**2) / 2,
    "matyas": lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y,
    "mccormick": lambda x, y: np.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1,
    "monkey-saddle": lambda x, y: x**3 - 3 * x * y**2 + (x**2 + y**2) ** 2 / 4,
    "bounded-saddle": lambda x, y: x**2 - y**2 + y**4 / 4,
    "saddle": lambda x, y: x**2 - y**2,
    "nesterov-chain": lambda *x: ((x[0] - 1) ** 2 + sum(np.diff(x, axis=0) ** 2)) / 2,
    "neuron-cross-entropy": cross_entropy,
    "neuron-feature": lambda x, y: (
        0.45 * (sigmoid(x) - sigmoid(1)) ** 2 + 0.05 * (sigmoid(x + y) - sigmoid(-2)) ** 2
    ),
    "powell-singular": lambda a, b, c, d: (
        (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4
    ),
    "rastrigin": lambda x, y: 20 + x**2 - 10 * np.cos(TAU * x) + y**2 - 10 * np.cos(TAU * y),
    "rosenbrock-nd": lambda *x: sum((1 - p) ** 2 + 100 * (q - p * p) ** 2 for p, q in pairwise(x)),
    "sinc-bowl": lambda x, y: (lambda r: -np.sin(r) / r + 0.01 * r**2)(10 * np.sqrt(x**2 + y**2) + 0.01),
    "six-hump-camel": lambda x, y: (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2,
    "styblinski-tang": lambda x, y: sum(z**4 - 16 * z**2 + 5 * z for z in (x, y)) / 2,
    "two-gaussians": lambda x, y: (
        x**2 + y**2 - 2 * np.exp(-((x - 1) ** 2 + y**2) / 0.2) - 3 * np.exp(-((x + 1) ** 2 + y**2) / 0.2)
    ),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_values_are_the_textbooks(name: str) -> None:
    """The usual form, where ours is rearranged so as not to cancel or overflow."""
    p = FORMULAS[name]
    x = points(p)
    wanted = TEXTBOOK[name](*x)
    np.testing.assert_allclose(p.values(*x), wanted, rtol=1e-12, atol=1e-14 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("rosenbrock", (0.3994, 1001.6)),
        ("beale", (0.3015, 48.98)),
        ("rastrigin", (396.78, 396.78)),
        ("himmelblau", (25.716, 82.284)),
        ("booth", (2, 18)),
        ("styblinski-tang", (34.583, 34.583)),
        ("bounded-saddle", (2, 4)),
        ("monkey-saddle", (9, 27)),
        ("easom", (3, 3)),
        ("gutter", (1, 100)),
        ("six-hump-camel", (7.682, 16.493)),
        ("matyas", (0.04, 1)),
        ("goldstein-price", (402.83, 965.17)),
        ("mccormick", (3**0.5, 4)),
        ("griewank", (0.5005, 1.0005)),
        ("powell-singular", (0, 0, 20, 202)),
        ("nesterov-chain", 4 * np.sin(np.pi * (2 * np.arange(1, 17) - 1) / 66) ** 2),
        ("quadratic-spectrum", (1, 3, 10, 30, 100, 300, 1000)),
    ],
)
def test_spectra_at_the_minimum(name: str, wanted: Any) -> None:
    p = FORMULAS[name]
    made = np.linalg.eigvalsh(p.hessian(np.array(p.minima[0])))
    np.testing.assert_allclose(made, wanted, rtol=2e-4, atol=1e-12)


@pytest.mark.parametrize("q", [0.5, 0.1, 0.05, 0.01])
def test_a_rare_feature_makes_a_bad_condition(q: float) -> None:
    values = np.linalg.eigvalsh(neuron_feature(q).hessian(np.array([1.0, -3.0])))
    assert values[1] / values[0] == pytest.approx(3.4 / q, rel=0.1)


@pytest.mark.parametrize("name", ["neuron-cross-entropy", "neuron-points-cross-entropy"])
def test_cross_entropy_is_convex(name: str) -> None:
    """No direction curves down anywhere on the map; squared loss has such points."""
    squared = {"neuron-cross-entropy": "neuron-feature", "neuron-points-cross-entropy": "neuron"}[name]
    for n, convex in ((name, True), (squared, False)):
        p = FORMULAS[n]
        least = [np.linalg.eigvalsh(p.hessian(x))[0] for x in points(p)[:, :200].T]
        assert (min(least) >= -1e-16) == convex


@pytest.mark.parametrize("bound", [0.1, 1.0])
def test_floors_move_the_minima(bound: float) -> None:
    for p in (saddle(bound), monkey_saddle(bound)):
        for m in map(np.array, p.minima):
            assert p.loss(m) == pytest.approx(p.minimum, rel=1e-14)
            np.testing.assert_allclose(p.gradient(m, None), 0, atol=1e-13 * max(1, -(p.minimum or 0)))
    assert not saddle(0.0).minima and not monkey_saddle(0.0).minima


@pytest.mark.parametrize("name", CUSPS)
def test_a_cusp_has_no_slope_by_convention(name: str) -> None:
    p = FORMULAS[name]
    np.testing.assert_array_equal(p.gradient(np.zeros(2), None), 0)
    assert np.isfinite(p.hessian(np.zeros(2))).all()
    near = np.array([1e-200, -1e-200])
    assert np.isfinite(p.gradient(near, None)).all() and not np.isnan(p.hessian(near)).any()
    ray = p.gradient(np.array([1e-9, 0.0]), None)
    assert ray[0] == pytest.approx({"ackley": 2 * 2**0.5, "sinc-bowl": 0.03533}[name], rel=1e-3)


def test_a_saddles_axis_is_never_left() -> None:
    p = FORMULAS["saddle"]
    trace = loops.run(tw.Adam(lr=1e-2), p.objective, np.array(p.starts), 300, record=("path",))
    assert trace.path is not None
    assert (trace.path[1, :, 1] == 0).all()
    assert abs(trace.path[0, -1, 1]) > 1


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: FORMULAS["booth"].transformed(scale=0), "scale=0"),
    (lambda: FORMULAS["booth"].transformed(scale=[1, -1]), "scale="),
    (lambda: FORMULAS["booth"].transformed(scale=[1, 2, 3]), "or 2 of them"),
    (lambda: FORMULAS["booth"].transformed(rotate=float("nan")), "rotate=nan"),
    (lambda: FORMULAS["booth"].transformed(shift=[1, 2, 3]), "shift="),
    (lambda: FORMULAS["booth"].transformed(shift=float("inf")), "shift=inf"),
    (lambda: FORMULAS["booth"].transformed(noise=-1), "noise=-1"),
    (lambda: FORMULAS["booth"].transformed(noise=float("nan")), "noise=nan"),
    (lambda: FORMULAS["booth"].transformed(noise=1).transformed(noise=1), "noise comes last"),
    (lambda: FORMULAS["booth"].transformed(rotate="x"), "rotate='x': an angle"),
    (lambda: FORMULAS["booth"].transformed(rotate=[1, 2]), "rotate=[1, 2]: an angle"),
    (lambda: FORMULAS["booth"].transformed(rotate=None), "rotate=None"),
    (lambda: FORMULAS["booth"].transformed(scale="a"), "scale='a': a positive number"),
    (lambda: FORMULAS["booth"].transformed(scale=[[1, 2]]), "scale=[[1, 2]]"),
    (lambda: FORMULAS["booth"].transformed(scale=[1, [2, 3]]), "scale=[1, [2, 3]]"),
    (lambda: FORMULAS["booth"].transformed(shift=np.ones((2, 2))), "shift="),
    (lambda: FORMULAS["booth"].transformed(noise="1"), "noise='1'"),
    (lambda: FORMULAS["booth"].transformed(noise=10**400), "noise="),
    (lambda: ill_conditioned(0.5), "got 0.5"),
    (lambda: ill_conditioned(float("inf")), "got inf"),
    (lambda: saddle(-1.0), "got -1.0"),
    (lambda: monkey_saddle(float("nan")), "got nan"),
    (lambda: neuron_feature(0.0), "got 0.0"),
    (lambda: neuron_cross_entropy(1.0), "got 1.0"),
    (lambda: neuron_feature_stochastic(float("nan")), "got nan"),
    (lambda: neuron_feature_stochastic(0.12345), "thousandths"),
    (lambda: nesterov_chain(1), "got 1"),
    (lambda: nesterov_chain(2.5), "got 2.5"),  # type: ignore[arg-type]
    (lambda: rosenbrock_nd(17), "got 17"),
    (lambda: spectrum([]), "1 .. 16"),
    (lambda: spectrum([1.0] * 17), "1 .. 16"),
    (lambda: spectrum([1.0, -1.0]), "> 0"),
    (lambda: spectrum([1.0, float("nan")]), "finite"),
    (lambda: spectrum([1.0, 2.0], rotation_seed=-1), "rotation_seed"),
    (lambda: spectrum("abc"), "eigenvalues: got 'abc'"),  # type: ignore[arg-type]
    (lambda: spectrum([[1.0], [2.0, 3.0]]), "finite numbers"),  # type: ignore[list-item]
    (lambda: spectrum([1.0], rotation_seed="a"), "got 'a'"),  # type: ignore[arg-type]
    (lambda: quadratic(0), "got 0"),
    (lambda: quadratic(2.5), "n: got 2.5"),  # type: ignore[arg-type]
    (lambda: quadratic("a"), "n: got 'a'"),  # type: ignore[arg-type]
    (lambda: quadratic(17), "got 17"),
    (lambda: quadratic(4, "a"), "beta must lie in (0, 1], got 'a'"),  # type: ignore[arg-type]
    (lambda: quadratic(4, float("nan")), "got nan"),
    (lambda: matrix(4, 0.5, condition=-1), "condition must lie in [1, 1e+12], got -1"),
    (lambda: matrix(4, 0.5, condition=0), "got 0"),
    (lambda: matrix(4, 0.5, condition=float("nan")), "got nan"),
    (lambda: matrix(4, 0.5, condition=float("inf")), "got inf"),
    (lambda: matrix(4, 0.5, condition="a"), "got 'a'"),  # type: ignore[arg-type]
    (lambda: matrix(4, 0.5, seed=-1), "seed: got -1"),
    (lambda: of(np.eye(2), (1, 2, 3)), "start of 2 numbers is needed, got shape (3,)"),
    (lambda: of(np.eye(2), (1, float("nan"))), "start: got (1, nan)"),
    (lambda: of(np.zeros((0, 0)), ()), "1 .. 16 rows is needed, got shape (0, 0)"),
    (lambda: of(np.array(1.0), (1,)), "got shape ()"),
    (lambda: of(np.array([[1.0, 2.0], [0.0, 1.0]]), (1, 1)), "symmetric"),
    (lambda: of(np.diag([1.0, np.inf]), (1, 1)), "finite"),
    (lambda: of("abc", (1,)), "matrix: got 'abc'"),  # type: ignore[arg-type]
    (lambda: objective(np.zeros((0, 0))), "got 0"),
    (lambda: scaled("a"), "n: got 'a'"),  # type: ignore[arg-type]
    (lambda: scaled(4.5), "n: got 4.5"),  # type: ignore[arg-type]
    (lambda: scaled(4, beta=-1), "beta must lie in (0, 1], got -1"),
    (lambda: scaled(4, condition=1e300), "condition"),
    (lambda: Wilson(50.5), "wilson: n: got 50.5"),  # type: ignore[arg-type]
    (lambda: Wilson("a"), "wilson: n: got 'a'"),  # type: ignore[arg-type]
    (lambda: Wilson(100, "a"), "p='a'"),  # type: ignore[arg-type]
    (lambda: Wilson(100, float("nan")), "p=nan"),
    (lambda: Zipf(2.5, 10), "zipf: rows: got 2.5"),  # type: ignore[arg-type]
    (lambda: Zipf(20, "a"), "zipf: features: got 'a'"),  # type: ignore[arg-type]
    (lambda: chebyshev(points=0), "points: got 0"),
    (lambda: chebyshev(degree=-1), "degree: got -1"),
    (lambda: chebyshev(hidden=(0,)), "hidden layer 1: got 0"),
    (lambda: chebyshev(hidden=(3, 2.5)), "hidden layer 2: got 2.5"),  # type: ignore[arg-type]
    (lambda: RegressionNetwork("n", "", "", np.ones((3, 1)), np.ones((2, 1)), (2,)), "(3, 1) and (2, 1)"),
]


@pytest.mark.parametrize(("make", "told"), BAD)
def test_bad_input_is_one_clear_line(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(ProblemError) as caught:
        make()
    message = str(caught.value)
    assert told in message and "\n" not in message


@pytest.mark.parametrize("n", [1, 2, 3, 16])
def test_a_quadratic_has_the_spectrum_asked_for(n: int) -> None:
    wanted = np.geomspace(1, 50, n)
    for seed in (None, 0, 7):
        p = spectrum(wanted, seed)
        check_derivatives(p)
        values, vectors = np.linalg.eigh(p.hessian(np.zeros(n)))
        np.testing.assert_allclose(values, wanted, rtol=1e-12)
        np.testing.assert_allclose(np.abs(vectors.T @ p.starts[0]), 1, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_a_given_quadratic_is_the_one_with_its_numbers_written_out(n: int) -> None:
    """The same bits from columns as from constants, and H itself as the Hessian."""
    h = matrix(n, 0.7)
    p, written = of(h, (1.0,) * n), objective(h)
    check_derivatives(p)
    x = points(p)
    np.testing.assert_array_equal(p.hessian(x[:, 0]), h)
    np.testing.assert_array_equal(p.values(*x), evaluated(written.value_formula, x, [])[0])
    made = np.array([p.gradient(q, None) for q in x[:, :20].T]).T
    np.testing.assert_array_equal(made, evaluated(written.gradient_formula, x[:, :20], []))


def test_a_quadratic_has_a_minimum_where_nothing_curves_down() -> None:
    for h in (np.eye(2), np.diag([1.0, 0.0]), np.zeros((2, 2)), np.ones((2, 2))):
        p = of(h, (1, 1))
        assert p.minimum == 0 and p.minima == [(0.0, 0.0)]
    for h in (np.diag([1.0, -1.0]), -np.eye(2), np.diag([1.0, -1e-6])):
        p = of(h, (1, 1))
        assert p.minimum is None and not p.minima and "without a minimum" in p.text
