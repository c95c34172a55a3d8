"""Promise 3: k steps without gradient in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg import Rows
from thalweg.core import clock as scalars
from thalweg.core.formula import lift, signature

from ..strategies import FORMS, form, forms_in_time, gradients

WITH_IDLE = [(n, d) for n, d in FORMS if form(n, d).idle is not None]


@forms_in_time(WITH_IDLE)
@given(stream=gradients, k=st.integers(0, 60))
def test_idle_is_k_zero_gradients(name: str, dialect: str, stream: list[float], k: int) -> None:
    rule = form(name, dialect)
    idle = rule.idle
    assert idle is not None
    w = np.array([0.75])
    opt = rule.on(w)
    for g in stream:
        opt.step(np.array([g]))
    before = [float(w[0]), *(float(s[0]) for s in opt.state.values())]
    hyper = {"t": float(len(stream)), **rule.at(0)}
    caught_up = idle(*before, k, *(hyper[n] for n in signature(idle)[1]))
    for _ in range(k):
        opt.step(np.zeros(1))
    after = [float(w[0]), *(float(s[0]) for s in opt.state.values())]
    scale = max(abs(before[0]), abs(after[0]), 1.0)
    got = caught_up if isinstance(caught_up, tuple) else (caught_up,)
    assert abs(got[0] - after[0]) <= 1e-12 * scale
    np.testing.assert_allclose(got[1:], after[1:], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", ["Momentum", "Nesterov"])
def test_a_momentum_of_1_moves_on_for_ever(name: str) -> None:
    """The sum of k equal moves, on dense steps, in closed form, and for rows that sparse gradients leave."""
    rule = form(name, "", lr=0.5, beta=1.0)
    w, rows, k = np.ones(1), np.ones((4, 1)), 40
    opt, sparse = rule.on(w), rule.on(rows)
    opt.step(np.full(1, 2.0))
    sparse.step(Rows([2], np.full((1, 1), 2.0)))
    before = float(w[0])
    for _ in range(k):
        opt.step(np.zeros(1))
        sparse.step(Rows([0], np.zeros((1, 1))))
    sparse.flush()
    assert rule.parts.idle is not None and rule.parts.idle(before, 2.0, k, 0.5, 1.0) == (before - k, 2.0)
    assert w[0] == before - k and rows.ravel().tolist() == [1.0, 1.0, w[0], 1.0]


@pytest.mark.parametrize(("name", "dialect"), WITH_IDLE)
def test_idle_obeys_the_grammar(name: str, dialect: str) -> None:
    """So that every printer can print it."""
    rule = form(name, dialect)
    assert rule.idle is not None
    lift(rule.idle, outputs=("w", *rule.parts.states))


COASTING = [(n, d) for n, d in FORMS if form(n, d).parts.idle_model is not None]


@forms_in_time(COASTING)
@given(stream=gradients, k=st.integers(1, 60))
def test_coast_says_what_idle_steps_do(name: str, dialect: str, stream: list[float], k: int) -> None:
    """States fade as said, each move is a p / (b y + e), and moves shrink by no less than said."""
    rule = form(name, dialect)
    idle_model = rule.parts.idle_model
    assert idle_model is not None
    w = np.array([0.75])
    opt = rule.on(w, engine="plain")
    for g in stream:
        opt.step(np.array([g]))
    start = {n: float(s[0]) for n, s in opt.state.items()}
    hyper = rule.at(0)
    clock, names = scalars.clock(rule), scalars.names(rule)
    factors = dict.fromkeys(idle_model.products, 1.0)
    moves = []
    for j in range(1, k + 1):
        before, given = float(w[0]), dict(zip(names, clock(len(stream) + j), strict=True))
        opt.step(np.zeros(1))
        kept = given[idle_model.products["w"]] * before if "w" in idle_model.products else before
        moves.append(kept - float(w[0]))
        for n, s in idle_model.products.items():
            factors[n] *= given[s]
        if (
            idle_model.move_terms is None
            or idle_model.move_scale is None
            or any(hyper[n] for n in idle_model.zero)
        ):
            continue
        p, y, e = idle_model.move_terms(
            *start.values(), *(hyper[n] for n in signature(idle_model.move_terms)[1])
        )
        a, b = idle_model.move_scale(j, *(given[n] for n in signature(idle_model.move_scale)[1]))
        if p != 0:
            assert moves[-1] == pytest.approx(a * p / (b * y + e), rel=1e-9, abs=4e-16 * max(abs(before), 1))
    faded = [n for n in start if n not in idle_model.products]
    constants = [hyper[n] for n in signature(idle_model.idle_states)[1]]
    made = idle_model.idle_states(*(start[n] for n in faded), k, *constants)
    expected = dict(zip(faded, made if isinstance(made, tuple) else (made,), strict=True))
    expected |= {n: start[n] * f for n, f in factors.items() if n != "w"}
    for n, value in expected.items():
        assert float(opt.state[n][0]) == pytest.approx(value, rel=1e-10, abs=1e-300), n
    shrink = idle_model.shrink(**{n: hyper[n] for n in signature(idle_model.shrink)[1]})
    first = max(map(abs, moves[:6]))  # corrections end, and RAdam's plain steps
    assert abs(moves[-1]) <= 8 * first * shrink ** max(k - 6, 0) + 4e-16
