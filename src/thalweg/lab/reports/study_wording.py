"""What a study found in sentences, every one computed from what was run."""

from __future__ import annotations

from collections.abc import Callable

from ..audit import broken
from ..formatting import listing, number
from ..study_result import Loss, StudyResult, StudyRow

Mark = Callable[[str], str]  # how a method's name is written

TOLD = 3  # problems that a sentence names
HEAD = (
    "method",
    "score",
    "mean rank",
    "targets met",
    "lowest on",
    "unbeaten on",
)  # of what ``cells`` returns


def cells(row: StudyRow) -> list[str]:
    """What a table says of a method, under ``HEAD``."""
    return [
        row["method"],
        f"{row['score']:.2f}",
        f"{row['rank']:.1f}",
        f"{100 * row['solved']:.0f} %",
        ", ".join(row["lowest_on"]),
        ", ".join(row["unbeaten_on"]),
    ]


def sentences(study: StudyResult, mark: Mark = str) -> list[str]:
    """What a study says, which method is first and where it loses to begin with; [] where nothing was rerun."""
    rows = study["methods"]
    if not rows:
        return []
    problems = _measured(study)
    told = _first(study, rows, problems, mark)
    told.append(_where_it_loses(study, rows[0], problems, mark))
    if len(rows) > 1:
        told.append(_across(study, problems, mark))
    told += _audited(study, mark)
    told += [
        f"{option} concerns {listing(on)} alone." for option, on in study["settings"].get("only", {}).items()
    ]
    return told


def _measured(study: StudyResult) -> list[str]:
    """The problems that every method was rerun on."""
    return list(dict.fromkeys(study["times"]["problem"]))


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _all(problems: int) -> str:
    return "the only problem" if problems == 1 else f"all {problems} problems"


def _first(study: StudyResult, rows: list[StudyRow], problems: list[str], mark: Mark) -> list[str]:
    fast, low = rows[0], min(rows, key=lambda r: r["rank"])
    targets = len({(p, s) for p, s in zip(study["times"]["problem"], study["times"]["share"], strict=True)})
    where = f"{_count(len(problems), 'problem')} with {_count(targets, 'target')}"
    score = f"score {number(fast['score'], 2)} of 1"
    behind = f", then {mark(rows[1]['method'])} ({number(rows[1]['score'], 2)})" if len(rows) > 1 else ""
    if fast["method"] == low["method"]:
        return [
            f"{mark(fast['method'])} is first both to the targets and at the end: on {where} its {score}{behind}, and its "
            f"loss ranks {number(fast['rank'], 2)} on average."
        ]
    return [
        f"Fastest to the targets: {mark(fast['method'])}, {score} on {where}{behind}.",
        f"Lowest at the end: {mark(low['method'])}, ranked {number(low['rank'], 2)} on average; "
        f"{mark(fast['method'])} ranks {number(fast['rank'], 2)}.",
    ]


def _where_it_loses(study: StudyResult, row: StudyRow, problems: list[str], mark: Mark) -> str:
    name = mark(row["method"])
    tested = [
        r["problem"]
        for r in study["races"]
        if any(a["question"] == "lowest" and a["tested"] for a in r["answers"])
    ]
    if not tested:
        least = max((a["least_seeds"] or 1 for r in study["races"] for a in r["answers"]), default=1)
        return (
            f"{_count(study['settings']['seeds'], 'paired run')} on each problem cannot tell "
            f"{len(study['methods'])} methods apart: a verdict takes {least} (--seeds {least})."
        )
    if not row["beaten_on"]:
        return f"{name} is unbeaten at the end on {_all(len(problems))}."
    shown = [_loss(loss, name, mark) for loss in row["beaten_on"][:TOLD]]
    more = len(row["beaten_on"]) - TOLD
    rest = f"; and on {_count(more, 'problem')} more" if more > 0 else ""
    return (
        f"{name} is unbeaten at the end on {len(row['unbeaten_on'])} of {_count(len(problems), 'problem')}. "
        f"It loses {'; '.join(shown)}{rest}."
    )


def _loss(loss: Loss, name: str, mark: Mark) -> str:
    """How a method loses on a problem: "on digits: Nesterov ends 0.6 × as high, lower in 12 of 12 paired runs"."""
    by = mark(loss["by"])
    runs = f"lower in {loss['wins']} of {_count(loss['pairs'], 'paired run')}"
    effect = loss["ratio"] or loss["difference"]
    median = effect["median"] if effect else None
    if median is None or (loss["ratio"] and median == 0.0):
        return f"on {loss['problem']}: there {by} alone does not fail in the median pair, {runs}"
    if loss["ratio"] is None:
        return f"on {loss['problem']}: {by} minus {name} is {number(median)}, {runs}"
    return f"on {loss['problem']}: {by} ends {number(median, 2)} × as high, {runs}"


def _across(study: StudyResult, problems: list[str], mark: Mark) -> str:
    """What the tests over problems say."""
    methods, settings = len(study["methods"]), study["settings"]
    apart = [p for p in study["pairs"] if p["p_loss"] <= 0.05]
    text = (
        f"That all {methods} methods are alike over {_count(len(problems), 'problem')} has p = {number(study['p_loss'], 2)} by their "
        f"losses and {number(study['p_time'], 2)} by their times (Friedman)"
    )
    if apart:
        pairs = listing(f"{mark(p['a'])} and {mark(p['b'])}" for p in apart[:TOLD])
        more = f" and {len(apart) - TOLD} pairs more" if len(apart) > TOLD else ""
        return f"{text}; pair by pair, {pairs}{more} are told apart by their losses."
    if len(problems) < settings["verdict_problems"]:
        return f"{text}; to tell any two of them apart pair by pair over problems takes {settings['verdict_problems']} problems."
    return f"{text}; pair by pair, no two are told apart."


def _audited(study: StudyResult, mark: Mark) -> list[str]:
    """Methods that contain a better one, and how many rules of a fair comparison were broken."""
    told = []
    under: dict[tuple[str, str], list[str]] = {}
    for problem, pairs in study["audit"].items():
        for c in pairs:
            if c["verdict"] == "worse":
                under.setdefault((c["outer"], c["inner"]), []).append(problem)
    if under:
        shown = listing(
            f"{mark(outer)} contains {mark(inner)} and ends higher on {listing(on[:TOLD])}"
            + (f" and {len(on) - TOLD} more" if len(on) > TOLD else "")
            for (outer, inner), on in list(under.items())[:TOLD]
        )
        more = f"; so do {_count(len(under) - TOLD, 'pair')} more" if len(under) > TOLD else ""
        told.append(f"Under-tuned: {shown}{more}.")
    if found := broken(study["lint"]):
        told.append(f"Not kept: {listing(f['rule'] for f in found)}.")
    return told
