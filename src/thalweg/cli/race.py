"""``thalweg race``: tune methods on a problem or several, rerun each on fresh seeds, and report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from ..core.commas import between_commas
from ..errors import FileError
from ..fitting.settings import READING
from .arguments import numbers, ranges
from .console import DONE, FAILED, errors_as_one_line, number, phase_progress, print_table, say, tell_written
from .options import add_settings

if TYPE_CHECKING:
    from ..lab.race import Race

T = TypeVar("T")

COMPARED, BUDGET, RUN, WRITTEN = "What is compared", "Budget", "Where it runs", "What is written"


def race(
    context: typer.Context,
    problem: Annotated[
        list[str] | None,
        typer.Argument(
            help="A problem by name, a table that thalweg fit reads, or a function or training loop of yours, FILE.py:NAME;"
            " several make a study. Default: digits.",
            metavar="[PROBLEM or FILE]...",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: Adam, RMSprop:keras, mine.py:MyRule, in a training loop torch.optim.Adamax too. Default: the nine.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    tune: Annotated[
        str,
        typer.Option(
            help="Settings to search, lr,beta1,eps for example; auto: the more, the more trials.",
            rich_help_panel=BUDGET,
        ),
    ] = "lr",
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="Where a setting is looked for, lr=1e-4:1; may be repeated.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Trials by name: default (1), small (25), medium (50), large (100).", rich_help_panel=BUDGET
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            help="Settings tried for each method; 1 takes the rule's own. Default: 25.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            help="halton: the same settings for all; optuna: its sampler chooses.", rich_help_panel=BUDGET
        ),
    ] = "halton",
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Fresh seeds for the final runs. Default: 30, in a study 12.", rich_help_panel=BUDGET
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps (a training loop's yields) of each run. Default: the problem's.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Rows a step, 0 for all. Default: the problem's.", rich_help_panel=BUDGET),
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes every random number.", rich_help_panel=BUDGET)] = 0,
    target: Annotated[
        str | None, typer.Option(help="For a table: the column to predict.", rich_help_panel=COMPARED)
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="For a table: a column to leave out, or several between commas.", rich_help_panel=COMPARED
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="For a function: where runs begin, 1,2,... .", rich_help_panel=COMPARED)
    ] = "",
    l2: Annotated[
        float | None,
        typer.Option(
            help="For a table: the L2 penalty on weights, 0 for none. Default: 1 / training rows.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="For a table: linear, or network (one hidden layer).", rich_help_panel=COMPARED),
    ] = "linear",
    select: Annotated[
        str | None,
        typer.Option(
            help="What settings are chosen by: loss, or validation, the default where there are such rows.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes side by side; 0 stays in this one, without limits. Default: one a core, as memory allows.",
            rich_help_panel=RUN,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(help="Of a run, after which it is ended and has failed.", rich_help_panel=RUN),
    ] = 600.0,
    measure: Annotated[
        str,
        typer.Option(
            help="For a training loop: which of the names it yields is compared. Default: the loss.",
            rich_help_panel=COMPARED,
        ),
    ] = "",
    maximize: Annotated[
        bool,
        typer.Option(
            "--maximize",
            help="For a training loop: more of the measure is better.",
            rich_help_panel=COMPARED,
        ),
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(
            help="A Dask cluster that runs the trials: its scheduler's address, or local.",
            metavar="ADDRESS",
            rich_help_panel=RUN,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="A joblib backend that runs the trials, such as ray.", rich_help_panel=RUN),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Keeps every trial as soon as it is done; what it holds is not run again. Default: beside the report, race.db.",
            rich_help_panel=RUN,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start anew, without what the store holds.", rich_help_panel=RUN),
    ] = False,
    no_store: Annotated[
        bool, typer.Option("--no-store", help="Keep no trials.", rich_help_panel=RUN)
    ] = False,
    depends: Annotated[
        list[str] | None,
        typer.Option(
            help="A file that your problem reads: trials from before it changed do not count.",
            rich_help_panel=RUN,
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="A study's file, TOML: problems, methods, and any of these options.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The report, one HTML page. Default: race.html, of a study study.html.",
            rich_help_panel=WRITTEN,
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Also write the numbers as JSON.", rich_help_panel=WRITTEN)
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(
            help="A folder for every figure as SVG and PDF, and the tables as CSV and LaTeX.",
            rich_help_panel=WRITTEN,
        ),
    ] = None,
    open: Annotated[
        bool, typer.Option("--open", help="Show it in the browser too.", rich_help_panel=WRITTEN)
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the problems and stop.")] = False,
    **_reading: object,  # taken from the context, as all options are
) -> None:
    """Tune every method on the same budget, rerun each on fresh seeds, and write a report."""
    with errors_as_one_line():
        if listing:
            from ..problems import catalogue

            print_table(["problem", "title"], [[n, make().title] for n, make in catalogue().items()])
            return
        options: dict[str, Any] = {
            n: value for n, value in context.params.items() if _given(context, n) and n not in _OWN
        }
        for n, read in _READ.items():
            if n in options:
                options[_NAMED.get(n, n)] = read(options.pop(n))
        if reading := {n: options.pop(n) for n in READING if n in options}:
            options["reading"] = reading
        problems = list(problem or [])
        several = config is not None or len(problems) > 1
        done = _study(config, problems, options, open) if several else _race(problems, options, open)
    raise typer.Exit(DONE if done else FAILED)


add_settings(race, READING, "How a table is read")

# What the command decides itself, and options whose texts hold several values.
_OWN = ("problem", "config", "listing", "open")
_READ: dict[str, Callable[[Any], Any]] = {
    "methods": between_commas,
    "start": lambda text: numbers("start", text),
    "limits": ranges,
}
_NAMED = {"limits": "range"}  # what a race calls them, where Python's names would be hidden


def _given(context: typer.Context, name: str) -> bool:
    """Whether an option was written on the command line; what was not is decided below it."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _race(problems: Sequence[str], options: dict[str, Any], open: bool) -> bool:
    """Run a race and print it; whether it was run."""
    from ..lab.race import race as run
    from ..lab.reports.race_wording import sentences

    options.setdefault("out", "race.html")
    _keep(options)
    with phase_progress() as report:
        result, unwritten = _found(lambda: run(*problems, **options, progress=report))
    if problems and ".py:" in problems[0]:
        say(f"{problems[0]}: {result.data['text']}")
    for sentence in sentences(result.data):
        say(sentence)
    _print_results(result)
    finished = result.data["finished"]
    sound = any(r["loss"]["median"] is not None for r in result.data["methods"])
    if finished and not sound:
        lost = all(r["diverged"] == r["trials"] for r in result.data["methods"])
        what = (
            "every trial of every method" if lost else "of every method half the runs on fresh seeds or more"
        )
        say(f"thalweg: {what} diverged or failed")
    if unwritten is not None:
        raise unwritten
    _where(finished, options, open)
    return finished and sound


