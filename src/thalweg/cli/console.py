"""What all commands share: tables, progress, numbers in words, errors as one line, exit status."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeAlias

import typer

from ..errors import HyperparameterError, ThalwegError, UnknownClaimError, UnknownProblemError, escaped
from .process import DONE as DONE
from .process import FAILED as FAILED
from .process import INTERRUPTED, MISUSED, stems_from_interrupt
from .process import say as say

Open: TypeAlias = Annotated[bool, typer.Option("--open", help="Show it in the browser too.")]


@contextmanager
def errors_as_one_line(extra: str = "lab") -> Iterator[None]:
    """Turn thalweg's own errors, Ctrl-C and too little memory into one line on stderr and an exit status.

    Other exceptions are bugs and keep their traceback. extra: the one that has all packages that the command needs, named where one is missing.
    """
    try:
        yield
    except ThalwegError as error:
        say(f"thalweg: {str(error).removeprefix('open_stream: ')}")  # of Python's names nobody spoke
        misused = isinstance(error, HyperparameterError | UnknownProblemError | UnknownClaimError)
        raise typer.Exit(MISUSED if misused else FAILED) from None
    except MemoryError as error:
        say(f"thalweg: there is too little memory{f': {error}' if str(error) else ''}")
        raise typer.Exit(FAILED) from None
    except (Exception, KeyboardInterrupt) as error:
        if stems_from_interrupt(error):
            say("thalweg: interrupted")
            raise typer.Exit(INTERRUPTED) from None
        if not isinstance(error, ModuleNotFoundError):
            raise
        package = (error.name or "").partition(".")[0]
        if package in ("", "thalweg"):
            raise
        say(f"thalweg: this command needs {package}: pip install 'thalweg[{extra}]'")
        raise typer.Exit(FAILED) from None


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table: drawn on a terminal, tab-separated elsewhere. right: the columns aligned to the right."""
    if not sys.stdout.isatty():
        for record in (head, *rows):
            print("\t".join(map(escaped, record)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, title in enumerate(head):
        table.add_column(
            escaped(title), justify="right" if k in right else "left", no_wrap=k == 0, overflow="fold"
        )
    for record in rows:
        table.add_row(*map(escaped, record))
    Console(markup=False, highlight=False).print(table)


def number(x: float | None, missing: str = "-") -> str:
    """A number to four digits; the word for a missing one."""
    return missing if x is None else f"{x:.4g}"


def require_file_to_open(open: bool, option: str, path: str | None) -> None:
    """Raise HyperparameterError where a file is to be opened that is not asked for; option: what asks for it."""
    if open and path is None:
        raise HyperparameterError(f"--open: there is no file to show; name one with {option}")


def tell_written(files: Mapping[str, str | None], open: bool = False) -> None:
    """Say where each file lies, by what it is, the main one last; None was not written. open: show the main one in the browser."""
    written = {what: path for what, path in files.items() if path is not None}
    shown = open and bool(written)
    if shown:
        from ..lab.browser import browse

        main = list(written.values())[-1]
        if not browse(main):
            say(f"--open: there is no browser here; open {main} in one")
    for what, path in written.items():
        say(f"{what}: {path}")


def write_json(path: str, plain: object) -> None:
    """Write plain data as JSON, beside and renamed. Raises FileError."""
    from json import dumps

    from ..files import write_text

    write_text(path, dumps(plain, indent=1) + "\n")


@contextmanager
def phase_progress() -> Iterator[Callable[[str, int, int], None]]:
    """What reports a phase, how much of it is done and of how much: a bar where stderr is a terminal, else lines."""
    if not sys.stderr.isatty():

        def line(phase: str, done: int, total: int) -> None:
            if done in (0, total):
                say(f"{phase}: {done}/{total}")

        yield line
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def update(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield update
