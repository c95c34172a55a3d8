"""Whole runs in one kernel: steps a second, and a map of learning rate × epsilon.

python -m benchmarks.loops [--rounds 15]
"""

from collections.abc import Callable
from functools import partial

import numpy as np

import thalweg as tw
from thalweg.engines.cpu import loops
from thalweg.problems import landscape

from .options import options
from .timing import interleaved


def main() -> None:
    chosen = options(__doc__, rounds=15).parse_args()
    rounds, lengths, side = (1, (100,), 4) if chosen.dry_run else (chosen.rounds, (10_000, 100_000), 64)
    p = landscape("beale")
    before = tw.threads()

    def seconds(call: Callable[[], object]) -> float:
        return interleaved({"run": call}, rounds)["run"]

    tw.set_threads(1)
    start = np.array([p.starts[0]])
    for steps in lengths:
        taken = seconds(partial(loops.run, tw.Adam(lr=0.01), p.objective, start, steps, record=("path",)))
        print(
            f"Adam on Beale, float64, {steps} steps, path recorded, one thread: {steps / taken:.3g} steps/s"
        )
    tw.set_threads(before)
    lr, eps = np.meshgrid(np.logspace(-4, 0, side), np.logspace(-8, 2, side))
    vary = {"lr": lr.ravel(), "eps": eps.ravel()}
    starts = np.tile(start, (lr.size, 1))
    taken = seconds(lambda: loops.run(tw.Adam(), p.objective, starts, 1000, every=1000, vary=vary))
    print(f"{side} × {side} map of learning rate × epsilon, 1000 steps each, {before} threads: {taken:.3f} s")


if __name__ == "__main__":
    main()
