"""The command line: a console, and one file a command, named as the command and its function.

A command's file imports only the console at its head, and what it runs inside its function: ``thalweg --help``
loads no array library. A new command is a new file and a line in ``COMMANDS``.

On a terminal tables are drawn; elsewhere they are plain text, one record a line, tab-separated.
Progress goes to stderr. Exit status: 0 the job was done, 1 it failed, 2 it was asked for wrongly.
"""

import sys
from importlib import import_module

try:
    import typer
except ImportError:  # the library alone needs no command line
    print("thalweg: the command line needs its extra: pip install 'thalweg[cli]'", file=sys.stderr)
    raise SystemExit(1) from None

from .version import options

COMMANDS = ("race", "rules", "claims", "show", "diff", "fit", "predict")  # in the order of the help

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Adaptive gradient methods, each written once as a formula; and which one works on your problem.",
)
app.callback()(options)
for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f".{_name}", __name__), _name))


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit with its status."""
    app()
