"""``thalweg compare``: two races side by side, from their stores."""

from typing import Annotated

import typer

from .console import errors_as_one_line, number, print_table, say


def compare(
    store_a: Annotated[str, typer.Argument(help="A race's store: race.db, beside race.html.", metavar="A")],
    store_b: Annotated[str, typer.Argument(help="Another one's.", metavar="B")],
    json: Annotated[str | None, typer.Option(help="Also write the comparison as JSON.")] = None,
) -> None:
    """Lay two races side by side; where their runs are paired, tell each method's verdict, A against B."""
    with errors_as_one_line():
        from ..files import require_writable, write_text
        from ..lab.comparison import compare as run
        from ..lab.comparison import told

        if json is not None:
            require_writable(json)
        result = run(store_a, store_b)
        for p in result.data["problems"]:
            rows = [
                [
                    m["method"],
                    *(number(r["lr"] if r else None) for r in (m["a"], m["b"])),
                    *(
                        number(
                            r["loss"]["median"] if r else None, (r.get("fate") or "diverged") if r else "-"
                        )
                        for r in (m["a"], m["b"])
                    ),
                    told(m),
                ]
                for m in p["methods"]
            ]
            print_table(
                [p["problem"], "rate A", "rate B", "loss A", "loss B", "A against B"], rows, right=range(1, 5)
            )
            if p["unpaired"]:
                say(f"{p['problem']}: {p['unpaired']}")
            for what, apart in {**p["settings"], **p["versions"]}.items():
                say(f"{p['problem']}: {what} was {apart[0]} in A, {apart[1]} in B")
        for name in result.data["only"]:
            say(f"{name}: only in one of the two")
        if json is not None:
            write_text(json, result.json())
