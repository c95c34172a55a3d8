"""pyarrow as a library: loaded where it is first needed, and what it may take of a process's memory."""

import ctypes
import os
import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from ..errors import FileError

_pandas, _own_pool = True, True  # whether it may load pandas, and keep what it has freed
_POOL = "ARROW_DEFAULT_MEMORY_POOL"  # looked at once, by the library below pyarrow, whose readers take no other pool
_MMAP_THRESHOLD, _LARGE = -3, 1 << 17  # of mallopt: glibc's first threshold, which it would raise by itself


class _Absent(MetaPathFinder):
    """A finder before all others that knows that there is no pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def require_pyarrow(what: str, path: Path) -> Any:
    """Return pyarrow. Raises FileError saying how to get it."""
    given = os.environ.get(_POOL)
    try:
        if not _own_pool:
            os.environ[_POOL] = "system"
        import pyarrow
    except ImportError:
        raise FileError(f"{path}: {what} is read by pyarrow; install thalweg[files]") from None
    finally:
        if not _own_pool:
            _restore(_POOL, given)
    if not _own_pool:
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    if not _pandas and "pandas" not in sys.modules:
        absent = _Absent()
        sys.meta_path.insert(0, absent)
        try:
            pyarrow.scalar(0)  # it looks for pandas once, with the first value that it makes
        finally:
            sys.meta_path.remove(absent)
    return pyarrow


def leave_pandas_out() -> None:
    """Let pyarrow not load pandas, which takes 30 MB and 0.3 s; from then on it makes no data frames in this process.

    For commands, whose process is ours: what reads tables here asks for no data frames.
    """
    global _pandas
    _pandas = False


def give_memory_back() -> None:
    """Let what pyarrow frees go back to the system, where its own allocator keeps some 25 MB, and of a wide Parquet
    file 80 MB and more.

    Large pieces of memory are the system's own from now on (glibc): among small ones they would leave gaps as large.
    """
    global _own_pool
    _own_pool = False
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def _restore(name: str, value: str | None) -> None:
    """Give a variable of the environment the value that it had, None for none."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
