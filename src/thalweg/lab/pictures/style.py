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
    ("#54707a", "#a3bcc6", (0, (9, 2)), "H"),
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


def _other(index: int, use: int = 0) -> Style:
    """The style of a name that is no method of the nine; each further use of a colour has another dash and marker."""
    _, _, dash, marker = _OTHERS[index]
    dash = _DASHES[(_DASHES.index(dash) + use) % len(_DASHES)]
    marker = _MARKERS[(_MARKERS.index(marker) + use) % len(_MARKERS)]
    return Style(f"m-x{index}", f"t-x{index}", dash, marker)


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each method; an unknown name keeps its own wherever no other one has it."""
    chosen: dict[str, Style] = {}
    taken: list[int] = []
    for name in sorted(set(names)):
        if name in _METHODS:
            slug = name.lower()
            chosen[name] = Style(f"m-{slug}", f"t-{slug}", *_METHODS[name][2:])
            continue
        first = zlib.crc32(name.encode()) % len(_OTHERS)
        cycle = [(first + i) % len(_OTHERS) for i in range(len(_OTHERS))]
        index = min(cycle, key=taken.count)
        chosen[name] = _other(index, taken.count(index))
        taken.append(index)
    return chosen


def neutral(labels: Sequence[str], methods: Mapping[str, Style]) -> dict[str, Style]:
    """A style for each label that is no method's: ink first, then colours that no method has."""
    taken = {style.stroke for style in methods.values()}
    # SGD is drawn in ink already.
    free = [] if "m-sgd" in taken else [_INK]
    free += [_other(i) for i in (1, 0, 4, 2, 3, 5) if f"m-x{i}" not in taken]
    free = free or [_INK]
    return {label: free[i % len(free)] for i, label in enumerate(dict.fromkeys(labels))}


def layer_opacities(tints: Sequence[float]) -> list[float]:
    """The opacity that each layer adds to the ones below it, the palest last, to come to these tints."""
    around = [*tints[1:], 0.0]
    return [1 - (1 - tint) / (1 - other) for tint, other in zip(tints, around, strict=True)]
