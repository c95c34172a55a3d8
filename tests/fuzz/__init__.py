"""Random damage: files, and calls with any arguments. Each trial has a seed of its own, which a failure names.

By default a second's worth; with ``-m slow`` twenty times as many; ``-m fuzz`` goes on for hours.
"""

import random
from collections.abc import Iterator

import pytest


def trials(few: int) -> pytest.MarkDecorator:
    """Parametrize a test over how many trials it makes."""
    return pytest.mark.parametrize(
        "count",
        [
            few,
            pytest.param(20 * few, marks=pytest.mark.slow),
            pytest.param(20_000 * few, marks=pytest.mark.fuzz),
        ],
    )


def draws(count: int) -> Iterator[random.Random]:
    """A source of random numbers for each trial. To repeat trial k alone: ``random.Random(k)``."""
    for k in range(count):
        try:
            yield random.Random(k)
        except GeneratorExit:  # the test has failed in this trial
            print(f"trial {k} of {count}")
            raise
