"""What a race's searches say, as the plain data of ``race_result``: what was tuned and tried, and what each setting explains."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..core import clock
from ..core.formula import signature
from ..core.rule import Rule
from .configuration import Configuration
from .dimensions import Value, compared
from .importance import shares
from .race_result import Columns, Number
from .ranges import Tuning, lines_of
from .search import Search


def _plain(value: Value | None) -> Value | None:
    """A value as JSON can hold it: None where it is infinite or NaN."""
    return value if value is None or isinstance(value, str) or np.isfinite(value) else None


def settings(search: Search, tuned: Configuration, names: Sequence[str]) -> dict[str, Value | None]:
    """What was tuned, by setting: the best value, the method's own where nothing was found, None where it has none."""
    own = tuned.tuned.values
    chosen: dict[str, Value | None] = {}
    for n in names:
        lines = lines_of(search.entrant, n)
        chosen[n] = _plain(search.chosen.get(n, own.get(lines[0]) if lines else None))
    return chosen


def steady_gain(rule: Rule, rate: float) -> Number:
    """What a rate comes to under a constant gradient, w/g, where it is the factor on a sum of them; else None."""
    stated = rule.parts.gain
    if stated is None or "lr" not in rule.parts.lines or rule.parts.lines["lr"].unit != "w/g":
        return None
    arrays, others = signature(stated)
    if arrays != ("rate",):
        return None
    long = 2.0**40
    given = {"t": long, **rule.at(0), **dict(zip(clock.names(rule), clock.clock(rule)(long), strict=True))}
    try:
        gain = float(stated(rate, *(given[n] for n in others)))
    except ZeroDivisionError:
        return None
    return gain if gain != rate and np.isfinite(gain) else None


def trials(searches: Mapping[str, Search]) -> Columns:
    """Every tuning trial with its settings, one row each: a method's own where it was not tuned; lr in any case."""
    tuned = dict.fromkeys(["lr", *(n for search in searches.values() for n in search.space)])
    table: Columns = {"method": [], **{n: [] for n in tuned}, "loss": []}
    for name, search in searches.items():
        values = search.entrant.values
        own = {n: values.get(lines[0]) for n in tuned if (lines := lines_of(search.entrant, n) or (n,))}
        for tried, loss in zip(search.tried, search.losses, strict=True):
            table["method"].append(name)
            table["loss"].append(_plain(float(loss)))
            for n in tuned:
                table[n].append(_plain(tried.get(n, own[n])))
    return table


def importance(searches: Mapping[str, Search]) -> Columns:
    """How much of the differences between a method's trials each of several tuned settings explains."""
    table: Columns = {"method": [], "setting": [], "share": []}
    for name, search in searches.items():
        if len(search.space) > 1:
            tried = [compared(search.space, t) for t in search.tried]
            for row in ((name, *explained) for explained in shares(tried, search.losses).items()):
                for n, value in zip(table, row, strict=True):
                    table[n].append(value)
    return table


def options(tuning: Tuning) -> list[str]:
    """The options of the command line that say how settings are searched, where it is not as usual."""
    parts = [] if tuning.tune == ("lr",) else ["--tune", ",".join(tuning.tune)]
    for n, ends in tuning.ranges.items():
        parts += ["--range", f"{n}={':'.join(v if isinstance(v, str) else repr(v) for v in ends)}"]
    return parts if tuning.sampler == "halton" else [*parts, "--sampler", tuning.sampler]
