"""Linear models: seconds to a held-out log-loss, against scikit-learn and Vowpal Wabbit.

python -m benchmarks.linear [--rows N] [--features N] [--rounds N] [--small] [--vw]

Ours runs with its default settings, its race for a learning rate counted. On the large sets SGDClassifier runs with the best of
``GRID`` and of ``PASSES``, LogisticRegression(saga) with the best of ``SAGA``, both found before the clock starts.
A rival's seconds are those to its own best loss; ours are those of the fewest passes whose loss is at most the
target, the best rival's. Vowpal Wabbit learns from its own text file, parsing counted, ours from memory.

On small sets one split says little: there the mean of the log-loss over many splits is taken. SGDClassifier's
settings are the best of the same grids by cross-validation on the rows learnt from, LogisticRegression's those
of scikit-learn's own LogisticRegressionCV. ``±`` is the standard error of the difference, split by split.
"""

import itertools
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from thalweg.sklearn import LinearClassifier

from .click_log import ClickLog, click_log
from .options import options
from .timing import interleaved

RATES: list[dict[str, Any]] = [
    {"learning_rate": "optimal"},
    *({"learning_rate": "constant", "eta0": e} for e in (0.003, 0.01, 0.03, 0.1)),
    *({"learning_rate": "invscaling", "eta0": e, "power_t": p} for e in (0.1, 0.3, 1.0) for p in (0.1, 0.25)),
]
GRID = [
    {**rate, "alpha": alpha, "average": average}
    for rate, alpha, average in itertools.product(RATES, (1e-6, 1e-4), (False, True))
]
PASSES = (1, 2, 3, 5, 10)
SAGA = [{"C": c, "max_iter": n} for c in (0.1, 1.0) for n in (2, 5, 10)]
Split = tuple[Any, Any, Any, Any]

_VW = """
import sys, time
from vowpalwabbit import pyvw
train, test, model, out, passes, bits = sys.argv[1:]
start = time.perf_counter()
more = f"--passes {passes} -c -k --holdout_off" if int(passes) > 1 else ""
pyvw.Workspace(f"-d {train} -f {model} --loss_function logistic -b {bits} --quiet {more}").finish()
print(time.perf_counter() - start)
pyvw.Workspace(f"-d {test} -t -i {model} --link logistic -p {out} --quiet").finish()
"""


def held_out(model: Any, split: Split) -> float:
    """The held-out log-loss of a fitted model."""
    _, test, _, labels = split
    return float(log_loss(labels, model.predict_proba(test).astype(np.float64)))


def best(models: list[Any], split: Split) -> tuple[Any, float]:
    """The model with the lowest held-out log-loss, and that loss."""
    scored = []
    for model in models:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scored.append((held_out(clone(model).fit(split[0], split[2]), split), model))
    loss, model = min(scored, key=lambda s: s[0])
    return model, loss


def quiet_fit(model: Any, split: Split) -> Callable[[], object]:
    """A call that fits a fresh copy."""

    def call() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clone(model).fit(split[0], split[2])

    return call


def rivals(
    split: Split, saga: list[dict[str, Any]], grid: list[dict[str, Any]]
) -> dict[str, tuple[Any, float]]:
    """scikit-learn's best on a set."""
    sgd = [
        SGDClassifier(loss="log_loss", max_iter=n, tol=None, random_state=0, **g)
        for g in grid
        for n in PASSES
    ]
    logistic = [LogisticRegression(solver="saga", random_state=0, **s) for s in saga]
    return {"SGDClassifier": best(sgd, split), "LogisticRegression(saga)": best(logistic, split)}


def compare(name: str, split: Split, rounds: int, found: dict[str, tuple[Any, float]]) -> None:
    """One set's table."""
    ours = LinearClassifier(random_state=0)
    default = held_out(ours.fit(split[0], split[2]), split)
    target = min(loss for _, loss in found.values())
    reaching = None
    for passes in (1, 2, 3, 4, 6, 8):
        model = LinearClassifier(max_iter=passes, random_state=0)
        if held_out(model.fit(split[0], split[2]), split) <= target:
            reaching = model
            break
    calls = {n: quiet_fit(model, split) for n, (model, _) in found.items()}
    calls["thalweg, defaults"] = quiet_fit(ours, split)
    if reaching is not None:
        calls[f"thalweg, to {target:.4f}"] = quiet_fit(reaching, split)
    taken = interleaved(calls, rounds)
    base = taken["SGDClassifier"]
    print(f"\n{name}: {split[0].shape[0]} rows, {split[0].shape[1]} features")
    for n, seconds in taken.items():
        loss = found[n][1] if n in found else default if "defaults" in n else target
        settings = found[n][0] if n in found else reaching if "to " in n else ours
        print(
            f"  {n:26} log-loss {loss:.4f}  {seconds:8.3f} s  {seconds / base:5.2f} × SGD  {settings!r}".replace(
                "\n", ""
            )
        )
    print(
        f"  best rival {target:.4f}; ours with defaults {default:.4f} ({default / target - 1:+.1%})",
        flush=True,
    )


def small() -> Iterator[tuple[str, Any, Any]]:
    """The sets that scikit-learn ships, and a dense generated one."""
    digits = load_digits()
    yield "digits", digits.data / 16, digits.target
    for loader in (load_breast_cancer, load_wine, load_iris):
        bunch = loader()
        yield (
            loader.__name__.removeprefix("load_"),
            StandardScaler().fit_transform(bunch.data),
            bunch.target,
        )
    x, y = make_classification(20_000, 50, n_informative=20, random_state=0)
    yield "generated, dense", StandardScaler().fit_transform(x), y


