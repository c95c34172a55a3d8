"""The claims of darve's notes, and what breaking the methods does to them."""

import pytest

from .conftest import Refutes, sound

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
def test_a_broken_method_refutes(refutes: Refutes, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""
    refutes(claim, rule, old, new)


def test_darves_gains() -> None:
    """ "About 1,000" and "close to 30k" are the source's figures, (1/β)^(n−1) what they stand for."""
    found = sound("darve-rate").evidence
    stated_by_source = dict(found.source_numbers)
    for n, beta, stated, within in ((4, 0.1, 1000, 0.02), (100, 0.9, 30_000, 0.15)):
        text = f"gain from the spectra, n = {n}"
        assert stated_by_source.pop(text) == stated
        assert found.numbers[text] == pytest.approx(stated, rel=within)
        assert found.numbers[text] == pytest.approx(beta ** (1 - n), rel=0.02)
    assert not stated_by_source
