"""What several races say together, as the plain data of ``study_result``: measures over problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from . import audit, measures
from .formatting import listing
from .race_result import Answer, Columns, Effect, Finding, Number, RaceResult, time_column
from .study_result import VERSION, Loss, PairRow, StudyResult, StudyRow, turned
from .verdict import Measure, least_seeds
from .versions import versions

Array = measures.Array

COSTS = 64  # points of a curve over costs
RATIOS = 64.0  # up to which performance profiles are tabulated
EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class RacePart:
    """One race's runs on fresh seeds as arrays, for the methods that a study compares."""

    race: RaceResult
    methods: Sequence[str]

    @property
    def name(self) -> str:
        """The problem's name."""
        return self.race["problem"]

    @property
    def steps(self) -> int:
        """The budget of each run."""
        return self.race["settings"]["steps"]

    @property
    def shares(self) -> list[float]:
        """What the targets leave of the way, the easiest first."""
        return self.race["floor"]["shares"] if self.race["floor"] else []

    def runs(self, method: str, column: str) -> Array:
        """A column of a method's runs: (K,), None as +inf."""
        table = self.race["runs"]
        own = [k for k, m in enumerate(table["method"]) if m == method]
        return np.array([np.inf if (v := table[column][k]) is None else v for k in own], dtype=float)

    @cached_property
    def times(self) -> dict[str, Array]:
        """Steps to each target: (K, T), +inf where it was not met."""
        return {
            m: np.stack([self.runs(m, time_column(s)) for s in self.shares], axis=1) for m in self.methods
        }

    @cached_property
    def running(self) -> Array:
        """Each method's expected running time with restarts to each target: (S, T)."""
        return np.array(
            [[measures.running_time(t, self.steps) for t in self.times[m].T] for m in self.methods]
        )

    @cached_property
    def measure(self) -> Measure:
        """How losses on this problem are compared, as its verdicts do."""
        starts = np.concatenate([self.runs(m, "start") for m in self.methods])
        ends = np.concatenate([self.runs(m, "loss") for m in self.methods])
        floor = self.race["floor"]
        return Measure.of_losses(starts, ends, floor["loss"] if floor and floor["known"] else None, EPS)

    @cached_property
    def heights(self) -> dict[str, Array]:
        """Losses (K,) on a scale that problems share: logarithms, or differences as parts of what is relevant."""
        m = self.measure
        part = 1.0 if m.ratios else max(m.relevant, 5e-324)
        return {name: m.scaled(self.runs(name, "loss")) / part for name in self.methods}

    @cached_property
    def paces(self) -> dict[str, Array]:
        """Logarithms of the steps to the middle target: (K,)."""
        return {m: np.log(np.maximum(t[:, t.shape[1] // 2], 1.0)) for m, t in self.times.items()}

    @property
    def lowest(self) -> Answer:
        """What the race says to the question which method ends lowest."""
        return next(a for a in self.race["answers"] if a["question"] == "lowest")


def study_summary(
    races: Sequence[RaceResult],
    problems: Sequence[str],
    failed: Mapping[str, str],
    finished: bool,
    command: str,
    only: Mapping[str, Sequence[str]] | None = None,
) -> StudyResult:
    """Everything that is reported of a study.

    races: of the same methods, in the order of ``problems``, the names of all that were asked for. failed: why a
    problem was not raced. only: which problems take an option that some do not. Methods that were not rerun on fresh seeds everywhere take part in no measure.
    """
    named = list(dict.fromkeys(m for r in races for m in r["settings"]["methods"]))
    done = [r for r in races if r["floor"] is not None and set(named) <= set(r["runs"]["method"])]
    parts = [RacePart(r, named) for r in done]
    methods = named if parts else []
    running = np.concatenate([p.running for p in parts], axis=1) if parts else np.empty((0, 0))
    ratios = measures.ratios(running) if parts else running
    by_loss = measures.across({m: np.array([np.median(p.heights[m]) for p in parts]) for m in methods})
    by_time = measures.across({m: np.array([np.median(p.paces[m]) for p in parts]) for m in methods})
    rows = _rows(parts, methods, ratios, by_loss)
    return {
        "version": VERSION,
        "finished": finished,
        "settings": {
            "methods": named,
            "problems": list(problems),
            "seeds": min((r["settings"]["seeds"] for r in races), default=0),
            "r_max": measures.R_MAX,
            "verdict_problems": least_seeds(len(named)) if len(named) > 1 else 1,
            "command": command,
            "only": {n: list(on) for n, on in (only or {}).items()},
        },
        "versions": versions() | {n: v for r in races for n, v in r["versions"].items()},
        "methods": sorted(rows, key=lambda r: (-r["score"], r["rank"])),
        "pairs": _pairs(parts, methods, by_time, by_loss),
        "p_time": by_time.p,
        "p_loss": by_loss.p,
        "times": _times(parts, methods),
        "ecdf": _ecdf(parts, methods),
        "profile": _profile(methods, ratios),
        "data_profile": _data_profile(parts, methods, running),
        "tuning": _tuning(parts),
        "audit": {r["problem"]: r["audit"] for r in races},
        "lint": _lint(races),
        "failed": dict(failed),
        "races": list(races),
    }


def _rows(
    parts: Sequence[RacePart], methods: Sequence[str], ratios: Array, by_loss: measures.Across
) -> list[StudyRow]:
    scores = measures.score(ratios) if len(methods) else np.empty(0)
    return [
        {
            "method": m,
            "score": float(scores[k]),
            "rank": by_loss.ranks[m],
            "solved": float(np.isfinite(np.concatenate([p.times[m].ravel() for p in parts])).mean()),
            "lowest_on": [p.name for p in parts if m == p.lowest["leaders"][0]],
            "unbeaten_on": [p.name for p in parts if p.lowest["tested"] and _worst(p, m) is None],
            "beaten_on": [worst for p in parts if (worst := _worst(p, m)) is not None],
        }
        for k, m in enumerate(methods)
    ]


def _worst(part: RacePart, method: str) -> Loss | None:
    """The verdict in which the method loses most on a problem."""
    lost = [
        v
        for v in part.lowest["verdicts"]
        if part.lowest["tested"]
        and (
            (v["b"] == method and v["verdict"] == "better") or (v["a"] == method and v["verdict"] == "worse")
        )
    ]
    if not lost:
        return None
    order = list(part.lowest["values"])
    v = min(lost, key=lambda v: order.index(v["a"] if v["b"] == method else v["b"]))
    first = v["b"] == method  # the winner is a
    return {
        "problem": part.name,
        "by": v["a"] if first else v["b"],
        "ratio": v["ratio"] if first else turned(v["ratio"], True),
        "difference": v["difference"] if first else turned(v["difference"], False),
        "wins": v["wins"] if first else v["pairs"] - v["wins"] - v["ties"],
        "pairs": v["pairs"],
    }


def _finite(x: float) -> Number:
    return float(x) if np.isfinite(x) else None


def _effect(found: measures.PairedEffect) -> Effect:
    with np.errstate(over="ignore"):
        middle, low, high = np.exp([found.middle, found.low, found.high])
    return {"median": _finite(middle), "low": _finite(low), "high": _finite(high)}


def _pairs(
    parts: Sequence[RacePart],
    methods: Sequence[str],
    by_time: measures.Across,
    by_loss: measures.Across,
) -> list[PairRow]:
    ratios = all(p.measure.ratios for p in parts)
    rows: list[PairRow] = []
    for k, (a, b) in enumerate(combinations(methods, 2)):
        pace = measures.paired_effect(
            {p.name: p.paces[a] for p in parts}, {p.name: p.paces[b] for p in parts}
        )
        height = (
            measures.paired_effect(
                {p.name: p.heights[a] for p in parts}, {p.name: p.heights[b] for p in parts}
            )
            if ratios
            else None
        )
        rows.append(
            {
                "a": a,
                "b": b,
                "time": _effect(pace),
                "loss": None if height is None else _effect(height),
                "faster": pace.faster,
                "p_time": by_time.pairs[k][3],
                "p_loss": by_loss.pairs[k][3],
            }
        )
    return rows


def _times(parts: Sequence[RacePart], methods: Sequence[str]) -> Columns:
    table: Columns = {n: [] for n in ("problem", "share", "method", "time", "solved", "runs")}
    for part in parts:
        for j, share in enumerate(part.shares):
            for k, m in enumerate(methods):
                met = part.times[m][:, j]
                row = (
                    part.name,
                    share,
                    m,
                    _finite(part.running[k, j]),
                    int(np.isfinite(met).sum()),
                    len(met),
                )
                for n, value in zip(table, row, strict=True):
                    table[n].append(value)
    return table


def _costs(parts: Sequence[RacePart]) -> Array:
    """Costs at which shares are told, evenly on a logarithmic scale up to the largest budget."""
    most = max((p.steps for p in parts), default=1)
    return np.unique(np.round(np.geomspace(1, most, COSTS)))


def _ecdf(parts: Sequence[RacePart], methods: Sequence[str]) -> Columns:
    table: Columns = {n: [] for n in ("method", "cost", "share", "low", "high")}
    costs = _costs(parts)
    for m in methods:
        times = {p.name: p.times[m] for p in parts}
        shares = measures.solved_within(np.concatenate([t.ravel() for t in times.values()]), costs)
        low, high = measures.solved_band(times, costs)
        table["method"] += [m] * len(costs)
        for n, values in zip(("cost", "share", "low", "high"), (costs, shares, low, high), strict=True):
            table[n] += values.tolist()
    return table


def _profile(methods: Sequence[str], ratios: Array) -> Columns:
    """At every ratio at which a method solves one target more, from 1 on."""
    table: Columns = {n: [] for n in ("method", "ratio", "share")}
    for k, m in enumerate(methods):
        at = np.unique(np.concatenate([[1.0], ratios[k][ratios[k] <= RATIOS], [RATIOS]]))
        table["method"] += [m] * len(at)
        table["ratio"] += at.tolist()
        table["share"] += measures.profile(ratios[[k]], at)[0].tolist()
    return table


def _data_profile(parts: Sequence[RacePart], methods: Sequence[str], running: Array) -> Columns:
    table: Columns = {n: [] for n in ("method", "cost", "share")}
    costs = _costs(parts)
    for k, m in enumerate(methods):
        table["method"] += [m] * len(costs)
        table["cost"] += costs.tolist()
        table["share"] += measures.solved_within(running[k], costs).tolist()
    return table


def _tuning(parts: Sequence[RacePart]) -> Columns:
    """The races' tuning curves, with the problem."""
    table: Columns = {n: [] for n in ("problem", "method", "n", "expected", "p5", "p95")}
    for part in parts:
        curves = part.race["tuning_curves"] or {"method": []}
        table["problem"] += [part.name] * len(curves["method"])
        for n, values in curves.items():
            table[n] += values
    return table


def _lint(races: Sequence[RaceResult]) -> list[Finding]:
    """The rules, each broken where it is on any problem; and those that only a study can break."""
    findings = []
    for rule in audit.RULES:
        of_rule = {r["problem"]: next(f for f in r["lint"] if f["rule"] == rule) for r in races}
        words = {f["verdict"] for f in of_rule.values()}
        broken = True if "broken" in words else False if "kept" in words else None
        told: dict[str, list[str]] = {}
        for problem, f in of_rule.items():
            if f["verdict"] == "broken" or not broken:
                told.setdefault(f["text"], []).append(problem)
        text = " ".join(t if len(on) == len(of_rule) else f"{listing(on)}: {t}" for t, on in told.items())
        evidence = {p: f["evidence"] for p, f in of_rule.items()}
        findings.append(audit.finding(rule, audit.Found(broken, text, evidence)))
    return [*findings, audit.finding(*_one_machine(races)), audit.finding(*_recomputed())]


def _one_machine(races: Sequence[RaceResult]) -> tuple[str, audit.Found]:
    differing = {
        n: sorted(values)
        for n in dict.fromkeys(n for r in races for n in r["versions"])
        if len(values := {r["versions"].get(n, "") for r in races}) > 1
    }
    words = (
        "Races were run with different versions."
        if differing
        else "All races were run with the same versions."
    )
    return "one set of versions", audit.Found(bool(differing) if races else None, words, differing)


def _recomputed() -> tuple[str, audit.Found]:
    return "profiles are drawn anew", audit.Found(
        False, "Performance profiles and scores are computed again from the methods that are shown.", {}
    )