def many_splits(
    name: str,
    x: Any,
    y: Any,
    splits: int,
    grid: list[dict[str, Any]] = GRID,
    penalties: int = 10,
    jobs: int = -1,
) -> None:
    """A small set's table; scikit-learn's settings are sought in the grid and among so many penalties."""
    settings = [{n: [v] for n, v in setting.items()} | {"max_iter": list(PASSES)} for setting in grid]
    sgd = SGDClassifier(loss="log_loss", tol=None, random_state=0)
    cv = {"cv": 4, "scoring": "neg_log_loss"}
    models = {
        "SGDClassifier, by cross-validation": GridSearchCV(sgd, settings, n_jobs=jobs, **cv),
        "LogisticRegressionCV": LogisticRegressionCV(
            Cs=penalties, max_iter=2000, use_legacy_attributes=False, l1_ratios=(0,), **cv
        ),
        "thalweg, defaults": LinearClassifier(random_state=0),
    }
    losses: dict[str, list[float]] = {n: [] for n in models}
    seconds: dict[str, list[float]] = {n: [] for n in models}
    for seed in range(splits):
        train, test, labels, expected = train_test_split(x, y, test_size=0.4, random_state=seed)
        for n, model in models.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                fitted = clone(model).fit(train, labels)
                seconds[n].append(time.perf_counter() - start)
            losses[n].append(float(log_loss(expected, fitted.predict_proba(test).astype(np.float64))))
    print(f"\n{name}: {len(x) * 3 // 5} rows, {x.shape[1]} features, {splits} splits")
    for n, values in losses.items():
        print(f"  {n:36} log-loss {np.mean(values):.4f}  {np.median(seconds[n]):8.3f} s")
    ours = np.array(losses.pop("thalweg, defaults"))
    best = min(losses, key=lambda n: float(np.mean(losses[n])))
    apart = ours - losses[best]
    error = apart.std(ddof=1) / np.sqrt(splits)
    scale = float(np.mean(losses[best]))
    print(f"  ours to the best rival: {apart.mean() / scale:+.1%} ± {error / scale:.1%}", flush=True)


def write_vw(log: ClickLog, path: Path) -> None:
    """Rows as Vowpal Wabbit's text."""
    with open(path, "w") as file:
        indices, pointers = log.inputs.indices, log.inputs.indptr
        for k, label in enumerate(log.labels):
            words = " ".join(map(str, indices[pointers[k] : pointers[k + 1]].tolist()))
            file.write(f"{1 if label else -1} | {words}\n")


def vowpal_wabbit(train: ClickLog, test: ClickLog, features: int) -> None:
    """Vowpal Wabbit with its defaults, one to three passes, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_vw(train, folder / "train.vw")
        write_vw(test, folder / "test.vw")
        bits = max(18, int(features - 1).bit_length())
        for passes in (1, 2, 3):
            paths = [str(folder / n) for n in ("train.vw", "test.vw", "model", "out")]
            made = subprocess.run(
                [sys.executable, "-c", _VW, *paths, str(passes), str(bits)],
                check=True,
                capture_output=True,
                text=True,
            )
            p = np.clip(np.loadtxt(folder / "out"), 1e-9, 1 - 1e-9)
            loss = -np.where(test.labels == 1, np.log(p), np.log(1 - p)).mean()
            seconds = float(made.stdout.split()[-1])
            print(
                f"  Vowpal Wabbit, {passes} passes: log-loss {loss:.4f}  {seconds:.3f} s, parsing included",
                flush=True,
            )


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=1_000_000)
    parser.add_argument("--small", action="store_true", help="the small sets alone")
    parser.add_argument("--vw", action="store_true", help="Vowpal Wabbit too (pip install vowpalwabbit)")
    given = parser.parse_args(arguments)
    if given.dry_run:
        rehearse()
        return
    for name, x, y in small():
        many_splits(name, x, y, 20 if len(x) < 1000 else 6)
    if given.small:
        return
    held = max(1, given.rows // 10)
    start = time.perf_counter()
    train, test = click_log(given.rows + held, given.features).split(held)
    print(
        f"\nclick log generated in {time.perf_counter() - start:.1f} s; the truth's log-loss {test.floor:.4f}"
    )
    tfidf = TfidfTransformer().fit(train.inputs)
    for name, change in (("click log", lambda x: x), ("click log, tf-idf", lambda x: tfidf.transform(x))):
        split = (change(train.inputs), change(test.inputs), train.labels, test.labels)
        # The grid is searched on a tenth, the best of it run on all.
        tenth = (split[0][: given.rows // 10], split[1], split[2][: given.rows // 10], split[3])
        ranked = sorted(GRID, key=lambda g: best([_sgd(g, 3)], tenth)[1])[:3]
        compare(name, split, given.rounds, rivals(split, SAGA, ranked))
        if given.vw and name == "click log":
            vowpal_wabbit(train, test, given.features)


def rehearse() -> None:
    """Every kind of contest once, on little."""
    inputs, labels = load_iris(return_X_y=True)
    many_splits("iris", inputs, labels, splits=2, grid=GRID[:1], penalties=1, jobs=1)
    train, test = click_log(300, 50).split(30)
    split = (train.inputs, test.inputs, train.labels, test.labels)
    compare("click log", split, 1, rivals(split, SAGA[:1], GRID[:1]))


def _sgd(grid: dict[str, Any], passes: int) -> SGDClassifier:
    return SGDClassifier(loss="log_loss", max_iter=passes, tol=None, random_state=0, **grid)


if __name__ == "__main__":
    main()
