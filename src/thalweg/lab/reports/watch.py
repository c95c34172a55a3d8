"""The page of a watched run: sentences, curves of the tensors that tell most, a table of all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import numpy as np

from ..formatting import number, plain
from ..pictures.panels import Chart, Curve, Picture
from ..versions import versions
from ..watch_result import FIELDS, Array, Watched
from .page import facts, figure
from .page import page as whole
from .watch_wording import sentences

SHOWN = 6  # tensors that have curves
AGAIN = 15  # seconds after which an open page is loaded anew while the run goes on
CHARTS = (
    ("relative_update", "Movement", "step / weights", "y"),
    ("rate", "Effective rate", "rate, w/g (median)", "y"),
    ("gradient_norm", "Gradient", "norm", "y"),
    ("eps_share", "ε", "share of coordinates that ε rules", ""),
    ("momentum_cosine", "Momentum", "cosine with the gradient", ""),
)
HEADS = {
    "relative_update": "step / weights",
    "rate": "rate (median)",
    "rate_low": "10 %",
    "rate_high": "90 %",
    "gradient_norm": "gradient norm",
    "eps_share": "ε rules",
    "momentum_cosine": "momentum · gradient",
    "turned": "signs turned",
    "dead": "dead",
}


def page(seen: Watched) -> str:
    """The whole page, self-contained; while the run goes on it loads itself anew."""
    first, *others = map(_marked, sentences(seen))
    more = "".join(f"<li>{text}</li>" for text in others)
    answers = f'<ul class="answers">{more}</ul>' if others else ""
    body = f"""<p class="answer">{first}</p>
{answers}
{_charts(seen)}
<section><h2>All tensors</h2>{_table(seen)}
<p class="footnote">Medians over the last {len(seen.recent)} looks. Shares and rates are of a fixed sample of each tensor.</p></section>
<section><h2>The run</h2><dl class="terms">{facts(_facts(seen))}</dl></section>"""
    script = f"setTimeout(() => location.reload(), {1000 * AGAIN});\n" if seen.running else ""
    state = "running" if seen.running else "ended"
    return whole(seen.title, f"watch · step {seen.steps:,} · {state}", body, script)


def _marked(text: str) -> str:
    """Return a sentence as HTML; names that stand between backquotes as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def told(seen: Watched) -> list[int]:
    """Return the tensors that have curves: those farthest from what is usual, then the largest."""
    count = len(seen.names)
    if count <= SHOWN:
        return list(range(count))
    moved, share = seen.now("relative_update"), seen.now("eps_share")
    with np.errstate(all="ignore"):
        size = np.log(moved)
    size[~np.isfinite(size)] = np.nan
    usual = float(np.median(size[np.isfinite(size)])) if np.isfinite(size).any() else 0.0
    far = np.nan_to_num(np.abs(size - usual)) + np.nan_to_num(share)
    farthest = [int(i) for i in np.argsort(-far, kind="stable")[: SHOWN // 2]]
    largest = [int(i) for i in np.argsort(-np.array(seen.sizes), kind="stable") if i not in farthest]
    return sorted([*farthest, *largest[: SHOWN - len(farthest)]])


def _charts(seen: Watched) -> str:
    if not seen.recent:
        return ""
    from ..pictures.draw import svg  # matplotlib is slow to import

    figures = []
    for name, picture in pictures(seen).items():
        wide, narrow = svg(picture, name), svg(picture, f"{name}-narrow", narrow=True)
        figures.append(figure(wide, narrow, "", name))
    return f"<section><h2>Over the steps</h2>{''.join(figures)}</section>"


def pictures(seen: Watched) -> dict[str, Picture]:
    """Return the pictures of a run by name: the loss where it was given, then a chart for each quantity that is known."""
    steps = seen.looks.steps.astype(float)
    drawn: dict[str, Picture] = {}
    if np.isfinite(seen.looks.losses).any():
        curve = Curve(steps, _finite(seen.looks.losses), "loss")
        positive = np.nanmin(curve.y) > 0
        chart = Chart("Loss", "step", "loss", [curve], "y" if positive else "")
        drawn["loss"] = Picture([chart], f"Loss over {seen.steps:,} steps of {seen.title}.")
    those = told(seen)
    names = [seen.names[i] for i in those]
    for field, title, axis, log in CHARTS:
        values = [_finite(seen.looks.table[:, i, FIELDS.index(field)]) for i in those]
        if log:
            values = [np.where(v > 0, v, np.nan) for v in values]
        curves = [Curve(steps, v, n, n) for v, n in zip(values, names, strict=True) if np.isfinite(v).any()]
        if curves:
            limits = None if log else (0.0, 1.02) if field == "eps_share" else (-1.02, 1.02)
            chart = Chart(title, "step", axis, curves, log, y_range=limits)  # type: ignore[arg-type]
            alt = f"{title} ({axis}) of {', '.join(c.label for c in curves)} over {seen.steps:,} steps."
            drawn[field.replace("_", "-")] = Picture([chart], alt, names)
    return drawn


def _finite(values: Array) -> Array:
    wide = values.astype(float)
    return np.where(np.isfinite(wide), wide, np.nan)


def _table(seen: Watched) -> str:
    columns = {n: seen.now(n) for n in HEADS}
    known = [n for n, values in columns.items() if np.isfinite(values).any()]
    head = "".join(f'<th scope="col">{HEADS[n]}</th>' for n in known)
    rows = "".join(
        f'<tr><th scope="row" class="name">{escape(name)}</th><td>{seen.sizes[i]:,}</td>'
        + "".join(f"<td>{_cell(n, float(columns[n][i]))}</td>" for n in known)
        + "</tr>"
        for i, name in enumerate(seen.names)
    )
    table = (
        '<table class="results"><thead><tr><th scope="col" class="name">tensor</th><th scope="col">size</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return f'<div class="scroll" tabindex="0">{table}</div>'


_SHARES: Sequence[str] = ("eps_share", "turned", "dead")


def _cell(name: str, value: float) -> str:
    if name in _SHARES and np.isfinite(value):
        return f"{plain(100 * value, 2)} %"
    return number(value, 2)


def _facts(seen: Watched) -> dict[str, object]:
    own, whole_run = seen.seconds
    share = f"{plain(100 * own / whole_run, 2)} % of {plain(whole_run, 3)} s" if whole_run > 0 else None
    rarer = (
        f" (asked: {seen.asked:,}; rarer, so that looking stays below 2 %)" if seen.every > seen.asked else ""
    )
    return {
        "optimizer": seen.method,
        "steps": f"{seen.steps:,}",
        "looks": f"{seen.looks.looks:,}, of which {seen.looks.rows:,} are kept",
        "steps between looks": f"{seen.every:,}{rarer}",
        "coordinates looked at": f"{sum(seen.counts):,} of {sum(seen.sizes):,}",
        "looking took": share,
        "skipped steps": f"{seen.skipped:,}" if seen.skipped else None,
        "versions": versions(),
    }
