"""Start-up: imports, the first step in a cold and in a warm process, eight cold processes at once.

python -m benchmarks.startup [--rounds 9] [--processes 8]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from .options import options

IMPORT = "import time, numpy; t = time.perf_counter(); import thalweg; print(time.perf_counter() - t)"
STEP = (
    "import time, numpy as np; t = time.perf_counter(); import thalweg as tw;"
    "w = np.ones(1000, 'f'); tw.Adam().on(w).step(np.ones(1000, 'f')); taken = time.perf_counter() - t;"
    "import sys; from thalweg.engines.cpu import object_cache; print(taken, 'numba' in sys.modules, object_cache.compiled)"
)


def run(code: str, cache: str) -> list[str]:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "THALWEG_CACHE": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def main() -> None:
    parser = options(__doc__, rounds=9)
    parser.add_argument("--processes", type=int, default=8)
    chosen = parser.parse_args()
    rounds, processes = (1, 1) if chosen.dry_run else (chosen.rounds, chosen.processes)
    with tempfile.TemporaryDirectory() as cache:
        times = [float(run(IMPORT, cache)[0]) for _ in range(rounds)]
        print(f"import thalweg beyond NumPy's: {statistics.median(times) * 1e3:.0f} ms")
        taken, *_ = run(STEP, cache)
        print(f"first step, nothing cached: {float(taken):.2f} s")
        warm = [run(STEP, cache) for _ in range(rounds)]
        print(
            f"first step, second process: {statistics.median(float(x[0]) for x in warm) * 1e3:.0f} ms, Numba imported: {warm[0][1]}"
        )
        helps = []
        for _ in range(rounds):
            start = time.perf_counter()
            subprocess.run(
                [os.path.join(os.path.dirname(sys.executable), "thalweg"), "--help"],
                stdout=subprocess.DEVNULL,
                check=True,
            )
            helps.append(time.perf_counter() - start)
        print(f"thalweg --help: {statistics.median(helps) * 1e3:.0f} ms")
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        several = [
            subprocess.Popen(
                [sys.executable, "-c", STEP],
                env={**os.environ, "THALWEG_CACHE": cache},
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        outs = [p.communicate()[0].split() for p in several]
        compiled = sum(int(o[2]) for o in outs)
        print(
            f"{processes} cold processes at once: {time.perf_counter() - start:.1f} s, kernels compiled: {compiled}"
        )


if __name__ == "__main__":
    main()
