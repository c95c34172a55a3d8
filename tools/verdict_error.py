"""Measure how often a race's verdicts are wrong, given the settings, and write it into docs/compare-fairly.md.

    python -m tools.verdict_error

Races of methods of which some are equal are drawn, with everything that makes a test fail: tails, ties, diverged runs,
floors. Their tests (tests/test_verdict.py) hold the figures to limits. A minute.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from thalweg.lab.verdict import Measure, verdicts

from .pages import DOCS, table, write

PAGE = DOCS / "compare-fairly.md"
RACES = 400
FALSE = 'races with a false "better"'
Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A race: how many methods and seeds, and how many of the methods, the last ones, are worse."""

    methods: int
    seeds: int
    worse: int = 0

    @property
    def text(self) -> str:
        equal = f"{self.methods - self.worse} equal"
        return f"{equal}{f' and {self.worse} worse' if self.worse else ''} methods, {self.seeds} seeds"


EQUAL = (Case(2, 20), Case(9, 30), Case(9, 30, worse=5))
APART = (Case(2, 20), Case(9, 30))
NOISES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "t2": lambda rng, size: rng.standard_t(2, size),
    "Cauchy": lambda rng, size: rng.standard_cauchy(size),
    "skewed": lambda rng, size: rng.exponential(1, size),
}


def simulated(
    rng: np.random.Generator, noise: str, case: Case, what: str
) -> tuple[dict[str, Array], Measure]:
    """Losses (seeds,) by method, and what they are measured by. what: "ties", "diverged" runs, a "floor", or ""."""
    logs = 0.1 * NOISES[noise](rng, (case.methods, case.seeds)) + rng.standard_normal(case.seeds)
    logs[case.methods - case.worse :] += 0.5
    if what == "ties":
        logs = np.round(logs, 1)
    losses = np.exp(np.clip(logs, -500, 500))
    if what == "diverged":
        losses[rng.random(losses.shape) < 0.15] = np.inf
    floor = 0.8 if what == "floor" else 5e-324
    return {str(i): losses[i] for i in range(case.methods)}, Measure(True, floor=floor)


def races(case: Case, count: int) -> Iterator[tuple[dict[str, Array], Measure]]:
    """So many races, with every noise and everything that is wrong in turn."""
    rng = np.random.default_rng(case.methods + case.worse)
    kinds = itertools.cycle(itertools.product(NOISES, ("", "ties", "diverged", "floor")))
    for noise, what in itertools.islice(kinds, count):
        yield simulated(rng, noise, case, what)


def wrong(case: Case, count: int = RACES) -> int:
    """Of so many races, those in which one of several equal methods is called better than another."""
    equal = {str(i) for i in range(case.methods - case.worse)}
    return sum(
        any(v.verdict != "tie" and {v.a, v.b} <= equal for v in verdicts(values, measure))
        for values, measure in races(case, count)
    )


def found(case: Case, count: int = RACES) -> float:
    """The share of true differences of 10 %, whose paired logarithms deviate by 10 %, that are found in so many races."""
    rng = np.random.default_rng(case.methods)
    hits = 0
    for _ in range(count):
        shape = (case.methods, case.seeds)
        logs = rng.standard_normal(case.seeds) + 0.1 / np.sqrt(2) * rng.standard_normal(shape)
        logs[1:] += np.log(1.1)
        said = verdicts({str(i): np.exp(logs[i]) for i in range(case.methods)}, Measure(True))
        hits += sum(v.a == "0" and v.verdict == "better" for v in said)
    return hits / (count * (case.methods - 1))


def written() -> str:
    """The figures, measured, as the page has them."""
    rows = [[case.text, f"{wrong(case)} of {RACES}"] for case in EQUAL]
    two, nine = (f"{100 * found(case):.0f} %" for case in APART)
    return (
        f"{table(('', FALSE), rows)}\n\n"
        f"A true difference of 10 % whose paired logarithm deviates by 10 % is found in {two} of races of"
        f" {APART[0].methods} methods with {APART[0].seeds} seeds,\nand in {nine} of those of {APART[1].methods} with"
        f" {APART[1].seeds}."
    )


if __name__ == "__main__":
    write(PAGE, "verdict error", "verdict_error", written())
