"""Promise 2: a run in other units is the same run, bit for bit."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thalweg.core.formula import signature
from thalweg.core.units import G, W, parse

from ..strategies import FORMS, every_rule_in_time, form, forms_in_time, gradients

powers = st.integers(-8, 8)


def scaled(rule: Any, a: int, b: int) -> Any:
    """The rule with every line in units of 2**a for w and 2**b for g."""
    lines = rule.parts.lines
    return rule.replace(
        **{n: math.ldexp(v, lines[n].dimension.exponent(a, b)) for n, v in rule.values.items()}
    )


def walk(rule: Any, start: float, stream: list[float], **settings: Any) -> Any:
    w = np.array([start])
    opt = rule.on(w, **settings)
    for g in stream:
        opt.step(np.array([g]))
    return opt, w


@forms_in_time(FORMS)
@given(stream=gradients, a=powers, b=powers)
def test_units(name: str, dialect: str, stream: list[float], a: int, b: int) -> None:
    """Scaling w by 2**a and g by 2**b scales weights, states and rates by exactly their powers."""
    rule = form(name, dialect)
    lines = rule.parts.lines
    here, w = walk(rule, 1.25, stream)
    there, v = walk(scaled(rule, a, b), math.ldexp(1.25, a), [math.ldexp(g, b) for g in stream])
    np.testing.assert_array_equal(np.ldexp(w, a), v)
    for n, values in here.state.items():
        np.testing.assert_array_equal(np.ldexp(values, lines[n].dimension.exponent(a, b)), there.state[n])
    # A rate is w/g; where it is lr itself, or a state in its place (Rprop's), it has lr's unit: it multiplies a sign.
    assert rule.parts.rate is not None
    itself = signature(rule.parts.rate) == ((), ("lr",)) or name == "Rprop"
    unit = lines["lr"].dimension if itself else W.over(G)
    np.testing.assert_array_equal(np.ldexp(here.rates(), unit.exponent(a, b)), there.rates())


@every_rule_in_time
@given(stream=gradients, a=powers, b=powers)
def test_units_of_what_stands_around(name: str, stream: list[float], a: int, b: int) -> None:
    """Coupled decay is g/w, clipping by value and by norm is g; decoupled decay is the inverse of lr.

    On the formula itself, whose bits the compiled engine has (test_engine).
    """
    rule = form(name, "")
    decoupled = parse("1").over(rule.parts.lines["lr"].dimension)

    def settings(a: int, b: int, decay: str) -> dict[str, Any]:
        unit = decoupled if decay == "decoupled" else G.over(W)
        return {
            "weight_decay": math.ldexp(0.125, unit.exponent(a, b)),
            "decay": decay,
            "clip_value": math.ldexp(4.0, b),
            "clip_norm": math.ldexp(8.0, b),
            "average": 0.75,
            "engine": "plain",
        }

    for decay in ("coupled", "decoupled"):
        here, w = walk(rule, 1.25, stream, **settings(0, 0, decay))
        there, v = walk(
            scaled(rule, a, b),
            math.ldexp(1.25, a),
            [math.ldexp(g, b) for g in stream],
            **settings(a, b, decay),
        )
        np.testing.assert_array_equal(np.ldexp(w, a), v)
        np.testing.assert_array_equal(np.ldexp(here.average, a), there.average)


def test_units_are_read_and_written() -> None:
    for text in ("w", "g", "g^2", "w/g", "1", "w^2", "1/w", "w g"):
        assert str(parse(text)) == text
