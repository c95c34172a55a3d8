"""Promise 3: k steps without gradient in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.core.formula import lift, signature

from ..strategies import FORMS, form, gradients

WITH_IDLE = [(n, d) for n, d in FORMS if form(n, d).anatomy.idle is not None]


@pytest.mark.parametrize(("name", "dialect"), WITH_IDLE)
@given(stream=gradients, k=st.integers(0, 60))
def test_idle_is_k_zero_gradients(name: str, dialect: str, stream: list[float], k: int) -> None:
    rule = form(name, dialect)
    idle = rule.anatomy.idle
    assert idle is not None
    w = np.array([0.75])
    opt = rule.on(w)
    for g in stream:
        opt.step(np.array([g]))
    before = [float(w[0]), *(float(s[0]) for s in opt.state.values())]
    hyper = rule.at(0)
    caught_up = idle(*before, k, *(hyper[n] for n in signature(idle)[1]))
    for _ in range(k):
        opt.step(np.zeros(1))
    after = [float(w[0]), *(float(s[0]) for s in opt.state.values())]
    scale = max(abs(before[0]), abs(after[0]), 1.0)
    got = caught_up if isinstance(caught_up, tuple) else (caught_up,)
    assert abs(got[0] - after[0]) <= 1e-12 * scale
    np.testing.assert_allclose(got[1:], after[1:], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("name", "dialect"), WITH_IDLE)
def test_idle_obeys_the_grammar(name: str, dialect: str) -> None:
    """So that every printer can print it."""
    anatomy = form(name, dialect).anatomy
    assert anatomy.idle is not None
    lift(anatomy.idle, outputs=("w", *anatomy.states))
