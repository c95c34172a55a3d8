"""The claims on momentum and Adam, and what breaking the methods does to them."""

import pytest

from .conftest import Refutes

HEAVY = "m = beta * m + take * g"
FIRST, SECOND = "m = beta1 * m + take1 * g", "v = beta2 * v + take2 * g * g"


@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("momentum-accelerates", "Momentum", HEAVY, "m = 0 * m + take * g"),
        ("momentum-accelerates", "Nesterov", "m = beta * m + g", "m = 0 * m + g"),
        ("momentum-accelerates", "SGD", "return w - rate(lr) * g", "return w + rate(lr) * g"),
        ("adam-both", "Adam", FIRST, "m = 0 * m + take1 * g"),
        ("adam-both", "Adam", SECOND, "v = v + take2 * g * g"),
        ("adam-both", "Momentum", HEAVY, "m = m + take * g"),
        ("adam-both", "RMSprop", "v = beta * v + take * g * g", "v = v + take * g * g"),
        ("defaults-mislead", "Adam", SECOND, "v = 0 * v + g * g"),
        ("defaults-mislead", "Adam", FIRST, "m = 0 * m + take1 * g"),
        ("adaptive-generalises-worse", "Adam", SECOND, "v = beta2 * v + take2"),
        ("adaptive-generalises-worse", "Adagrad", "s = s + g * g", "s = s + 1"),
        ("adaptive-generalises-worse", "RMSprop", "v = beta * v + take * g * g", "v = beta * v + take"),
        (
            "adaptive-generalises-worse",
            "SGD",
            "return w - rate(lr) * g",
            "return w - rate(lr) * g / (1e-18 + g * g) ** 0.5",
        ),
        ("adaptive-generalises-worse", "Momentum", HEAVY, "m = beta * m + take * g / (1e-18 + g * g) ** 0.5"),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, claim: str, rule: str, old: str, new: str) -> None:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""
    refutes(claim, rule, old, new)
