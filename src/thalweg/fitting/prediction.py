"""``predict``: what a trained model says of each row of files larger than memory, in their order."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..engines.memory import Array
from ..errors import FileError, HyperparameterError, nearest
from ..files import reason, require_apart, require_writable, write
from ..reading import Block, Stream, open_stream
from ..reading.kinds import label_text
from ..reading.sources import format_of, sources
from .budget import Budget
from .quality import FEW, PROBABLE, Measured, Quality
from .settings import Paths
from .trained import Trained, folded, matrix

Columns = dict[str, Any]  # by name: an array, or for tags a list
ODD = 0.5  # the share of a column's cells from which on the whole column is said to be odd
READING = (
    "format", "target", "weight", "tag", "missing", "delimiter", "header", "skip_lines", "comment", "encoding",
    "on_bad_line",
)  # fmt: skip


@dataclass
class Predicted:
    """What was predicted. quality: of the rows that have labels, as ``Report.held_out``; None where none has.

    skipped, reasons: bad lines, and why the first were; odd_cells: as in ``Report``. notes: sentences on how good it is.
    """

    out: str
    rows: int
    quality: Measured | None
    seconds: float
    skipped: int
    reasons: list[str]
    odd_cells: dict[str, Any]
    notes: list[str]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def predict(
    model: str | os.PathLike[str],
    data: Paths,
    out: str | os.PathLike[str] = "-",
    *,
    unseen: str = "stop",
    memory: str | int | None = None,
    progress: Callable[[int], None] | None = None,
    **reading: Any,
) -> Predicted:
    """Write what the model in a file says of each row of data, in their order.

    out: a .csv or .parquet file, written beside and renamed, or "-": CSV on standard output. Columns: tag
    (Vowpal Wabbit, or with tag=), prediction, and for classes p_LABEL, the probabilities (log_loss, multinomial,
    modified_huber), or else score, or score_LABEL. Rows need no labels; those that have one are compared: in a table
    where the column is there that the model was trained on, or with target=. A text that was not trained on has no
    weight of its own; a label that is no class counts as wrong.
    unseen: SVMlight features beyond those of training: "stop" (a bad line) or "ignore" (they have no weight).
    **reading: what ``open_stream`` takes of format, target, weight, tag, missing, delimiter, header, skip_lines,
    comment, encoding, on_bad_line.

    Raises FileError for files, HyperparameterError for settings.
    """
    start = time.perf_counter()
    for n in reading:
        if n not in READING:
            raise HyperparameterError(f"predict: unknown setting {n!r}: {nearest(n, READING)}")
    if unseen not in ("stop", "ignore"):
        raise HyperparameterError(f"unseen: 'stop' or 'ignore', got {unseen!r}")
    target = os.fspath(out)
    form = "csv" if target == "-" else Path(target).suffix.lower().removeprefix(".")
    if form not in ("csv", "parquet"):
        raise HyperparameterError(f"out: a .csv or .parquet file, or -; got {target!r}")
    if target != "-":
        require_writable(target)
    trained = Trained.load(model)
    stream = _rows_stream(trained, model, data, unseen, Budget.of(memory).block, reading)
    require_apart([target], [model, *stream.paths])
    quality = Quality()
    rows = 0
    tagged = bool(reading.get("tag")) or stream.format == "vw"

    def tables() -> Iterator[Columns]:
        nonlocal rows
        with closing(stream.blocks()) as blocks:
            for read in blocks:
                block = read if trained.fold is None else folded(read, trained.fold)
                x = matrix(block, trained.model.features)
                known = np.flatnonzero(~np.isnan(block.labels))
                if known.size:
                    weights = None if block.weights is None else block.weights[known]
                    quality.add(trained.model, x[known], block.labels[known], weights)
                rows += len(block.labels)
                yield columns(trained, block, trained.model.scores(x), tagged)
                if progress:
                    progress(rows)

    if target == "-":
        _to_standard_output(csv(tables()))
    elif form == "csv":
        write(target, lambda file: file.writelines(piece.encode() for piece in csv(tables())))
    else:
        write(target, lambda file: parquet(file, tables(), target))
    measured = quality.result(trained.model) if quality.rows else None
    odd = {n: {"cells": k, "first": told} for n, (k, told) in stream.odd_cells.items()}
    notes = [stream.odd_text] if stream.odd_text else []
    notes += [
        f"column {n!r}: {k} of {rows} cells do not read as the model's do, so that it tells little here: is it written in another way than where the model learnt it?"
        for n, (k, _) in stream.odd_cells.items()
        if k > ODD * rows
    ]
    against = quality.against_constant(trained.model) if quality.rows >= FEW else None
    if against is not None and against.no_better:
        notes.append(
            f"the model is no better than a constant: its {trained.model.settings.loss} is {against}"
        )
    seconds = time.perf_counter() - start
    return Predicted(target, rows, measured, seconds, stream.skipped, stream.reasons, odd, notes)


def _rows_stream(
    trained: Trained,
    model: str | os.PathLike[str],
    data: Paths,
    unseen: str,
    block_bytes: int,
    reading: dict[str, Any],
) -> Stream:
    """The stream of rows to be predicted. Raises FileError where they are of another kind than the model's."""
    settings = {n: v for n, v in reading.items() if v is not None}
    kind = trained.layout["format"]
    strict = kind == "svmlight" and unseen == "stop" and trained.fold is None
    tables = ("csv", "parquet")
    files = sources(data)
    for file in files:
        file.encoding = settings.get("encoding")
    format = format_of(files[0], settings.pop("format", "auto"), kind in tables)
    if format != kind and not (format in tables and kind in tables):
        raise FileError(f"{files[0]}: is {format}; {model} was trained on {kind}")
    return open_stream(
        files,
        format=format,
        block_bytes=block_bytes,
        unlabelled=True,
        layout=trained.layout,
        features=trained.model.features if strict else None,
        **settings,
    )


