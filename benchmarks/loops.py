"""Whole runs in one kernel: steps a second, and a map of learning rate × epsilon.

python -m benchmarks.loops
"""

import statistics
import time

import numpy as np

import thalweg as tw
from thalweg.engines.cpu import loops
from thalweg.problems import catalogue

ROUNDS = 15


def seconds(call):  # type: ignore[no-untyped-def]
    """Median time of a call, compiled before."""
    call()
    taken = []
    for _ in range(ROUNDS):
        time.sleep(0.02)
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    p = catalogue()["beale"]()
    before = tw.threads()
    tw.set_threads(1)
    start = np.array([p.starts[0]])
    for steps in (10_000, 100_000):
        taken = seconds(
            lambda steps=steps: loops.run(tw.Adam(lr=0.01), p.objective, start, steps, record=("path",))
        )
        print(
            f"Adam on Beale, float64, {steps} steps, path recorded, one thread: {steps / taken:.3g} steps/s"
        )
    tw.set_threads(before)
    lr, eps = np.meshgrid(np.logspace(-4, 0, 64), np.logspace(-8, 2, 64))
    vary = {"lr": lr.ravel(), "eps": eps.ravel()}
    starts = np.tile(start, (lr.size, 1))
    taken = seconds(lambda: loops.run(tw.Adam(), p.objective, starts, 1000, every=1000, vary=vary))
    print(f"64 × 64 map of learning rate × epsilon, 1000 steps each, {before} threads: {taken:.3f} s")


if __name__ == "__main__":
    main()
