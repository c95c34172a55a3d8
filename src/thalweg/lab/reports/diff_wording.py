"""Where two rules part in words, as a picture, and as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..diff_result import ROUNDING, ULP, Agreement, Array, Cause, DiffResult, Setting, Shares
from ..formatting import listing, plain
from ..pictures.panels import Bars, Chart, Curve, Panel, Picture

VISIBLE = 0.01  # of the largest |w|: what the eye sees in a picture of both paths


def within(x: float) -> str:
    """A distance in a table: 0 below what rounding makes, else two digits."""
    return "-" if not math.isfinite(x) else "0" if x <= ROUNDING else f"{x:.2g}"


def part(share: float) -> str:
    """A cause's part of the difference: 70 %; 0 below a ten-thousandth."""
    return f"{plain(100 * share, 2)} %" if abs(share) > 1e-4 else "0"


def far_in_words(share: float) -> str:
    """A share in words: 12 %, 3×10⁻⁸ of it, 0."""
    if not math.isfinite(share):
        return "without bound"
    if share > 10:
        return f"{plain(share, 2)} times"
    return f"{plain(100 * share, 3)} %" if share >= 1e-3 else plain(share, 2)


def _on(kinds: Sequence[str], result: DiffResult) -> str:
    """Where that is so: on smooth and flips gradients; nothing to say of a single kind."""
    if len(result.kinds) == 1:
        return ""
    return "on all gradients" if len(kinds) == len(result.kinds) else f"on {listing(kinds)} gradients"


def sentences(result: DiffResult) -> dict[str, str]:
    """ "verdict", "first" step, "why", and how to "agree"; what there is to say of these."""
    texts = {"verdict": _verdict, "first": _first, "why": _why, "agree": _agree}
    return {n: text for n, tell in texts.items() if (text := tell(result))}


def text(result: DiffResult) -> str:
    """The lines that differ as a table, and the sentences."""
    rows = [["", result.a.name, result.b.name]]
    rows += [[s.line, *s.text] for s in result.settings if s.a != s.b]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{x:<{w}}" for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*(lines if len(lines) > 1 else []), *sentences(result).values()])


def _verdict(result: DiffResult) -> str:
    """Whether they differ, by how much and on which gradients, and where the loss ends."""
    names = f"{result.a.name} and {result.b.name}"
    where = f"over {result.steps} steps of {result.source}"
    if result.verdict == "identical":
        text = f"{names} are identical: the same path, bit for bit, {where}."
    elif result.verdict == "equal up to rounding":
        worst = plain(float(result.share.max()), 2)
        text = f"{names} are equal up to rounding: at most {worst} of the largest |w| apart, {where}."
    else:
        parts = result.parts
        kind = _ordinary(result)
        text = f"{names} differ: {where} they come up to {far_in_words(parts[kind])} of the largest |w| apart"
        text += f" {_on([kind], result)}" if len(parts) > 1 else ""
        worst = max(parts, key=lambda n: parts[n])
        if parts[worst] > 1.5 * parts[kind]:
            text += f", {far_in_words(parts[worst])} {_on([worst], result)}"
        same = [n for n, x in parts.items() if x <= ROUNDING]
        text += f"; not at all {_on(same, result)}." if same else "."
    if result.loss is not None and not result.note:
        text += f" The loss ends at {plain(result.loss[0], 4)} and {plain(result.loss[1], 4)}."
    return text + (f" {result.note}." if result.note else "")


def _ordinary(result: DiffResult) -> str:
    """The most ordinary kind of gradients on which they part."""
    return next((n for n, x in result.parts.items() if x > ROUNDING), next(iter(result.kinds)))


def _first(result: DiffResult) -> str:
    """The first step at which they part, and the first at which float32 would show it."""
    at, seen = result.first, result.seen
    if at is None:
        return ""
    same, a = f"{at.a:.6g}" == f"{at.b:.6g}", result.a.name
    to_a, to_b = (f"{x:.17g}" if same else plain(x, 6) for x in (at.a, at.b))
    text = (
        f"They part at step {at.step}, most at {at.coordinate}: with g = {plain(at.gradient, 6)} w goes from"
        f" {plain(at.before, 6)} to {to_a} in {a} and to {to_b} in {result.b.name}."
    )
    if seen is None:
        return f"{text} In float32 that is never a whole ulp."
    return text + (f" In float32 it shows from step {seen.step} on." if seen.step > at.step else "")


def _why(result: DiffResult) -> str:
    """Which setting makes most of the difference on which gradients, and which make none."""
    parts = {n: x for n, x in result.parts.items() if x > ROUNDING}
    if not result.causes or not parts:
        return ""
    if len(result.causes) == 1:
        c = result.causes[0]
        return f"What differs is {_about(c)}."
    clauses: list[str] = []
    by: dict[str, list[str]] = {}
    for n in parts:
        most = max(result.causes, key=lambda c: c.share[n])
        by.setdefault(most.title if most.share[n] > 0.5 else "", []).append(n)
    for title, kinds in by.items():
        where = _on(kinds, result) if len(kinds) < len(parts) else ""
        if not title:
            clauses.append(f"{where} no single setting makes half of the difference".strip())
            continue
        c = next(c for c in result.causes if c.title == title)
        low, high = (plain(100 * pick(c.share[n] for n in kinds), 2) for pick in (min, max))
        clauses.append(
            f"{where} most of the difference comes from {_about(c)}: {low if low == high else f'{low} to {high}'} %".strip()
        )
    idle = [_article(c) for c in result.causes if max(abs(c.share[n]) for n in parts) < 1e-6]
    if idle:
        clauses.append(f"no difference here comes from {listing(idle)}")
    return ". ".join(s[:1].upper() + s[1:] for s in clauses) + "."


