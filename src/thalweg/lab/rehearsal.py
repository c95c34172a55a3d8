"""Before a race: a training loop is run twice, to see that it can be raced, how long it is, and what it yields."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.rule import Rule
from ..errors import HyperparameterError, ProblemError
from ..problems import Raced, Source
from ..problems.training import LOSS, VALIDATION, TrainingProblem
from .budget import Budget
from .entrants import Entrant, Foreign
from .formatting import listing, number
from .performing import Performer
from .ranges import space
from .training_run import Trained, run
from .trial import Trial, resolve

ROUND = 40  # a loop's own length is cut to a multiple, where it is long enough for that to be little
LITTLE = 10
AGAIN = 100  # yields of the second run: what is kept from run to run shows at once
HELD_OUT = ("val", "eval", "dev", "held")  # how names begin that may be meant as ``VALIDATION``
ROUGH = 1e-4  # relative difference above which two runs are not told apart by rounding


@dataclass(frozen=True)
class Rehearsal:
    """What is known of a training loop once it has run: how many yields a run takes, and what is said of it."""

    steps: int
    door: str
    validated: bool  # does it yield a loss by which settings can be chosen?
    text: str


def rehearsed(
    p: TrainingProblem,
    source: Source | Raced,
    entrants: Sequence[Entrant],
    budget: Budget,
    steps: int | None,
    performer: Performer,
) -> Budget:
    """Return the budget with a training loop's own length, once that was run in a worker; say in ``p`` what was seen.

    Raises ProblemError, HyperparameterError.
    """
    for m in entrants:
        if budget.trials == 1 and "lr" not in m.values and "lr" in m.lines:
            raise HyperparameterError(
                f"{m.name}: has no rate of its own for trials=1; write one, {m.replace(lr=0.01)!r}, or let more be tried"
            )
    most = p.steps if steps is None else steps
    trials = [Trial(usual(m), source, most, budget.tuning[:1]) for m in entrants]
    seen = performer.within_limit(p.name, rehearse, trials)
    p.text, p.door = seen.text, seen.door
    p.validation_name = VALIDATION if seen.validated else None
    return replace(budget, steps=seen.steps)


def rehearse(trials: Sequence[Trial]) -> Rehearsal:
    """Run a training loop twice, as the first of the trials that it can be run as has it; return what was seen.

    trials: of one problem, seed and count of steps, which is the most. Raises ProblemError where it runs with none, and
    where the same seed does not give the same losses twice.
    """
    most, (seed,) = trials[0].steps, trials[0].seeds
    p = resolve(trials[0].problem)
    assert isinstance(p, TrainingProblem)
    failed: list[str] = []
    for trial in trials:
        first = run(p, trial.rule, seed, most)
        if first.reason:
            failed.append(first.reason)
            continue
        _demand_same(p, first, run(p, trial.rule, seed, most, leave_after=AGAIN))
        if first.diverged and first.yields == 1:
            failed.append(
                f"{p.name} yielded {first.series[LOSS][1][0]} as its first loss, before any step told: nothing can be compared"
            )
            continue
        if not first.diverged:
            break
    if len(failed) == len(trials):
        raise ProblemError(failed[0])
    return _seen(p, first, most)


def usual(entrant: Entrant) -> Rule | Foreign:
    """An entrant at its own rate, or in the middle of where rates are looked for if it has none."""
    if "lr" in entrant.values:
        return entrant.runs
    return (
        entrant.replace(lr=float(space(entrant)["lr"].at(0.5))).runs
        if "lr" in entrant.lines
        else entrant.runs
    )


def _demand_same(p: TrainingProblem, first: Trained, second: Trained) -> None:
    """ProblemError where a loop, run again, gives other losses, or fails."""
    if second.reason:
        raise ProblemError(
            f"the second run of the same trial failed, after a sound first one: {second.reason}"
        )
    name = LOSS if LOSS in first.series else p.measure
    (_, one), (_, other) = (r.series.get(name, (np.empty(0), np.empty(0))) for r in (first, second))
    shared = min(len(one), len(other))
    with np.errstate(invalid="ignore"):
        apart = np.flatnonzero(np.abs(one[:shared] - other[:shared]) > ROUGH * np.abs(one[:shared]))
    if len(apart):
        a, b = (number(float(values[apart[0]])) for values in (one, other))
        raise ProblemError(
            f"{p.name}: the same trial, run twice, gave {name} {a}, then {b} (yield {apart[0] + 1}): it keeps something"
            " from run to run (a model or an optimizer outside it?), or draws random numbers that its seed does not"
            " fix; make everything within it, from seed"
        )


def _seen(p: TrainingProblem, first: Trained, most: int) -> Rehearsal:
    """What a whole run shows; a loop that ends by itself is raced over its own length."""
    n, validated = first.yields, VALIDATION in first.series
    if n == most or first.diverged:
        return Rehearsal(most, first.door, validated, _text(p, first, ""))
    kept = n - n % ROUND if n >= LITTLE * ROUND else n
    ends = f"It ends by itself after {n:,} yields{f', of which {kept:,} are run' if kept < n else ''}."
    return Rehearsal(kept, first.door, validated, _text(p, first, ends))


def _text(p: TrainingProblem, first: Trained, ends: str) -> str:
    """The loop in two or three sentences."""
    at, _ = first.series.get(p.measure, ((), ()))
    worth = (
        "the mean over the last tenth of the yields" if len(at) == first.yields else "the last one yielded"
    )
    more = "made large" if p.maximize else "made small"
    names = listing(sorted(first.series, key=lambda n: n != LOSS))
    said = f"A training loop of {first.door}'s that yields {names}. Compared is its {p.measure}, {worth}, {more}."
    aside = [n for n in first.series if n.lower().startswith(HELD_OUT) and n not in (VALIDATION, p.measure)]
    if aside and VALIDATION not in first.series:
        said += f" Settings are chosen by its {p.measure}, not by {aside[0]}: only a name {VALIDATION!r} does that."
    return f"{said} {ends}".strip()