def columns(trained: Trained, block: Block, scores: Array, tagged: bool) -> Columns:
    """The columns of a block's predictions: tag, prediction, and a probability or score for each class."""
    model = trained.model
    table: Columns = {}
    if tagged:
        table["tag"] = block.tags or [""] * len(block.labels)
    table["prediction"] = model.decide(scores)
    if "classes" in trained.layout:
        called = trained.layout["classes"]
        table["prediction"] = [called[k] for k in table["prediction"].tolist()]
    if model.classes is None:
        return table
    names = trained.layout.get("classes") or list(map(label_text, model.classes))
    if model.settings.loss in PROBABLE:
        p = model.probabilities(scores)
        return table | {f"p_{n}": p[:, k] for k, n in enumerate(names)}
    if scores.ndim == 1:
        return table | {"score": scores}
    return table | {f"score_{n}": scores[:, k] for k, n in enumerate(names)}


def csv(tables: Iterable[Columns]) -> Generator[str, None, None]:
    """CSV text, a piece a block. The columns are the first block's."""
    head: list[str] = []
    for table in tables:
        if not head:
            head = list(table)
            yield ",".join(map(_quoted, head)) + "\n"
        cells = [_cells(table[n], 15 if n == "prediction" else 12) for n in head]
        yield "\n".join(map(",".join, zip(*cells, strict=True))) + "\n"


def _to_standard_output(pieces: Iterable[str]) -> None:
    """Write text to standard output as it is written to a file: in UTF-8, whatever the locale's encoding."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)  # None: of a notebook, or where somebody takes the text
    for piece in pieces:
        if binary is None:
            sys.stdout.write(piece)
        else:
            binary.write(piece.encode())
    sys.stdout.flush()


def _cells(values: Array | list[str], most: int) -> Iterable[str]:
    """A column's cells as text: tags quoted where they must be, numbers with the digits of float32, or ``most``."""
    if isinstance(values, list):
        return map(_quoted, values)
    if values.dtype.kind == "i":
        return map(str, values.tolist())
    digits = 9 if values.dtype == np.float32 else most
    return (f"{v:.{digits}g}" for v in values.tolist())


def _quoted(text: str) -> str:
    """A text as a cell of CSV."""
    return f'"{text.replace(chr(34), 2 * chr(34))}"' if any(c in text for c in ',"\r\n') else text


def parquet(file: IO[bytes], tables: Iterable[Columns], target: str) -> None:
    """Write a Parquet file, a row group a block. Raises FileError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise FileError(f"{target}: Parquet is written by pyarrow; install thalweg[files]") from None
    writer = None
    try:
        for table in tables:
            group = pa.table({n: pa.array(v) for n, v in table.items()})
            if writer is None:
                writer = pq.ParquetWriter(file, group.schema)
            writer.write_table(group.select(writer.schema.names))
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    finally:
        if writer is not None:
            writer.close()
