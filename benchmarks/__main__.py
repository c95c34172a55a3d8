"""Every benchmark in miniature: whether it still runs, in seconds. What it prints means nothing.

python -m benchmarks --dry-run
"""

import subprocess
import sys
import time
from pathlib import Path

from . import __path__ as folder


def names() -> list[str]:
    """The benchmarks: modules of this folder that can be run, but not ``sparse``, which runs two of the others."""
    files = sorted(Path(folder[0]).glob("[!_]*.py"))
    return [f.stem for f in files if '__name__ == "__main__"' in f.read_text() and f.stem != "sparse"]


def main() -> None:
    if sys.argv[1:] != ["--dry-run"]:
        sys.exit(f"{__doc__}\nOne in earnest: python -m benchmarks.NAME, with NAME of {', '.join(names())}")
    failed = []
    for name in names():
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", "--dry-run"],
            capture_output=True,
            text=True,
        )
        print(
            f"{name:<16}{'fails' if done.returncode else 'runs':<8}{time.perf_counter() - start:.1f} s",
            flush=True,
        )
        if done.returncode:
            failed.append(name)
            print(done.stderr, file=sys.stderr)
    if failed:
        sys.exit(f"benchmarks that do not run: {', '.join(failed)}")


if __name__ == "__main__":
    main()
