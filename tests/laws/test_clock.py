"""The clock as a device evaluates it is the host's, and keeps its digits in float32."""

import numpy as np
import pytest

from thalweg.core import clock as scalars
from thalweg.core.math import log
from thalweg.core.rule import Rule
from thalweg.engines import ops

from ..strategies import FORMS, every_form, form

TIMES = (1, 2, 3, 10, 1000, 100_000)


def on_device(rule: Rule, t: int, dtype: type) -> np.ndarray:
    """The scalars of step t from the traced formula, every operation in a dtype."""
    formula, logs = scalars.traced(rule.clock_formula)
    given = rule.at(0)
    values = [float(t), *given.values(), *(log(given[n]) for n in logs)]
    return np.array(ops.vectorised(formula)(*(dtype(x) for x in values)), dtype=np.float64)


@every_form
def test_the_traced_clock_is_the_hosts(name: str, dialect: str) -> None:
    """1 - b**t cancels on the host, -expm1(t log b) does not: 1e-12 apart in float64."""
    rule = form(name, dialect)
    for t in TIMES:
        np.testing.assert_allclose(on_device(rule, t, np.float64), scalars.clock(rule)(t), rtol=2e-12)


def test_float32_keeps_the_corrections_digits() -> None:
    """1 - b**t for b = 0.999: 3e-7 off at worst, where the difference itself loses four digits."""
    rule = form("AMSGrad", "torch")
    worst = naive = 0.0
    for t in (1, 2, 5, 10, 100):
        exact = -np.expm1(t * np.log(0.999))
        ours = 1 / on_device(rule, t, np.float32)[scalars.names(rule).index("after")]
        worst = max(worst, abs(ours / exact - 1))
        naive = max(naive, abs(float(np.float32(1) - np.float32(0.999) ** np.float32(t)) / exact - 1))
    assert worst < 4e-7 and naive > 1e-5


def test_some_clock_takes_logarithms() -> None:
    assert {n for name, d in FORMS for n in scalars.traced(form(name, d).clock_formula)[1]} >= {
        "beta1",
        "beta2",
    }


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_beta_of_zero_needs_no_correction(beta: float) -> None:
    rule = form("Adam", "", beta1=beta)
    np.testing.assert_allclose(on_device(rule, 1, np.float64), scalars.clock(rule)(1), rtol=1e-12)