def _article(c: Cause) -> str:
    return f"the {c.title}" if c.title in ("recurrence", "correction", "place of eps") else c.title


def _about(c: Cause) -> str:
    """A cause with both sides of it: beta (0.99 against 0.9)."""
    return f"{_article(c)} ({c.a}{',' if ' ' in c.a else ''} against {c.b})"


def _agree(result: DiffResult) -> str:
    """What to set in the second to follow the first, and what that leaves."""
    agreement = result.agreement
    if agreement is None or result.verdict != "different":
        return ""
    a, b = result.a.name, result.b.name
    if agreement.exact:
        bits = "bit for bit" if max(agreement.left.values()) == 0 else "up to rounding"
        return f"To make {b} follow {a}, set {agreement.text}: run so, the paths are the same {bits}."
    why = f": {'; '.join(agreement.barred)}" if agreement.barred else ""
    text = f"No setting of {b} that was tried gives the path of {a}{why}."
    left = {n: x for n, x in agreement.left.items() if x > ROUNDING}
    kind, worst = next(iter(left)), max(left, key=lambda n: left[n])
    rest = f"{far_in_words(left[kind])} of the largest |w|" + (
        f" {_on([kind], result)}" if len(left) > 1 else ""
    )
    if left[worst] > 1.5 * left[kind]:
        rest += f", {far_in_words(left[worst])} {_on([worst], result)}"
    same = [n for n, x in agreement.left.items() if x <= ROUNDING]
    rest += f", nothing {_on(same, result)}" if same else ""
    return f"{text} The nearest, {agreement.text or 'as it stands'}, leaves {rest}."


def picture(result: DiffResult) -> Picture:
    """Growth of the difference, both paths where they part most, and what each setting explains."""
    t = np.arange(result.steps + 1)
    if result.verdict == "identical":
        panels: list[Panel] = [_paths(result, t, int(np.argmax(np.ptp(result.path_a, axis=0))))]
        return Picture(panels, alt=_verdict(result))
    several = len(result.kinds) > 1
    curves = [
        Curve(t[1:], np.where(g > 0, g, np.nan), label=n if several else "worst coordinate")
        for n, g in ((n, np.maximum.accumulate(g[1:])) for n, g in result.growth.items())
        if g[-1] > (ROUNDING if result.verdict == "different" else 0.0)
    ]
    smallest = min(float(np.nanmin(c.y)) for c in curves)
    levels = [(ULP, "a float32 ulp")] if 0.1 * smallest < ULP else []
    kind = _ordinary(result)
    worst = max(result.parts, key=lambda n: result.parts[n])
    k = result.kinds[kind if result.parts[kind] > VISIBLE else worst]
    i = k.start + int(np.argmax(result.share[:, k].max(axis=0)))
    panels = [
        Chart(
            "How far they come apart",
            "step",
            "share of the largest |w|, so far",
            curves,
            log="xy",
            levels=levels,
        ),
        _paths(result, t, i),
    ]
    if len(result.causes) > 1:
        panels.append(
            Bars(
                "What makes the difference",
                "% of it" + (f", {kind} gradients" if several else ""),
                [c.title.replace("_", " ") for c in result.causes],
                [max(round(100 * c.share[kind], 1), 0.0) for c in result.causes],
            )
        )
    return Picture(panels, alt=_verdict(result))


def _paths(result: DiffResult, t: Array, i: int) -> Chart:
    sides = {result.a.name: result.path_a, result.b.name: result.path_b}  # one where both are the same
    return Chart(
        f"Both paths at {result.coordinate(i)}",
        "step",
        "w",
        [Curve(t, path[:, i], label=name, method=name) for name, path in sides.items()],
    )


def data(result: DiffResult) -> dict[str, Any]:
    """The numbers as JSON has them: what is not finite is None."""
    agreement = result.agreement
    return {
        "a": {"name": result.a.name, "rule": repr(result.a.rule)},
        "b": {"name": result.b.name, "rule": repr(result.b.rule)},
        "source": result.source,
        "steps": result.steps,
        "verdict": result.verdict,
        "sentences": sentences(result),
        "note": result.note,
        "loss": None if result.loss is None else [_real(x) for x in result.loss],
        "settings": [_setting_data(s) for s in result.settings],
        "first": None if result.first is None else vars(result.first),
        "seen": None if result.seen is None else vars(result.seen),
        "growth": {
            n: {"share": list(map(_real, g)), "ulps": list(map(_real, result.ulps_of(n)))}
            for n, g in result.growth.items()
        },
        "causes": [{"title": c.title, "a": c.a, "b": c.b, "share": _reals(c.share)} for c in result.causes],
        "agreement": None if agreement is None else _agreement_data(agreement),
    }


def _real(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _reals(shares: Shares) -> dict[str, float | None]:
    return {n: _real(x) for n, x in shares.items()}


def _value(value: object) -> object:
    """A setting's value: numbers, switches and None as they are, several as a list, a schedule as it is written."""
    if value is None or isinstance(value, float | bool):
        return value
    return list(value) if isinstance(value, tuple) else repr(value)


def _values(settings: Mapping[str, object]) -> dict[str, object]:
    return {n: _value(v) for n, v in settings.items()}


def _setting_data(s: Setting) -> dict[str, object]:
    return {
        "line": s.line,
        "unit": s.unit,
        "a": _value(s.a),
        "b": _value(s.b),
        "a_name": s.a_name,
        "b_name": s.b_name,
    }


def _agreement_data(agreement: Agreement) -> dict[str, object]:
    return {
        "settings": _values(agreement.settings),
        "exact": agreement.exact,
        "left": _reals(agreement.left),
        "barred": list(agreement.barred),
        "others": [{"settings": _values(o.settings), "left": _reals(o.left)} for o in agreement.others],
    }
