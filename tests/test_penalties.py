"""Penalties of linear models: the objective's minimum is where training ends, whatever the rule, and L1 has its zeros."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

import thalweg as tw
from thalweg.core.rule import Rule
from thalweg.linear import Model, Settings

Array = np.ndarray[Any, Any]
PASSES = (3, 20, 200)
NOISE = 0.1  # percent, of the last rows
BARS = (5.0, 1.0, 0.3)  # percent of what there is to gain over the constant, after so many passes


class Data(NamedTuple):
    """Standardised columns; targets are standardised numbers, or -1 and +1."""

    x: Array
    y: Array
    loss: str


def standard(a: Array) -> Array:
    scaled: Array = (a - a.mean(axis=0)) / a.std(axis=0)
    return scaled


@cache
def data(name: str) -> Data:
    if name == "cancer":
        bunch = load_breast_cancer()
        return Data(standard(bunch.data), 2.0 * bunch.target - 1, "log_loss")
    bunch = load_diabetes() if name == "diabetes" else load_wine()
    return Data(standard(bunch.data), standard(bunch.target.astype(float)), "squared_error")


def objective(d: Data, w: Array, b: float, l1: float, l2: float) -> float:
    z = d.x @ w + b
    loss = np.logaddexp(0, -d.y * z) if d.loss == "log_loss" else 0.5 * (z - d.y) ** 2
    return float(loss.mean() + l1 * np.abs(w).sum() + l2 / 2 * w @ w)


def reference(d: Data, l1: float, l2: float) -> tuple[Array, float]:
    """Another solver's minimum of the same objective; that of scikit-learn but for the logistic loss with L1."""
    n, alpha = len(d.y), l1 + l2
    if d.loss == "log_loss" and l1:
        return logistic(d, l1, l2)
    if d.loss == "log_loss":
        model: Any = LogisticRegression(C=1 / (n * alpha), tol=1e-8, max_iter=100_000)
    elif not l1:
        model = Ridge(alpha=n * l2)
    else:
        model = ElasticNet(alpha=alpha, l1_ratio=l1 / alpha, tol=1e-10, max_iter=100_000)
    model.fit(d.x, d.y)
    return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])


