"""``thalweg show``: draw the paths of methods on a landscape."""

from typing import Annotated

import typer

from ..core.commas import between_commas
from .arguments import numbers, one_or_more
from .console import Open, errors_as_one_line, number, phase_progress, print_table, say, tell_written


def show(
    problem: Annotated[
        str | None, typer.Argument(help="A landscape; without one they are listed.", metavar="[PROBLEM]")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Comma-separated: Adam, RMSprop:keras, mine.py:MyRule. Default: the nine."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where to start: X,Y. Default: the usual start.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps at most. Default: the problem's.")] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="One learning rate for all. Default: that of Adam(lr=0.1), else the best."),
    ] = None,
    window: Annotated[str | None, typer.Option(help="What to show: XLOW,XHIGH,YLOW,YHIGH.")] = None,
    rotate: Annotated[float, typer.Option(help="Turn the landscape by so many degrees.")] = 0.0,
    scale: Annotated[str, typer.Option(help="Stretch it: one number, or one a coordinate.")] = "1",
    shift: Annotated[str, typer.Option(help="Move it: one number, or one a coordinate.")] = "0",
    noise: Annotated[float, typer.Option(help="Standard deviation of noise in the gradient.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Fixes the noise.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="The picture: .svg, .pdf, .png; or .gif, .mp4. Default: PROBLEM.svg.")
    ] = None,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    record: Annotated[
        str | None,
        typer.Option(help="Also write all that happened, a row a step and coordinate: .parquet, .csv."),
    ] = None,
    open: Open = False,
) -> None:
    """Draw the paths of methods on a landscape, still or moving."""
    with errors_as_one_line():
        from ..lab.show import show as run
        from ..problems import landscape_catalogue

        if problem is None:
            print_table(
                ["landscape", "title"], [[n, make().title] for n, make in landscape_catalogue().items()]
            )
            return
        view = None if window is None else numbers("window", window, 4)
        place = out or f"{problem}.svg"
        with phase_progress() as report:
            result = run(
                problem,
                None if methods is None else between_commas(methods),
                start=None if start is None else numbers("start", start),
                steps=steps,
                lr=lr,
                window=None if view is None else ((view[0], view[1]), (view[2], view[3])),
                rotate=rotate,
                scale=one_or_more("scale", scale),
                shift=one_or_more("shift", shift),
                noise=noise,
                seed=seed,
                out=place,
                theme=theme,
                table=record,
                progress=report,
            )
        print_table(
            ["method", "rate", "steps to target", "f at the end", "note"],
            [
                [
                    w.method.name,
                    number(w.lr),
                    "never" if w.reached is None else str(w.reached),
                    w.end,
                    w.sentence,
                ]
                for w in result.walks
            ],
            right=range(1, 4),
        )
        if result.note:
            say(f"{result.problem.title}: {result.note}")
        say(f"Target: f <= {result.target:.4g}")
        tell_written({"Record": record, "Picture": place}, open)
