"""A map's paths growing from their start, as .gif (Pillow) or .mp4 (ffmpeg).

Steps of a run differ in length by orders of magnitude: with as many of them in each frame, all that moves would have
moved in the first frames. So each frame shows as much of the paths' lengths as any other (``pace``).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from ... import files
from ...errors import FileError, HyperparameterError
from . import maps
from .axes import Axis
from .canvas import Canvas, depth
from .figure import alone
from .layout import Cell
from .lines import last_seen
from .looks import looks_of
from .maps import Trace
from .panels import Map, Picture
from .style import Colours, palette
from .svg import drawing

Array = np.ndarray[Any, Any]
FORMS = files.Forms("a film", (".gif", ".mp4"))
_WIDTH, _HEIGHT = 760.0, 430.0  # of the canvas and of the map's box, px
_SCALE = {".gif": 1.0, ".mp4": 2.0}  # pixels of the film a CSS pixel
_PAUSE = 1.0  # how long the last frame stays, s


def animate(
    map_panel: Map, path: str | Path, theme: str = "light", seconds: float = 6.0, fps: int = 20
) -> Path:
    """Write a film of a map: its paths grow from the start to the end in ``seconds``; the last frame stays for one more.

    Raises FileError for another suffix or without ffmpeg, HyperparameterError for a length or rate that cannot be.
    """
    path, suffix = FORMS.of(path)
    colours = palette(theme)
    if not 0 < seconds <= 600:
        raise HyperparameterError(f"animate: seconds must be above 0 and at most 600, got {seconds!r}")
    most = 50 if suffix == ".gif" else 120
    if not 1 <= fps <= most:
        raise HyperparameterError(f"animate: fps of a {suffix} must be from 1 to {most}, got {fps!r}")
    ffmpeg = _ffmpeg(path) if suffix == ".mp4" else ""
    count = max(1, round(seconds * fps))
    with drawing():
        if suffix == ".gif":
            _gif(map_panel, path, colours, seconds, count)
        else:
            _mp4(map_panel, path, colours, fps, count, ffmpeg)
    return path


def _ffmpeg(path: Path) -> str:
    """The program that makes .mp4 files: imageio-ffmpeg's own, else one on the PATH; FileError."""
    try:
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        program = shutil.which("ffmpeg")
    if program is None:
        raise FileError(f"{path}: an .mp4 needs ffmpeg: pip install imageio-ffmpeg, or write a .gif")
    return program


@dataclass(frozen=True)
class _Moving:
    """A path in a film: its line, the marker at its head, and the cross where it died, if it did on the map."""

    trace: Trace
    line: Line2D
    head: Line2D
    cross: Line2D | None

    @property
    def end(self) -> int:
        """The last point of the path that can be drawn."""
        real = np.flatnonzero(~np.isnan(self.trace.points).any(axis=1))
        return int(real[-1]) if len(real) else 0

    def until(self, step: float) -> float:
        """How far it has come at a step: the number of a point, and the share of the way to the next."""
        return min(step / self.trace.path.every, float(self.end))

    def draw_line(self, ax: Axes, xs: Axis, ys: Axis, step: float) -> None:
        if len(self.trace.points):
            self.line.set_data(*self.trace.line(xs, ys, self.until(step)))
            ax.draw_artist(self.line)

    def draw_head(self, ax: Axes, step: float) -> None:
        until = self.until(step)
        point = self.trace.at(until) if len(self.trace.points) else np.full(2, np.nan)
        if self.cross is not None and until == self.end:
            ax.draw_artist(self.cross)
        elif np.all((point >= 0) & (point <= 1)):
            box = ax.get_position()  # in shares of the figure, whatever its pixels
            self.head.set_data([box.x0 + point[0] * box.width], [box.y0 + point[1] * box.height])
            ax.draw_artist(self.head)


def _moving(canvas: Canvas, ax: Axes, traces: Sequence[Trace]) -> list[_Moving]:
    """The artists of each path, added to the panel."""
    x0, y0, width, height = ax.bbox.bounds
    moving = []
    for order, trace in enumerate(traces):
        name, style = trace.path.method, trace.style
        line = ax.add_line(canvas.line(style, [], [], name, zorder=depth(order)))
        head = maps.end_marker(canvas, ax, trace.path, style, np.zeros(2))
        cross = None
        if trace.path.died and (end := last_seen(trace.points)) is not None:
            at = np.array([x0, y0]) + np.array([width, height]) * end
            cross = canvas.cross(ax, style, at, name)
        moving.append(_Moving(trace, line, head, cross))
    return moving


def pace(traces: Sequence[Trace], size: Array, count: int) -> Array:
    """The steps (count,) that a film's frames show: from 0 to the last one, fractions of steps among them.

    Every path that is seen to move counts alike, by the share of its own length (on the panel of ``size``, px) that it has
    come; between two frames all of them together come equally far.
    """
    lasts = [(len(t.points) - 1) * t.path.every for t in traces if len(t.points)]
    steps = np.arange(max(lasts, default=0) + 1.0)
    progress = np.zeros(len(steps))
    for trace in traces:
        places = np.clip(trace.points, -0.05, 1.05) * size
        ways = np.nan_to_num(np.hypot(*np.diff(places, axis=0).T)).cumsum()
        if len(ways) and ways[-1] > 1:
            at = np.arange(len(places)) * trace.path.every
            progress += np.interp(steps, at, np.append(0.0, ways) / ways[-1])
    moves = np.append(True, np.diff(progress) > 0)
    shown: Array = np.interp(np.linspace(0, progress[-1], count), progress[moves], steps[moves])
    shown[-1] = steps[-1]  # what came after all motion has been seen too
    return shown


