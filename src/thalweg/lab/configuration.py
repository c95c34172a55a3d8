"""A method at some settings, as a trial takes it: the rule, the lines that vary, what stands around it, the rows a step.

All settings see the same rows: where a step takes half as many, twice as many steps are run, and a schedule spans
them. Steps are then told in those of the race.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..core.line import Scalar
from ..core.schedule import cosine, join, warmup
from .dimensions import Settings
from .entrants import Entrant
from .methods import Method
from .ranges import lines_of
from .trial import Runs

RAMP, FALL = 0.05, 0.2  # of the steps: the warm-up's, and those in which a stable rate comes down


@dataclass(frozen=True)
class Configuration:
    """What of a trial the settings decide; ``lines``: those of the entrant that are set, by name."""

    entrant: Entrant
    steps: int
    batch: int
    lines: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)
    pace: float = 1.0  # steps of the race that one of these is worth

    @property
    def tuned(self) -> Entrant:
        """The entrant with its lines set."""
        return self.entrant.replace(**self.lines) if self.lines else self.entrant

    def told(self, runs: Runs) -> Runs:
        """The runs with their steps in those of the race."""
        if self.pace == 1:
            return runs
        return replace(
            runs,
            steps=runs.steps * self.pace,
            reached=runs.reached * self.pace,
            settled=runs.settled * self.pace,
        )


def configured(entrant: Entrant, settings: Settings, steps: int, batch: int, rows: int) -> Configuration:
    """An entrant at some settings, of a race with so many steps and rows a step (0: all) on a problem with so many rows."""
    own = {n: lines_of(entrant, n) for n in settings}
    numbers: dict[str, float] = {n: float(v) for n, v in settings.items() if not isinstance(v, str)}
    lines = {line: numbers[n] for n, names in own.items() for line in names}
    options: dict[str, float] = {
        n: numbers[n] for n in ("weight_decay", "clip_norm") if n in numbers and not own[n]
    }
    pace = 1.0
    if "batch" in settings:
        usual, batch = batch or rows, int(numbers["batch"])
        steps, race_steps = max(1, round(steps * usual / batch)), steps
        pace = race_steps / steps
    if "schedule" in settings and settings["schedule"] != "constant":
        assert isinstance(entrant, Method)  # only a rule's rate can follow a schedule
        rate = shaped(str(settings["schedule"]), lines.pop("lr", entrant.values["lr"]), steps)
        entrant = replace(entrant, rule=entrant.rule.replace(lr=rate))
    return Configuration(entrant, steps, batch, lines, options, pace)


def shaped(schedule: str, rate: float, steps: int) -> Scalar:
    """A rate over so many steps: constant, a cosine to 0, or warm-up, stable, then a cosine to 0."""
    if schedule == "constant":
        return rate
    if schedule == "cosine":
        return cosine(rate, steps=steps)
    fall = max(1, round(FALL * steps))
    ramp = max(1, round(RAMP * steps))
    return warmup(join(rate, cosine(rate, steps=fall), at=max(1, steps - fall)), steps=ramp)
