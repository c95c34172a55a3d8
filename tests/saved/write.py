"""Files as a version of thalweg saves them, and where each run stands five steps later.

    python -m tests.saved.write tests/saved/0.1.0

Run once by each version that is released; ``tests/test_saved_files.py`` loads what every version wrote.
``ends.json`` holds the weights after five more steps, as hexadecimal floats.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import fitting

SAVED_AT, MORE = 7, 5  # steps before the file is written, and after


def start() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"layer": {"w": rng.standard_normal((3, 4)), "b": rng.standard_normal(4).astype(np.float32)}}


def dense(params: dict[str, Any]) -> Iterator[Any]:
    """Gradients that pull each weight to 1, with noise."""
    rng = np.random.default_rng(1)
    while True:
        w, b = params["layer"]["w"], params["layer"]["b"]
        noise = rng.standard_normal(w.shape)
        yield {"layer": {"w": w - 1 + 0.1 * noise, "b": b - np.float32(1)}}


def table() -> Any:
    return np.random.default_rng(2).standard_normal((20, 3))


def rows(params: Any) -> Iterator[Any]:
    """Three rows of twenty at a step."""
    rng = np.random.default_rng(3)
    while True:
        yield tw.Rows(rng.integers(0, 20, 3), rng.standard_normal((3, 3)))


Case = tuple[Any, dict[str, Any], Callable[[], Any], Callable[[Any], Iterator[Any]]]
CASES: dict[str, Case] = {
    "adam": (
        tw.Adam(lr=tw.warmup(tw.inverse_time(1e-2, decay=0.1), steps=3)),
        {"weight_decay": 0.01, "decay": "decoupled", "average": "polyak", "clip_norm": 1.0},
        start,
        dense,
    ),
    "accumulating": (
        tw.RMSprop.like("keras", learning_rate=1e-2),
        {"accumulate": 4, "average": 0.9},
        start,
        dense,
    ),
    "adamw": (tw.AdamW(lr=1e-2, weight_decay=0.1), {"groups": {"b": {"lr": 0.1}}}, start, dense),
    "rows": (tw.Adam(lr=1e-2), {}, table, rows),
    "rows-closed": (tw.Adagrad(lr=0.1), {"weight_decay": 0.01, "decay": "decoupled"}, table, rows),
}


def flat(params: Any) -> list[str]:
    """The weights as hexadecimal floats."""
    leaves = [params] if isinstance(params, np.ndarray) else params["layer"].values()
    return [float(x).hex() for leaf in leaves for x in np.ravel(leaf)]


def go_on(opt: Any, gradients: Iterator[Any], steps: int) -> None:
    for _ in range(steps):
        opt.step(next(gradients))


def gradients_of(name: str, params: Any, skipped: int) -> Iterator[Any]:
    """A case's gradients from a step on: the noise of the steps before is drawn and left out."""
    stream = CASES[name][3](params)
    for _ in range(skipped):
        next(stream)
    return stream


def predicted(model: Path, text: Path) -> list[str]:
    """What a model says of each line, as it is written."""
    with TemporaryDirectory() as folder:
        out = Path(folder, "said.csv")
        fitting.predict(model, text, out)
        return out.read_text().splitlines()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ends = {}
    for name, (rule, settings, begin, gradients) in CASES.items():
        params = begin()
        opt, stream = rule.on(params, **settings), gradients(params)
        go_on(opt, stream, SAVED_AT)
        opt.save(folder / f"{name}.tw")
        go_on(opt, stream, MORE)
        opt.flush()
        ends[name] = flat(params)
    model, text = folder / "linear.tw", folder / "linear.svm"
    text.write_text("".join(f"{k % 2} {1 + k % 5}:{(k % 7) - 3}.5\n" for k in range(60)))
    fitting.fit(text, model, rule=tw.Adagrad(lr=0.1), features=5, zero_based=False, cache=False)
    ends["linear"] = predicted(model, text)
    (folder / "ends.json").write_text(json.dumps(ends, indent=0) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
