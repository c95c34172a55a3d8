"""``thalweg rules``: list the rules, or show one."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .console import errors_as_one_line, print_table

if TYPE_CHECKING:
    from ..core.rule import Rule


def rules(
    name: Annotated[
        str | None, typer.Argument(help="A rule, a rule in another form (RMSprop:keras), or FILE.py:NAME.")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print the formula as LaTeX and stop.")] = False,
) -> None:
    """List the rules; or show one: formula, hyperparameters with ranges and units, dialects, source."""
    with errors_as_one_line(extra="cli"):
        from ..printing.latex import TEXT, display, text
        from ..rules import named, shipped, spelled

        if name is None:
            print_table(
                ["rule", "what it is", "hyperparameters", "dialects"],
                [
                    [n, _title(r), " ".join(r.parts.hyperparameters), " ".join(r.parts.dialects)]
                    for n, r in shipped().items()
                ],
            )
            return
        chosen = named(name)
        kind = type(chosen)
        head, tail, _ = spelled(name)
        in_a_dialect = ":" in tail if head.endswith(".py") else bool(tail)
        shown: Rule | type[Rule] = chosen if in_a_dialect else kind
        if latex:
            print(display(shown))
            return
        print(f"{kind.__name__}: {_title(kind)}\n\n{text(shown)}\n")
        parts = kind.parts
        print_table(
            ["line", "symbol", "default", "range", "unit", "meaning"],
            [
                [
                    n,
                    TEXT.symbol(n),
                    f"{getattr(chosen, n):g}",
                    line.range,
                    line.unit,
                    f"{'state: ' if line.is_state else ''}{line.text}",
                ]
                for n, line in parts.lines.items()
            ],
        )
        if parts.dialects:
            print()
            print_table(
                ["dialect", "version", "its names", "values", "note"],
                [
                    [
                        n,
                        row.version,
                        " ".join(
                            f"{k}={v if isinstance(v, str) else '+'.join(v)}" for k, v in row.names.items()
                        ),
                        " ".join(f"{k}={v:g}" for k, v in row.values.items()),
                        row.note,
                    ]
                    for n, row in parts.dialects.items()
                ],
            )
        print(f"\n{_from('Source:', kind)}")


def _doc(kind: "type[Rule]") -> str:
    return sys.modules[kind.__module__].__doc__ or kind.__doc__ or ""


def _title(kind: "type[Rule]") -> str:
    """What a rule is, from the first line of its docstring."""
    first = _doc(kind).strip().partition("\n")[0]
    return first.partition(": ")[2] or first


def _from(word: str, kind: "type[Rule]") -> str:
    """A rule's docstring from that word on, up to its errors, as one line."""
    _, found, rest = _doc(kind).partition(word)
    return f"{found} {' '.join(rest.partition(chr(10) + 'Errors:')[0].split())}" if found else ""
