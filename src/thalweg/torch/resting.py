"""Weights of a group that have had no gradient: its values must leave them finite, which is asked before a step."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import clock as clocks
from ..core.started import Started
from ..engines.at_rest import AtRest
from .layout import KINDS


class Resting:
    """A group's plan that has been asked last, and who is asked: one for each dtype of its arithmetic."""

    def __init__(self, plan: Started, group: Mapping[str, Any], done: int) -> None:
        wide = {KINDS[p.dtype][0] == "float64" for p in group["params"] if p.dtype in KINDS}
        self._asked = [AtRest(plan, np.dtype("float64" if x else "float32"), ("lr",)) for x in sorted(wide)]
        for rest in self._asked:
            rest.require_ahead("step", done)
        self.plan, self.follows_schedule = plan, clocks.scheduled(plan.rule)

    def require(self, plan: Started, done: int) -> bool:
        """Whether a plan differs in lr alone, after so many steps; HyperparameterError where a weight would be lost."""
        old, new = self.plan.rule.values, plan.rule.values
        alike = plan.update is self.plan.update and plan.values == self.plan.values
        if not alike or any(old[n] != new[n] for n in old if n != "lr") or old.keys() != new.keys():
            return False
        row = plan.scalars(done + 1)
        for rest in self._asked:
            rest.follow(plan)
            rest.require("step", done + 1, row)
        self.plan, self.follows_schedule = plan, clocks.scheduled(plan.rule)
        return True


def asked(
    rest: Resting | None, plan: Started, group: Mapping[str, Any], states: Mapping[Any, Mapping[str, Any]]
) -> Resting:
    """Return who has let the group's next step pass; HyperparameterError where it would lose a weight at rest."""
    counts = (states[p]["step"] for p in group["params"] if "step" in states.get(p, ()))
    done = int(next(counts, 0))
    return rest if rest is not None and rest.require(plan, done) else Resting(plan, group, done)
