"""The claims on AdaDelta, and what breaking the methods does to them."""

import pytest

from .conftest import Refutes, sound

HELD = ("Adadelta", "sqrt(u + eps_u)", "sqrt(0 * u + eps_u)")
RMSPROP_SUMS = ("RMSprop", "v = beta * v + take * g * g", "v = v + g * g")
ADAGRAD_LEAKS = ("Adagrad", "s = s + g * g", "s = 0.9 * s + 0.1 * g * g")


@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("adadelta-settles", "Adadelta", "sqrt(u + eps_u)", "(0.1 + 0 * sqrt(u + eps_u))"),
        ("adadelta-settles", *RMSPROP_SUMS),
        ("adadelta-units", "Adadelta", "beta * u + take * d * d", "u"),
        ("adadelta-units", "Adadelta", "sqrt(u + eps_u)", "(u + eps_u)"),
        ("adadelta-units", "Adagrad", "s = s + g * g", "s = s + abs(g)"),
        ("adadelta-units", "RMSprop", "v = beta * v + take * g * g", "v = beta * v + take * abs(g)"),
        ("eps-is-a-rate", "Adadelta", "sqrt(u + eps_u)", "(0.03 + 0 * sqrt(u + eps_u))"),
        ("eps-is-a-rate", "Adadelta", "v = beta * v + take * g * g", "v = beta * v + g * g"),
        ("adadelta-path", "Adadelta", "sqrt(u + eps_u)", "(0.1 + 0 * sqrt(u + eps_u))"),
        ("adadelta-path", *ADAGRAD_LEAKS),
        ("delta-is-momentum", *HELD),
        ("delta-is-momentum", "Momentum", "m = beta * m + take * g", "m = take * g"),
        ("delta-is-momentum", *RMSPROP_SUMS),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the methods as they are, and no longer with one line of one changed."""
    refutes(claim, rule, old, new)


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("adadelta-settles", "curvature is below $2"),
        ("adadelta-units", "from u = 0"),
        ("eps-is-a-rate", r"\varepsilon^{-1/3}"),
        ("delta-is-momentum", "no velocity is carried"),
    ],
)
def test_the_limits_are_named(claim: str, words: str) -> None:
    """What restricts a claim was confirmed and stands among its conditions."""
    assert any(words in condition for condition in sound(claim).evidence.conditions)
