"""The budget of a race: how many trials, seeds, steps and rows, and which seeds tune, decide and judge."""

from dataclasses import dataclass, field
from numbers import Integral

from ..errors import HyperparameterError, nearest
from .ranges import Tuning

TUNING_SEEDS = 3
FINAL_SEEDS = 10  # more, on which the best trials of each method are rerun before one is chosen

BUDGETS = {"default": 1, "small": 25, "medium": 50, "large": 100}
"""Trials of each method, by name."""


def counted(budget: str | None, trials: int | None) -> int:
    """The trials of a budget's name or number, 25 without either; HyperparameterError for both, or an unknown one."""
    if budget is None:
        return BUDGETS["small"] if trials is None else trials
    if budget not in BUDGETS:
        raise HyperparameterError(f"race: budget {budget!r}: {nearest(budget, BUDGETS)}")
    if trials is not None:
        raise HyperparameterError(
            f"race: budget {budget!r} is {BUDGETS[budget]} trials and trials={trials!r} is given too: leave one out"
        )
    return BUDGETS[budget]


@dataclass(frozen=True)
class Budget:
    """The budget of a race: counts, never clocks. HyperparameterError for counts that cannot be.

    select: what settings are chosen by, "loss" or "validation".
    """

    trials: int
    seeds: int
    steps: int
    batch: int
    seed: int
    tuning_seeds: int = TUNING_SEEDS
    select: str = "loss"
    search: Tuning = field(default_factory=Tuning)

    def __post_init__(self) -> None:
        least = {"trials": 1, "seeds": 1, "steps": 1, "batch": 0, "seed": 0, "tuning_seeds": 1}
        for n, low in least.items():
            value = getattr(self, n)
            if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < low:
                raise HyperparameterError(f"race: {n} must be a whole number >= {low}, got {value!r}")
            object.__setattr__(self, n, int(value))  # NumPy's are no numbers of JSON

    @property
    def tuning(self) -> list[int]:
        """The seeds on which settings are chosen."""
        return [self.seed * 10_000 + i for i in range(self.tuning_seeds)]

    @property
    def finals(self) -> list[int]:
        """More tuning seeds, for each method's finalists."""
        first = self.seed * 10_000 + self.tuning_seeds
        return [first + i for i in range(FINAL_SEEDS)]

    @property
    def test(self) -> list[int]:
        """The seeds on which the chosen settings are rerun: none of them was seen in tuning."""
        return [self.seed * 10_000 + 1_000 + i for i in range(self.seeds)]
