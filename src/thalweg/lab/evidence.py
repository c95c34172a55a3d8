"""What an experiment found: numbers, checks, a picture; and the verdict that follows from them.

    a check failed                      the claim does not hold
    all hold, some limit was confirmed  it holds under conditions, which are named
    all hold                            it holds

A *check* is what the claim needs in order to be true. A *limit* is a circumstance, measured too, in which
it is not: confirmed, it becomes a condition.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from ..core.line import Scalar
from ..core.rule import Rule, find
from .pictures.panels import Picture

Verdict = Literal["holds", "holds under conditions", "does not hold"]


def use(name: str, **settings: Scalar) -> Rule:
    """A rule by name when the experiment runs: ``use("RMSprop:slides", lr=0.1)``.

    Settings are the dialect's own names or the rule's lines. Raises HyperparameterError.
    """
    kind, _, dialect = name.partition(":")
    rule = find(kind)
    return rule.like(dialect, **settings) if dialect else rule(**settings)


@dataclass
class Evidence:
    """Collects what was measured; ``reading`` says in a sentence or two what the picture shows."""

    numbers: dict[str, float] = field(default_factory=dict)
    source_numbers: dict[str, float] = field(default_factory=dict)
    agreed: dict[str, bool] = field(default_factory=dict)
    checks: list[tuple[str, bool]] = field(default_factory=list)
    limits: list[tuple[str, bool]] = field(default_factory=list)
    picture: Picture | None = None
    reading: str = ""

    def number(self, text: str, value: float, source: float | None = None, within: float = 0.0) -> float:
        """Note a measured number and what a source gives for it, and return it: agreement within a relative share is a check."""
        self.numbers[text] = float(value)
        if source is not None:
            self.source_numbers[text] = float(source)
            self.agreed[text] = math.isclose(value, source, rel_tol=within, abs_tol=0.0)
        return float(value)

    def check(self, text: str, holds: bool) -> bool:
        """Note what must be so for the claim to hold; whether it is."""
        self.checks.append((text, bool(holds)))
        return bool(holds)

    def limit(self, text: str, confirmed: bool) -> bool:
        """Note a circumstance in which the claim fails, as the condition that excludes it ("only while ..."); whether it was met."""
        self.limits.append((text, bool(confirmed)))
        return bool(confirmed)

    @property
    def conditions(self) -> list[str]:
        """Where it holds under conditions: the limits that were confirmed."""
        return self._confirmed if self.verdict == "holds under conditions" else []

    @property
    def _confirmed(self) -> list[str]:
        return [text for text, confirmed in self.limits if confirmed]

    @property
    def verdict(self) -> Verdict:
        """What follows from the checks and limits."""
        needed = [*self.agreed.values(), *(holds for _, holds in self.checks)]
        if not needed or not all(needed):
            return "does not hold"
        return "holds under conditions" if self._confirmed else "holds"
