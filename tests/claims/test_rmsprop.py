"""The claims on RMSProp, and what breaking a method does to them."""

import pytest

from thalweg.lab.claims import measure

from .conftest import Break, Refutes, sound

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
        ("rmsprop-rate-still-manual", *PLAIN),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""
    refutes(claim, rule, old, new)


@pytest.mark.parametrize("claim", ["rmsprop-oscillates", "rmsprop-bounded", "rmsprop-rate-still-manual"])
def test_half_right_claims_name_their_conditions(claim: str) -> None:
    """Where a claim fails in some circumstance, the verdict says in which."""
    result = sound(claim)
    assert result.verdict == "holds under conditions"
    assert len(result.evidence.conditions) == len(result.evidence.limits)


STEEP = ("Adagrad", "s = s + g * g", "s = 4 * s + g * g")
OWN, COUNTED = 3, 2  # checks: of the notes' codes and their rates; of all equal rates and of best rates


def test_rmsprop_is_not_the_faster_one_in_general() -> None:
    """In the notes' own runs it is; counted over equal rates, or with both tuned, it is not."""
    found = sound("rmsprop-beats-adagrad").evidence
    assert [holds for _, holds in found.checks] == [True] * OWN + [False] * COUNTED
    assert found.verdict == "does not hold"


@pytest.mark.parametrize(("rule", "old", "new"), [SUM, LEAKY])
def test_the_notes_runs_depend_on_both_methods(breaking: Break, rule: str, old: str, new: str) -> None:
    """What does hold of the claim no longer does with one line of either method changed."""
    breaking(rule, old, new)
    broken = measure("rmsprop-beats-adagrad")
    assert broken.error is None
    assert not all(holds for _, holds in broken.evidence.checks[:OWN])


def test_rmsprop_would_be_the_faster_one_than_an_adagrad_that_decays_more(breaking: Break) -> None:
    """The counts can go the other way: the verdict is no matter of course."""
    breaking(*STEEP)
    assert measure("rmsprop-beats-adagrad").verdict != "does not hold"
