"""Files written beside and renamed: a kill at any moment leaves the old file or the new one."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import FileError

_ALSO = {".htm": ".html"}  # other ends of a name for the same form
_LONGEST = 200  # bytes of a name that a temporary file's repeats; names end at 255


def reason(error: OSError) -> str:
    """What the system says, without its number and without the path again."""
    return (error.strerror or str(error)).lower()


def named_path(path: str | os.PathLike[str]) -> Path:
    """Return a path as one; FileError for what names no file: a number, which would be a descriptor, or nulls."""
    try:
        text = os.fsdecode(path)
        os.fsencode(text)
    except (TypeError, ValueError):
        raise FileError(f"{path!r}: is no path; give a name such as 'run.tw', or a Path") from None
    if "\0" in text:
        raise FileError(f"{text!r}: is no path; it has a null character in it")
    return Path(text)


def require_writable(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can be written there; FileError otherwise. Nothing is left behind."""
    target, first = _target(path)
    if first:
        try:
            handle, probe = tempfile.mkstemp(dir=target.parent, prefix=".thalweg")
            os.close(handle)
            os.unlink(probe)
        except OSError as error:
            raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    return target


def require_folder(path: str | os.PathLike[str]) -> Path:
    """The path, if files can be written there, or if a folder can be made there in one that is; FileError."""
    folder = named_path(path)
    if folder.is_dir():
        if not os.access(folder, os.W_OK):
            raise FileError(f"{folder}: cannot be written to")
    elif folder.exists():
        raise FileError(f"{folder}: is a file; name a folder")
    elif not folder.absolute().parent.is_dir():
        raise FileError(f"{folder}: its parent folder does not exist")
    else:
        require_writable(folder)
    return folder


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder if only its last part is missing, and return its path; FileError."""
    folder = named_path(path)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise FileError(f"{folder}: is a file; name a folder") from None
    except OSError as error:
        raise FileError(f"{folder}: cannot be made ({reason(error)})") from None
    return folder


@dataclass(frozen=True)
class Forms:
    """The forms that something can be saved in, by the end of a file's name (``".html"``); ``what`` with its article."""

    what: str
    suffixes: tuple[str, ...]

    def of(self, path: str | os.PathLike[str]) -> tuple[Path, str]:
        """Return a path and the form that its name asks for, if it can be written; FileError. ``.HTM`` is ``.html``."""
        target = named_path(path)
        suffix = target.suffix.lower()
        form = _ALSO.get(suffix, suffix)
        if form not in self.suffixes:
            *most, last = self.suffixes
            got = target.suffix or "no suffix"
            raise FileError(f"{target}: {self.what} is saved as {', '.join(most)} or {last}, got {got!r}")
        return require_writable(target), form


def _target(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Return where a file is written, and whether beside it first; a device or a pipe is written as it is.

    Raises FileError for a folder, and where there is none to write in.
    """
    target = named_path(path)
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = stat.S_IFREG
    except OSError as error:  # the name is too long, or leads through links in a circle or a locked folder
        raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    if stat.S_ISDIR(mode):
        raise FileError(f"{target}: is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        return target, False
    if not target.parent.is_dir():
        raise FileError(f"{target}: its folder does not exist; create {target.parent} first")
    return target, True


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
    """Open a file beside ``target``, that is to be renamed to it before it is closed: its handle and its path.

    What writers of ``target`` that were killed have left is removed. Raises OSError.
    """
    sweep(target)
    while True:
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=_beside(target))
        if _lock(handle) is not False and _is_at(handle, beside):
            return handle, beside
        os.close(handle)  # somebody swept it between two lines of ours


def _beside(target: Path) -> str:
    """Return how the names of a file's temporary ones begin; eight random letters follow."""
    name = os.fsencode(target.name)
    if len(name) > _LONGEST:
        import hashlib  # long names are rare

        digest = hashlib.blake2b(name, digest_size=8).hexdigest().encode()
        name = name[: _LONGEST - 17] + b"-" + digest
    return f".thalweg-{os.fsdecode(name)}-"


def _lock(handle: int) -> bool | None:
    """Lock an open file, until it is closed or its process ends; whether nobody had, None where none can tell."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _is_at(handle: int, path: str) -> bool:
    """Return whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False


def put(file: IO[bytes], beside: str, target: Path) -> None:
    """Rename an open temporary file to its target: until then it is locked, and nobody sweeps it."""
    if os.name == "nt":  # which renames no open file, and has no such locks
        file.close()
    os.replace(beside, target)


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what writers of a file that were killed have left beside it; a living one's is locked."""
    target = Path(os.path.realpath(path))
    start = _beside(target)
    with suppress(OSError), os.scandir(target.parent) as entries:
        # Eight random letters end such a name: those of m-2 are not taken for those of m.
        left = [x.path for x in entries if x.name.startswith(start) and len(x.name) == len(start) + 8]
        for beside in left:
            with suppress(OSError), open(beside, "r+b") as file:
                if _lock(file.fileno()) and _is_at(file.fileno(), beside):
                    os.unlink(beside)


def write(path: str | os.PathLike[str], fill: Callable[[IO[bytes]], object]) -> None:
    """Let ``fill`` write a binary file, then rename it to ``path``; FileError if that fails."""
    # A link goes on pointing where it did.
    place = named_path(path)
    target, first = _target(os.path.realpath(place) if os.path.islink(place) else place)
    if not first:
        try:
            with open(target, "wb") as file:
                fill(file)
        except FileError:  # of a file that is read meanwhile
            raise
        except OSError as error:
            raise FileError(f"{target}: cannot be written ({reason(error)})") from None
        return
    beside: str | None = None
    try:
        handle, beside = temporary(target)
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
            put(file, beside, target)
    except FileError:  # of a file that is read meanwhile
        raise
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({reason(error)})") from None
    finally:
        if beside is not None:
            with suppress(OSError):
                os.unlink(beside)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8, as ``write`` writes; FileError."""
    write(path, lambda file: file.write(text.encode()))
