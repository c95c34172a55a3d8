"""A user's own file, run as a module that is known by the file's place and by what stands in it.

``b/mine.py`` is not ``a/mine.py``, and a file that was edited is run again: a module's name holds a digest
of both. Only what the user names is run; nothing that was read from a saved run is.
"""

import hashlib
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from ..errors import FileError

_PREFIX = "thalweg_user_"


def digest(content: bytes) -> str:
    """What a file's content is known by: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def run_file(path: str, purpose: str, content_digest: str = "") -> ModuleType:
    """Return the module of a user's file, running it if this very content has not been run yet.

    purpose: ends the sentence of the FileError for a file that is not there. content_digest: of the content
    that is wanted, where it must be the same as elsewhere. Raises FileError.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError:
        raise FileError(f"{path}: no such file; {purpose}") from None
    current = digest(content)
    if content_digest not in ("", current):
        raise FileError(f"{path}: was edited while it was in use; run the command again")
    place = digest(str(file.resolve()).encode())
    title = f"{_PREFIX}{file.stem}_{place[:8]}{current[:16]}"
    if title in sys.modules:
        return sys.modules[title]
    module = ModuleType(title)
    module.__file__ = str(file.resolve())
    sys.modules[title] = module
    arguments, folder = sys.argv, str(Path(module.__file__).parent)
    sys.argv = [module.__file__]  # a script that reads its command line sees none of ours
    sys.path.insert(0, folder)  # modules that stand beside it, as for a script
    try:
        # Compiled from what was read: a cached .pyc is told from an older one by seconds and size alone.
        with redirect_stdout(sys.stderr):  # standard output is for results
            exec(compile(content, module.__file__, "exec"), vars(module))
    except BaseException as error:
        del sys.modules[title]
        if not isinstance(error, Exception | SystemExit):
            raise
        remedy = ": put what is to run alone under if __name__ == '__main__':"
        told = f"it exits{remedy}" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        raise FileError(f"{path}: cannot be run ({told})") from None
    finally:
        sys.argv = arguments
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)  # what it imports later, in its functions
    vars(module)["__thalweg_content__"] = current
    return module


def origin(title: str) -> tuple[str, str]:
    """The path and the content's digest of a module that ``run_file`` made; two "" for any other."""
    module = sys.modules.get(title)
    content = getattr(module, "__thalweg_content__", "")
    return (str(module.__file__), content) if module is not None and content else ("", "")
