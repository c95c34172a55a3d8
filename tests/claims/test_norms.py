"""The claim on L^p norms, and what breaking the methods does to it."""

import pytest

from thalweg.lab.claims import measure

from .conftest import Break, Refutes, sound

STABLE = "u = size * (where(u > new, keep, take) + where(u > new, take, keep) * small**p) ** root"


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("MaxProp", "v = maximum(beta * v, abs(g) + eps_in)", "v = beta * v + (1 - beta) * abs(g) + eps_in"),
        (
            "MaxProp",
            "v = maximum(beta * v, abs(g) + eps_in)",
            "v = maximum((beta * v) ** 100, (abs(g) + eps_in) ** 100) ** 0.01",
        ),
        (
            "Adamax",
            "u = maximum(beta2 * u, abs(g) + eps_in)",
            "u = ((beta2 * u) ** 100 + (abs(g) + eps_in) ** 100) ** 0.01",
        ),
        ("LpProp", "small**p", "small"),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, rule: str, old: str, new: str) -> None:
    """The verdict is good with the methods as they are, and no longer with one line of one changed."""
    refutes("max-norm", rule, old, new)


def test_the_naive_form_of_lpprop_loses_its_stability(breaking: Break) -> None:
    """With the powers taken as they stand, the library's own p = 100 is no longer as stable as its limit."""
    words = "p = 100 is as stable"
    assert any(words in c for c in sound("max-norm").evidence.conditions)
    breaking("LpProp", STABLE, "u = (keep * u**p + take * new**p) ** root")
    assert not any(words in c for c in measure("max-norm").evidence.conditions)
