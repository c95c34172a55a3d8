"""What was found is written, and not lost where it cannot be."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from ..errors import FileError


class Savable(Protocol):
    """A race or a study."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it; FileError."""


T = TypeVar("T", bound=Savable)


def written(
    result: T,
    paths: Sequence[str | os.PathLike[str] | None],
    figures: Callable[[], object] | None,
    stopped: FileError | None,
) -> T:
    """Save a result to each path, draw its figures, and return it.

    stopped: what had kept it from its end. Raises that, or the FileError of the first that could not be written, once
    all was tried, and KeyboardInterrupt at once; the error's ``result`` is the result.
    """
    failed = stopped
    steps: list[Callable[[], object]] = [partial(result.save, path) for path in paths if path is not None]
    for write in [*steps, figures] if figures is not None else steps:
        try:
            write()
        except FileError as error:
            failed = failed or error
        except KeyboardInterrupt as error:
            error.result = result  # type: ignore[attr-defined]
            raise
    if failed is not None:
        failed.result = result
        raise failed
    return result
