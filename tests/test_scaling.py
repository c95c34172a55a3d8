"""Scaled columns and numbers: what is learnt does not depend on their units, and is said in them."""

import numpy as np
import pytest

from thalweg.errors import HyperparameterError
from thalweg.linear import ColumnMap, Model, Settings, against_constant, in_units, losses, measure


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e9])
def test_mean_and_deviation_keep_their_digits_far_from_0(shift):
    x = np.random.default_rng(0).standard_normal(1000)
    centre, size = measure(x * 3 + shift)
    np.testing.assert_allclose([centre - shift, size], [3 * x.mean(), 3 * x.std()], rtol=1e-6, atol=1e-6)
    assert measure(np.append(x * 3 + shift, [np.nan, np.inf])) == (centre, size)


def test_columns_without_deviation_and_beyond_squares():
    assert measure(np.full(7, 0.1)) == (0.1, 0.1) and measure(np.zeros(3)) == (0.0, 1.0)
    assert measure([0.3, 0.1 + 0.2]) == (pytest.approx(0.3), pytest.approx(0.3))
    assert measure([np.nan]) == measure([]) == (0.0, 1.0)
    assert measure([-1e308, 1e308]) == (0.0, pytest.approx(1e308))
    assert measure([3e-200, 4e-200], centred=False) == (0.0, pytest.approx(np.sqrt(12.5) * 1e-200))


def test_a_map_gives_each_column_mean_0_and_deviation_1_and_weights_go_back():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3)) * [1e-6, 1, 1e6] + [5, 0, 1e9]
    columns = ColumnMap.of(x.T)
    scaled = columns.apply(x)
    np.testing.assert_allclose([scaled.mean(0), scaled.std(0)], [[0] * 3, [1] * 3], atol=1e-6)
    w, b = rng.standard_normal((4, 2)), rng.standard_normal(2)  # the fourth feature is no number
    hashed = rng.integers(0, 2, (200, 1))
    there, base = in_units(w, b, columns, 7.0, 20.0)
    expected = 7 + 20 * (np.hstack([scaled, hashed]) @ w + b)
    np.testing.assert_allclose(np.hstack([x, hashed]) @ there + base, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        n if n in ("squared_error", "huber") else pytest.param(n, marks=pytest.mark.slow)
        for n in losses.DEGREE
    ],
)
def test_numbers_are_learnt_scaled_and_spoken_of_in_their_units(loss):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    plain = Model(Settings(loss, epsilon=0.5, dtype="float64"), 3)
    scaled = Model(Settings(loss, epsilon=0.5 * 2**9, centre=3e6, size=2.0**9, dtype="float64"), 3)
    unit = 2.0 ** (9 * losses.DEGREE[loss])
    numbers = 3e6 + 2**9 * y
    told = [m.learn(x, m.encode(t))[0] for m, t in ((plain, y), (scaled, numbers))]
    assert told[1] == pytest.approx(unit * told[0])
    np.testing.assert_allclose(scaled.predict(x), 3e6 + 2**9 * plain.predict(x), rtol=1e-12)
    targets = scaled.encode(numbers)
    value = scaled.loss_of(x, targets)
    assert value == pytest.approx(unit * plain.loss_of(x, y))
    here = against_constant(value / unit, plain.loss, 1, y)
    there = against_constant(value, scaled.loss, 1, targets, None, scaled.loss_unit)
    np.testing.assert_allclose(there, unit * np.array(here), rtol=1e-6)


def test_what_has_no_units_is_not_scaled():
    for loss, classes in (
        ("poisson", None),
        ("squared_error", np.array([0, 1])),
        ("log_loss", np.array([0, 1])),
    ):
        with pytest.raises(HyperparameterError, match="no units"):
            Model(Settings(loss, size=2.0), 1, classes)
    for wrong in ({"size": 0.0}, {"size": float("inf")}, {"centre": float("nan")}):
        with pytest.raises(HyperparameterError, match="must be finite"):
            Model(Settings("squared_error", **wrong), 1)
