"""``thalweg fit`` on raw tables that packages ship, as shipped, beside what people use once they have prepared them.

Ten splits of each file: a fifth of the rows is held out, the others stay in the file's order. ``fit`` gets the CSV
file and the target's name, nothing else. Beside it: the constant; ridge or logistic regression, and scikit-learn's SGD
estimators, on columns that were standardised and encoded by hand; Vowpal Wabbit on the same values as text. Numbers:
rmse for numbers, log-loss for classes, on the held-out rows, means over the splits. *Excess* is what is above ridge or
logistic regression, in per cent of the larger of theirs and of what they gain on the constant. Seconds: of training,
the median over the splits, in one process, one after another, with a rest before each.

python -m benchmarks.tables && python -m tools.tables tables.json

Wants the extra ``bench``: ``pydataset`` and ``vega_datasets`` for their files (their code is not run), and
``vowpalwabbit``; what is missing is left out and said.
"""

import csv
import importlib.util
import io
import math
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss, root_mean_squared_error

from thalweg.fitting import fit

from .options import options, save
from .timing import REST

SPLITS = 10
HELD_OUT = 0.2
PASSES = (1, 10)
MISSING = {"", "NA", "NaN", "nan", "?"}


class Table(NamedTuple):
    """A file's text, its rows as cells, and which column is to be predicted."""

    name: str
    target: str
    classes: bool
    head: list[str]
    rows: list[list[str]]


# File, folder in pydataset's archive, target, whether it is a class.
PYDATASET = (
    ("Boston", "MASS", "medv", False),
    ("Housing", "Ecdat", "price", False),
    ("diamonds", "ggplot2", "price", False),
    ("airquality", "datasets", "Ozone", False),
    ("biopsy", "MASS", "class", True),
)
VEGA = (("seattle-weather", "weather", True),)
SKLEARN = (("breast_cancer", True), ("wine", True), ("diabetes", False))


def folder(package: str) -> Path | None:
    """Where a package lies, without running it; None where it is not installed."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def tables() -> Iterator[Table]:
    """Every file that is there, as shipped: row numbers, names and missing cells included."""
    for name, classes in SKLEARN:
        data = getattr(datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
        rows = [[*map(repr, map(float, x)), str(y)] for x, y in zip(data.data, data.target, strict=True)]
        yield Table(name, "target", classes, [*map(str, data.feature_names), "target"], rows)
    if (at := folder("pydataset")) is None:
        print("left out: pydataset is not installed")
    else:
        with tarfile.open(at / "resources.tar.gz") as archive:
            for name, place, target, classes in PYDATASET:
                file = archive.extractfile(f"resources/rdata/csv/{place}/{name}.csv")
                assert file is not None
                yield read(name, target, classes, file.read().decode())
    if (at := folder("vega_datasets")) is None:
        print("left out: vega_datasets is not installed")
    else:
        for name, target, classes in VEGA:
            yield read(name, target, classes, (at / "_data" / f"{name}.csv").read_text())


def read(name: str, target: str, classes: bool, text: str) -> Table:
    """A table of a file's text; rows without a target are no rows for anyone but ``fit``, which is told nothing."""
    head, *rows = csv.reader(io.StringIO(text))
    return Table(name, target, classes, head, [r for r in rows if r])


