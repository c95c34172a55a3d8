"""Colours, dashes and markers: how methods, surfaces and words look in light and dark.

Colours have names (tokens): "ink", "m-adam" (a stroke), "t-adam" (the same nearer to the ink, for
text). A theme gives each a hex value; a page draws with one sentinel value for each token, which is
turned into a CSS variable.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...errors import HyperparameterError, nearest

Colours = Mapping[str, str]
Dash = Literal["solid"] | tuple[float, tuple[float, ...]]  # as matplotlib has it: an offset and lengths

_SOLID: Dash = "solid"
_DASHED: Dash = (0, (5, 1.6))
_DOTTED: Dash = (0, (1.8, 1.4))
# (light, dark, dash, marker): hues picked by a search for the largest worst-case distance
# under the three kinds of colour blindness; dash and marker tell apart what hue cannot.
_METHODS: dict[str, tuple[str, str, Dash, str]] = {
    "SGD": ("#22262c", "#f2f5ef", _SOLID, "o"),
    "Momentum": ("#cc6900", "#ef8214", _DASHED, "s"),
    "Nesterov": ("#7f5600", "#ffda71", _DOTTED, "D"),
    "Adagrad": ("#7a35b0", "#9a86d6", _SOLID, "^"),
    "RMSprop": ("#0f6a62", "#43d188", _DASHED, "v"),
    "Adadelta": ("#2488f0", "#a5caec", _DOTTED, "P"),
    "Adam": ("#a00f2a", "#ee4b48", _SOLID, "X"),
    "Adamax": ("#3f1fe0", "#6d77ff", _DASHED, "<"),
    "MaxProp": ("#b565b5", "#d07ba4", _DOTTED, ">"),
}
_OTHERS: tuple[tuple[str, str, Dash, str], ...] = (
    ("#6b4a2f", "#c9a27e", (0, (7, 1.5, 1.5, 1.5)), "h"),
    ("#0f7c8c", "#4fd0dd", (0, (7, 1.5, 1.5, 1.5)), "d"),
    ("#6a7b1f", "#b9cf5c", (0, (3, 1)), "p"),
    ("#8c2f5b", "#e58fb3", (0, (3, 1)), "*"),
    ("#5a5f9e", "#a9aef0", (0, (9, 2)), "8"),
    ("#239a6b", "#f0e00e", (0, (9, 2)), "H"),
)
_SURFACES = {
    "light": {
        "page": "#fafaf7",
        "panel": "#ffffff",
        "ink": "#1b2025",
        "muted": "#59626b",
        "grid": "#e7e8e4",
        "rule": "#d3d6d3",
        "ghost": "#cfd3d6",
        "water": "#2c6e9b",
        "accent": "#0b6477",
        "tint": "#eaf3f3",
        "warn": "#8a4b00",
        "warn-tint": "#fdf3e3",
    },
    "dark": {
        "page": "#121518",
        "panel": "#191d21",
        "ink": "#e8eaec",
        "muted": "#a2abb4",
        "grid": "#282e34",
        "rule": "#3a424a",
        "ghost": "#454d55",
        "water": "#5aa9d6",
        "accent": "#6cc7d6",
        "tint": "#182a2e",
        "warn": "#f0b860",
        "warn-tint": "#2d2415",
    },
}


def _mix(a: str, b: str, share: float) -> str:
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * p + (1 - share) * q):02x}" for p, q in pairs)


def palette(theme: str) -> dict[str, str]:
    """Every colour token of a theme ("light" or "dark") with its hex value; HyperparameterError.

    `m-*` are the methods' strokes and `t-*` the same nearer to the ink, for text.
    """
    if theme not in _SURFACES:
        raise HyperparameterError(f"theme {theme!r}: {nearest(theme, _SURFACES)}")
    colours = dict(_SURFACES[theme])
    entries = {name.lower(): entry for name, entry in _METHODS.items()}
    entries |= {f"x{i}": entry for i, entry in enumerate(_OTHERS)}
    for slug, entry in entries.items():
        stroke = entry[0] if theme == "light" else entry[1]
        colours[f"m-{slug}"] = stroke
        colours[f"t-{slug}"] = _mix(stroke, colours["ink"], 0.7)
    return colours


SENTINELS = {token: f"#0a1c{i:02x}" for i, token in enumerate(palette("light"))}

# Dashes of a method's second and third curve: all three differ, whichever the first is.
_VARIANTS: dict[Dash, tuple[Dash, Dash]] = {
    _SOLID: ((0, (6, 2)), (0, (1.5, 1.5))),
    _DASHED: ((0, (10, 2, 1.5, 2)), (0, (1.5, 1.5))),
    _DOTTED: ((0, (10, 2, 1.5, 2)), (0, (6, 2))),
}


@dataclass(frozen=True)
class Style:
    """How a line looks: colour tokens of its stroke and its words, dash, marker ("" for none), width in px."""

    stroke: str
    text: str
    dash: Dash
    marker: str
    width: float = 1.8

    def varied(self, variant: int) -> Style:
        """The same colour, thinner and with another dash; 0 is the style itself."""
        if variant == 0:
            return self
        dashes = _VARIANTS.get(self.dash, _VARIANTS[_DASHED])
        return replace(self, dash=dashes[(variant - 1) % 2], marker="", width=1.4 if variant == 1 else 1.2)


THEORY = Style("muted", "muted", (0, (4, 2.5)), "", 1.2)
_INK = Style("ink", "ink", "solid", "", 1.6)
MUTED = Style("muted", "muted", (0, (6, 3)), "", 1.1)
INK = Style("ink", "ink", "solid", "", 1.4)


def gid(method: str) -> str:
    """The mark of a method's parts in a figure: letters that no format has to escape."""
    return f"method:{method.encode().hex()}"


