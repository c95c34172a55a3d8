"""The inclusion hierarchy and the claims on stability, and what breaking the methods does to them."""

import pytest

from thalweg.core.schedule import from_plain, to_plain
from thalweg.lab.inclusions import Compensated

from .conftest import Refutes, sound


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("Adam", "m = beta1 * m + take1 * g", "m = take1 * g"),
        ("Adam", '"size": lr / (1 - beta1**n)', '"size": lr + 0 * n'),
        ("Adamax", "w - rate(u, size, eps) * m", "w - rate(u, size, eps) * g"),
        ("Adagrad", "sqrt(s + eps_root) + eps", "sqrt(s + eps_root + eps)"),
        ("RMSprop", "sqrt(v + eps_root) + eps", "sqrt(v + eps_root + eps)"),
        ("MaxProp", "ratio(lr, v + eps)", "ratio(lr, v + 2 * eps)"),
        ("Adadelta", "sqrt(u + eps_u)", "sqrt(u)"),
        ("Momentum", "m = beta * m + take * g", "m = beta * m + take * g * 2"),
        ("SGD", "w - rate(lr) * g", "w - 2 * rate(lr) * g"),
    ],
)
def test_a_broken_method_refutes(refutes: Refutes, rule: str, old: str, new: str) -> None:
    """The verdict is good with the methods as they are, and no longer with one line of one changed."""
    refutes("inclusion", rule, old, new)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "rule", "old", "new"),
    [
        ("stability-limits", "Momentum", "m = beta * m + take * g", "m = 0.9 * beta * m + take * g"),
        ("stability-limits", "SGD", "w - rate(lr) * g", "w - 0.9 * rate(lr) * g"),
        (
            "optimal-momentum-overshoots",
            "Momentum",
            "m = beta * m + take * g",
            "m = 1.05 * beta * m + take * g",
        ),
        ("edge-of-stability", "Adam", "m = beta1 * m + take1 * g", "m = 0 * m + g"),
        ("edge-of-stability", "RMSprop", "v = beta * v + take * g * g", "v = v + g * g"),
    ],
)
def test_a_broken_method_leaves_the_theory(
    refutes: Refutes, claim: str, rule: str, old: str, new: str
) -> None:
    """Limits, humps and the edge are those of the method as it is."""
    assert sound(claim).verdict == "holds"
    refutes(claim, rule, old, new)


def test_the_rate_that_undoes_the_correction_is_a_schedule() -> None:
    """A value: equal settings are equal, and it survives being written down."""
    schedule = Compensated(1.0, 0.5)
    assert [schedule(t) for t in range(3)] == [1.0, 1.5, 1.75]
    assert from_plain(to_plain(schedule)) == schedule
