"""Files written beside and renamed: a kill at any moment leaves the old file or the new one."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from .errors import FileError


def reason(error: OSError) -> str:
    """What the system says, without its number and without the path again."""
    return (error.strerror or str(error)).lower()


def require_writable(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can be written there; FileError otherwise. Nothing is left behind."""
    target = Path(path)
    if target.is_dir():
        raise FileError(f"{target}: is a folder; name a file in it")
    if not target.parent.is_dir():
        raise FileError(f"{target}: its folder does not exist; create {target.parent} first")
    try:
        handle, probe = tempfile.mkstemp(dir=target.parent, prefix=".thalweg")
        os.close(handle)
        os.unlink(probe)
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    return target


def write(path: str | os.PathLike[str], fill: Callable[[IO[bytes]], object]) -> None:
    """Let ``fill`` write a binary file, then rename it to ``path``; FileError if that fails."""
    target = require_writable(path)
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=".thalweg")
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(beside, target.stat().st_mode & 0o777)
        else:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(beside, 0o666 & ~mask)
        os.replace(beside, target)
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    finally:
        with suppress(OSError):
            os.unlink(beside)