def _study(config: str | None, problems: Sequence[str], options: dict[str, Any], open: bool) -> bool:
    """Run a study and print it; whether it was run."""
    from ..lab.reports.study_wording import HEAD, cells, sentences
    from ..lab.study import from_file
    from ..lab.study import study as run

    if problems:
        options["problems"] = problems
    if config is not None:
        options = from_file(config, options)
    options.setdefault("out", "study.html")
    _keep(options)
    with phase_progress() as report:
        result, unwritten = _found(lambda: run(**options, progress=report))
    for problem, reason in result.data["failed"].items():
        say(f"{problem} could not be raced: {reason}")
    for sentence in sentences(result.data):
        say(sentence)
    rows = [
        [*cells(r), ", ".join(loss["problem"] for loss in r["beaten_on"])] for r in result.data["methods"]
    ]
    print_table([*HEAD, "beaten on"], rows, right=range(1, 4))
    if not result.data["methods"]:
        say("thalweg: no problem was raced to its end by every method")
    if unwritten is not None:
        raise unwritten
    _where(result.data["finished"], options, open)
    return result.data["finished"] and bool(result.data["methods"])


def _found(run: Callable[[], T]) -> tuple[T, BaseException | None]:
    """What was run, with what kept it from being written: an error, or Ctrl-C."""
    try:
        return run(), None
    except (FileError, KeyboardInterrupt) as error:
        result = getattr(error, "result", None)
        if result is None:
            raise
        return cast(T, result), error


def _keep(options: dict[str, Any]) -> None:
    """Let runs be kept beside the report, unless it was said where, or that none are."""
    if options.pop("no_store", False):
        options["store"] = None
    options.setdefault("store", str(Path(options["out"]).with_suffix(".db")))


def _where(finished: bool, options: Mapping[str, Any], open: bool) -> None:
    """Say where the report is and what is beside it."""
    what = "Report" if finished else "Interrupted; what is done"
    beside = {"Numbers": options.get("json"), "Figures": options.get("figures")}
    tell_written({**beside, what: options["out"]}, open)


def _print_results(result: "Race") -> None:
    """Print a line for each method, best first; columns that say nothing are left out."""
    rows: list[list[str]] = []
    metric = ""
    more = [n for n in result.data["settings"]["tuned"] if n != "lr"]
    for r in result.data["methods"]:
        loss = r["loss"]
        metric = r["metric"]["name"] if r["metric"] else metric
        rows.append(
            [
                r["method"],
                number(r["lr"]),
                *(_setting(r["settings"].get(n)) for n in more),
                number(loss["median"], r["fate"]),
                ""
                if r["fate"] == "not run"
                else f"{number(loss['p10'], 'inf')} .. {number(loss['p90'], 'inf')}",
                "" if not r["metric"] else number(r["metric"]["median"]),
                number(r["steps_to_target"], "" if r["fate"] == "not run" else "never"),
                number(r["us_per_step"]),
                f"{r['diverged']}/{r['trials']}",
                "; ".join(r["notes"]),
            ]
        )
    head = [
        "method",
        "rate",
        *more,
        "loss",
        "10-90 %",
        metric or "metric",
        "steps to target",
        "µs/step",
        "diverged or failed",
        "note",
    ]
    optional = (len(head) - 5, len(head) - 1)
    kept = [k for k in range(len(head)) if k not in optional or any(row[k] for row in rows)]
    print_table(
        [head[k] for k in kept], [[row[k] for k in kept] for row in rows], right=range(1, len(head) - 1)
    )


def _setting(value: float | str | None) -> str:
    """A tuned value as a cell; what a method does not have is empty."""
    return value if isinstance(value, str) else "" if value is None else number(value)
