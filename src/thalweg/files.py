"""Files written beside and renamed: a kill at any moment leaves the old file or the new one."""

import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .errors import FileError


def reason(error: OSError) -> str:
    """What the system says, without its number and without the path again."""
    return (error.strerror or str(error)).lower()


def require_writable(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can be written there; FileError otherwise. Nothing is left behind."""
    target = Path(path)
    if target.is_dir():
        raise FileError(f"{target}: is a folder; name a file in it")
    if target.exists() and not target.is_file():
        return target  # a device or a pipe: written as it is
    if not target.parent.is_dir():
        raise FileError(f"{target}: its folder does not exist; create {target.parent} first")
    try:
        handle, probe = tempfile.mkstemp(dir=target.parent, prefix=".thalweg")
        os.close(handle)
        os.unlink(probe)
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    return target


def require_apart(written: Iterable[Any], read: Iterable[Any]) -> None:
    """FileError where a file that would be written (None: none) is written twice, or read too."""
    sources = {os.path.realpath(p): p for p in read}
    for path in written:
        if path is None or path == "-":
            continue
        place = os.path.realpath(path)
        if place in sources:
            raise FileError(
                f"{path}: would be overwritten, and is needed as {sources[place]}: name another file"
            )
        sources[place] = path


def temporary(target: Path) -> tuple[int, str]:
    """A file beside ``target``, open, that is to be renamed to it: its handle and its path."""
    return tempfile.mkstemp(dir=target.parent, prefix=_beside(target))


def _beside(target: Path) -> str:
    return f".thalweg-{target.name[:200]}-"


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what writers of a file that were killed have left beside it."""
    target = Path(os.path.realpath(path))
    start = _beside(target)
    with suppress(OSError):
        for left in target.parent.iterdir():
            # Eight random letters end such a name: those of m-2 are not taken for those of m.
            if left.name.startswith(start) and len(left.name) == len(start) + 8:
                left.unlink()


def write(path: str | os.PathLike[str], fill: Callable[[IO[bytes]], object]) -> None:
    """Let ``fill`` write a binary file, then rename it to ``path``; FileError if that fails."""
    # A link goes on pointing where it did.
    target = require_writable(os.path.realpath(path) if os.path.islink(path) else path)
    if target.exists() and not target.is_file():
        try:
            with open(target, "wb") as file:
                fill(file)
        except OSError as error:
            raise FileError(f"{target}: cannot be written ({reason(error)})") from None
        return
    handle, beside = temporary(target)
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
