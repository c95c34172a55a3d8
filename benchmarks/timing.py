"""How calls are timed: interleaved, each after a rest, medians."""

import statistics
import time
from collections.abc import Callable, Mapping

REST = 0.02  # torch's OpenMP workers spin for some 8 ms after a call and take a core


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int, repeat: int = 1) -> dict[str, float]:
    """Median seconds a call: every round runs each once (``repeat`` times in a row), rested, in turn."""
    for call in calls.values():
        call()
        call()
    taken: dict[str, list[float]] = {n: [] for n in calls}
    names = list(calls)
    for k in range(rounds):
        for n in names[k % len(names) :] + names[: k % len(names)]:  # nobody is always first after another
            call = calls[n]
            time.sleep(REST)
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            taken[n].append((time.perf_counter() - start) / repeat)
    return {n: statistics.median(values) for n, values in taken.items()}
