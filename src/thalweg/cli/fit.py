"""``thalweg fit``: train a linear model on files larger than memory."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import names, numbers
from .console import DONE, FAILED, errors_as_one_line, number, print_table, say, write_json

if TYPE_CHECKING:
    from ..fitting import Progress, Report

EVERY = 5.0  # seconds between lines of progress off a terminal


def fit(
    data: Annotated[
        list[str],
        typer.Argument(help="SVMlight, Vowpal Wabbit, CSV or Parquet files, or patterns.", metavar="DATA"),
    ],
    model: Annotated[str, typer.Option(help="The model's file; its checkpoint lies beside it.")],
    format: Annotated[
        str, typer.Option(help="svmlight, vw, csv or parquet. Default: by name or content.")
    ] = "auto",
    target: Annotated[str | None, typer.Option(help="CSV, Parquet: the column to predict.")] = None,
    task: Annotated[str, typer.Option(help="classification or regression. Default: by the labels.")] = "auto",
    loss: Annotated[
        str | None, typer.Option(help="log_loss, hinge, squared_error, ... Default: by the task.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="Adagrad(lr=0.1), Adam, FILE.py:NAME. A bare name's learning rate is chosen by a short race."
        ),
    ] = None,
    passes: Annotated[int, typer.Option(help="Passes over the data.")] = 1,
    bits: Annotated[
        int | None, typer.Option(help="2^BITS hashed features. Default: 18; SVMlight: as they are.")
    ] = None,
    l1: Annotated[float, typer.Option("--l1", help="Weight of the L1 penalty.")] = 0.0,
    l2: Annotated[float, typer.Option("--l2", help="Weight of the L2 penalty.")] = 0.0,
    average: Annotated[int | None, typer.Option(help="Average the weights from this row on.")] = None,
    intercept: Annotated[bool, typer.Option(help="Learn an intercept.")] = True,
    epsilon: Annotated[float, typer.Option(help="Of the losses that have one.")] = 0.1,
    quantile: Annotated[float, typer.Option(help="Of the quantile loss.")] = 0.5,
    classes: Annotated[
        str | None, typer.Option(help="All labels, comma-separated, where the first rows lack some.")
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help="Share of rows held out, 50,000 at most. Default: 0.1, without --test."),
    ] = None,
    test: Annotated[list[str] | None, typer.Option(help="A file to measure the model on.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Limit of the whole process: 500MB. Default: none.")
    ] = None,
    checkpoint_every: Annotated[float, typer.Option(help="Seconds between checkpoints; 0: none.")] = 60.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever checkpoint there is.")] = False,
    cache: Annotated[
        str | None,
        typer.Option(
            help="Keep the binary cache of several passes here. Default: beside the model, until the end."
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read the files again in every pass.")] = False,
    on_bad_line: Annotated[str, typer.Option(help="stop or skip.")] = "stop",
    weight: Annotated[str | None, typer.Option(help="CSV, Parquet: the column of weights.")] = None,
    ignore: Annotated[str, typer.Option(help="CSV, Parquet: columns to leave out.")] = "",
    categorical: Annotated[str, typer.Option(help="CSV, Parquet: numeric columns to hash.")] = "",
    numeric: Annotated[str, typer.Option(help="CSV: columns that are numeric throughout.")] = "",
    missing: Annotated[str, typer.Option(help="CSV, Parquet: a missing value is bad, or zero.")] = "bad",
    delimiter: Annotated[str | None, typer.Option(help="CSV: between cells.")] = None,
    features: Annotated[int | None, typer.Option(help="SVMlight: how many features there are.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes the race and which rows are held out.")] = 0,
    dask: Annotated[
        str | None,
        typer.Option(help="Train on a Dask cluster: its scheduler's address, or local.", metavar="ADDRESS"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: Annotated[str | None, typer.Option(help="Also write the report as JSON.")] = None,
) -> None:
    """Train a linear model on files larger than memory; go on where the same command was stopped."""
    with errors_as_one_line(extra="cli"):
        from ..files import require_apart, require_writable
        from ..fitting import fit as run
        from ..reading.sources import expand

        if json is not None:
            require_writable(json)
        require_apart([model, cache, json], [*expand(data), *(expand(test) if test else ())])
        settings: dict[str, Any] = {
            "task": task, "loss": loss, "rule": rule, "passes": passes, "bits": bits, "l1": l1, "l2": l2,
            "average": average, "intercept": intercept, "epsilon": epsilon, "quantile": quantile,
            "classes": None if classes is None else numbers("classes", classes), "test": test or None,
            "on_bad_line": on_bad_line, "features": features, "seed": seed, "memory": memory,
            "checkpoint_every": checkpoint_every, "fresh": fresh, "format": format, "target": target,
            "weight": weight, "ignore": names(ignore), "categorical": names(categorical),
            "numeric": names(numeric), "missing": missing, "delimiter": delimiter,
            "tell": None if quiet else say,
        }  # fmt: skip
        if dask is not None:
            from ..fitting.cluster import fit_on_cluster

            result = fit_on_cluster(data, model, dask, holdout=holdout, **settings)
        else:
            cached = False if no_cache else True if cache is None else cache
            with _pass_progress(quiet) as report, _until_interrupted() as stop:
                result = run(
                    data, model, holdout=holdout, cache=cached, progress=report, stop=stop, **settings
                )
        print_table(["what", "value"], _summary(result))
        if json is not None:
            write_json(json, result.plain())
        if not result.finished:
            say(f"Interrupted; the same command goes on from {result.checkpoint}")
    raise typer.Exit(DONE if result.finished else FAILED)


def _summary(report: "Report") -> list[list[str]]:
    """What was fitted, a line each."""
    rows = [
        ["model", report.model if report.finished else "none yet"],
        ["task", f"{report.task}, {report.loss_name}"],
        ["rule", report.rule],
        ["rows", f"{report.rows} in {report.passes} {'pass' if report.passes == 1 else 'passes'}"],
        ["features", str(report.features)],
        ["loss while learning", number(report.loss)],
    ]
    measured = (("held out", report.held_out), ("test", report.test))
    rows += [[n, quality_text(q)] for n, q in measured if q is not None]
    if report.skipped:
        first = f"; {report.reasons[0]}" if report.reasons else ""
        rows.append(["bad lines skipped", f"{report.skipped}{first}"])
    speed = f"{report.seconds:.3g} s, {report.rows_per_second:.3g} rows/s"
    return [*rows, ["time", speed], ["memory at most", f"{report.peak_memory / 1e6:.0f} MB"]]


def quality_text(quality: "Mapping[str, Any]") -> str:
    """How good a model is, in words: loss 0.4281, accuracy 0.8019, 2090 rows."""
    rows = f"{quality['rows']} rows"
    return ", ".join([*(f"{n} {number(v)}" for n, v in quality.items() if n != "rows"), rows])


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """What tells whether Ctrl-C or a request to end has come; a second Ctrl-C ends at once."""
    signals: list[int] = []

    def note(number: int, _: object) -> None:
        signals.append(number)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(signals)
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)


@contextmanager
def _pass_progress(quiet: bool) -> "Iterator[Callable[[Progress], None] | None]":
    """What reports a pass's progress: a line that changes on a terminal; else one a pass, and every few seconds."""
    if quiet:
        yield None
        return

    def text(p: "Progress") -> str:
        share = "" if p.share is None else f" {100 * p.share:3.0f} %"
        return f"pass {p.passed}/{p.passes}{share}  {p.rows} rows  {p.speed:.3g} rows/s  loss {p.loss:.4f}"

    if not sys.stderr.isatty():
        last = monotonic()

        def line(p: "Progress") -> None:
            nonlocal last
            if p.share == 1.0 or monotonic() - last > EVERY:
                say(text(p))
                last = monotonic()

        yield line
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading") as status:

        def update(p: "Progress") -> None:
            status.update(text(p))
            if p.share == 1.0:
                console.print(text(p), highlight=False)

        yield update
