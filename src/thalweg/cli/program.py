"""The commands as one program, found by their names in ``COMMANDS``."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Protocol

import typer
from typer.core import TyperCommand

from .version import options

# In the order of the help.
COMMANDS = ("race", "compare", "rules", "claims", "show", "explore", "diff", "fit", "predict")


class Formatter(Protocol):
    """What help is written to."""

    def section(self, name: str) -> AbstractContextManager[None]:
        """A heading, under which what follows stands."""

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Terms with what they mean."""


class Command(TyperCommand):
    """A command whose help lists options under the headings that they name, ``rich_help_panel``, in plain text."""

    def format_options(self, ctx: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        """Write a section for each heading, in the order of the options; those without one come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            heading = "Arguments" if param.param_type_name == "argument" else "Options"
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "rich_help_panel", None) or heading, []).append(record)
        sections["Options"] = sections.pop("Options")  # --help among them
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Adaptive gradient methods, each written once as a formula; and which one works on your problem.",
)
app.callback()(options)
for _name in COMMANDS:
    app.command(_name, cls=Command)(getattr(import_module(f".{_name}", __package__), _name))
