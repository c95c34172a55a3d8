"""``thalweg claims``: measure what the sources say about the methods."""

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from .console import (
    DONE,
    FAILED,
    Open,
    errors_as_one_line,
    phase_progress,
    print_table,
    require_file_to_open,
    tell_written,
)


def claims(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Claims by name; all of them by default.", metavar="[ID ...]")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="A folder for the report, index.html, and a picture a claim.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write verdicts and numbers as JSON.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the claims and stop.")] = False,
    open: Open = False,
) -> None:
    """Measure what the sources say about these methods: a verdict, numbers and a picture for each claim."""
    with errors_as_one_line():
        from ..lab.claims import catalogue
        from ..lab.experiments import claims as run
        from ..lab.mathematics import plain

        if listing:
            print_table(["claim", "what it says"], [[c.id, plain(c.title)] for c in catalogue().values()])
            return
        require_file_to_open(open, "--out", out)
        with phase_progress() as report:
            findings = run(ids or None, out=out, json=json, progress=report)
        print_table(
            ["claim", "verdict", "figures", "checks", "seconds", "conditions"],
            [
                [
                    r.id,
                    r.verdict if r.error is None else f"failed: {r.error}",
                    _share(r.evidence.agreed.values()),
                    _share(good for _, good in r.evidence.checks),
                    f"{r.seconds:.1f}",
                    _conditions([plain(c) for c in r.evidence.conditions]),
                ]
                for r in findings.results
            ],
            right=[4],
        )
        what = "Report" if findings.finished else "Interrupted; what is done"
        tell_written({"Numbers": json, what: None if out is None else f"{out}/index.html"}, open)
    raise typer.Exit(DONE if findings.finished and not findings.failed else FAILED)


def _share(good: Iterable[bool]) -> str:
    """How many of them are true: 3/3."""
    values = list(good)
    return f"{sum(values)}/{len(values)}" if values else ""


def _conditions(lines: Sequence[str]) -> str:
    """All of them off a terminal; on one, how many there are: the report has room for them."""
    if not sys.stdout.isatty():
        return "; ".join(lines)
    return f"{len(lines)}, see --out" if lines else ""
