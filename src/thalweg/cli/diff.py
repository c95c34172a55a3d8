"""``thalweg diff``: show where two rules or dialects part."""

from typing import Annotated

import typer

from .console import Open, errors_as_one_line, print_table, require_file_to_open, tell_written


def diff(
    rule_a: Annotated[
        str,
        typer.Argument(
            help="The one that you come from: RMSprop:torch, Adam(lr=0.1), FILE.py:NAME.", metavar="A"
        ),
    ],
    rule_b: Annotated[
        str, typer.Argument(help="The one that you go to: RMSprop:keras(rho=0.95).", metavar="B")
    ],
    same: Annotated[
        str, typer.Option(help="What both are to have: lr=0.1,beta=0.9. Default: each one's own.")
    ] = "",
    problem: Annotated[
        str | None, typer.Option(help="Run both on a problem or a table instead of on fixed gradients.")
    ] = None,
    gradients: Annotated[
        str | None, typer.Option(help="Your own gradients: a .npy file, (steps, ...).", metavar="FILE")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps. Default: 300, or as many as the file has.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes a problem's start and batches.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="The report, .html; or its picture, .svg, .pdf, .png.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write the numbers as JSON.")] = None,
    open: Open = False,
) -> None:
    """Show where two rules or dialects part: settings, first step, growth, why, and what makes them agree."""
    with errors_as_one_line():
        from ..lab.diff.run import diff as differ
        from ..lab.diff.run import from_file, settings_of
        from ..lab.reports.diff_wording import part, within

        require_file_to_open(open, "--out", out)
        result = differ(
            rule_a,
            rule_b,
            gradients=None if gradients is None else from_file(gradients),
            problem=problem,
            same=settings_of(same),
            steps=steps,
            seed=seed,
            out=out,
            json=json,
        )
        rows = [[s.line, *s.text, s.unit] for s in result.settings]
        print_table(["line", result.a.name, result.b.name, "unit"], rows)
        print()
        if result.verdict != "identical":
            print_table(
                ["share of the largest |w|", *(f"step {t}" for t in result.milestones), "float32 ulps"],
                [
                    [
                        n,
                        *(within(float(g[t])) for t in result.milestones),
                        within(float(result.ulps_of(n)[-1])),
                    ]
                    for n, g in result.growth.items()
                ],
                right=range(1, 9),
            )
            print()
        if result.causes:
            print_table(
                ["its part of the difference", *result.kinds],
                [[c.title, *map(part, c.share.values())] for c in result.causes],
                right=range(1, 9),
            )
            print()
        if result.agreement is not None:
            print_table(
                ["of B set, left", *result.kinds],
                [
                    [f.text or "nothing", *map(within, f.left.values())]
                    for f in (result.agreement, *result.agreement.others)
                ],
                right=range(1, 9),
            )
            print()
        for text in result.sentences.values():
            print(text)
        tell_written({"Numbers": json, "Report": out}, open)
