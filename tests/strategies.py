"""Random inputs with declared domains, and the lists of rules and forms that every law runs on."""

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from thalweg import rules
from thalweg.core import clock as scalars
from thalweg.core import update as compose
from thalweg.core.rule import Rule

settings.register_profile("thalweg", derandomize=True, max_examples=25, deadline=None)
settings.load_profile("thalweg")

RULES: dict[str, type[Rule]] = rules.shipped()

FORMS: list[tuple[str, str]] = [(n, d) for n, r in RULES.items() for d in ("", *r.parts.dialects)]
"""Every rule, plain and in every dialect."""


def _kind(rule: Rule) -> tuple[int, bool, int]:
    """How many states there are, whether the clock moves, and how the states grow with g."""
    moves = bool(scalars.moving(rule.clock_formula))
    return len(rule.parts.states), moves, compose.update(rule).power


LONE = ("ASGD",)
"""Alone of its kind, of which others have each part: a clock that moves, two states, states that g does not bound."""

KINDS: list[str] = sorted({_kind(r()): n for n, r in reversed(RULES.items()) if n not in LONE}.values())
"""The first rule of each kind: for what the engines put around any formula, where each kernel takes a second."""


FEW = ("SGD", "AMSGrad", "Rprop")
"""No states, most of them and a clock, another form: where even a kind's kernels take long."""


def seldom(name: str, *values: Any) -> Any:
    """A case that is slow unless its rule is the first of its kind: where each kernel takes seconds."""
    return pytest.param(name, *values, marks=[pytest.mark.slow] * (name not in KINDS or any(values)))


def forms_in_time(forms: Sequence[tuple[str, str]]) -> pytest.MarkDecorator:
    """Parametrize over forms: each rule's first now; its others, the same formula with other values, are slow."""
    first = dict(reversed(forms))
    cases = [pytest.param(n, d, marks=[pytest.mark.slow] * (first[n] != d)) for n, d in forms]
    return pytest.mark.parametrize(("name", "dialect"), cases)


def first_of(names: Iterable[str], now: Container[str]) -> pytest.MarkDecorator:
    """Parametrize over names, those that are not in ``now`` in the slow suite."""
    names = list(names)
    assert any(n in now for n in names), "nothing is left for now"
    cases = [pytest.param(n, marks=[pytest.mark.slow] * (n not in now)) for n in names]
    return pytest.mark.parametrize("name", cases)


every_rule = pytest.mark.parametrize("name", RULES)
every_kind = pytest.mark.parametrize("name", KINDS)
every_form = pytest.mark.parametrize(("name", "dialect"), FORMS)
few_rules_in_time = first_of(RULES, FEW)
every_rule_in_time = pytest.mark.parametrize("name", [seldom(n) for n in RULES])
every_form_in_time = pytest.mark.parametrize(("name", "dialect"), [seldom(*f) for f in FORMS])
"""Each kind now, the others in the slow suite."""


def form(name: str, dialect: str, **changes: Any) -> Rule:
    """A rule in one of its forms."""
    rule = RULES[name].like(dialect) if dialect else RULES[name]()
    return rule.replace(**changes) if changes else rule


def magnitudes(low: int, high: int) -> st.SearchStrategy[float]:
    """0, or between 2**low and 2**high in size, of either sign."""
    size = st.floats(2.0**low, 2.0**high)
    return st.just(0.0) | st.builds(math.copysign, size, st.sampled_from([-1.0, 1.0]))


# Far enough from zero that no square, and no square's tenth, leaves the normal range of float32.
gradients = st.lists(magnitudes(-20, 10), min_size=1, max_size=20)


def streams(dtype: Any, shape: tuple[int, ...], steps: int, seed: int = 0) -> Iterator[np.ndarray[Any, Any]]:
    """Gradients of many sizes, with zeros among them."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        g = rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 12, shape)
        g[rng.random(shape) < 0.2] = 0.0
        yield np.asarray(g, dtype=dtype)
