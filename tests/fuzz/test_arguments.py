"""Calls with any arguments: what is refused is refused with one of our errors, and nothing of the user's has moved."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ThalwegError
from thalweg.fitting import FitSettings
from thalweg.linear import Model, Settings
from thalweg.reading import open_stream

from . import draws, trials
from .memory import guarded


def _read_only() -> np.ndarray:
    array = np.ones(5)
    array.setflags(write=False)
    return array


# What somebody may hand over by mistake. Made anew for each call.
WILD: tuple[Callable[[], Any], ...] = (
    *(lambda x=x: x for x in (None, True, False, -1, 0, 1, 2, 7, 2**31, 2**63, 2**64, 10**400)),
    *(
        lambda x=x: x
        for x in (0.5, -0.0, 1e-320, 1e308, -1e300, float("nan"), float("inf"), -float("inf"), 1j)
    ),
    *(lambda x=x: x for x in ("", "x", "Adam", "torch", "a\nb", b"x", "\ud800", "é")),
    *(lambda x=x: x for x in ((), (1,), frozenset(), range(3), object(), print, int, tw.Adam, tw.Adam())),
    *(lambda x=x: x() for x in (list, dict, set)),
    lambda: [[1.0, 2.0], [3.0]],
    lambda: {"w": np.ones(5)},
    lambda: {"w": {"w": {"w": 1}}},
    lambda: np.float32(0.5),
    lambda: np.int8(3),
    lambda: np.bool_(True),
    lambda: np.datetime64("2020-01-01"),
    lambda: np.ones(()),
    lambda: np.ones(0),
    lambda: np.ones(5),
    lambda: np.ones(5, np.float32),
    lambda: np.ones(5, np.float16),
    lambda: np.ones(5, np.longdouble),
    lambda: np.ones(5, complex),
    lambda: np.ones(5, int),
    lambda: np.ones(5, bool),
    lambda: np.ones(5, object),
    lambda: np.ones(5, "U3"),
    lambda: np.ones(5, ">f8"),
    lambda: np.ones((5, 1)),
    lambda: np.ones((5, 5), order="F"),
    lambda: np.ones(10)[::2],
    lambda: np.ones(5)[::-1],
    lambda: np.broadcast_to(np.ones(1), 5),
    lambda: np.full(5, np.nan),
    lambda: np.full(5, 1e300),
    lambda: np.ma.masked_array(np.ones(5), [0, 1, 0, 0, 0]),
    lambda: np.rec.fromarrays([np.ones(5)], names="a"),
    _read_only,
    lambda: tw.cosine(0.1, steps=9),
    lambda: tw.Rows(np.array([0]), np.ones((1, 1))),
)

OPTIONS = (
    "weight_decay", "decay", "clip_value", "clip_norm", "average", "accumulate", "maximize", "groups", "on_nonfinite",
    "rates", "exact", "engine",
)  # fmt: skip
SCHEDULES: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
    (tw.constant, {"value": 0.1}),
    (tw.step_decay, {"value": 0.1, "factor": 0.5, "every": 3}),
    (tw.exponential, {"value": 0.1, "factor": 0.5, "every": 3}),
    (tw.cosine, {"value": 0.1, "steps": 9, "end": 0.01}),
    (tw.inverse_sqrt, {"value": 0.1, "shift": 3}),
    (tw.inverse_time, {"value": 0.1, "decay": 0.1}),
    (tw.warmup, {"of": 0.1, "steps": 9}),
    (tw.join, {"first": 0.1, "then": 0.2, "at": 3}),
)


def starting(draw: random.Random, wild: Any) -> None:
    w, check = guarded(np.ones(5), draw.random() < 0.5)
    opt = tw.Adam(lr=0.1).on(w, **{draw.choice(OPTIONS): wild})
    opt.step(np.ones(5))
    check()


def training(draw: random.Random, wild: Any) -> None:
    opt = tw.Adagrad(lr=0.1).on(wild)
    opt.step(wild)


def stepping(draw: random.Random, wild: Any) -> None:
    w, check = guarded(np.ones(5), draw.random() < 0.5)
    opt = tw.Adam(lr=0.1).on(w)
    for _ in range(draw.randint(0, 2)):
        opt.step(np.ones(5))
    before = w.copy()
    try:
        opt.step(wild)
    except ThalwegError:
        assert w.tobytes() == before.tobytes()
        raise
    finally:
        check()


def sparse(draw: random.Random, wild: Any) -> None:
    w, check = guarded(np.ones((5, 2)), draw.random() < 0.5)
    opt = tw.Adagrad(lr=0.1).on(w)
    before = w.copy()
    parts = [np.array([1, 3]), np.ones((2, 2))]
    parts[draw.randrange(2)] = wild
    try:
        opt.step(tw.Rows(*parts))
    except ThalwegError:
        assert w.tobytes() == before.tobytes()
        raise
    finally:
        check()


def hyperparameters(draw: random.Random, wild: Any) -> None:
    kind = draw.choice((tw.SGD, tw.Adagrad, tw.Adam, tw.Adadelta, tw.RMSprop, tw.LpProp))
    kind(**{draw.choice((*kind.parts.lines, "nonsense")): wild})


def schedules(draw: random.Random, wild: Any) -> None:
    make, given = draw.choice(SCHEDULES)
    name = draw.choice(sorted(given))
    first = next(iter(given))
    values = given | {name: wild}
    make(values.pop(first), **values)


def rows(draw: random.Random, wild: Any) -> None:
    model = Model(Settings("squared_error"), 5)
    given: list[Any] = [np.ones((5, 5)), np.ones(5), np.ones(5), np.arange(5)]
    given[draw.randrange(4)] = wild
    with np.errstate(all="ignore"):
        model.learn(*given)


def fitting(draw: random.Random, wild: Any) -> None:
    from thalweg.fitting.settings import LINES

    FitSettings(**{draw.choice(sorted(LINES)): wild})


def reading(draw: random.Random, wild: Any) -> None:
    name = draw.choice(
        ("format", "block_bytes", "block_rows", "on_bad_line", "unlabelled", "zero_based", "features", "bits", "target",
         "weight", "tag", "ignore", "categorical", "numeric", "missing", "delimiter", "scale", "layout", "ahead")
    )  # fmt: skip
    path = Path(draw.choice(("a.svm", "a.vw", "a.csv")))
    given = {"target": "y"} if path.suffix == ".csv" else {}
    list(open_stream(path, **(given | {name: wild})))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "call", [starting, training, stepping, sparse, hyperparameters, schedules, rows, fitting, reading]
)
@trials(20)
def test_any_arguments(
    call: Callable[[random.Random, Any], None], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.svm").write_text("1 1:2\n")
    Path("a.vw").write_text("1 |a b\n")
    Path("a.csv").write_text("y,x\n1,2\n")
    refused = 0
    for draw in draws(count):
        try:
            call(draw, draw.choice(WILD)())
        except ThalwegError:
            refused += 1
    assert refused > count / 4
