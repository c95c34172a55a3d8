"""The claims of darve's notes, and what breaking the methods does to them."""

from functools import cache

import pytest

from thalweg.lab.claims import Result, measure

from .conftest import Break


@cache
def intact(claim: str) -> Result:
    """What is found with the methods as they are."""
    return measure(claim)


DESCENT, SUM = "return w - rate(lr) * g", "s = s + g * g"


@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("gradient-normalised", "MaxProp", "abs(g) + eps_in)", "1 + eps_in)"),
        ("gradient-normalised", "RMSprop", "v = beta * v + take * g * g", "v = beta * v + g * g * g * g"),
        ("gradient-normalised", "Adagrad", SUM, "s = 0 * s + g * g"),
        ("gradient-sizes", "Adagrad", SUM, "s = s + 1"),
        ("balanced-is-slow-too", "Adagrad", SUM, "s = s + 1"),
        ("balanced-is-slow-too", "RMSprop", "v = beta * v + take * g * g", "v = beta * v + take"),
        ("balanced-is-slow-too", "Adam", "v = beta2 * v + take2 * g * g", "v = beta2 * v + take2"),
        ("balanced-is-slow-too", "SGD", DESCENT, "return w + rate(lr) * g"),
        ("darve-rate", "Adagrad", SUM, "s = s + 1"),
        ("darve-rate", "SGD", DESCENT, "return w - 0.5 * rate(lr) * g"),
    ],
)
def test_a_broken_method_refutes(breaking: Break, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""
    assert intact(claim).verdict in ("holds", "holds under conditions")
    breaking(rule, old, new)
    broken = measure(claim)
    assert broken.error is None
    assert broken.verdict == "does not hold"


def test_darves_gains() -> None:
    """1,000 and "close to 30k", which is 33,900, from the spectra."""
    numbers = intact("darve-rate").evidence.numbers
    assert numbers["gain from the spectra, n = 4"] == pytest.approx(1000, rel=0.02)
    assert numbers["gain from the spectra, n = 100"] == pytest.approx(33_900, rel=0.02)
