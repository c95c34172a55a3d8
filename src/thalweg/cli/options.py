"""Options of the command line that are settings of ``thalweg fit``: their lines give name, type, default and help."""

from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fitting.settings import LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHORT = {"interactions": ("-q",)}  # as Vowpal Wabbit has them


def parameter(name: str, kind: Any, option: object, default: object = Parameter.empty) -> Parameter:
    """An argument of a command, as typer reads it."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def setting_option(name: str, panel: str | None = None) -> Parameter | None:
    """The option for a setting, None for one that has none. panel: of the help, where it stands."""
    line = LINES[name]
    if line.option is None:
        return None
    if line.option is bool:
        switch = (f"--{name}",) if line.default is False else ()
        flag = typer.Option(*switch, help=line.text, rich_help_panel=panel)
        return parameter(name, bool, flag, line.default)
    default = line.default if type(line.default) is line.option else None
    kind = list[str] if line.option is list else line.option
    shown = kind if default is not None else kind | None
    names = [f"--{name.replace('_', '-')}", *SHORT.get(name, ())]
    return parameter(name, shown, typer.Option(*names, help=line.text, rich_help_panel=panel), default)


def add_settings(command: "Callable[..., None]", names: "Sequence[str]", panel: str) -> None:
    """Give a command that ends in ``**settings`` options for these settings."""
    own = [p for p in signature(command).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    more = [option for name in names if (option := setting_option(name, panel)) is not None]
    command.__dict__["__signature__"] = Signature([*own, *more])
