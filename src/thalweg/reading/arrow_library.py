"""pyarrow as a library: loaded where it is first needed, and what it may take of a process's memory."""

import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from ..errors import FileError

_pandas, _own_pool = True, True  # whether it may load pandas, and keep what it has freed


class _Absent(MetaPathFinder):
    """A finder before all others that knows that there is no pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def require_pyarrow(what: str, path: Path) -> Any:
    """Return pyarrow. Raises FileError saying how to get it."""
    try:
        import pyarrow
    except ImportError:
        raise FileError(f"{path}: {what} is read by pyarrow; install thalweg[files]") from None
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
    """Let what pyarrow frees go back to the system, where its own allocator keeps some 25 MB."""
    global _own_pool
    _own_pool = False
