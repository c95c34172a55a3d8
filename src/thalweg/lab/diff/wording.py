"""A comparison in words, as a picture, and as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..formatting import listing, plain
from ..pictures.panels import Bars, Chart, Curve, Panel, Picture
from .differences import ROUNDING, Cause, Shares

if TYPE_CHECKING:
    from .comparison import Comparison

Array = np.ndarray[Any, Any]

ULP = 2.0**-23  # of float32, as a share
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


def _on(kinds: Sequence[str], made: Comparison) -> str:
    """Where that is so: on smooth and flips gradients; nothing to say of a single kind."""
    if len(made.kinds) == 1:
        return ""
    return "on all gradients" if len(kinds) == len(made.kinds) else f"on {listing(kinds)} gradients"


def verdict(made: Comparison) -> str:
    names = f"{made.a.name} and {made.b.name}"
    where = f"over {made.steps} steps of {made.source}"
    if made.verdict == "identical":
        text = f"{names} are identical: the same path, bit for bit, {where}."
    elif made.verdict == "equal up to rounding":
        worst = plain(float(made.share.max()), 2)
        text = f"{names} are equal up to rounding: at most {worst} of the largest |w| apart, {where}."
    else:
        parts = made.parts
        kind = _ordinary(made)
        text = f"{names} differ: {where} they come up to {far_in_words(parts[kind])} of the largest |w| apart"
        text += f" {_on([kind], made)}" if len(parts) > 1 else ""
        worst = max(parts, key=lambda n: parts[n])
        if parts[worst] > 1.5 * parts[kind]:
            text += f", {far_in_words(parts[worst])} {_on([worst], made)}"
        same = [n for n, x in parts.items() if x <= ROUNDING]
        text += f"; not at all {_on(same, made)}." if same else "."
    if made.loss is not None and not made.note:
        text += f" The loss ends at {plain(made.loss[0], 4)} and {plain(made.loss[1], 4)}."
    return text + (f" {made.note}." if made.note else "")


def _ordinary(made: Comparison) -> str:
    """The most ordinary kind of gradients on which they part."""
    return next((n for n, x in made.parts.items() if x > ROUNDING), next(iter(made.kinds)))


def first(made: Comparison) -> str:
    at, seen = made.first, made.seen
    if at is None:
        return ""
    same, a = f"{at.a:.6g}" == f"{at.b:.6g}", made.a.name
    to_a, to_b = (f"{x:.17g}" if same else plain(x, 6) for x in (at.a, at.b))
    text = (
        f"They part at step {at.step}, most at {at.coordinate}: with g = {plain(at.gradient, 6)} w goes from"
        f" {plain(at.before, 6)} to {to_a} in {a} and to {to_b} in {made.b.name}."
    )
    if seen is None:
        return f"{text} In float32 that is never a whole ulp."
    return text + (f" In float32 it shows from step {seen.step} on." if seen.step > at.step else "")


def why(made: Comparison) -> str:
    parts = {n: x for n, x in made.parts.items() if x > ROUNDING}
    if not made.causes or not parts:
        return ""
    if len(made.causes) == 1:
        c = made.causes[0]
        return f"What differs is {_about(c)}."
    sentences: list[str] = []
    by: dict[str, list[str]] = {}
    for n in parts:
        most = max(made.causes, key=lambda c: c.share[n])
        by.setdefault(most.title if most.share[n] > 0.5 else "", []).append(n)
    for title, kinds in by.items():
        where = _on(kinds, made) if len(kinds) < len(parts) else ""
        if not title:
            sentences.append(f"{where} no single setting makes half of the difference".strip())
            continue
        c = next(c for c in made.causes if c.title == title)
        low, high = (plain(100 * pick(c.share[n] for n in kinds), 2) for pick in (min, max))
        sentences.append(
            f"{where} most of the difference comes from {_about(c)}: {low if low == high else f'{low} to {high}'} %".strip()
        )
    idle = [_article(c) for c in made.causes if max(abs(c.share[n]) for n in parts) < 1e-6]
    if idle:
        sentences.append(f"no difference here comes from {listing(idle)}")
    return ". ".join(s[:1].upper() + s[1:] for s in sentences) + "."


def _article(c: Cause) -> str:
    return f"the {c.title}" if c.title in ("recurrence", "correction", "place of eps") else c.title


def _about(c: Cause) -> str:
    return f"{_article(c)} ({c.a}{',' if ' ' in c.a else ''} against {c.b})"


def agree(made: Comparison) -> str:
    found = made.agreement
    if found is None or made.verdict != "different":
        return ""
    a, b = made.a.name, made.b.name
    if found.exact:
        bits = "bit for bit" if max(found.left.values()) == 0 else "up to rounding"
        return f"To make {b} follow {a}, set {found.text}: run so, the paths are the same {bits}."
    why = f": {'; '.join(found.barred)}" if found.barred else ""
    text = f"No setting of {b} that was tried gives the path of {a}{why}."
    left = {n: x for n, x in found.left.items() if x > ROUNDING}
    kind, worst = next(iter(left)), max(left, key=lambda n: left[n])
    rest = f"{far_in_words(left[kind])} of the largest |w|" + (
        f" {_on([kind], made)}" if len(left) > 1 else ""
    )
    if left[worst] > 1.5 * left[kind]:
        rest += f", {far_in_words(left[worst])} {_on([worst], made)}"
    same = [n for n, x in found.left.items() if x <= ROUNDING]
    rest += f", nothing {_on(same, made)}" if same else ""
    return f"{text} The nearest, {found.text or 'as it stands'}, leaves {rest}."


def picture(made: Comparison) -> Picture:
    t = np.arange(made.steps + 1)
    if made.verdict == "identical":
        panels: list[Panel] = [_paths(made, t, int(np.argmax(np.ptp(made.path_a, axis=0))))]
        return Picture(panels, alt=made.sentences["verdict"])
    several = len(made.kinds) > 1
    curves = [
        Curve(t[1:], np.where(g > 0, g, np.nan), label=n if several else "worst coordinate")
        for n, g in ((n, np.maximum.accumulate(g[1:])) for n, g in made.growth.items())
        if g[-1] > (ROUNDING if made.verdict == "different" else 0.0)
    ]
    smallest = min(float(np.nanmin(c.y)) for c in curves)
    levels = [(ULP, "a float32 ulp")] if 0.1 * smallest < ULP else []
    kind = _ordinary(made)
    worst = max(made.parts, key=lambda n: made.parts[n])
    k = made.kinds[kind if made.parts[kind] > VISIBLE else worst]
    i = k.start + int(np.argmax(made.share[:, k].max(axis=0)))
    panels = [
        Chart(
            "How far they come apart",
            "step",
            "share of the largest |w|, so far",
            curves,
            log="xy",
            levels=levels,
        ),
        _paths(made, t, i),
    ]
    if len(made.causes) > 1:
        panels.append(
            Bars(
                "What makes the difference",
                "% of it" + (f", {kind} gradients" if several else ""),
                [c.title.replace("_", " ") for c in made.causes],
                [max(round(100 * c.share[kind], 1), 0.0) for c in made.causes],
            )
        )
    return Picture(panels, alt=made.sentences["verdict"])


def _paths(made: Comparison, t: Array, i: int) -> Chart:
    sides = {made.a.name: made.path_a, made.b.name: made.path_b}  # one where both are the same
    return Chart(
        f"Both paths at {made.coordinate(i)}",
        "step",
        "w",
        [Curve(t, path[:, i], label=name, method=name) for name, path in sides.items()],
    )


def data(made: Comparison) -> dict[str, Any]:
    def real(x: float) -> float | None:
        return float(x) if math.isfinite(x) else None

    def shares(given: Shares) -> dict[str, float | None]:
        return {n: real(x) for n, x in given.items()}

    def worth(x: Any) -> Any:
        return (
            x
            if x is None or isinstance(x, float | bool)
            else repr(x)
            if not isinstance(x, tuple)
            else list(x)
        )

    found = made.agreement
    return {
        "a": {"name": made.a.name, "rule": repr(made.a.rule)},
        "b": {"name": made.b.name, "rule": repr(made.b.rule)},
        "source": made.source,
        "steps": made.steps,
        "verdict": made.verdict,
        "sentences": made.sentences,
        "note": made.note,
        "loss": None if made.loss is None else [real(x) for x in made.loss],
        "settings": [
            {
                "line": s.line,
                "unit": s.unit,
                "a": worth(s.a),
                "b": worth(s.b),
                "a_name": s.a_name,
                "b_name": s.b_name,
            }
            for s in made.settings
        ],
        "first": None if made.first is None else vars(made.first),
        "seen": None if made.seen is None else vars(made.seen),
        "growth": {
            n: {"share": list(map(real, g)), "ulps": list(map(real, made.ulps_of(n)))}
            for n, g in made.growth.items()
        },
        "causes": [{"title": c.title, "a": c.a, "b": c.b, "share": shares(c.share)} for c in made.causes],
        "agreement": None
        if found is None
        else {
            "settings": {n: worth(v) for n, v in found.settings.items()},
            "exact": found.exact,
            "left": shares(found.left),
            "barred": list(found.barred),
            "others": [
                {"settings": {n: worth(v) for n, v in o.settings.items()}, "left": shares(o.left)}
                for o in found.others
            ],
        },
    }