_LOOKS = [entry[2:] for entry in (*_METHODS.values(), *_OTHERS)]
_DASHES: list[Dash] = list(dict.fromkeys(dash for dash, _ in _LOOKS))
_MARKERS = [marker for _, marker in _LOOKS]

# Every form of a rule has a place of its own: _ROOM of them for each rule, itself first, then its dialects.
_RULES = (
    *_METHODS,
    *("AdamW", "AMSGrad", "NAdam", "RAdam", "AdaBelief", "Yogi", "Lion", "LpProp", "FTRL", "Rprop", "ASGD"),
    *("MomentumSutskever", "NesterovSutskever", "RMSpropMomentum", "RMSpropMomentumSutskever"),
    *("RMSpropCentred", "RMSpropCentredMomentum", "RMSpropCentredMomentumSutskever"),
)
_DIALECTS = (
    *("torch", "keras", "optax", "tf.keras-legacy", "tf1", "ensmallen", "paper", "notes", "notes-code"),
    *("notes-uncorrected", "slides", "darve", "zeiler", "cumulated"),
)
_ROOM = 19  # such that neighbours in _RULES differ in colour, and those of one colour in dash and marker
_FIRST = 11  # use of a colour: such that what shares dash and marker differs in colour to every eye (tests/test_plots.py)
_PLACES = len(_OTHERS) * len(_DASHES) * len(_MARKERS)


def _listed(name: str) -> bool:
    """Whether a name is a rule of the library or a dialect of one, without values of its own."""
    rule, _, dialect = name.partition(":")
    return rule in _RULES and (not dialect or dialect in _DIALECTS)


def _place(name: str) -> int:
    """Which of the ``_PLACES`` looks a name has where no other one has it: what is not listed by its letters."""
    if not _listed(name):
        return zlib.crc32(name.encode()) % _PLACES
    rule, _, dialect = name.partition(":")
    return _ROOM * _RULES.index(rule) + (1 + _DIALECTS.index(dialect) if dialect else 0)


def _look(place: int) -> Style:
    """The look at a place, another one at each: the colour changes from one to the next, and with it dash and marker."""
    colour, use = place % len(_OTHERS), (place // len(_OTHERS) + _FIRST) % (_PLACES // len(_OTHERS))
    dash = _DASHES[(use + use // 30) % len(_DASHES)]  # 30 uses have all pairs that 6 and 15 have in step
    return Style(f"m-x{colour}", f"t-x{colour}", dash, _MARKERS[use % len(_MARKERS)])


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each method, no two alike: every rule and dialect of the library has the same in all pictures.

    So has any other name, but where its place is taken, by which it has the next one.
    """
    chosen: dict[str, Style] = {}
    taken: set[int] = set()
    listed = sorted(set(names), key=lambda name: (not _listed(name), name))
    for name in listed:
        if name in _METHODS:
            slug = name.lower()
            chosen[name] = Style(f"m-{slug}", f"t-{slug}", *_METHODS[name][2:])
            continue
        first = _place(name)
        free = ((first + i) % _PLACES for i in range(_PLACES))
        place = next((p for p in free if p not in taken), first)
        chosen[name] = _look(place)
        taken.add(place)
    return chosen


def neutral(labels: Sequence[str], methods: Mapping[str, Style]) -> dict[str, Style]:
    """A style for each label that is no method's: ink first, then colours that no method has, then these with other dashes."""
    taken = {style.stroke for style in methods.values()}
    # SGD is drawn in ink already.
    free = [] if "m-sgd" in taken else [_INK]
    free += [
        Style(f"m-x{i}", f"t-x{i}", *_OTHERS[i][2:]) for i in (1, 0, 4, 2, 3, 5) if f"m-x{i}" not in taken
    ]
    free = free or [_INK]
    count = len(free)
    return {label: free[i % count].varied(i // count) for i, label in enumerate(dict.fromkeys(labels))}


def layer_opacities(tints: Sequence[float]) -> list[float]:
    """The opacity that each layer adds to the ones below it, the palest last, to come to these tints."""
    around = [*tints[1:], 0.0]
    return [1 - (1 - tint) / (1 - other) for tint, other in zip(tints, around, strict=True)]