def logistic(d: Data, l1: float, l2: float) -> tuple[Array, float]:
    """Weights as differences of two that are 0 or more, by L-BFGS-B; scikit-learn's names for this change."""
    n, p = d.x.shape

    def value(v: Array) -> tuple[float, Array]:
        w = v[:p] - v[p:-1]
        m = d.y * (d.x @ w + v[-1])
        slope = -d.y * expit(-m) / n
        g = d.x.T @ slope + l2 * w
        least = np.logaddexp(0, -m).mean() + l1 * v[:-1].sum() + l2 / 2 * w @ w
        return float(least), np.concatenate([g + l1, l1 - g, [slope.sum()]])

    bounds = [(0, None)] * (2 * p) + [(None, None)]
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-9}
    v = minimize(value, np.zeros(2 * p + 1), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return v[:p] - v[p:-1], float(v[-1])


def trained(d: Data, rule: Rule, l1: float, l2: float, passes: tuple[int, ...]) -> list[tuple[Array, float]]:
    """Weights and intercept after so many passes, rows mixed anew in each."""
    classes = np.array([-1.0, 1.0]) if d.loss == "log_loss" else None
    model = Model(Settings(d.loss, rule, l1, l2, dtype="float64"), d.x.shape[1], classes)
    rng, after = np.random.default_rng(0), []
    for n in range(1, max(passes) + 1):
        model.learn(d.x, d.y, None, rng.permutation(len(d.y)))
        if n in passes:
            w, b = model.solution
            after.append((w[:, 0].copy(), float(b[0])))
    return after


RULES = {
    "SGD": lambda lr: tw.SGD(lr=tw.inverse_sqrt(lr, shift=100)),
    "Adagrad": lambda lr: tw.Adagrad(lr=lr, eps=2.0),
    "FTRL": lambda lr: tw.FTRL(lr=lr),
}
# A learning rate for each rule, as a search finds it.
RATES = {
    ("cancer", 1e-4, 0.0): (0.5, 1.0, 1.0),
    ("cancer", 1e-2, 0.0): (0.1, 0.2, 0.5),
    ("cancer", 0.1, 0.0): (0.02, 0.1, 0.2),
    ("cancer", 1.0, 0.0): (0.02, 0.05, 0.1),
    ("cancer", 1e-2, 0.5): (0.1, 0.2, 0.5),
    ("diabetes", 1e-4, 0.0): (0.02, 0.1, 0.1),
    ("diabetes", 1e-2, 0.0): (0.01, 0.1, 0.1),
    ("diabetes", 0.1, 0.0): (0.01, 0.05, 0.05),
    ("diabetes", 1.0, 0.0): (0.01, 0.02, 0.05),
    ("diabetes", 0.1, 0.5): (0.01, 0.05, 0.05),
    ("wine", 1e-4, 0.0): (0.02, 0.1, 0.1),
    ("wine", 1e-2, 0.0): (0.02, 0.1, 0.1),
    ("wine", 0.1, 0.0): (0.02, 0.05, 0.1),
    ("wine", 1.0, 0.0): (0.01, 0.05, 0.05),
}
NOW = {("cancer", 0.1, 0.0, "Adagrad"), ("cancer", 1e-4, 0.0, "Adagrad"), ("cancer", 1.0, 0.0, "FTRL")}
CASES = [
    pytest.param(*case, rule, lr, marks=[pytest.mark.slow] * ((*case, rule) not in NOW))
    for case, rates in RATES.items()
    for rule, lr in zip(RULES, rates, strict=True)
]


@pytest.mark.parametrize(("name", "alpha", "share", "rule", "lr"), CASES)
def test_more_passes_come_nearer_to_the_minimum(
    name: str, alpha: float, share: float, rule: str, lr: float
) -> None:
    d, l1, l2 = data(name), alpha * share, alpha * (1 - share)
    w, b = reference(d, l1, l2)
    odds = (d.y > 0).mean()
    constant = float(np.log(odds / (1 - odds))) if d.loss == "log_loss" else 0.0
    least = objective(d, w, b, l1, l2)
    gain = objective(d, 0 * w, constant, l1, l2) - least
    ends = trained(d, RULES[rule](lr), l1, l2, PASSES)
    gaps = [100 * (objective(d, *end, l1, l2) - least) / gain for end in ends]
    assert all(gap <= bar for gap, bar in zip(gaps, BARS, strict=True)), gaps
    assert gaps[0] + NOISE >= gaps[1] and gaps[1] + NOISE >= gaps[2] >= -1e-3, gaps
    if alpha >= 0.1:
        assert np.abs(ends[-1][0] - w).max() <= 0.02 * np.abs(w).max()


@pytest.mark.parametrize(
    ("name", "l1", "lr"),
    [
        ("cancer", 0.05, 1.0),
        pytest.param("cancer", 0.01, 1.0, marks=pytest.mark.slow),
        *(
            pytest.param(n, l1, 0.2, marks=pytest.mark.slow)
            for n in ("diabetes", "wine")
            for l1 in (0.01, 0.05)
        ),
    ],
)
def test_ftrl_finds_the_zeros_of_l1(name: str, l1: float, lr: float) -> None:
    """All of the lasso's, and no other but of weights below a hundredth of the largest."""
    d = data(name)
    w, _ = reference(d, l1, 0.0)
    size = np.abs(w) / np.abs(w).max()
    ((ours, _),) = trained(d, tw.FTRL(lr=lr), l1, 0.0, (200,))
    assert np.all(ours[size < 1e-9] == 0)
    assert np.all(ours[size >= 0.01] != 0)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [tw.RMSprop(lr=0.01, beta=0.999), tw.Adam(lr=0.01)], ids=["RMSprop", "Adam"])
def test_a_rare_feature_is_not_erased(rule: Rule) -> None:
    """In one row of 250, where it is worth 1: between them its rate grows, and its penalty does not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 4))
    rare = np.zeros((5000, 1))
    rare[::250] = 1.0
    y = x @ np.array([1.0, -0.5, 0.3, 0.0]) + rare[:, 0] + 0.1 * rng.normal(size=5000)
    rows = csr_array(np.hstack([x * (rng.random(x.shape) < 0.5), rare]))
    model = Model(Settings("squared_error", rule, 0.0, 1e-5, dtype="float64"), 5)
    for _ in range(20):
        model.learn(rows, y, None, rng.permutation(5000))
    assert model.solution[0][4, 0] > 0.5
