"""The claims on RMSProp, and what breaking the method does to them."""

import pytest

from thalweg.lab.claims import measure

from .conftest import Break


@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("leaky-average", "RMSprop", "v = beta * v + take * g * g", "v = v + take * g * g"),
        ("leaky-average", "Adagrad", "s = s + g * g", "s = 0.9 * s + g * g"),
    ],
)
def test_a_broken_method_refutes(breaking: Break, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""
    assert measure(claim).verdict != "does not hold"
    breaking(rule, old, new)
    broken = measure(claim)
    assert broken.error is None
    assert broken.verdict == "does not hold"
