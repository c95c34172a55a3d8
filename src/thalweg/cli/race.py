"""``thalweg race``: tune methods on a problem, rerun each on fresh seeds, and report."""

from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import names, numbers, ranges
from .console import DONE, FAILED, errors_as_one_line, number, phase_progress, print_table, say

if TYPE_CHECKING:
    from ..lab.race import Race

BUDGET = "Budget"


def race(
    problem: Annotated[
        str,
        typer.Argument(
            help="A problem by name, a table that thalweg fit reads, or a function or training loop of yours, FILE.py:NAME.",
            metavar="[PROBLEM or FILE]",
        ),
    ] = "digits",
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: Adam, RMSprop:keras, mine.py:MyRule, in a training loop torch.optim.Adamax too. Default: the nine."
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
    seeds: Annotated[int, typer.Option(help="Fresh seeds for the final runs.")] = 30,
    steps: Annotated[
        int | None, typer.Option(help="Steps (a training loop's yields) of each run. Default: the problem's.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Rows a step, 0 for all. Default: the problem's.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes every random number.")] = 0,
    target: Annotated[str | None, typer.Option(help="For a table: the column to predict.")] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="For a table: a column to leave out, or several between commas."),
    ] = None,
    start: Annotated[str, typer.Option(help="For a function: where runs begin, 1,2,... .")] = "",
    l2: Annotated[
        float | None,
        typer.Option(help="For a table: the L2 penalty on weights, 0 for none. Default: 1 / training rows."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="For a table: linear, or network (one hidden layer).")
    ] = "linear",
    select: Annotated[
        str | None,
        typer.Option(
            help="What settings are chosen by: loss, or validation, the default where there are such rows."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes side by side; 0 stays in this one, without limits. Default: one a core, as memory allows.",
            rich_help_panel="Where it runs",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            help="Of a run, after which it is ended and has failed.", rich_help_panel="Where it runs"
        ),
    ] = 600.0,
    measure: Annotated[
        str,
        typer.Option(
            help="For a training loop: which of the names it yields is compared. Default: the loss."
        ),
    ] = "",
    maximize: Annotated[bool, typer.Option("--maximize", help="More of the measure is better.")] = False,
    out: Annotated[str, typer.Option(help="The report, one HTML page.")] = "race.html",
    json: Annotated[str | None, typer.Option(help="Also write the numbers as JSON.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the problems and stop.")] = False,
) -> None:
    """Tune every method on the same budget, rerun each on fresh seeds, and write a report."""
    with errors_as_one_line():
        from ..lab.race import race as run
        from ..lab.reports.race_wording import sentences
        from ..problems import catalogue

        if listing:
            print_table(["problem", "title"], [[n, make().title] for n, make in catalogue().items()])
            return
        with phase_progress() as report:
            result = run(
                problem,
                None if methods is None else names(methods),
                tune=tune,
                range=ranges(limits or ()),
                budget=budget,
                trials=trials,
                sampler=sampler,
                seeds=seeds,
                steps=steps,
                batch=batch,
                seed=seed,
                target=target,
                drop=drop or (),
                start=numbers("start", start) if start else (),
                l2=l2,
                model=model,
                select=select,
                workers=workers,
                seconds=seconds,
                measure=measure,
                maximize=maximize,
                out=out,
                json=json,
                progress=report,
            )
        if ".py:" in problem:
            say(f"{problem}: {result.data['text']}")
        for sentence in sentences(result.data):
            say(sentence)
        _print_results(result)
        finished = result.data["finished"]
        say(f"{'Report' if finished else 'Interrupted; what is done'}: {out}")
        sound = any(r["loss"]["median"] is not None for r in result.data["methods"])
        if finished and not sound:
            say("thalweg: every trial of every method failed")
    raise typer.Exit(DONE if finished and sound else FAILED)


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
                number(loss["median"], "diverged"),
                f"{number(loss['p10'], 'inf')} .. {number(loss['p90'], 'inf')}",
                "" if not r["metric"] else number(r["metric"]["median"]),
                number(r["steps_to_target"], "never"),
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
        "diverged",
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
