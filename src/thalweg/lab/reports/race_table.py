"""The table of a race: one row a method, with its band on a scale that all share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Literal

from ..formatting import column, number, steps
from ..pictures.style import Style, styles
from ..race_result import MethodRow, Number, OutsiderRow, RaceResult
from .page import key, sorting


def loss(row: MethodRow, key: Literal["median", "p10", "p90"] = "median") -> float | None:
    """A quantile of a method's final losses; None where it is infinite."""
    return row["loss"][key]


def _metric_name(rows: list[MethodRow]) -> str | None:
    return next((r["metric"]["name"] for r in rows if r["metric"]), None)


def head(race: RaceResult, rows: list[MethodRow]) -> str:
    """The names of the columns."""
    heads = ["learning rate", *_more(race), f"{race['settings']['loss_name']}, median", "10–90 %", ""]
    heads += [name] if (name := _metric_name(rows)) else []
    heads += ["steps to target", "µs per step", "diverged or failed trials"]
    cells = "".join(sorting(h) if h else '<td class="strip"></td>' for h in heads)
    return f"{sorting('method', ' class=name')}{cells}"


def body(race: RaceResult, rows: list[MethodRow]) -> str:
    """The rows of the table: the methods as they are ranked, then what did not take part."""
    looks = styles(r["method"] for r in rows)
    metric = _metric_name(rows)
    leaders = next((a["leaders"] for a in race["answers"] if a["question"] == "lowest"), [])
    parts = zip(rows, column([loss(r) for r in rows]), _bands(rows), _strips(rows, looks), strict=True)
    lines = [
        _row(row, leaders, _cells(row, _more(race), value, band, strip, metric), looks[row["method"]])
        for row, value, band, strip in parts
    ]
    if outsider := race["outsider"]:
        lines.append(_outsider(outsider, _more(race), metric))
    return "\n".join(lines)


def _strips(rows: list[MethodRow], looks: Mapping[str, Style]) -> list[str]:
    """For each row its band and median on one log scale, shared by the whole column."""

    def values(row: MethodRow) -> list[float]:
        quantiles = row["loss"]
        return [
            v for v in (quantiles["p10"], quantiles["median"], quantiles["p90"]) if v is not None and v > 0
        ]

    ends = [math.log(v) for r in rows for v in values(r)]
    if not ends:
        return [""] * len(rows)
    low, size = min(ends), max(max(ends) - min(ends), 1e-9)

    def strip(row: MethodRow) -> str:
        if len(values(row)) < 3:
            return ""
        a, m, b = (6 + 108 * (math.log(v) - low) / size for v in values(row))
        colour = f"var(--{looks[row['method']].stroke})"
        return (
            f'<svg viewBox="0 0 120 14" aria-hidden="true"><path d="M6 7H114" class="rail"/>'
            f'<path d="M{a:.1f} 7H{max(b, a + 1):.1f}" style="stroke:{colour}" class="band"/>'
            f'<circle cx="{m:.1f}" cy="7" r="3.6" style="fill:{colour}"/></svg>'
        )

    return [strip(r) for r in rows]


def _bands(rows: list[MethodRow]) -> list[str]:
    """The 10-90 % band of each row in words; some seeds diverged where it has no upper end."""
    lows, highs = (column([loss(r, k) for r in rows]) for k in ("p10", "p90"))
    tops = [high if loss(r, "p90") is not None else "∞" for r, high in zip(rows, highs, strict=True)]
    ends = zip(rows, lows, tops, strict=True)
    return [f"{low}–{top}" if loss(r, "p10") is not None else "–" for r, low, top in ends]


def _badge(row: MethodRow, leaders: list[str]) -> str:
    if not leaders or row["method"] not in leaders:
        return ""
    if row["method"] == leaders[0]:
        return '<span class="badge">lowest</span>'
    return '<span class="badge close">not told apart</span>'


def _row(row: MethodRow, leaders: list[str], cells: Iterable[str], look: Style) -> str:
    """A method's row of the table, its cells given."""
    name, badge = escape(row["method"]), _badge(row, leaders)
    best = row["method"] in leaders[:1]
    notes = "".join(f"<small>{escape(n)}</small>" for n in row["notes"])
    return (
        f'<tr data-method="{name}"{" class=best" if best else ""}><th scope="row" class="name" data-v="{name}">'
        f'<button type="button" data-pin="{name}" aria-pressed="false" '
        f'title="{escape(row["rule"])}">{key(look)}{name}</button>'
        f"{badge}{notes}</th>{''.join(cells)}</tr>"
    )


def _more(race: RaceResult) -> list[str]:
    """The tuned settings beside the learning rate, each a column."""
    return [n for n in race["settings"]["tuned"] if n != "lr"]


def _rate(row: MethodRow) -> str:
    """The learning rate, and what a momentum's comes to under a constant gradient."""
    steady = (
        ""
        if row["gain"] is None
        else f'<small class="steady" title="under a constant gradient">gain {number(row["gain"])}</small>'
    )
    return f"{number(row['lr'])}{steady}"


def setting(value: float | str | None) -> str:
    """A tuned value in words; a dash where a method has no such setting."""
    if isinstance(value, float) and value.is_integer() and value >= 1:
        return f"{value:,.0f}"  # rows a step are counted
    return escape(value) if isinstance(value, str) else number(value)


def _cells(
    row: MethodRow, more: list[str], value: str, band: str, strip: str, metric: str | None
) -> Iterator[str]:
    yield _cell(_rate(row), row["lr"])
    yield from (_cell(setting(v), v) for v in map(row["settings"].get, more))
    yield _cell(f"<b>{value if loss(row) is not None else row['fate']}</b>", loss(row))
    yield _cell(band, loss(row, "p90"))
    yield f'<td class="strip">{strip}</td>'
    if metric:
        held = row["metric"]["median"] if row["metric"] else None
        yield _cell(_share(held, metric), held)
    reached = row["steps_to_target"]
    yield _cell("–" if reached is None else steps(reached), reached)
    yield _cell(number(row["us_per_step"]), row["us_per_step"])
    yield _cell(f"{row['diverged']} / {row['trials']}", row["diverged"])


def _cell(text: str, value: Number | str) -> str:
    """A cell with what rows are sorted by."""
    by = "" if value is None else escape(value) if isinstance(value, str) else repr(float(value))
    return f'<td data-v="{by}">{text}</td>'


def _outsider(outsider: OutsiderRow, more: list[str], metric: str | None) -> str:
    """The row of what did not take part."""
    cells = ["", *[""] * len(more), f"<b>{number(outsider['loss'])}</b>", "", ""]
    cells += [_share(outsider["metric"], metric)] if metric else []
    cells += ["", "", ""]
    tds = "".join(f"<td>{c}</td>" for c in cells)
    return f'<tr class="outsider"><th scope="row" class="name">{escape(outsider["name"])}</th>{tds}</tr>'


def _share(value: float | None, name: str) -> str:
    """A metric: accuracies as per cent, others as plain numbers."""
    return f"{100 * value:.1f} %" if value is not None and "accuracy" in name else number(value)
