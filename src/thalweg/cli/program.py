"""The commands as one program, found by their names in ``COMMANDS``."""

from importlib import import_module

import typer

from .version import options

# In the order of the help.
COMMANDS = ("race", "compare", "rules", "claims", "show", "explore", "diff", "fit", "predict")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Adaptive gradient methods, each written once as a formula; and which one works on your problem.",
)
app.callback()(options)
for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f".{_name}", __package__), _name))
