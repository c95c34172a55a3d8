"""Seconds from a text file to a held-out log-loss: ``thalweg.fitting.fit`` beside Vowpal Wabbit.

python -m benchmarks.files [--rows N] [--features N] [--rounds N]

Both read the same Vowpal Wabbit text from disk (in the page cache), parsing counted, each run in a process of
its own, its imports not counted; ours with default settings, its race for a learning rate counted, its kernels
compiled before. Vowpal Wabbit runs with every setting of ``GRID``; its best is the target, and its time is that
of the quickest setting within a thousandth of it. Ours is the fewest passes whose loss is at most the target.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss

from .click_log import click_log
from .linear import write_vw
from .options import options
from .timing import REST

GRID = [{"l": rate, "passes": n} for rate, n in itertools.product((0.1, 0.25, 0.5, 1.0), (1, 2, 3))]

_VW = """
import sys, time
from vowpalwabbit import pyvw
train, model, bits, rate, passes = sys.argv[1:]
start = time.perf_counter()
more = f"--passes {passes} -c -k --holdout_off" if int(passes) > 1 else ""
pyvw.Workspace(f"-d {train} -f {model} --loss_function logistic -b {bits} -l {rate} --quiet {more}").finish()
print(time.perf_counter() - start)
"""
_VW_PREDICT = """
import sys
from vowpalwabbit import pyvw
test, model, out = sys.argv[1:]
pyvw.Workspace(f"-d {test} -t -i {model} --link logistic -p {out} --quiet").finish()
"""
_OURS = """
import sys, time
from thalweg.fitting import fit
train, model, bits, passes = sys.argv[1:]
start = time.perf_counter()
fit(train, model, bits=int(bits), passes=int(passes), holdout=0)
print(time.perf_counter() - start)
"""
_OURS_PREDICT = """
import sys
from thalweg.fitting import predict
predict(sys.argv[2], sys.argv[1], sys.argv[3])
"""


def python(code: str, *arguments: object) -> str:
    """What a fresh process prints."""
    time.sleep(REST)
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def theirs(train: Path, model: Path, bits: int, setting: dict[str, float]) -> float:
    """Seconds in which Vowpal Wabbit learns a model."""
    return float(python(_VW, train, model, bits, setting["l"], setting["passes"]))


def ours(train: Path, model: Path, bits: int, passes: int) -> float:
    """Seconds in which ``thalweg.fitting.fit`` learns a model."""
    return float(python(_OURS, train, model, bits, passes))


def our_loss(test: Path, labels: np.ndarray, model: Path, out: Path) -> float:
    """The held-out log-loss of a model of ours."""
    python(_OURS_PREDICT, test, model, out)
    return float(log_loss(labels, np.loadtxt(out, delimiter=",", skiprows=1, usecols=3)))


def their_best(train: Path, test: Path, labels: np.ndarray, bits: int) -> tuple[float, dict[str, float]]:
    """Vowpal Wabbit's lowest held-out log-loss, and the quickest setting within a thousandth of it."""
    model, out = train.with_name("model.vw"), train.with_name("out.txt")
    scored = []
    for setting in GRID:
        theirs(train, model, bits, setting)
        python(_VW_PREDICT, test, model, out)
        scored.append((float(log_loss(labels, np.loadtxt(out, usecols=0))), setting))
    target = min(loss for loss, _ in scored)
    near = [s for loss, s in scored if loss <= target * 1.001]
    return target, min(near, key=lambda s: statistics.median(theirs(train, model, bits, s) for _ in range(3)))


def main() -> None:
    """Print the losses, and the seconds of both; in a dry run ours alone, on little."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=1_000_000)
    chosen = parser.parse_args()
    rows, features = (200, 100) if chosen.dry_run else (chosen.rows, chosen.features)
    bits = int(features - 1).bit_length()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, test = click_log(rows, features).split(rows // 10)
        texts = folder / "train.vw", folder / "test.vw"
        write_vw(train, texts[0])
        write_vw(test, texts[1])
        model, out = folder / "model", folder / "out.csv"
        if chosen.dry_run:
            ours(texts[0], model, bits, 1)
            print(f"held-out log-loss {our_loss(texts[1], test.labels, model, out):.4f}")
            return
        target, best = their_best(*texts, test.labels, bits)
        reached = None
        for passes in (1, 2, 3, 4):
            ours(texts[0], model, bits, passes)
            loss = our_loss(texts[1], test.labels, model, out)
            print(f"thalweg, {passes} passes: held-out log-loss {loss:.4f}")
            if loss <= target:
                reached = passes
                break
        size = os.path.getsize(texts[0]) / 1e6
        print(
            f"{len(train.labels)} rows, {size:.0f} MB; truth {test.floor:.4f}; Vowpal Wabbit {target:.4f} {best}"
        )
        taken: dict[str, list[float]] = {"vw": [], "ours": []}
        for _ in range(chosen.rounds):
            taken["vw"].append(theirs(texts[0], model, bits, best))
            taken["ours"].append(ours(texts[0], model, bits, reached or 1))
        vw, mine = statistics.median(taken["vw"]), statistics.median(taken["ours"])
        verdict = f"{mine / vw:.2f} of its time" if reached else "its loss is not reached"
        print(f"Vowpal Wabbit {vw:.2f} s, thalweg {mine:.2f} s in {reached or 1} passes: {verdict}")


if __name__ == "__main__":
    main()
