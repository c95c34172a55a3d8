"""The page of a fit: how good the model is beside a constant, what it has learnt, and from which columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..formatting import listing, plain
from ..versions import versions
from .page import block, facts, figure, page

if TYPE_CHECKING:
    from ..pictures.panels import Picture

Fit = Mapping[str, Any]  # as ``thalweg.fitting.Report.plain`` has it
GAIN = 0.02  # of the constant's error: a model that takes away less is said to be no better
MARKED = 8  # passes whose ends are marked
CONSTANTS = {"rmse": "always the mean", "accuracy": "always the most frequent class"}


def render(fit: Fit, command: str = "") -> str:
    """The whole page, self-contained. command: what runs it again, as a shell takes it."""
    body = f"""{_notice(fit)}
<p class="answer">{escape(answer(fit))}</p>
{_others(fit)}
{_figures(fit)}
{_weights(fit)}
{_columns(fit)}
{_left_out(fit)}
{_notes(fit)}
<section><h2>How it was run</h2>
{f"<p>To run it again:</p>{block(command, 'the command')}" if command else ""}
<dl>{facts(_settings(fit))}{facts(versions())}</dl></section>"""
    return page(f"How well {_goal(fit)} is predicted", "fit", body)


def _goal(fit: Fit) -> str:
    target = (fit["columns"] or {}).get("target")
    return target or ("the number" if fit["task"] == "regression" else "the class")


def measured(fit: Fit) -> tuple[str, Mapping[str, Any]] | None:
    """What the model was measured on, in words, and what came of it: held out, of test, or learnt from; None: nothing."""
    for name, words in (
        ("held_out", "{} held out"),
        ("test", "{} of the test files"),
        ("train", "{} that it has learnt from (none were held out)"),
    ):
        if fit[name] is not None:
            return words.format(_rows(fit[name]["rows"])), fit[name]
    return None


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def answer(fit: Fit) -> str:
    """The first sentence: how good the model is beside a constant."""
    on = measured(fit)
    if on is None:
        return "Nothing has been measured yet."
    rows, quality = on
    name = "rmse" if "rmse" in quality else "accuracy"
    here, constant = quality[name], quality.get(f"constant_{name}")
    if here is None or constant is None:
        return f"On {rows} nothing could be measured: they have no weight."
    if name == "rmse":
        share = (constant - here) / constant if constant else 0.0
        figures = f"{_goal(fit)} is missed by {plain(here)} (root mean square); {CONSTANTS[name]} misses it by {plain(constant)}"
    else:
        share = (here - constant) / (1 - constant) if constant < 1 else 0.0
        figures = f"{_goal(fit)} is predicted right for {100 * here:.1f}\u00a0%; {CONSTANTS[name]} is right for {100 * constant:.1f}\u00a0%"
    if share < GAIN:
        return f"On {rows}, {figures}: the model is no better than that."
    return f"On {rows}, {figures}: the model takes away {100 * share:.0f}\u00a0% of the error."


def _others(fit: Fit) -> str:
    """What else is to be known first."""
    lines = []
    on = measured(fit)
    train = fit["train"]
    if on is not None and train is not None and on[1] is not train:
        name = "rmse" if "rmse" in train else "accuracy"
        lines.append(
            f"On {_rows(train['rows'])} that it has learnt from: {name} {_figure(name, train[name])}, loss "
            f"{plain(train['loss'])}; on those it has not: {name} {_figure(name, on[1][name])}, loss {plain(on[1]['loss'])}."
        )
    if fit["weights"]:
        first = [w["column"] for w in fit["weights"][:3]]
        lines.append(f"It goes most by {listing(dict.fromkeys(first))}.")
    if fit["skipped"]:
        lines.append(f"{fit['skipped']:,} lines were left out.")
    passes = f"{fit['passes']} pass{'' if fit['passes'] == 1 else 'es'}"
    lines.append(
        f"{fit['rows']:,} rows in {passes}: {plain(fit['seconds'])} s, {plain(fit['rows_per_second'])} rows a second."
    )
    return f'<ul class="answers">{_items(lines)}</ul>'


def _figure(name: str, value: float | None) -> str:
    return plain(value) if name == "rmse" or value is None else f"{100 * value:.1f}\u00a0%"


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def _notice(fit: Fit) -> str:
    if fit["finished"]:
        return ""
    onward = f" The same command goes on from {escape(fit['checkpoint'])}." if fit["checkpoint"] else ""
    return (
        '<aside class="notice" role="note"><b>This run was interrupted.</b> The page shows what had been '
        f"learnt by then.{onward}</aside>"
    )


def _figures(fit: Fit) -> str:
    from ..pictures.draw import svg  # matplotlib is slow to import

    shown = (
        ("calibration", *calibration(fit)),
        ("progress", *_progress(fit)),
    )
    parts = [
        figure(svg(picture, name), svg(picture, f"{name}-narrow", narrow=True), escape(caption), name, title)
        for name, title, picture, caption in shown
        if picture is not None
    ]
    words = [caption for _, _, picture, caption in shown if picture is None]
    if not parts:
        return f'<p class="caption">{escape(" ".join(words))}</p>'
    return (
        f"<section><h2>Figures</h2>{''.join(parts)}"
        + "".join(f'<p class="caption">{escape(w)}</p>' for w in words if w)
        + "</section>"
    )


def calibration(fit: Fit) -> tuple[str, Picture | None, str]:
    """Title, picture and caption of what was predicted beside what came."""
    from ..pictures.panels import Chart, Curve, Picture

    given = fit["calibration"]
    if given is None:
        return (
            "",
            None,
            f"The scores of {fit['loss_name']} are no probabilities, and nothing tells how sure it is."
            if fit["task"] != "regression" and fit["finished"] and measured(fit)
            else "",
        )
    groups = given["groups"]
    said, came, low, high = (np.array([g[n] for g in groups]) for n in ("said", "came", "low", "high"))
    count = f"{len(groups)} groups of about {_rows(groups[0]['rows'])}, by what was predicted"
    if given["of"] == "number":
        title, x, y = "Predicted against actual", f"predicted {_goal(fit)}", f"actual {_goal(fit)}"
        points = Curve(np.array(given["said"]), np.array(given["came"]), look="points", method="")
        ends = np.array([min(said.min(), points.x.min()), max(said.max(), points.x.max())])
        curves = [
            Curve(said, came, "groups", band=(low, high)),
            Curve(ends, ends, "as predicted", look="theory"),
        ]
        curves = [Curve(points.x, points.y, "", look="points", variant=1), *curves]
        caption = (
            f"Dots are {len(points.x):,} rows that were not learnt from; the line joins the means of {count}, and the band holds 80\u00a0% of "
            "each. On the dashed line a prediction is right on average."
        )
        chart = Chart("", x, y, curves)
    else:
        event = f"{given['class']}" if given["of"] == "class" else "the likeliest class"
        title, x, y = (
            "Are its probabilities right?",
            f"predicted probability of {event}",
            "share that came true",
        )
        diagonal = Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "as predicted", look="theory")
        chart = Chart(
            "", x, y, [Curve(said, came, "model", band=(low, high)), diagonal], x_range=(0, 1), y_range=(0, 1)
        )
        caption = (
            f"The line joins {count}; the band is each one's 95\u00a0% interval. Above the dashed line more came true than was "
            "predicted, below it less."
        )
    return title, Picture([chart], f"{title}: {_spoken(groups)}"), caption


def _spoken(groups: Sequence[Mapping[str, float]]) -> str:
    """The groups in words, for those who cannot see them."""
    return "; ".join(f"predicted {plain(g['said'])}, came {plain(g['came'])}" for g in groups)


def _progress(fit: Fit) -> tuple[str, Picture | None, str]:
    """Title, picture and caption of the loss over the rows."""
    from ..pictures.panels import Chart, Curve, Picture

    curve, history = fit["curve"], fit["history"]
    if len(curve) < 2:
        return "", None, ""
    rows, loss = (np.array([p[n] for p in curve], float) for n in ("rows", "loss"))
    curves = [Curve(rows, loss, "while learning")]
    each = fit["steps"] / len(history) if history and fit["finished"] else 0.0
    ends = [(each * (k + 1), h) for k, h in enumerate(history)] if each else []
    for name, words in (("held_out", "held out"), ("test", "test")):
        fresh = [(at, h[name]["loss"]) for at, h in ends if h[name] and h[name]["loss"] is not None]
        if fresh:
            at, value = (np.array(x, float) for x in zip(*fresh, strict=True))
            curves.append(Curve(at, value, words, look="points" if len(fresh) == 1 else "line"))
    marks = [(at, f"pass {k + 2}") for k, (at, _) in enumerate(ends[:-1])] if len(ends) <= MARKED else []
    real = loss[loss > 0]
    log: Literal["", "y"] = "y" if real.size == loss.size and loss.max() > 30 * loss.min() else ""
    chart = Chart(
        "", "rows learnt from, in all passes", fit["loss_name"].replace("_", " "), curves, log, marks=marks
    )
    caption = "Mean loss of each stretch of rows, before they were learnt from. Where it still falls at the end, more passes help."
    alt = f"Loss while learning, from {plain(loss[0])} to {plain(loss[-1])} over {int(rows[-1]):,} rows."
    return "How the loss fell", Picture([chart], alt), caption


def _weights(fit: Fit) -> str:
    """The largest weights, as bars and as numbers."""
    from ..pictures.draw import svg
    from ..pictures.panels import Bars, Picture

    weights = fit["weights"]
    if not weights:
        return ""
    names = [w["column"] + (f" for {w['class']}" if "class" in w else "") for w in weights]
    numbers = fit["task"] == "regression"
    moved = _goal(fit) if numbers else _score(fit)
    effects = [w["effect"] for w in weights]
    bars = Bars("", f"what one standard deviation of the column adds to {moved}", names, effects)
    spoken = "; ".join(f"{n} {plain(e)}" for n, e in zip(names, effects, strict=True))
    picture = Picture([bars], f"The largest weights by effect: {spoken}")
    rows = "".join(
        f'<tr><th scope="row" class="name">{escape(n)}</th><td>{plain(w["weight"], 4)}</td><td>{plain(w["effect"], 4)}</td></tr>'
        for n, w in zip(names, weights, strict=True)
    )
    head = '<th scope="col" class="name">column</th><th scope="col">weight, a unit of the file</th><th scope="col">a standard deviation</th>'
    caption = escape(
        f"The {len(weights)} largest. A text's bar is that of its presence; a column that others go with shares its effect with them."
    )
    drawn = figure(svg(picture, "weights"), svg(picture, "weights-narrow", narrow=True), caption, "weights")
    return (
        f'<section aria-labelledby="what"><h2 id="what">What it goes by</h2>{drawn}<div class="scroll" tabindex="0" role="region" '
        f'aria-label="What it goes by, as a table"><table class="results"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _score(fit: Fit) -> str:
    """What weights of classes add up to, in words."""
    odds = " (log-odds)" if fit["loss_name"] in ("log_loss", "multinomial") else ""
    classes = fit["class_names"]
    return f"the score{odds} of {classes[1]}" if classes and len(classes) == 2 else f"the score{odds}"


def _columns(fit: Fit) -> str:
    """What the columns of a table hold."""
    columns = fit["columns"]
    if columns is None:
        return ""
    rows = [[columns["target"], "target", ""]] if columns.get("target") else []
    for c in columns["numbers"]:
        gaps = [f"{c['missing']:,} missing" if c["missing"] else ""]
        gaps += [
            f"{c['bad']:,} are no {'date' if c['kind'] == 'instant' else 'number'}, such as {c['example']!r}"
            if c["bad"]
            else "",
            c["note"],
        ]
        kind = "date or time" if c["kind"] == "instant" else "number"
        rows.append([c["name"], kind, "; ".join(g for g in gaps if g)])
    for c in columns["text"]:
        counts = [f"{c['values']:,} values" if c["values"] is not None else "", c["note"]]
        rows.append([c["name"], "text", "; ".join(g for g in counts if g)])
    rows += [[columns[r], r, ""] for r in ("weight", "tag") if columns.get(r)]
    rows += [[c["name"], "left out", c["why"]] for c in columns["left_out"]]
    cells = "".join(
        f'<tr><th scope="row" class="name">{escape(name)}</th><td>{escape(kind)}</td><td class="said">{escape(words)}</td></tr>'
        for name, kind, words in rows
    )
    head = '<th scope="col" class="name">column</th><th scope="col">taken for</th><th scope="col">in the first rows</th>'
    return (
        '<section aria-labelledby="columns"><h2 id="columns">Columns</h2><div class="scroll" tabindex="0" role="region" '
        f'aria-label="Columns, as a table"><table class="results"><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table></div></section>'
    )


def _left_out(fit: Fit) -> str:
    """Lines that were skipped, and cells that were taken for missing."""
    lines = [
        f"column {n!r}: {odd['cells']:,} cells taken for missing; {odd['first']}"
        for n, odd in fit["odd_cells"].items()
    ]
    lines += fit["reasons"]
    if (more := fit["skipped"] - len(fit["reasons"])) > 0:
        lines.append(f"and {more:,} more lines")
    return f"<section><h2>Left out</h2><ul>{_items(lines)}</ul></section>" if lines else ""


def _notes(fit: Fit) -> str:
    """What was decided, in the order in which it was said; what the table of columns says is not said again."""
    from ...fitting.report import columns_text

    told = set(columns_text(fit["columns"])) if fit["columns"] is not None else set()
    notes = [n for n in dict.fromkeys(fit["notes"]) if n not in told]
    return f"<section><h2>What was decided</h2><ul>{_items(notes)}</ul></section>" if notes else ""


def _settings(fit: Fit) -> dict[str, object]:
    """The facts of the run."""
    return {
        "model": fit["model"],
        "task": fit["task"],
        "loss": fit["loss_name"],
        "rule": fit["rule"],
        "rows": f"{fit['rows']:,}",
        "passes": fit["passes"],
        "features": f"{fit['features']:,}",
        "memory at most": f"{fit['peak_memory'] / 1e6:.0f} MB",
        "gone on from a checkpoint": "yes" if fit["resumed"] else None,
    }
