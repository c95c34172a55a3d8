"""What a run was made with: versions of the tools, system, processor, threads."""

import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def versions(*more: str) -> dict[str, str]:
    """Names with versions, ready for a report; more: packages that took part beside those that always may."""
    from importlib.metadata import PackageNotFoundError, version  # only a report needs it, and it is slow

    from .._version import __version__
    from ..engines.cpu.pool import threads

    known = {"thalweg": __version__, "python": platform.python_version()}
    for n in dict.fromkeys(["numpy", "scipy", "numba", "scikit-learn", *more]):
        try:
            known[n] = version(n)
        except PackageNotFoundError:
            continue
    known["system"] = f"{platform.system()} {platform.machine()}"
    known["cpu"] = _cpu()
    known["threads"] = str(threads())
    return known


def machine() -> dict[str, str]:
    """What decides numbers beside the work itself: the versions, without the threads."""
    return {n: v for n, v in versions().items() if n != "threads"}


def of_machines(kinds: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Versions as those of a cluster; where it is mixed, in which numbers may depend on who ran what, that is said."""
    names = dict.fromkeys(n for kind in kinds for n in kind)
    each = {n: list(dict.fromkeys(kind.get(n, "none") for kind in kinds)) for n in names}
    mixed = [n for n, values in each.items() if len(values) > 1]
    said = {n: " | ".join(values) for n, values in each.items()}
    return said | (
        {"cluster": f"mixed ({', '.join(mixed)}): numbers may depend on who ran what"} if mixed else {}
    )


def _cpu() -> str:
    """What the processor calls itself, where the system tells."""
    if sys.platform == "linux":
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
        except OSError:
            lines = []
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
