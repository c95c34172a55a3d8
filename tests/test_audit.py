"""The audit: rules that contain others, by their own steps, and the rules of a fair comparison, each broken once."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import rules
from thalweg.core.rule import Rule
from thalweg.lab import audit
from thalweg.lab.inclusions import INCLUSIONS, Inclusion, chains
from thalweg.lab.race_result import RaceResult
from thalweg.lab.reports.race_wording import sentences

SHIPPED = rules.shipped()


def walk(rule: Rule, steps: int = 30) -> np.ndarray[Any, Any]:
    """The path along a bowl that is not round, from one start, on the engine that compiles nothing."""
    w = np.array([1.0, -2.0])
    optimizer = rule.on(w, engine="plain")
    path = []
    for _ in range(steps):
        optimizer.step(np.array([1.0, 25.0]) * w + np.sin(w))
        path.append(w.copy())
    return np.array(path)


@pytest.mark.parametrize("inclusion", INCLUSIONS, ids=lambda i: f"{i.outer}-{i.inner}")
def test_a_rule_becomes_the_one_that_it_contains(inclusion: Inclusion) -> None:
    """At a large ε nearly, a hundred times nearer at a hundred times the ε, and exactly without one."""
    inner, outer = SHIPPED[inclusion.inner]().replace(lr=1e-2), SHIPPED[inclusion.outer]()
    goal = walk(inner)
    near, nearer = (np.abs(walk(inclusion.limit(outer, inner, size)) - goal).max() for size in (1e6, 1e8))
    assert np.abs(walk(outer.replace(lr=inner.at(0)["lr"])) - goal).max() > 1e-6  # not at its own settings
    if not inclusion.large:
        assert near == 0
    else:
        assert 0 < near < 1e-3
        assert nearer == pytest.approx(near / 100, rel=0.05)


def test_inclusions_are_chained_the_shortest_way() -> None:
    ways = {(w[0].outer, w[-1].inner): len(w) for w in chains(["SGD", "AdamW", "Momentum", "Lion"])}
    assert ways == {("AdamW", "Momentum"): 2, ("AdamW", "SGD"): 3, ("Momentum", "SGD"): 1}


@pytest.fixture(scope="module")
def race() -> RaceResult:
    return tw.race("rosenbrock", ["SGD", "Momentum", "Adam"], trials=12, seeds=12, steps=400).data


def findings(race: RaceResult) -> dict[str, str]:
    return {f["rule"]: f["verdict"] for f in audit.lint(race)}


def test_a_race_as_it_is_keeps_all_rules_but_one(race: RaceResult) -> None:
    assert [f["rule"] for f in audit.broken(race["lint"])] == ["ε is tuned for adaptive methods"]
    assert race["lint"] == audit.lint(race)
    assert [f["rule"] for f in race["lint"]] == list(audit.RULES)


def row(race: RaceResult, name: str) -> Any:
    return next(r for r in race["methods"] if r["method"] == name)


def linear(race: RaceResult) -> None:
    own = [k for k, m in enumerate(race["trials"]["method"]) if m == "SGD"]
    for place, k in enumerate(own):
        race["trials"]["lr"][k] = 1e-3 + place / len(own)


def more_for_more_lines(race: RaceResult) -> None:
    trials = race["trials"]
    trials["eps"] = [0.0] * len(trials["lr"])
    trials["eps"][trials["method"].index("Adam")] = 1.0
    row(race, "Adam")["trials"] *= 2


def under_tuned(race: RaceResult) -> None:
    answer = race["answers"][0]
    pair = next(v for v in answer["verdicts"] if {v["a"], v["b"]} == {"SGD", "Momentum"})
    pair["verdict"] = "better" if pair["a"] == "SGD" else "worse"
    race["audit"] = audit.contained(race)


BREAK: dict[str, Callable[[RaceResult], object]] = {
    "equal number of trials": lambda r: row(r, "SGD").update(trials=3),
    "trials do not grow with the number of lines": more_for_more_lines,
    "rates are tried on a logarithmic scale": linear,
    "best values lie inside their ranges": lambda r: row(r, "Adam").update(edges=["lr"]),
    "ε is tuned for adaptive methods": lambda r: None,
    "several seeds": lambda r: r["runs"].update(seed=[7] * len(r["runs"]["seed"])),
    "fresh seeds are reported": lambda r: r["settings"]["selection_seeds"].append(r["runs"]["seed"][0]),
    "no tuning value is reported": lambda r: r["runs"].update(method=["SGD"] * len(r["runs"]["method"])),
    "clipping is the same for all": lambda r: row(r, "Adam")["values"].update(clip_norm=1.0),
    "no known minimiser is tuned on": lambda r: r["settings"].update(selection="median test accuracy"),
    "schedules for all or for none": lambda r: row(r, "Adam").update(schedules=["lr"]),
    "the horizon reaches three targets": lambda r: r["runs"].update(
        {"to_1e-05": [None] * len(r["runs"]["seed"])}
    ),
    "no inclusion is violated": under_tuned,
    "enough pairs for a p value": lambda r: [v.update(pairs=4) for a in r["answers"] for v in a["verdicts"]],
}
# What no data of one race can break: all runs are counted, and one process has one machine.
NEVER = {"censored runs are kept", "times are from one machine"}


def test_every_rule_is_broken_below_or_cannot_be() -> None:
    assert set(BREAK) | NEVER == set(audit.RULES)


@pytest.mark.parametrize("rule", BREAK)
def test_a_rule_that_is_broken_is_told_with_its_evidence(race: RaceResult, rule: str) -> None:
    changed = copy.deepcopy(race)
    BREAK[rule](changed)
    (told,) = [f for f in audit.lint(changed) if f["rule"] == rule]
    assert told["verdict"] == "broken" and told["evidence"]
    assert findings(race)[rule] != "broken" or rule.startswith("ε")


def test_a_method_that_contains_a_better_one_is_under_tuned_and_not_ranked(race: RaceResult) -> None:
    changed = copy.deepcopy(race)
    under_tuned(changed)
    (pair,) = [c for c in changed["audit"] if (c["outer"], c["inner"]) == ("Momentum", "SGD")]
    assert pair["text"] == (
        "Momentum is under-tuned, not worse than SGD: it contains it (beta = 0): beta was not tuned."
    )
    assert [c["verdict"] for c in race["audit"] if c is not pair].count("worse") == 0
    assert "Under-tuned and not worse: Momentum, which contains SGD." in sentences(changed)
    assert not any("Under-tuned" in s for s in sentences(race))
    pairs = [("Adam", "SGD"), ("Adagrad", "SGD"), ("Adam", "Momentum"), ("RMSprop", "SGD")]
    changed["audit"] = [{**pair, "outer": outer, "inner": inner} for outer, inner in pairs]
    assert (
        "Under-tuned and not worse: Adam, which contains SGD and Momentum; Adagrad and RMSprop, which contain SGD."
        in sentences(changed)
    )


def test_lines_that_were_tuned_or_stand_as_they_must_are_not_called_untuned(race: RaceResult) -> None:
    changed = copy.deepcopy(race)
    row(changed, "Momentum")["values"]["beta"] = 0.0
    pairs = {(c["outer"], c["inner"]): c["untuned"] for c in audit.contained(changed)}
    assert pairs[("Momentum", "SGD")] == []
    assert pairs[("Adam", "Momentum")] == ["beta1", "eps"]  # their momenta differ now
    changed["trials"]["eps"] = list(range(len(changed["trials"]["lr"])))
    assert {(c["outer"], c["inner"]): c["untuned"] for c in audit.contained(changed)}[
        ("Adam", "Momentum")
    ] == ["beta1"]


def test_schedules_are_seen() -> None:
    made = tw.race(
        "rosenbrock", [tw.Adam(lr=tw.cosine(0.1, steps=40)), "SGD"], trials=2, seeds=2, steps=40
    ).data
    assert {r["method"]: r["schedules"] for r in made["methods"]} == {"Adam": ["lr"], "SGD": []}
    assert "schedules for all or for none" in [f["rule"] for f in audit.broken(made["lint"])]
