"""What the lab costs a training loop at every yield: a number, and a dict of two, beside the bare generator.

python -m benchmarks.yields [--rounds 5] [--yields 1000000]
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.lab.training_run import run
from thalweg.problems import TrainingProblem

from .options import options


def numbers(optimizer: Callable[[Any], object], seed: int) -> Iterator[float]:
    """A loop that does nothing."""
    optimizer(np.ones(1))
    while True:
        yield 0.5


def dicts(optimizer: Callable[[Any], object], seed: int) -> Iterator[dict[str, float]]:
    """The same, telling more."""
    optimizer(np.ones(1))
    while True:
        yield {"loss": 0.5, "accuracy": 0.5}


def main() -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--yields", type=int, default=1_000_000)
    chosen = parser.parse_args()
    rounds, count = (1, 1000) if chosen.dry_run else (chosen.rounds, chosen.yields)
    for loop in (numbers, dicts):
        problem = TrainingProblem(loop)
        costs = []
        for _ in range(rounds):
            start = time.process_time()
            for _ in islice(loop(np.copy, 0), count):
                pass
            bare = time.process_time() - start
            start = time.process_time()
            run(problem, tw.SGD(), 0, count)
            costs.append(time.process_time() - start - bare)
        print(f"{loop.__name__}: {median(costs) / count * 1e9:.0f} ns a yield")


if __name__ == "__main__":
    main()
