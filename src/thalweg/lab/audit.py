"""The audit of a race: a method that contains another cannot be worse, and the rules of a fair comparison.

Both read the plain data of ``race_result`` alone, so that a race from a file is audited like one that was just run.
Each rule is a function from a race to what was found; ``RULES`` lists them, and what it does not list is not checked.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .formatting import listing
from .inclusions import Inclusion, chains
from .race_result import Contained, Finding, MethodRow, RaceResult, time_column

DECADES = 2.0  # of a range, from which on its trials say how they are spread
CROWDED = 0.8  # of a range's trials in its highest decade: spread evenly on a linear scale nine in ten are
LEAST_TRIALS = 8
LEAST_PAIRS = 6  # below it no signed-rank test of two methods can come to 5 %


def contained(race: RaceResult) -> list[Contained]:
    """Every pair of methods of which one contains the other, and whether the runs respect it."""
    rows = race["methods"]
    ways = {(way[0].outer, way[-1].inner): way for way in chains(r["kind"] for r in rows)}
    return [
        _contained(race, outer, inner, ways[outer["kind"], inner["kind"]])
        for outer in rows
        for inner in rows
        if (outer["kind"], inner["kind"]) in ways
    ]


def _contained(race: RaceResult, outer: MethodRow, inner: MethodRow, way: tuple[Inclusion, ...]) -> Contained:
    tuned = tuned_lines(race)[outer["method"]]
    needed = [n for n in dict.fromkeys(n for step in way for n in step.lines) if n in outer["values"]]
    there = dict(way[0].fixed) if len(way) == 1 else {}  # what the lines have to be, where that is one number
    there |= {
        n: v
        for n, other in way[0].same.items()
        if len(way) == 1 and (v := inner["values"].get(other)) is not None
    }
    untuned = [n for n in needed if n not in tuned and (n not in there or outer["values"].get(n) != there[n])]
    verdict = _verdict(race, outer["method"], inner["method"])
    how = "; then ".join(step.words for step in way)
    names = outer["method"], inner["method"]
    if verdict == "worse":
        cause = f": {listing(untuned)} {'was' if len(untuned) == 1 else 'were'} not tuned" if untuned else ""
        text = f"{names[0]} is under-tuned, not worse than {names[1]}: it contains it ({how}){cause}."
    else:
        text = (
            f"{names[0]} contains {names[1]} ({how})"
            + {
                "better": " and is better, as it can be.",
                "tie": " and is not told apart from it.",
                "": "; no verdict was possible.",
            }[verdict]
        )
    return {
        "outer": names[0],
        "inner": names[1],
        "how": how,
        "untuned": untuned,
        "verdict": verdict,
        "text": text,
    }


def _verdict(race: RaceResult, a: str, b: str) -> str:
    """Of a against b, by the loss at the end; "" where none was possible."""
    opposite = {"better": "worse", "worse": "better", "tie": "tie"}
    for answer in race["answers"]:
        if answer["question"] == "lowest" and answer["tested"]:
            for v in answer["verdicts"]:
                if (v["a"], v["b"]) == (a, b):
                    return v["verdict"]
                if (v["a"], v["b"]) == (b, a):
                    return opposite[v["verdict"]]
    return ""


def tuned_lines(race: RaceResult) -> dict[str, list[str]]:
    """The lines that were tuned, method by method: those of the settings that took several values in its trials.

    A setting that is no line (``batch``) is told by its own name.
    """
    trials = race["trials"]
    seen: dict[str, dict[str, set[Any]]] = {r["method"]: {} for r in race["methods"]}
    for k, name in enumerate(trials["method"]):
        for n in trials:
            if n not in ("method", "loss"):
                seen.setdefault(name, {}).setdefault(n, set()).add(trials[n][k])
    sets = {r["method"]: r["sets"] for r in race["methods"]}
    return {
        name: [line for n, values in settings.items() if len(values) > 1 for line in sets[name].get(n, [n])]
        for name, settings in seen.items()
    }


# Rules of a fair comparison.


class Found(NamedTuple):
    """What a rule finds: whether it is broken (None: it does not apply), in words, on what evidence."""

    broken: bool | None
    text: str
    evidence: dict[str, Any]


def lint(race: RaceResult) -> list[Finding]:
    """Each rule of a fair comparison, with what was found."""
    return [finding(rule, check(race)) for rule, check in RULES.items()]


def finding(rule: str, found: Found) -> Finding:
    """What was found as plain data."""
    words = {True: "broken", False: "kept", None: "not applicable"}
    return {"rule": rule, "verdict": words[found.broken], "text": found.text, "evidence": found.evidence}


def _trials(race: RaceResult) -> Found:
    lines = tuned_lines(race)
    counts = {r["method"]: r["trials"] for r in race["methods"] if lines[r["method"]]}
    evidence = {"trials": counts}
    if not counts:
        return Found(None, "Nothing was tuned.", evidence)
    if len(set(counts.values())) > 1:
        few, many = min(counts, key=lambda n: counts[n]), max(counts, key=lambda n: counts[n])
        return Found(
            True,
            f"Methods were given different numbers of trials: {few} {counts[few]}, {many} {counts[many]}.",
            evidence,
        )
    return Found(False, f"Every tuned method was given {next(iter(counts.values()))} trials.", evidence)


def _lines(race: RaceResult) -> Found:
    lines = tuned_lines(race)
    rows = [r for r in race["methods"] if lines[r["method"]]]
    evidence = {r["method"]: {"trials": r["trials"], "lines": len(lines[r["method"]])} for r in rows}
    sizes = {len(lines[r["method"]]) for r in rows}
    if len(sizes) < 2:
        return Found(None, "All tuned methods have as many lines tuned.", evidence)
    each = {r["trials"] / len(lines[r["method"]]) for r in rows}
    grows = len({r["trials"] for r in rows}) > 1 and max(each) <= 1.01 * min(each)
    words = "The number of trials grows with the number of lines, which rewards complexity."
    return Found(
        grows, words if grows else "Methods with more lines were given no more trials for it.", evidence
    )


def _spread(race: RaceResult) -> Found:
    if race["settings"]["sampler"] != "halton":
        return Found(None, "A sampler that learns tries where it found good values.", {})
    trials, crowded, seen = race["trials"], {}, 0
    for name, lines in tuned_lines(race).items():
        own = [k for k, m in enumerate(trials["method"]) if m == name]
        rates = sorted(v for k in own if "lr" in lines and (v := trials["lr"][k]))
        if len(rates) < LEAST_TRIALS or math.log10(rates[-1] / rates[0]) < DECADES:
            continue
        seen += 1
        share = sum(r > rates[-1] / 10 for r in rates) / len(rates)
        if share > CROWDED:
            crowded[name] = share
    if not seen:
        return Found(None, "Too few rates, or too narrow a range, to see how they are spread.", {})
    if crowded:
        return Found(
            True,
            f"The rates of {listing(crowded)} lie crowded in the highest decade of their range.",
            {"share in the highest decade": crowded},
        )
    return Found(False, "Rates are spread over the decades of their ranges.", {})


def _edges(race: RaceResult) -> Found:
    edges = {r["method"]: r["edges"] for r in race["methods"] if r["edges"]}
    if not any(tuned_lines(race).values()):
        return Found(None, "Nothing was tuned.", {})
    if edges:
        return Found(
            True,
            f"The best value lies at an end of what was tried: {listing(f'{n} ({listing(e)})' for n, e in edges.items())}.",
            {"edges": edges},
        )
    return Found(False, "Every method's best value lies inside of what was tried.", {})


def _eps(race: RaceResult) -> Found:
    tuned = tuned_lines(race)
    order = race["settings"]["methods"]
    fixed = [
        r["method"]
        for r in sorted(race["methods"], key=lambda r: order.index(r["method"]))
        if any(n.startswith("eps") for n in r["values"])
        and not any(n.startswith("eps") for n in tuned[r["method"]])
    ]
    if not any(any(n.startswith("eps") for n in r["values"]) for r in race["methods"]):
        return Found(None, "No method has an ε.", {})
    if fixed and len(race["methods"]) > 1:
        return Found(
            True,
            f"ε was not tuned for {listing(fixed)}: with it they contain plainer methods, and could do as well as these.",
            {"methods": fixed},
        )
    return Found(False, "ε was tuned for every adaptive method.", {})


def _seeds(race: RaceResult) -> Found:
    seeds = sorted(set(race["runs"]["seed"]))
    evidence = {"seeds": seeds}
    if not seeds:
        return Found(True, "No method was rerun on fresh seeds.", evidence)
    if len(seeds) == 1:
        return Found(True, "One seed: what is seen may be its luck.", evidence)
    return Found(False, f"{len(seeds)} fresh seeds.", evidence)


def _fresh(race: RaceResult) -> Found:
    shared = sorted(set(race["runs"]["seed"]) & set(race["settings"]["selection_seeds"]))
    if not race["settings"]["selection_seeds"]:
        return Found(None, "Nothing was tuned.", {})
    if shared:
        return Found(True, f"{len(shared)} seeds were tuned on and reported.", {"seeds": shared})
    return Found(False, "No seed that was tuned on is reported.", {})


def _reported(race: RaceResult) -> Found:
    rerun = set(race["runs"]["method"])
    tuning = [
        r["method"] for r in race["methods"] if r["loss"]["median"] is not None and r["method"] not in rerun
    ]
    if tuning:
        return Found(True, f"Tuning values are shown for {listing(tuning)}.", {"methods": tuning})
    return Found(False, "No method is reported by the value that it was chosen for.", {})


def _clipping(race: RaceResult) -> Found:
    clips = {
        r["method"]: {
            n: v for n, v in (r["values"] | r["settings"]).items() if n.startswith("clip") and v is not None
        }
        for r in race["methods"]
    }
    if not any(clips.values()):
        return Found(None, "No gradient was clipped.", {})
    if len({tuple(sorted(c)) for c in clips.values()}) > 1:
        return Found(True, "Gradients were clipped for some methods only.", {"clipping": clips})
    return Found(False, "Gradients were clipped for all methods alike.", {"clipping": clips})


def _signal(race: RaceResult) -> Found:
    selection = race["settings"]["selection"]
    evidence = {"selection": selection}
    if "test" in selection:
        return Found(True, f"Settings were chosen by what is reported: {selection}.", evidence)
    return Found(
        False, f"Settings were chosen by the {selection}; no known minimiser was looked at.", evidence
    )


def _schedules(race: RaceResult) -> Found:
    following = [r["method"] for r in race["methods"] if r["schedules"]]
    if not following:
        return Found(None, "No rate follows a schedule.", {})
    if len(following) < len(race["methods"]):
        return Found(True, f"Only {listing(following)} had a schedule.", {"methods": following})
    return Found(False, "Every method had a schedule.", {})


def _horizon(race: RaceResult) -> Found:
    floor, runs = race["floor"], race["runs"]
    if floor is None or not runs["method"]:
        return Found(None, "No run on fresh seeds.", {})
    met = {
        f"{share:g}": sum(v is not None for v in runs[time_column(share)]) / len(runs["method"])
        for share in floor["shares"]
    }
    missed = [share for share, part in met.items() if part == 0]
    if missed:
        return Found(
            True,
            f"After {race['settings']['steps']:,} steps no run had met the targets that leave {listing(missed)} of "
            "the way: the ranking may be that of too short a horizon.",
            {"share of runs that met": met},
        )
    return Found(False, "All three targets were met by some run.", {"share of runs that met": met})


def _censored(race: RaceResult) -> Found:
    floor, runs = race["floor"], race["runs"]
    if floor is None or not runs["method"]:
        return Found(None, "No run on fresh seeds.", {})
    counted = len(runs["method"]) * len(floor["shares"])
    missed = sum(v is None for share in floor["shares"] for v in runs[time_column(share)])
    return Found(
        False,
        f"{missed} of {counted} times to a target were not reached; all of them stay in the denominators.",
        {"times": counted, "censored": missed},
    )


def _clocks(race: RaceResult) -> Found:
    cpu = race["versions"].get("cpu", "")
    return Found(False, f"Times are from one machine: {cpu}; no ranking uses them.", {"cpu": cpu})


def _inclusion(race: RaceResult) -> Found:
    broken = [c for c in race["audit"] if c["verdict"] == "worse"]
    if not race["audit"]:
        return Found(None, "No method contains another.", {})
    if broken:
        pairs = [[c["outer"], c["inner"]] for c in broken]
        return Found(
            True,
            listing(f"{c['outer']} contains {c['inner']} and is worse" for c in broken) + ".",
            {"pairs": pairs},
        )
    return Found(False, "No method is told to be worse than one that it contains.", {})


def _pairs(race: RaceResult) -> Found:
    tested = [a for a in race["answers"] if a["tested"]]
    pairs = min((v["pairs"] for a in tested for v in a["verdicts"]), default=None)
    if pairs is None:
        return Found(None, "No verdict was given.", {})
    words = f"Verdicts rest on {pairs} paired runs."
    return Found(pairs < LEAST_PAIRS, words, {"pairs": pairs})


RULES: dict[str, Callable[[RaceResult], Found]] = {
    "equal number of trials": _trials,
    "trials do not grow with the number of lines": _lines,
    "rates are tried on a logarithmic scale": _spread,
    "best values lie inside their ranges": _edges,
    "ε is tuned for adaptive methods": _eps,
    "several seeds": _seeds,
    "fresh seeds are reported": _fresh,
    "no tuning value is reported": _reported,
    "clipping is the same for all": _clipping,
    "no known minimiser is tuned on": _signal,
    "schedules for all or for none": _schedules,
    "the horizon reaches three targets": _horizon,
    "censored runs are kept": _censored,
    "times are from one machine": _clocks,
    "no inclusion is violated": _inclusion,
    "enough pairs for a p value": _pairs,
}


def broken(findings: Iterable[Finding]) -> list[Finding]:
    """The rules that were broken."""
    return [f for f in findings if f["verdict"] == "broken"]
