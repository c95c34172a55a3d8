"""The command line: a process, a console, and one file a command, named as the command and its function.

A command's file imports only the console at its head, and what it runs inside its function: ``thalweg --help``
loads no array library. A new command is a new file and a word in ``program.COMMANDS``.

On a terminal tables are drawn; elsewhere they are plain text, one record a line, tab-separated.
Progress goes to stderr. Exit status: 0 the job was done, 1 it failed, 2 it was asked for wrongly, 130 Ctrl-C.
"""

from .process import FAILED, run, say


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit with its status."""
    run(_command)


def _command() -> None:
    try:  # here, where Ctrl-C is no traceback
        import typer  # noqa: F401
    except ModuleNotFoundError:  # the library alone needs no command line
        say("thalweg: the command line needs its extra: pip install 'thalweg[cli]'")
        raise SystemExit(FAILED) from None
    from .program import app

    app()