class Split(NamedTuple):
    """A table's training and held-out rows as people prepare them: matrices, targets, and rows with a target."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    train: list[list[str]]
    test: list[list[str]]
    labels: list[str]


def prepared(table: Table, rng: np.random.Generator) -> Split:
    """Split, then by hand: row numbers dropped, numbers standardised with the mean where missing, text one-hot."""
    place = table.head.index(table.target)
    rows = [r for r in table.rows if r[place] not in MISSING]
    mask = rng.random(len(rows)) < HELD_OUT
    train = [r for r, out in zip(rows, mask, strict=True) if not out]
    test = [r for r, out in zip(rows, mask, strict=True) if out]
    labels = sorted({r[place] for r in rows}) if table.classes else []

    def target(part: list[list[str]]) -> np.ndarray:
        return np.array([labels.index(r[place]) if table.classes else float(r[place]) for r in part])

    columns: list[np.ndarray] = []
    tested: list[np.ndarray] = []
    for k, name in enumerate(table.head):
        if k == place or name == "":
            continue
        cells = [r[k] for r in train]
        try:
            values = np.array([math.nan if c in MISSING else float(c) for c in cells])
        except ValueError:
            if len(set(cells)) > 50:  # dates and the like: nothing a linear model can use as they are
                continue
            for level in sorted(set(cells)):
                columns.append(np.array([c == level for c in cells], float))
                tested.append(np.array([r[k] == level for r in test], float))
            continue
        centre, size = np.nanmean(values), np.nanstd(values) or 1.0
        other = np.array([math.nan if r[k] in MISSING else float(r[k]) for r in test])
        columns.append(np.nan_to_num((values - centre) / size))
        tested.append(np.nan_to_num((other - centre) / size))
    return Split(np.stack(columns, 1), target(train), np.stack(tested, 1), target(test), train, test, labels)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    time.sleep(REST)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a pass or two have not converged is what is measured
        done = call()
    return done, time.perf_counter() - start


def measure(table: Table, model: Any, split: Split) -> float:
    """The held-out rmse or log-loss of a fitted estimator of scikit-learn's."""
    if table.classes:
        return float(log_loss(split.y_test, model.predict_proba(split.x_test), labels=model.classes_))
    return float(root_mean_squared_error(split.y_test, model.predict(split.x_test)))


