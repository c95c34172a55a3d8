"""A map's paths growing step by step, as .gif (Pillow) or .mp4 (ffmpeg)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from ... import files
from ...errors import FileError, HyperparameterError
from . import canvas as s
from . import draw, maps
from .maps import Trace
from .panels import Map, Picture
from .plan import Cell, looks_of
from .style import Colours, palette
from .svg import checked, drawing

Array = np.ndarray[Any, Any]
SUFFIXES = (".gif", ".mp4")
_WIDTH, _HEIGHT = 760.0, 430.0  # of the sheet and of the map's box, px
_SCALE = {".gif": 1.0, ".mp4": 2.0}  # pixels of the film a CSS pixel
_PAUSE = 1.0  # how long the last frame stays, s


def animate(
    map_panel: Map, path: str | Path, theme: str = "light", seconds: float = 6.0, fps: int = 20
) -> Path:
    """Write a film of a map: its paths grow from the start to the end in ``seconds``; the last frame stays for one more.

    A .gif has no more frames than the longest path has points. Raises FileError for another suffix or
    without ffmpeg, HyperparameterError for a length or rate that cannot be.
    """
    path = checked(path, SUFFIXES, "film")
    suffix = path.suffix.lower()
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
        found = shutil.which("ffmpeg")
    if found is None:
        raise FileError(f"{path}: an .mp4 needs ffmpeg: pip install imageio-ffmpeg, or write a .gif")
    return found


def _end(trace: Trace) -> int:
    """The last point of a path that can be drawn."""
    real = np.flatnonzero(~np.isnan(trace.points).any(axis=1))
    return int(real[-1]) if len(real) else 0


def frames(panel: Map, colours: Colours, count: int, scale: float) -> Iterator[Array]:
    """``count`` images (height, width, 4), uint8: only the paths and the number of the step are drawn anew."""
    panel = replace(panel, title=panel.title or " ")
    looks = looks_of(Picture([panel], ""))
    plan = maps.plan(panel, looks, Cell(_WIDTH), _HEIGHT, film=True)
    sheet, ax, _ = draw.alone(panel, plan, colours, _HEIGHT, rim=14, below=0)
    figure = sheet.figure
    figure.patch.set(visible=True, facecolor=colours["page"])
    x0, y0, width, height = ax.bbox.bounds
    traces: list[Trace] = plan.fill(sheet, ax, still=False) or []
    xs, ys = (s.Axis(*limits, False, (), ()) for limits in (ax.get_xlim(), ax.get_ylim()))
    clock = sheet.words(x0 + width, y0 + height + 9, "", colour="ink", ha="right", va="bottom", bold=True)
    lines, heads, crosses = [], [], []
    for order, trace in enumerate(traces):
        name, style = trace.path.method, trace.style
        z = 3 + (40 - min(order, 40)) / 50
        lines.append(ax.add_line(sheet.line(style, [], [], name, zorder=z)))
        heads.append(maps.end_marker(sheet, ax, trace.path, style, np.zeros(2)))
        end = s.leaves(trace.points, (0.0, 0.0, 1.0, 1.0))
        at = np.array([x0, y0]) + np.array([width, height]) * (end if end is not None else np.zeros(2))
        crosses.append(sheet.cross(ax, style, at, name) if trace.path.died and end is not None else None)
    moving = [clock, *lines, *heads, *(c for c in crosses if c is not None)]
    for artist in moving:
        artist.set_animated(True)
    figure.set_dpi(72 * scale)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    last = max((_end(t) * t.path.every for t in traces), default=0)
    for k in range(count):
        step = round(last * k / max(1, count - 1))
        canvas.restore_region(still)
        for trace, line in zip(traces, lines, strict=True):
            if len(trace.points):
                line.set_data(*trace.line(xs, ys, min(step // trace.path.every, _end(trace))))
                ax.draw_artist(line)
        for trace, head, cross in zip(traces, heads, crosses, strict=True):
            until = min(step // trace.path.every, _end(trace))
            place = trace.points[until] if len(trace.points) else np.full(2, np.nan)
            if cross is not None and until == _end(trace):
                ax.draw_artist(cross)
            elif np.all((place >= 0) & (place <= 1)):
                at = (np.array([x0, y0]) + place * (width, height)) / (sheet.width, sheet.height)
                head.set_data([at[0]], [at[1]])
                ax.draw_artist(head)
        clock.set_text(f"step {step:,}")
        ax.draw_artist(clock)
        yield np.asarray(canvas.buffer_rgba()).copy()


def _longest(panel: Map) -> int:
    return max((len(p.points) for p in panel.paths), default=1)


def _gif(panel: Map, path: Path, colours: Colours, seconds: float, count: int) -> None:
    count = max(1, min(count, _longest(panel)))
    images = [Image.fromarray(a).convert("RGB") for a in frames(panel, colours, count, _SCALE[".gif"])]
    # One palette for all, from the frame that shows the most.
    shared = images[-1].quantize(255, dither=Image.Dither.NONE)
    made = [image.quantize(palette=shared, dither=Image.Dither.NONE) for image in images]
    # Times are whole hundredths of a second in this format.
    ends = np.round(np.linspace(0, 100 * seconds, count + 1)).astype(int) * 10
    times = [int(t) for t in np.diff(ends)]
    times[-1] += int(1000 * _PAUSE)
    files.write(
        path,
        lambda file: made[0].save(
            file, format="GIF", save_all=True, append_images=made[1:], duration=times, loop=0
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
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
        if process.returncode != 0 or not out.is_file():
            reason = said[-1] if said else f"exit status {process.returncode}"
            raise FileError(f"{path}: ffmpeg could not write it ({reason})")
        data = out.read_bytes()
    files.write(path, lambda file: file.write(data))


def _even(image: Array) -> Array:
    """The format wants even numbers of rows and columns."""
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
