"""``thalweg --version``: the library's version, its engine's threads and its cache folder."""

from typing import Annotated

import typer


def version(wanted: bool) -> None:
    """Print the version and exit, if that is wanted."""
    if not wanted:
        return
    from .._version import __version__
    from ..engines.cpu import object_cache, pool

    folder = object_cache.folder()
    print(f"thalweg {__version__}")
    print(f"engine  cpu, {pool.threads()} threads")
    print(f"cache   {folder if folder is not None else 'in memory: no folder that is yours alone'}")
    raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=version,
            is_eager=True,
            help="Show version, engine, threads and cache folder.",
        ),
    ] = False,
) -> None:
    """Take the options that stand before any command."""
