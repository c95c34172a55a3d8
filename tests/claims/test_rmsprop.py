"""The claims on RMSProp, and what breaking a method does to them."""

import pytest

from thalweg.lab.claims import measure

from .conftest import Break, sound

SUM = ("RMSprop", "v = beta * v + take * g * g", "v = v + take * g * g")
PLAIN = ("RMSprop", "return ratio(lr, sqrt(v + eps_root) + eps)", "return lr + 0 * v")
LEAKY = ("Adagrad", "s = s + g * g", "s = 0.9 * s + g * g")


@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("leaky-average", *SUM),
        ("leaky-average", *LEAKY),
        ("rmsprop-oscillates", *SUM),
        ("rmsprop-oscillates", *PLAIN),
        ("rmsprop-bounded", *SUM),
        ("rmsprop-bounded", *LEAKY),
        ("rmsprop-beats-adagrad", *SUM),
        ("rmsprop-beats-adagrad", *LEAKY),
        ("rmsprop-rate-still-manual", *PLAIN),
    ],
)
def test_a_broken_method_refutes(breaking: Break, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""
    assert sound(claim).verdict != "does not hold"
    breaking(rule, old, new)
    broken = measure(claim)
    assert broken.error is None
    assert broken.verdict == "does not hold"


@pytest.mark.parametrize(
    "claim", ["rmsprop-oscillates", "rmsprop-bounded", "rmsprop-beats-adagrad", "rmsprop-rate-still-manual"]
)
def test_half_right_claims_name_their_conditions(claim: str) -> None:
    """Where a claim fails in some circumstance, the verdict says in which."""
    result = sound(claim)
    assert result.verdict == "holds under conditions"
    assert len(result.evidence.conditions) == len(result.evidence.limits)
