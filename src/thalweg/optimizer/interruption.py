"""Ctrl-C in the middle of a step: nothing of it is done, or everything."""

from collections.abc import Callable


def whole_or_not(move: Callable[[], None], begun: Callable[[], bool]) -> None:
    """Run ``move``, of which Ctrl-C leaves nothing done or everything; begun: whether something is."""
    try:
        move()
    except BaseException:
        if begun():
            without_interruption(move)
        raise


def without_interruption(move: Callable[[], None]) -> None:
    """Have ``move`` run to its end, begun anew at each Ctrl-C: it skips what it has done."""
    while True:
        try:
            move()
        except KeyboardInterrupt:
            continue
        return
