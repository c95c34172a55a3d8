"""``thalweg predict``: apply a trained model to files."""

from typing import Annotated

import typer

from .console import errors_as_one_line, say, write_json
from .fit import quality_text


def predict(
    model: Annotated[str, typer.Argument(help="A file that thalweg fit wrote.", metavar="MODEL")],
    data: Annotated[
        list[str],
        typer.Argument(
            help="Files of the format that it was trained on; labels may be absent.", metavar="DATA"
        ),
    ],
    out: Annotated[str, typer.Option(help="A .csv or .parquet file, or - for CSV on standard output.")] = "-",
    unseen: Annotated[
        str, typer.Option(help="SVMlight features beyond those of training: stop, or ignore.")
    ] = "stop",
    format: Annotated[
        str, typer.Option(help="svmlight, vw, csv or parquet. Default: by name or content.")
    ] = "auto",
    target: Annotated[str | None, typer.Option(help="CSV, Parquet: the labels, to compare with.")] = None,
    tag: Annotated[str | None, typer.Option(help="CSV, Parquet: a column to copy.")] = None,
    missing: Annotated[str, typer.Option(help="CSV, Parquet: a missing value is bad, or zero.")] = "bad",
    delimiter: Annotated[str | None, typer.Option(help="CSV: between cells.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Limit of the whole process: 500MB. Default: none.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write what was done as JSON.")] = None,
) -> None:
    """Predict each row of files with a model, in their order."""
    with errors_as_one_line(extra="cli"):
        from ..files import require_apart
        from ..fitting import predict as run
        from ..reading.sources import expand

        require_apart([out, json], [model, *expand(data)])
        result = run(
            model, data, out, unseen=unseen, memory=memory, format=format, target=target, tag=tag,
            missing=missing, delimiter=delimiter,
        )  # fmt: skip
        quality = "" if result.quality is None else "; " + quality_text(result.quality)
        say(f"{result.rows} rows in {result.seconds:.3g} s{quality}")
        if json is not None:
            write_json(json, result.plain())
