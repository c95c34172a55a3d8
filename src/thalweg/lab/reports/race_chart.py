"""The chart of losses that a reader can question: its data and its controls; ``race.js`` draws it."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from typing import TypedDict

from ..formatting import number
from ..pictures.style import styles
from ..race_result import Number, RaceResult, ranked


class Line(TypedDict):
    """One method's curve: losses at steps, None where infinite; seconds a step; its look."""

    name: str
    stroke: str
    dash: str
    seconds: Number
    steps: list[int]
    median: list[Number]
    p10: list[Number]
    p90: list[Number]


class Data(TypedDict):
    """What the script draws. rows: row gradients a step, 0 where steps are all that there is to count. minimum: the
    known one, where a gap above it says more than the loss. least: gaps below it count as equal. log: whether losses can be drawn on a log scale. references:
    levels with their names.
    """

    methods: list[Line]
    rows: int
    minimum: Number
    least: float
    log: bool
    references: list[tuple[float, str]]


POINTS = 160  # of each curve: the extremes of so many stretches


def script() -> str:
    """What draws the chart and sorts the table."""
    return (resources.files(__package__) / "race.js").read_text(encoding="utf-8")


def chart(race: RaceResult) -> str:
    """The chart's data and controls; "" where no run is there to draw. It is shown by the script alone."""
    data = _data(race)
    if not data["methods"]:
        return ""
    groups = [
        ("across", [("x:step", "steps"), *([("x:rows", "row gradients")] if data["rows"] else [])]),
        ("", [("across:linear", "linear"), ("across:log", "log")]),
        (race["settings"]["loss_name"], [("y:log", "log")] * bool(data["log"]) + [("y:linear", "linear")]),
    ]
    if all(m["seconds"] for m in data["methods"]):
        groups[0][1].append(("x:seconds", "seconds"))
    if data["minimum"] is not None:
        groups[2][1].append(("y:gap", "above the minimum, log"))
    gap = data["minimum"] is not None
    chosen = {"x:step", "across:linear", "y:gap" if gap else "y:log" if data["log"] else "y:linear"}
    controls = "".join(_group(name, buttons, chosen) for name, buttons in groups)
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div id="chart" class="chart" hidden><div class="controls">{controls}</div>'
        '<div class="plot" tabindex="0" role="slider" aria-label="Place in the runs, arrow keys move it" '
        f'aria-valuemin="0" aria-valuemax="{race["settings"]["steps"]}" aria-valuenow="0"></div>'
        '<div class="values"><h4></h4><ul></ul></div></div>'
        f'<script type="application/json" id="chart-data">{text}</script>'
    )


def _group(name: str, buttons: list[tuple[str, str]], chosen: set[str]) -> str:
    inner = "".join(
        f'<button type="button" data-set="{what}" aria-pressed="{str(what in chosen).lower()}">{escape(text)}</button>'
        for what, text in buttons
    )
    label = f"<span>{escape(name)}</span>" if name else ""
    return f'<div role="group" aria-label="{escape(name or "scale across")}">{label}{inner}</div>'


def _data(race: RaceResult) -> Data:
    from ..pictures.race import curves  # matplotlib is slow to import

    settings, floor = race["settings"], race["floor"]
    rows = ranked(race)
    looks = styles(r["method"] for r in rows)
    series = curves(race, POINTS)
    methods: list[Line] = []
    for row in rows:
        if row["method"] not in series:
            continue
        part, look = series[row["method"]], looks[row["method"]]
        dash = "none" if isinstance(look.dash, str) else " ".join(str(d * 1.4) for d in look.dash[1])
        us = row["us_per_step"]
        methods.append(
            {
                "name": row["method"],
                "stroke": look.stroke,
                "dash": dash,
                "seconds": None if us is None else us * 1e-6,
                "steps": [int(s) for s in part["step"]],
                "median": [_rounded(v) for v in part["median"]],
                "p10": [_rounded(v) for v in part["p10"]],
                "p90": [_rounded(v) for v in part["p90"]],
            }
        )
    references: list[tuple[float, str]] = []
    if settings["target"] is not None:
        references.append((settings["target"], f"target {number(settings['target'])}"))
    if (outsider := race["outsider"]) and outsider["loss"] is not None:
        references.append((outsider["loss"], f"{outsider['name']} {number(outsider['loss'])}"))
    finite = [v for m in methods for v in m["median"] if v is not None]
    return {
        "methods": methods,
        "rows": settings["rows"] and (settings["batch"] or settings["rows"]),
        "minimum": floor["loss"] if floor and floor["known"] and floor["loss"] else None,
        "least": next((a["equal"] or 0.0 for a in race["answers"] if a["scale"] == "gap"), 0.0),
        "log": bool(finite) and min(finite) > 0,
        "references": references,
    }


def _rounded(value: float) -> Number:
    """To five digits, None where it is not finite."""
    return float(f"{value:.4e}") if abs(value) < float("inf") else None
