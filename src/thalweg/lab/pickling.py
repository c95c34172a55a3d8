"""What travels to workers: code by value where no module has it, a user's file by its place and content."""

import io
from types import FunctionType
from typing import Any

import cloudpickle

from ..core.user_file import origin, run_file


def dumps(value: object) -> bytes:
    """Return the bytes from which ``pickle.loads`` makes a value again in another process.

    Classes and functions of a file that ``run_file`` ran are found there by name, in the same content. Raises what
    pickling raises where something does not travel.
    """
    with io.BytesIO() as file:
        _Pickler(file).dump(value)
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType) and "<locals>" not in obj.__qualname__:
            path, content = origin(obj.__module__)
            if path:
                return _of_file, (path, content, obj.__qualname__)
        return super().reducer_override(obj)


def _of_file(path: str, content: str, name: str) -> Any:
    value: Any = run_file(path, "what was sent is defined there", content)
    for part in name.split("."):
        value = getattr(value, part)
    return value
