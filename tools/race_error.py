"""Measure how often a race calls one of several identical methods better, and write it into docs/compare-fairly.md.

    python -m tools.race_error --races 200 --out race_error.json && python -m tools.race_error --write race_error.json

Copies of one rule are each tuned as a race tunes, on trials and tuning seeds of their own, and then compared on fresh
seeds that all share. Whatever is called "better" is luck in tuning. Minutes, on two cores.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.lab import answers
from thalweg.lab.budget import FINAL_SEEDS, TUNING_SEEDS
from thalweg.lab.entrants import entrants
from thalweg.lab.ranges import Tuning, scales, space
from thalweg.lab.search import Search, Tuner
from thalweg.lab.statistics import quantile
from thalweg.lab.trial import Trial
from thalweg.problems import landscape
from thalweg.problems.compiled import CompiledProblem
from thalweg.problems.logistic import Zipf

from .pages import DOCS, table, write

PAGE = DOCS / "compare-fairly.md"
# Problems and the steps of a run: a linear model on mini-batches, a neuron on single rows, a valley from many starts.
CASES: dict[str, tuple[Callable[[], CompiledProblem], int]] = {
    "logistic regression": (lambda: Zipf(500, 50), 300),
    "neuron-sparse": (lambda: landscape("neuron-sparse"), 1000),
    "rosenbrock": (lambda: landscape("rosenbrock"), 1000),
}
RULES = ("SGD", "Adam")
TRIALS, SEEDS = 25, 30
Array = np.ndarray[Any, Any]


def losses(p: CompiledProblem, rule: Any, rates: list[float], steps: int, seeds: list[int]) -> Array:
    """Final losses (rates, seeds), inf where a run diverged."""
    trial = Trial(rule, p, steps, seeds, batch=p.batch, vary={"lr": np.array(rates)}, every=steps // 4)
    return trial.run().curves[..., -1]


def tuned(p: CompiledProblem, name: str, steps: int, luck: int) -> tuple[float, float]:
    """The rate that a race chooses, and the one with the lowest median in tuning, before its finalists are rerun."""
    (entrant,) = entrants([name])
    search = Search(entrant, space(entrant, scales(p, 0, p.batch, Tuning())))
    first = 10_000 * (luck + 1)
    seeds = list(range(first, first + TUNING_SEEDS))
    for _, proposals in Tuner([search], TRIALS, luck).rounds():
        rates = [float(settings["lr"]) for _, settings in proposals]
        for (_, settings), ends in zip(proposals, losses(p, entrant.runs, rates, steps, seeds), strict=True):
            search.add(settings, quantile(ends, 0.5))
    assert search.best is not None
    early = float(search.tried[search.best]["lr"])
    rates = [float(search.tried[i]["lr"]) for i in search.finalists]
    ends = losses(p, entrant.runs, rates, steps, list(range(first, first + TUNING_SEEDS + FINAL_SEEDS)))
    for i, row in zip(search.finalists, ends, strict=True):
        search.finals[i] = quantile(row, 0.5)
    return float(search.tried[search.best]["lr"]), early


def told_apart(p: CompiledProblem, name: str, steps: int, rates: list[float], race: int) -> bool:
    """Whether any of the copies at these rates is called better than another on a race's fresh seeds."""
    (entrant,) = entrants([name])
    seeds = list(range(100 * race, 100 * race + SEEDS))
    ends = dict(zip(map(str, range(len(rates))), losses(p, entrant.runs, rates, steps, seeds), strict=True))
    starts = np.array([p.loss(p.start(s)) for s in seeds])
    said = answers.lowest(ends, starts, p.minimum, float(np.finfo(float).eps))
    return any(v["verdict"] != "tie" for v in said["verdicts"])


def measured(name: str, rule: str, races: int) -> dict[str, Any]:
    """The shares of races of two, and of nine, copies in which one is called better."""
    make, steps = CASES[name]
    p = make()
    copies = [tuned(p, rule, steps, luck) for luck in range(2 * races)]
    final, early = map(list, zip(*copies, strict=True))
    rng = np.random.default_rng(0)
    groups = [rng.choice(2 * races, 9, replace=False).tolist() for _ in range(races)]
    pairs = [[2 * r, 2 * r + 1] for r in range(races)]
    of = {"two": (final, pairs), "nine": (final, groups), "two, three seeds": (early, pairs)}
    shares = {
        n: sum(told_apart(p, rule, steps, [rates[i] for i in g], r) for r, g in enumerate(gs)) / races
        for n, (rates, gs) in of.items()
    }
    same = sum(told_apart(p, rule, steps, [final[0]] * 2, r) for r in range(races)) / races
    return {"problem": name, "rule": rule, "races": races, "same": same, **shares}


def written(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    head = [
        "problem", "rule", "one tuning, two names", "two copies tuned apart", "the same, chosen on three seeds",
        "nine copies tuned apart: any",
    ]  # fmt: skip
    cells = ("same", "two", "two, three seeds", "nine")
    lines = [[r["problem"], r["rule"], *(f"{100 * r[c]:.0f} %" for c in cells)] for r in rows]
    return f"{rows[0]['races']} races in each cell, {TRIALS} trials, {SEEDS} fresh seeds.\n\n{table(head, lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("race_error.json"))
    parser.add_argument("--write", type=Path, help="write these numbers into the page instead")
    given = parser.parse_args()
    if given.write:
        write(PAGE, "race error", "race_error", written(json.loads(given.write.read_text())))
        return
    rows = []
    for name in CASES:
        for rule in RULES:
            rows.append(measured(name, rule, given.races))
            print(rows[-1], flush=True)
            given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
