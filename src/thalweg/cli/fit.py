"""``thalweg fit``: train a linear model on files larger than memory. Its options are the lines of ``FitSettings``."""

import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from inspect import Parameter, Signature
from time import monotonic
from typing import TYPE_CHECKING, Any

import typer

from ..core.commas import between_commas
from ..fitting.settings import LINES
from .console import (
    DONE,
    FAILED,
    Open,
    errors_as_one_line,
    number,
    print_table,
    require_file_to_open,
    say,
    tell_written,
    write_json,
)
from .options import parameter, setting_option

if TYPE_CHECKING:
    from ..fitting import FitSettings, Progress, Report

CONSTANTS = {"rmse": "always the mean", "accuracy": "always the most frequent class"}
EVERY = 5.0  # seconds between lines of progress off a terminal


def fit(
    data: list[str],
    model: str,
    no_cache: bool,
    dask: str | None,
    quiet: bool,
    json: str | None,
    report: str | None,
    open: bool,
    **texts: Any,
) -> None:
    """Train a linear model on files larger than memory; go on where the same command was stopped."""
    if report is not None:
        require_page()
    with errors_as_one_line(extra="cli"):
        from ..files import require_apart, require_writable
        from ..fitting import fit as run
        from ..reading.arrow_library import leave_pandas_out
        from ..reading.sources import expand, first_pipe, sources

        require_file_to_open(open, "--report", report)
        if ".py:" not in (texts["rule"] or ""):  # a user's file may want data frames
            leave_pandas_out()
        files = sources(data)
        settings = _settings(texts, no_cache)
        for path in (json, report):
            if path is not None:
                require_writable(path)
        test = texts["test"] or []
        require_apart([model, texts["cache"], json, report], [*files, *(expand(test) if test else ())])
        tell = None if quiet else say
        if dask is not None:
            from ..fitting.cluster import fit_on_cluster

            result = fit_on_cluster(data, model, dask, settings, tell=tell)
        else:
            # What came through a pipe is gone: there Ctrl-C ends it at once.
            interruptible = _until_interrupted() if first_pipe(files) is None else nullcontext(lambda: False)
            with _pass_progress(quiet) as progress, interruptible as stop:
                result = run(files, model, settings, progress=progress, stop=stop, tell=tell)
        print_table(["what", "value"], _summary(result))
        if json is not None:
            write_json(json, result.plain())
        if report is not None:
            write_page(report, result)
        if not result.finished:
            say(f"Interrupted; the same command goes on from {result.checkpoint}")
        tell_written({"Numbers": json, "Report": report}, open)
    raise typer.Exit(DONE if result.finished else FAILED)


def _settings(texts: Mapping[str, Any], no_cache: bool) -> "FitSettings":
    """The settings that the options name. Raises HyperparameterError, and FileError for the file of a rule."""
    from ..fitting import FitSettings

    from_text: dict[str, Callable[[str], object]] = {
        "classes": _classes,
    }
    values = {n: from_text[n](v) if n in from_text else v for n, v in texts.items() if v not in (None, [])}
    if no_cache:
        values["cache"] = False
    return FitSettings.of(None, values)


def _classes(text: str) -> "list[float] | list[str]":
    """Labels between commas: numbers where all are, else texts."""
    labels = between_commas(text)
    try:
        return [float(label) for label in labels]
    except ValueError:
        return labels


def _signature() -> Signature:
    """The command's arguments: its own, and an option for each setting that has one."""
    first = [
        parameter(
            "data",
            list[str],
            typer.Argument(
                help="SVMlight, Vowpal Wabbit, CSV or Parquet files, or patterns.", metavar="DATA"
            ),
        ),
        parameter("model", str, typer.Option(help="The model's file; its checkpoint lies beside it.")),
    ]
    options: list[Parameter] = []
    for name in LINES:
        if (option := setting_option(name)) is not None:
            options.append(option)
        if name == "cache":
            no_cache = typer.Option("--no-cache", help="Read the files again in every pass.")
            options.append(parameter("no_cache", bool, no_cache, False))
    address = typer.Option(
        help="Train on a Dask cluster: its scheduler's address, or local.", metavar="ADDRESS"
    )
    last = [
        parameter("dask", str | None, address, None),
        parameter("quiet", bool, typer.Option("--quiet", help="No progress."), False),
        parameter("json", str | None, typer.Option(help="Also write the report as JSON."), None),
        parameter("report", str | None, typer.Option(help="Also write the report as one HTML page."), None),
        Parameter("open", Parameter.KEYWORD_ONLY, default=False, annotation=Open),
    ]
    return Signature([*first, *options, *last])


fit.__signature__ = _signature()  # type: ignore[attr-defined]


def require_page() -> None:
    """End the command in one line where what draws a report's page is not installed: before anything is learnt."""
    with errors_as_one_line(extra="lab"):
        if find_spec("matplotlib") is None:
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")


def write_page(path: str, report: "Report") -> None:
    """Write the page of a report, with the command that runs it again. Raises FileError."""
    from ..files import write_text
    from ..lab.reports.fit import render

    text = render(report.plain(), shlex.join(["thalweg", *sys.argv[1:]]))
    write_text(path, text)


def _summary(report: "Report") -> list[list[str]]:
    """What was fitted, a line each."""
    measured = (("held out", report.held_out), ("test", report.test), ("learnt from", report.train))
    rows = [
        ["model", report.model if report.finished else "none yet"],
        *([n, quality_text(q)] for n, q in measured if q is not None),
        ["task", f"{report.task}, {report.loss_name}"],
        ["rule", report.rule],
        ["rows", f"{report.rows} in {report.passes} {'pass' if report.passes == 1 else 'passes'}"],
        ["features", str(report.features)],
        ["loss while learning", number(report.loss)],
    ]
    if report.skipped:
        first = f"; {report.reasons[0]}" if report.reasons else ""
        rows.append(["bad lines skipped", f"{report.skipped}{first}"])
    for w in report.weights:
        name = f"weight of {w['column']}" + (f" for {w['class']}" if "class" in w else "")
        rows.append([name, f"{number(w['weight'])} a unit, {number(w['effect'])} a standard deviation"])
    speed = f"{report.seconds:.3g} s, {report.rows_per_second:.3g} rows/s"
    return [*rows, ["time", speed], ["memory at most", f"{report.peak_memory / 1e6:.0f} MB"]]


def quality_text(quality: "Mapping[str, Any]") -> str:
    """How good a model is, in words: loss 0.4281, accuracy 0.8019 (always the most frequent class: 0.5144), 2090 rows."""
    from ..fitting.quality import called_rows

    figures = {n: number(v) for n, v in quality.items() if n != "rows" and not n.startswith("constant_")}
    for name, constant in CONSTANTS.items():
        if (value := quality.get(f"constant_{name}")) is not None:
            figures[name] += f" ({constant}: {number(value)})"
    return ", ".join([*(f"{n} {text}" for n, text in figures.items()), called_rows(quality["rows"])])


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
