"""The one place that draws: pictures as themable SVG for a page, or as a file."""

from .race import (
    Plot,
    contour,
    effective_rate,
    loss_curves,
    palette,
    ranked,
    save,
    sensitivity,
    spread,
    styles,
)

__all__ = [
    "Plot",
    "contour",
    "effective_rate",
    "loss_curves",
    "palette",
    "ranked",
    "save",
    "sensitivity",
    "spread",
    "styles",
]
