"""The claims on Adam's start, and what breaking the method does to them."""

import pytest

from .conftest import Refutes, sound


@pytest.mark.parametrize(
    ("claim", "old", "new"),
    [
        ("bias-correction", '"size": lr / (1 - beta1**n)', '"size": lr + 0 * n'),
        ("bias-correction", "m = beta1 * m + take1 * g", "m = beta1 * m + g"),
        ("uncorrected-start", '"size": lr, "fix": 1}', '"size": lr, "fix": 1 / (1 - beta2**t)}'),
        ("uncorrected-start", '"fix": 1 / (1 - beta2**n)}', '"fix": 1}'),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, claim: str, old: str, new: str) -> None:
    """The verdict is good with Adam as it is, and no longer with one line of it changed."""
    refutes(claim, "Adam", old, new)


def test_the_sources_figures_are_among_the_numbers() -> None:
    """v and the rates are the notes', and the update that the notes leave out stands beside them."""
    found = sound("uncorrected-start").evidence
    assert set(found.source_numbers.values()) == {1e-5, 316.22, 316.38}
    assert any("3.16 lr" in condition for condition in found.conditions)


def test_the_notes_assumption_is_a_condition() -> None:
    """Gradients whose distribution moves are named among the conditions."""
    assert any("same distribution" in c for c in sound("bias-correction").evidence.conditions)
