"""The files of a run as streams of blocks: those it trains on, those it is tested on, a worker's part of them."""

from typing import Any

from ..reading import Stream, open_stream
from ..reading.unpack import SUFFIXES
from .settings import FitSettings, Paths

Layout = dict[str, Any]  # of a stream, as JSON has it: which feature has which index

# What is said of files that are read for features that are settled: the layout says the rest.
LAID_OUT = ("target", "weight", "missing", "delimiter", "header", "skip_lines", "comment", "encoding")


def training_stream(data: Paths, settings: FitSettings, block_bytes: int, cache: str | None) -> Stream:
    """The rows to train on. cache: the file that later passes read. Raises HyperparameterError, FileError."""
    reading = settings.reading
    if settings.bits is not None:
        reading["bits"] = settings.bits
    if settings.scales:
        reading["scale"] = "deviation" if settings.intercept else "rms"
    if settings.classes is not None and all(isinstance(c, str) for c in settings.classes):
        reading["classes"] = settings.classes
    return open_stream(
        data,
        **reading,
        features=settings.features,
        block_bytes=block_bytes,
        on_bad_line=settings.on_bad_line,
        cache=cache,
    )


def scored_stream(data: Paths, settings: FitSettings, block_bytes: int, layout: Layout) -> Stream:
    """Rows that are only scored, of files of any format that gives that layout. Raises FileError."""
    return open_stream(
        data,
        **_said_of(settings, LAID_OUT),
        layout=layout,
        block_bytes=block_bytes,
        on_bad_line=settings.on_bad_line,
    )


def part_stream(
    data: Paths, settings: FitSettings, block_bytes: int, layout: Layout, features: int | None
) -> Stream:
    """Some of the files to train on, with the indices that their features have in all of them. Raises FileError."""
    return open_stream(
        data,
        **_said_of(settings, ("format", *LAID_OUT)),
        layout=layout,
        features=features,
        block_bytes=block_bytes,
        on_bad_line=settings.on_bad_line,
    )


def _said_of(settings: FitSettings, names: tuple[str, ...]) -> dict[str, Any]:
    return {n: v for n, v in settings.reading.items() if n in names}


def share_read(stream: Stream, position: dict[str, int] | None) -> float | None:
    """How much of the files lies before a position, by bytes; None where they are pipes, compressed or in groups."""
    paths = stream.paths
    packed = any(p.suffix in (*SUFFIXES, ".parquet", ".pq") for p in paths)
    if position is None or packed or stream.pipe is not None:
        return None
    sizes = [p.stat().st_size for p in paths]
    before = sum(sizes[: position["file"]]) + position["offset"]
    return min(0.999, before / total) if (total := sum(sizes)) else None  # 1 is a whole pass
