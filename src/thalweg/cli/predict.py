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
    missing: Annotated[
        str | None, typer.Option(help="CSV, Parquet: mean, bad or zero. Default: as it was trained.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="CSV: between cells. Default: as found.")] = None,
    header: Annotated[bool, typer.Option(help="CSV: the first line names the columns.")] = True,
    skip_lines: Annotated[int, typer.Option(help="CSV: lines before the table.")] = 0,
    comment: Annotated[str | None, typer.Option(help="CSV: what begins a line that is no row.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text: latin-1, ...")] = None,
    on_bad_line: Annotated[str, typer.Option(help="stop or skip.")] = "stop",
    memory: Annotated[
        str | None, typer.Option(help="Limit of the whole process: 500MB. Default: none.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write what was done as JSON.")] = None,
) -> None:
    """Predict each row of files with a model, in their order."""
    with errors_as_one_line(extra="cli"):
        from ..files import require_apart
        from ..fitting import predict as run
        from ..fitting.quality import called_rows
        from ..reading.arrow_library import leave_pandas_out
        from ..reading.sources import expand

        leave_pandas_out()
        require_apart([out, json], [model, *expand(data)])
        result = run(
            model, data, out, unseen=unseen, memory=memory, format=format, target=target, tag=tag,
            missing=missing, delimiter=delimiter, header=header, skip_lines=skip_lines, comment=comment,
            encoding=encoding, on_bad_line=on_bad_line,
        )  # fmt: skip
        quality = "" if result.quality is None else "; " + quality_text(result.quality)
        for name, odd in result.odd_cells.items():
            say(f"column {name!r}: cells taken for missing: {odd['cells']}; {odd['first']}")
        if result.skipped:
            say(f"bad lines skipped: {result.skipped}; {result.reasons[0]}")
        say(f"{called_rows(result.rows)} in {result.seconds:.3g} s{quality}")
        for note in result.notes:
            say(note)
        if json is not None:
            write_json(json, result.plain())
