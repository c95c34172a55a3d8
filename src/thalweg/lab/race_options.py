"""What a race may be asked for beside its problem and its methods: one value, which races and studies hand on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from ..problems import Raced, Source
from ..problems.base import asked
from .budget import Budget, counted
from .dimensions import Value
from .ranges import Tuning, ranges, wanted


@dataclass(frozen=True)
class RaceOptions:
    """The options of ``race`` that decide its numbers; what each means is said there."""

    tune: str | Sequence[str] = "lr"
    range: Mapping[str, Sequence[Value]] | None = None
    budget: str | None = None
    trials: int | None = None
    sampler: str = "halton"
    seeds: int = 30
    steps: int | None = None
    batch: int | None = None
    seed: int = 0
    target: str | None = None
    drop: Sequence[str] = ()
    start: Sequence[float] = ()
    l2: float | None = None
    model: str = "linear"
    reading: Mapping[str, object] | None = None
    select: str | None = None
    measure: str = ""
    maximize: bool = False

    def source(self, name: object) -> Source:
        """What a problem of this name is made from, with what the options say of problems; ProblemError."""
        return asked(
            name,
            target=self.target,
            drop=self.drop,
            start=self.start,
            l2=self.l2,
            model=self.model,
            reading=self.reading,
            measure=self.measure,
            maximize=self.maximize,
        )

    def plan(self, p: Raced) -> Budget:
        """The budget that they come to on a problem; HyperparameterError for counts and settings that cannot be."""
        most = counted(self.budget, self.trials)
        return Budget(
            most,
            self.seeds,
            p.steps if self.steps is None else self.steps,
            p.batch if self.batch is None else self.batch,
            self.seed,
            search=Tuning(wanted(self.tune, most), ranges(self.range), self.sampler),
        )


DEFAULTS = RaceOptions()
NAMES = tuple(f.name for f in fields(RaceOptions))
