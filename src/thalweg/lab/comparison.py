"""Two races side by side, from the stores that they were kept in: before a change and after it, here and there.

Where both ran the same problem from the same starts their runs are paired, and each method is told better, worse or
tied against itself.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from ..errors import FileError
from . import answers
from .race_result import MethodRow, RaceResult, VerdictRow
from .store import existing

EPS = float(np.finfo(float).eps)
UNSETTLED = ("command", "methods", "target", "target_text")  # of a race's settings: they follow from others


class RacedRuns(TypedDict):
    """What is kept of a race beside its report. starts, ends: losses of each method's runs on fresh seeds, inf where
    a run diverged; minimum: of the loss, where it is known.
    """

    seeds: list[int]
    starts: dict[str, list[float]]
    ends: dict[str, list[float]]
    minimum: float | None


class KeptRace(TypedDict):
    """A race in its store."""

    race: RaceResult
    runs: RacedRuns


class ComparedMethod(TypedDict):
    """A method in both races; None where one has it not. verdict: of the first race against the second."""

    method: str
    a: MethodRow | None
    b: MethodRow | None
    verdict: VerdictRow | None


class ComparedProblem(TypedDict):
    """A problem in both stores. unpaired: why there are no verdicts, "" where there are. settings, versions: what differs."""

    problem: str
    methods: list[ComparedMethod]
    unpaired: str
    settings: dict[str, list[Any]]
    versions: dict[str, list[str | None]]


class ComparedRaces(TypedDict):
    """Everything that is told. only: problems that one of the two stores lacks."""

    version: int
    a: str
    b: str
    problems: list[ComparedProblem]
    only: list[str]


@dataclass(frozen=True)
class Compared:
    """Two races side by side; ``data`` is everything that is told."""

    data: ComparedRaces

    def json(self) -> str:
        """The comparison as JSON; what is infinite is null."""
        return json.dumps(self.data, indent=1, allow_nan=False) + "\n"

    def __repr__(self) -> str:
        lines = [f"{self.data['a']} beside {self.data['b']}:"]
        for p in self.data["problems"]:
            lines.append("  " + ", ".join([p["problem"], *filter(None, [p["unpaired"]])]))
            lines += [f"    {m['method']:<12} {told(m)}" for m in p["methods"]]
        return "\n".join(lines)


def compare(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Compared:
    """Lay the races of two stores side by side, problem by problem, method by method.

    a, b: stores, ``race.db`` beside ``race.html``. Raises FileError for what is none, or holds no race that ended.
    """
    first, second = _races(a), _races(b)
    shared = [n for n in first if n in second]
    if not shared:
        raise FileError(
            f"{os.fspath(a)}, {os.fspath(b)}: have no problem in common: {', '.join(first)}; {', '.join(second)}"
        )
    problems = [_problem(n, first[n], second[n]) for n in shared]
    only = [n for n in (*first, *second) if n not in shared]
    return Compared({"version": 1, "a": os.fspath(a), "b": os.fspath(b), "problems": problems, "only": only})


def told(method: ComparedMethod) -> str:
    """What is said of a method, the first race against the second."""
    row = method["verdict"]
    if row is None:
        return "" if method["a"] and method["b"] else f"only in {'A' if method['a'] else 'B'}"
    effect, scale = (row["ratio"], " ×") if row["ratio"] else (row["difference"], "")
    size = "" if effect is None or effect["median"] is None else f", {effect['median']:.3g}{scale}"
    return f"{row['verdict']}{size}, lower in {row['wins']} of {row['pairs']}" + (
        f", {row['ties']} equal" if row["ties"] else ""
    )


def _races(path: str | os.PathLike[str]) -> dict[str, KeptRace]:
    """The races of a store by their problems; FileError."""
    store = existing(path)
    races: dict[str, KeptRace] = store.results()
    store.close()
    if not races:
        raise FileError(
            f"{os.fspath(path)}: holds no race that ended; run its command again, which goes on with it"
        )
    return races


def _problem(name: str, a: KeptRace, b: KeptRace) -> ComparedProblem:
    rows = [{r["method"]: r for r in kept["race"]["methods"]} for kept in (a, b)]
    names = list(dict.fromkeys([*rows[0], *rows[1]]))
    unpaired = _unpaired(a["runs"], b["runs"])
    verdicts: dict[str, VerdictRow] = {}
    if not unpaired:
        ends = [kept["runs"]["ends"] for kept in (a, b)]
        both = [n for n in names if n in ends[0] and n in ends[1]]
        starts = np.concatenate([a["runs"]["starts"][n] for n in both])
        said = answers.versus(
            {n: ends[0][n] for n in both}, {n: ends[1][n] for n in both}, starts, a["runs"]["minimum"], EPS
        )
        verdicts = dict(zip(both, said, strict=True))
    settings = [{n: v for n, v in kept["race"]["settings"].items() if n not in UNSETTLED} for kept in (a, b)]
    return {
        "problem": name,
        "methods": [
            {"method": n, "a": rows[0].get(n), "b": rows[1].get(n), "verdict": verdicts.get(n)} for n in names
        ],
        "unpaired": unpaired,
        "settings": _apart(settings),
        "versions": _apart([kept["race"]["versions"] for kept in (a, b)]),
    }


def _unpaired(a: RacedRuns, b: RacedRuns) -> str:
    """Why the runs of two races are no pairs; "" where they are: the same seeds, and the same losses at the start."""
    both = [n for n in a["ends"] if n in b["ends"]]
    if not both:
        return "not paired: no method in common was rerun on fresh seeds"
    if a["seeds"] != b["seeds"]:
        counts = len(a["seeds"]), len(b["seeds"])
        how = "other fresh seeds" if len({*counts}) == 1 else "{} fresh seeds in A, {} in B".format(*counts)
        return f"not paired: {how}"
    if any(a["starts"][n] != b["starts"][n] for n in both):
        return "not paired: the same seeds start elsewhere, so that the problem is another"
    return ""


def _apart(both: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What differs between two mappings, by name."""
    names = dict.fromkeys([*both[0], *both[1]])
    return {n: [m.get(n) for m in both] for n in names if both[0].get(n) != both[1].get(n)}
