"""How calls are timed: interleaved, each after a rest, medians."""

import statistics
import time
from collections.abc import Callable, Mapping

REST = 0.02  # torch's OpenMP workers spin for some 8 ms after a call and take a core


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    repeat: int = 1,
    prepare: Mapping[str, Callable[[], object]] = {},
) -> dict[str, float]:
    """Median seconds a call: every round runs each once (``repeat`` times in a row), rested, in turn.

    prepare: what runs before each call of that name, outside the time that is taken; then calls are timed one by one.
    """
    for n, call in calls.items():
        for _ in range(2):
            prepare.get(n, _nothing)()
            call()
    taken: dict[str, list[float]] = {n: [] for n in calls}
    names = list(calls)
    for turn in range(rounds):
        for n in (
            names[turn % len(names) :] + names[: turn % len(names)]
        ):  # nobody is always first after another
            call = calls[n]
            if n in prepare:
                for k in range(repeat):
                    prepare[n]()
                    if k == 0:
                        time.sleep(REST)
                    taken[n].append(_seconds(call, 1))
            else:
                time.sleep(REST)
                taken[n].append(_seconds(call, repeat))
    return {n: statistics.median(values) for n, values in taken.items()}


def _seconds(call: Callable[[], object], repeat: int) -> float:
    """Seconds a call, of so many in a row."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def _nothing() -> None:
    return None
