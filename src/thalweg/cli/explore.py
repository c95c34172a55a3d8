"""``thalweg explore``: the page on which methods run on a landscape as one moves their start."""

from typing import Annotated

import typer

from ..core.commas import between_commas
from .arguments import numbers
from .console import Open, errors_as_one_line, tell_written


def explore(
    problem: Annotated[
        str,
        typer.Argument(
            help='A landscape (thalweg show lists them), a formula of x and y such as "x**2 + 10*y**2", or'
            " FILE.py:NAME, a landscape or function of your own.",
            metavar="[PROBLEM]",
        ),
    ] = "rosenbrock",
    methods: Annotated[
        str | None,
        typer.Option(help="Comma-separated, twelve at most: Adam, RMSprop:keras, mine.py:MyRule(lr=0.1)."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where to start: X,Y. Default: the usual start.")] = None,
    window: Annotated[str | None, typer.Option(help="What to show: XLOW,XHIGH,YLOW,YHIGH.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of each run.")] = 300,
    out: Annotated[str, typer.Option(help="The page: one file that needs no other.")] = "explore.html",
    open: Open = False,
) -> None:
    """Make a page on which methods run on a landscape while one moves their start and rates."""
    with errors_as_one_line():
        from ..lab.explorer import explore as run

        view = None if window is None else numbers("window", window, 4)
        page = run(
            problem,
            None if methods is None else between_commas(methods),
            start=None if start is None else numbers("start", start, 2),
            window=None if view is None else ((view[0], view[1]), (view[2], view[3])),
            steps=steps,
            out=out,
        )
        tell_written({"Page": str(page.path)}, open)
