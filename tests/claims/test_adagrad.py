"""The claims on AdaGrad, and what breaking a method does to them."""

import pytest

from .conftest import Refutes, sound

LEAKY = ("Adagrad", "s = s + g * g", "s = 0.9 * s + g * g")
EVEN = ("Adagrad", "s = s + g * g", "s = s + 0.01")
SUM = ("RMSprop", "v = beta * v + take * g * g", "v = v + take * g * g")
DRIFT = ("SGD", "w - rate(lr) * g", "w - rate(lr) * (g + 0.001)")


@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("sparse-features", *EVEN),
        ("sparse-features", *DRIFT),
        ("adagrad-stalls", *LEAKY),
        ("adagrad-stalls", *SUM),
        ("adagrad-grows", *LEAKY),
        ("adagrad-grows", *SUM),
        ("adagrad-lr-sensitive", *LEAKY),
        ("adagrad-lr-sensitive", *SUM),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the methods as they are, and no longer with one line of one changed."""
    refutes(claim, rule, old, new)


def test_the_notes_figure() -> None:
    """0.1 / √0.019 is 0.72 in the notes."""
    found = sound("sparse-features").evidence
    (text,) = found.source_numbers
    assert found.source_numbers[text] == 0.72
    assert found.numbers[text] == pytest.approx(0.1 / 0.019**0.5, rel=1e-6)


@pytest.mark.parametrize("claim", ["adagrad-stalls", "adagrad-grows", "adagrad-lr-sensitive"])
def test_half_right_claims_name_their_conditions(claim: str) -> None:
    """Where a claim fails in some circumstance, the verdict says in which."""
    result = sound(claim)
    assert result.verdict == "holds under conditions"
    assert len(result.evidence.conditions) == len(result.evidence.limits)
