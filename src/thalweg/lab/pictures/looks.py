"""Which style each method and label of a picture has, the same in all its panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .panels import Bars, Chart, Curve, Map, Path, Picture
from .style import THEORY, Dash, Style, neutral, styles

Looks = Mapping[str, Style]

_THEORY_DASHES: tuple[Dash, ...] = ((0, (4, 2.5)), (0, (1.5, 2)), (0, (8, 2, 1.5, 2)))


def methods_of(picture: Picture) -> list[str]:
    """The methods of a picture: those it names and those of its panels."""
    names = list(picture.methods)
    for panel in picture.panels:
        if isinstance(panel, Chart):
            names += [c.method for c in panel.curves]
        elif isinstance(panel, Map):
            names += [p.method for p in panel.paths]
        elif isinstance(panel, Bars):
            names += list(panel.methods)
    return [name for name in dict.fromkeys(names) if name]


def looks_of(picture: Picture) -> Looks:
    """One style for each method and each label without one, the same in all panels; keys of the latter end with a tab."""
    of_methods = styles(methods_of(picture))
    labels: list[str] = []
    for panel in picture.panels:
        if isinstance(panel, Chart):
            labels += [c.label for c in panel.curves if not c.method and c.look != "theory"]
        elif isinstance(panel, Map):
            labels += [p.label for p in panel.paths if not p.method]
    return of_methods | {label + "\t": style for label, style in neutral(labels, of_methods).items()}


def look_of(item: Curve | Path, looks: Looks) -> Style:
    """The style of a curve or path among those of its picture."""
    if isinstance(item, Curve) and item.look == "theory":
        return replace(THEORY, dash=_THEORY_DASHES[item.variant % 3])
    return looks[item.method or item.label + "\t"].varied(item.variant)