@dataclass(frozen=True)
class Scene:
    """What a film shows, ready to be drawn: all that stands still, and what is drawn anew in each frame."""

    canvas: Canvas
    ax: Axes
    moving: Sequence[_Moving]
    clock: Text

    def draw(self, step: float) -> None:
        """Draw the paths up to a step, and its number, over what stands still."""
        ax = self.ax
        xs, ys = (Axis(*limits, False, (), ()) for limits in (ax.get_xlim(), ax.get_ylim()))
        for m in self.moving:
            m.draw_line(ax, xs, ys, step)
        for m in self.moving:
            m.draw_head(ax, step)
        self.clock.set_text(f"step {int(step + 1e-9):,}")
        ax.draw_artist(self.clock)


def scene(panel: Map, colours: Colours) -> Scene:
    """A map without its paths, which are named in a key, and these paths ready to grow."""
    panel = replace(panel, title=panel.title or " ")
    layout, background = maps.film_layout(panel, looks_of(Picture([panel], "")), Cell(_WIDTH), _HEIGHT)
    canvas, ax, _ = alone(panel, layout, colours, _HEIGHT, rim=14, below=0)
    canvas.figure.patch.set(visible=True, facecolor=colours["page"])
    x0, y0, width, height = ax.bbox.bounds
    moving = _moving(canvas, ax, background(canvas, ax))
    clock = canvas.words(x0 + width, y0 + height + 9, "", colour="ink", ha="right", va="bottom", bold=True)
    parts = [(m.line, m.head, *([] if m.cross is None else [m.cross])) for m in moving]
    for artist in [clock, *(part for several in parts for part in several)]:
        artist.set_animated(True)
    return Scene(canvas, ax, moving, clock)


def frames(panel: Map, colours: Colours, count: int, scale: float) -> Iterator[Array]:
    """``count`` images (height, width, 4), uint8: only the paths and the number of the step are drawn anew."""
    shown = scene(panel, colours)
    figure = shown.canvas.figure
    size = np.array(shown.ax.bbox.size)  # in CSS pixels as yet
    figure.set_dpi(72 * scale)
    agg: Any = FigureCanvasAgg(figure)
    agg.draw()
    still = agg.copy_from_bbox(figure.bbox)
    for step in pace([m.trace for m in shown.moving], size, count):
        agg.restore_region(still)
        shown.draw(step)
        yield np.asarray(agg.buffer_rgba()).copy()


def _gif(panel: Map, path: Path, colours: Colours, seconds: float, count: int) -> None:
    images = [Image.fromarray(a).convert("RGB") for a in frames(panel, colours, count, _SCALE[".gif"])]
    # One palette for all, from the frame that shows the most.
    shared = images[-1].quantize(255, dither=Image.Dither.NONE)
    quantized = [image.quantize(palette=shared, dither=Image.Dither.NONE) for image in images]
    # Times are whole hundredths of a second in this format.
    ends = np.round(np.linspace(0, 100 * seconds, count + 1)).astype(int) * 10
    times = [int(t) for t in np.diff(ends)]
    times[-1] += int(1000 * _PAUSE)
    files.write(
        path,
        lambda file: quantized[0].save(
            file, format="GIF", save_all=True, append_images=quantized[1:], duration=times, loop=0
        ),
    )


def _mp4(panel: Map, path: Path, colours: Colours, fps: int, count: int, ffmpeg: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "film.mp4"
        images = frames(panel, colours, count, _SCALE[".mp4"])
        first = _even(next(images))
        high, wide = first.shape[:2]
        command = [ffmpeg, "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgba"]
        command += ["-s", f"{wide}x{high}", "-r", str(fps), "-i", "-", "-an", "-pix_fmt", "yuv420p"]
        command += ["-movflags", "+faststart", str(out)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stderr is not None
            try:
                image = first
                process.stdin.write(image.tobytes())
                for image in map(_even, images):
                    process.stdin.write(image.tobytes())
                for _ in range(round(_PAUSE * fps)):
                    process.stdin.write(image.tobytes())
                process.stdin.close()
            except BrokenPipeError:
                pass  # what went wrong stands in its messages
            messages = process.stderr.read().decode(errors="replace").strip().splitlines()
        if process.returncode != 0 or not out.is_file():
            reason = messages[-1] if messages else f"exit status {process.returncode}"
            raise FileError(f"{path}: ffmpeg could not write it ({reason})")
        data = out.read_bytes()
    files.write(path, lambda file: file.write(data))


def _even(image: Array) -> Array:
    """The format wants even numbers of rows and columns."""
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
