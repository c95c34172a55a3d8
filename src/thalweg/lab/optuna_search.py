"""Searches in which Optuna's sampler chooses each method's next settings from what came of those before.

Every method has as many trials as any other and a sampler of its own with the same seed, so that one that has fewer
settings is not disturbed by those that have more. Ranges are as they are: none is widened.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from ..problems.base import require
from .dimensions import Choice, Space, drawn
from .search import Proposal, Search


class _Asked(Protocol):
    """A trial of Optuna's, which says where to look."""

    def suggest_float(self, name: str, low: float, high: float, /) -> float: ...
    def suggest_categorical(self, name: str, choices: Sequence[int], /) -> int: ...


def rounds(searches: Sequence[Search], trials: int, seed: int) -> Iterator[tuple[str, list[Proposal]]]:
    """Yield one trial of every method a round, with the round's name; its loss must be added before the next.

    ProblemError where Optuna is not installed.
    """
    optuna = require("optuna", "optuna", "sampler='optuna'")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tuned = [s for s in searches if s.space and trials > 1]
    studies = {id(s): optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)) for s in tuned}
    for k in range(trials):
        asked = [(s, studies[id(s)].ask()) for s in tuned]
        proposals: list[Proposal] = [(s, drawn(s.space, _quantiles(trial, s.space))) for s, trial in asked]
        proposals += [(s, {}) for s in searches if s not in tuned and k == 0]
        before = {id(s): len(s.losses) for s in tuned}
        yield "tuning", proposals
        for s, trial in asked:
            if len(s.losses) > before[id(s)]:  # not where it was interrupted
                studies[id(s)].tell(trial, s.losses[-1])


def _quantiles(trial: _Asked, space: Space) -> dict[str, float]:
    """Where the sampler wants to look, as quantiles of the ranges by setting; a choice's in the middle of its part."""
    found = {}
    for n, dimension in space.items():
        if isinstance(dimension, Choice) and any(isinstance(v, str) for v in dimension.values):
            count = len(dimension.values)
            found[n] = (trial.suggest_categorical(n, range(count)) + 0.5) / count
        else:
            found[n] = trial.suggest_float(n, 0.0, 1.0)
    return found
