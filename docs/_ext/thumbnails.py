"""Small pictures of landscapes and paths, light and dark, as PNG."""

from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from pictures import written
from PIL import Image

import thalweg as tw
from thalweg.lab.pictures.axes import Axis
from thalweg.lab.pictures.canvas import Canvas
from thalweg.lab.pictures.lines import panel_shares, thin_swings
from thalweg.lab.pictures.looks import look_of, looks_of
from thalweg.lab.pictures.panels import Map, Path, Picture
from thalweg.lab.pictures.style import Colours, palette
from thalweg.lab.pictures.svg import drawing
from thalweg.lab.pictures.terrain import terrain
from thalweg.lab.record import record
from thalweg.problems.formula import FormulaProblem

WIDTH, HEIGHT = 208, 144  # CSS px
SCALE = 2  # device px for one of them
SHADES = 96
SWINGS = 6.0  # px: of swings to and fro that lie closer to each other some are left out
THEMES = ("light", "dark")


def _drawn(picture: Picture, panel: Map, colours: Colours) -> Figure:
    """The map without any words."""
    looks = looks_of(picture)
    canvas = Canvas(colours, WIDTH, HEIGHT)
    ax = canvas.axes(0, 0, WIDTH, HEIGHT)
    ax.grid(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    x, y, f = panel.grid
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    terrain(ax, x, y, f, canvas)
    for path in reversed(panel.paths):
        points = np.asarray(path.points, float)
        shares = panel_shares(*points.T, *(Axis(a[0], a[-1], False, (), ()) for a in (x, y)))
        points = points[thin_swings(np.clip(shares, -9, 9) * (WIDTH, HEIGHT), SWINGS)]
        ax.add_line(canvas.line(look_of(path, looks), *points.T, linestyle="solid", linewidth=2))
        canvas.figure.axes[0].plot(*points[0], "o", color=colours["ink"], markersize=4)
    return canvas.figure


def _png(picture: Image.Image) -> bytes:
    """A PNG of few shades."""
    small = BytesIO()
    picture.convert("RGB").quantize(SHADES).save(small, "png", optimize=True)
    return small.getvalue()


def _raster(figure: Figure, width: float) -> Image.Image:
    """A figure as pixels, so many CSS px wide."""
    raw = BytesIO()
    figure.savefig(raw, format="png", dpi=72 * SCALE * width / (72 * figure.get_figwidth()))
    return Image.open(raw)


def cropped(figure: Figure, colours: Colours) -> bytes:
    """The upper part of a figure with words, in the thumbnails' shape, as a PNG."""
    figure.patch.set(visible=True, facecolor=colours["page"])
    return _png(
        _raster(figure, 1.5 * WIDTH).crop((0, 0, round(1.5 * WIDTH * SCALE), round(1.5 * HEIGHT * SCALE)))
    )


def draw(name: str, picture: Picture) -> None:
    """Write ``thumbs/NAME-light.png`` and ``-dark.png`` of a picture's map."""
    (panel,) = [panel for panel in picture.panels if isinstance(panel, Map)]
    for theme in THEMES:
        with drawing():
            written(
                f"thumbs/{name}-{theme}.png", _png(_raster(_drawn(picture, panel, palette(theme)), WIDTH))
            )


def of_landscape(p: FormulaProblem) -> Picture:
    """A landscape with Adam's path from its usual start."""
    if p.window is None:  # of more than two coordinates: the plane that holds the path
        return tw.show(p, ["Adam"], lr=0.05).picture
    (x0, x1), (y0, y1) = p.window
    x, y = np.linspace(x0, x1, 161), np.linspace(y0, y1, 161)
    run = record(tw.Adam(lr=(x1 - x0) / 80), p, 300)
    land = Map(p.title, "x", "y", (x, y, p.values(*np.meshgrid(x, y))), [Path(run.weights, "Adam", "Adam")])
    return Picture([land], f"{p.title}, with a path of Adam", ["Adam"])


def image(root: str, name: str, alt: str = "") -> str:
    """A thumbnail in HTML, in the theme of the page; root: the way to the site's root."""
    return "".join(
        f'<img class="only-{theme}" loading="lazy" alt="{alt}" width="{WIDTH}" height="{HEIGHT}"'
        f' src="{root}_static/thumbs/{name}-{theme}.png">'
        for theme in THEMES
    )