def scikit(table: Table, split: Split, passes: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    """Loss and seconds of the constant, of ridge or logistic regression and of the SGD estimators."""
    models: dict[str, Any] = {
        "constant": DummyClassifier(strategy="prior") if table.classes else DummyRegressor(),
        "reference": LogisticRegression(max_iter=5000) if table.classes else Ridge(),
    }
    for n in passes:
        settings: dict[str, Any] = {"max_iter": n, "tol": None, "random_state": 0}
        models[f"SGD, {n}"] = (
            SGDClassifier(loss="log_loss", **settings) if table.classes else SGDRegressor(**settings)
        )
    found = {}
    for name, model in models.items():
        _, seconds = timed(lambda model=model: model.fit(split.x, split.y))  # type: ignore[misc]
        found[name] = measure(table, model, split), seconds
    return found


def ours(table: Table, split: Split, at: Path, passes: int) -> tuple[float, float]:
    """Loss and seconds of ``fit`` on the raw rows."""
    for name, rows in (("train.csv", split.train), ("test.csv", split.test)):
        with open(at / name, "w", newline="") as file:
            csv.writer(file).writerows([table.head, *rows])
    report, seconds = timed(
        lambda: fit(
            at / "train.csv",
            at / "model.tw",
            target=table.target,
            passes=passes,
            holdout=0.0,
            fresh=True,
            task="classification" if table.classes else "regression",
            test=at / "test.csv",
        )
    )
    return float(report.test["loss" if table.classes else "rmse"]), seconds


_VW = """
import sys, time
from vowpalwabbit import pyvw
train, test, model, out, passes, more = sys.argv[1:]
start = time.perf_counter()
again = f"--passes {passes} -c -k --holdout_off" if int(passes) > 1 else ""
pyvw.Workspace(f"-d {train} -f {model} --quiet {again} {more}").finish()
print(time.perf_counter() - start)
pyvw.Workspace(f"-d {test} -t -i {model} --quiet {'--probabilities' if '--oaa' in more else ''} -p {out}").finish()
"""


def vowpal(table: Table, split: Split, at: Path, passes: int) -> tuple[float, float]:
    """Loss and seconds of Vowpal Wabbit on the same cells, its defaults."""
    place = table.head.index(table.target)
    for name, rows, y in (("train.vw", split.train, split.y), ("test.vw", split.test, split.y_test)):
        with open(at / name, "w") as file:
            for row, target in zip(rows, y, strict=True):
                file.write(
                    f"{target + 1 if table.classes else target} | {' '.join(words(table, row, place))}\n"
                )
    k = len(split.labels)
    more = f"--oaa {k} --loss_function logistic --probabilities" if table.classes else ""
    time.sleep(REST)
    done = subprocess.run(
        [sys.executable, "-c", _VW, *map(str, (at / "train.vw", at / "test.vw", at / "m.vw", at / "p", passes, more))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = (at / "p").read_text().split("\n")
    if table.classes:
        p = np.array(
            [[float(c.partition(":")[2]) for c in line.split()[:k]] for line in lines if line.strip()]
        )
        p = np.clip(p, 1e-15, None)
        loss = float(log_loss(split.y_test, p / p.sum(1, keepdims=True), labels=range(k)))
    else:
        guess = np.array([float(line.split()[0]) for line in lines if line.strip()])
        loss = float(root_mean_squared_error(split.y_test, guess))
    return loss, float(done.stdout.split()[0])


def words(table: Table, row: list[str], place: int) -> Iterator[str]:
    """A row's cells as Vowpal Wabbit's features."""
    for k, (name, cell) in enumerate(zip(table.head, row, strict=True)):
        if k == place or cell in MISSING:
            continue
        plain = "".join(c if c.isalnum() else "_" for c in name) or "row"
        try:
            yield f"{plain}:{float(cell)!r}"
        except ValueError:
            yield f"{plain}={''.join(c if c.isalnum() else '_' for c in cell)}"


def row(table: Table, splits: int, passes: tuple[int, ...], with_vw: bool) -> dict[str, Any]:
    """A table's row: losses and seconds of everyone, means and medians over the splits."""
    seen: dict[str, list[tuple[float, float]]] = {}
    for k in range(splits):
        split = prepared(table, np.random.default_rng(k))
        for name, value in scikit(table, split, passes).items():
            seen.setdefault(name, []).append(value)
        with tempfile.TemporaryDirectory() as folder_name:
            for n in passes:
                seen.setdefault(f"thalweg, {n}", []).append(ours(table, split, Path(folder_name), n))
                if with_vw:
                    seen.setdefault(f"VW, {n}", []).append(vowpal(table, split, Path(folder_name), n))
    losses = {n: float(np.mean([loss for loss, _ in v])) for n, v in seen.items()}
    seconds = {n: float(np.median([s for _, s in v])) for n, v in seen.items()}
    reference, gain = losses["reference"], losses["constant"] - losses["reference"]
    excess = {n: (loss - reference) / max(reference, gain) for n, loss in losses.items()}
    return {
        "file": table.name, "target": table.target, "classes": table.classes, "rows": len(table.rows),
        "loss": losses, "seconds": seconds, "excess": excess,
    }  # fmt: skip


def main() -> None:
    parser = options(__doc__, rounds=SPLITS, out="tables.json")
    parser.add_argument("--only", help="one file, by its name")
    chosen = parser.parse_args()
    with_vw = importlib.util.find_spec("vowpalwabbit") is not None
    if not with_vw:
        print("left out: vowpalwabbit is not installed")
    rows = []
    for table in tables():
        if chosen.only not in (None, table.name) or (chosen.dry_run and table.name != "wine"):
            continue
        found = row(table, 1 if chosen.dry_run else chosen.rounds, PASSES, with_vw)
        rows.append(found)
        told = "  ".join(
            f"{n} {100 * x:+.1f} %" for n, x in found["excess"].items() if n not in ("reference",)
        )
        print(f"{table.name:<16} reference {found['loss']['reference']:.4g}  {told}", flush=True)
    save({"splits": chosen.rounds, "rows": rows}, chosen)


if __name__ == "__main__":
    main()
