"""Copies of a running optimizer: a twin with arrays of its own that takes the same path."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import StateError

from .strategies import RULES

Array = np.ndarray[Any, Any]
EVERYTHING: dict[str, Any] = {
    "weight_decay": 0.05, "decay": "coupled", "average": 0.9, "accumulate": 2, "clip_norm": 1.0,
}  # fmt: skip


def pickled(opt: Any) -> Any:
    return pickle.loads(pickle.dumps(opt))


WAYS: dict[str, Callable[[Any], Any]] = {"deepcopy": copy.deepcopy, "pickle": pickled}
way = pytest.mark.parametrize("twin_of", WAYS.values(), ids=WAYS)


def start() -> dict[str, Any]:
    """Rows, columns first, every other column of columns first, and a number."""
    base = np.linspace(-1, 1, 24).reshape(4, 6)
    return {
        "c": base.copy(),
        "f": [np.asfortranarray(base)],
        "gaps": base.copy("F")[:, ::2],
        "one": np.ones(()),
    }


def walk(opt: Any, steps: range) -> None:
    for t in steps:
        rng = np.random.default_rng(t)
        p = opt.params
        draw = rng.standard_normal
        missing = t % 3 == 2
        opt.step(
            {
                "c": draw(p["c"].shape),
                "f": [draw((4, 6))],
                "gaps": None if missing else draw((4, 3)),
                "one": draw(()),
            }
        )


def bits(opt: Any) -> list[bytes]:
    p, shown = opt.params, [opt.state[n] for n in sorted(opt.state)]
    arrays = [x for held in (p, *shown) for x in (held["c"], held["f"][0], held["gaps"], held["one"])]
    return [np.ascontiguousarray(x).tobytes() for x in arrays]


@way
@pytest.mark.parametrize("name", RULES)
def test_a_twin_takes_the_same_path(name: str, twin_of: Callable[[Any], Any]) -> None:
    """On the oracle, whose states are those of every engine."""
    opt = RULES[name]().on(start(), engine="plain")
    walk(opt, range(4))
    before = bits(opt)
    twin = twin_of(opt)
    walk(twin, range(4, 8))
    assert bits(opt) == before and twin.rule == opt.rule
    walk(opt, range(4, 8))
    assert bits(twin) == bits(opt) and twin.t == opt.t


@way
def test_a_twin_stands_in_the_middle_of_everything(twin_of: Callable[[Any], Any]) -> None:
    """Averages, an unfinished accumulation, a group of its own, counts that differ, steps left out."""
    opt = tw.Adam(lr=tw.cosine(0.1, steps=9)).on(
        start(), groups={"f": tw.SGD(lr=0.5)}, on_nonfinite="skip", **EVERYTHING
    )
    walk(opt, range(3))
    opt.step(
        {"c": np.full((4, 6), np.nan), "f": [np.ones((4, 6))], "gaps": np.ones((4, 3)), "one": np.ones(())}
    )
    twin = twin_of(opt)
    for x in (opt, twin):
        walk(x, range(3, 8))
    assert bits(twin) == bits(opt) and twin.skipped == opt.skipped == 1
    np.testing.assert_array_equal(twin.average["gaps"], opt.average["gaps"])


@way
def test_rows_that_are_behind_are_brought_up_to_date_first(twin_of: Callable[[Any], Any]) -> None:
    opt = tw.Momentum(lr=0.1).on(np.ones((5, 2)), exact="bits")
    for k in (0, 1, 0):
        opt.step(tw.Rows([k], np.ones((1, 2))))
    assert opt.stale
    twin = twin_of(opt)
    assert twin.stale == 0
    for x in (opt, twin):
        x.step(tw.Rows([3], np.ones((1, 2))))
        x.flush()
    np.testing.assert_array_equal(twin.params, opt.params)


@pytest.mark.parametrize("first", [True, False], ids=["params, opt", "opt, params"])
def test_what_is_copied_together_stays_together(first: bool) -> None:
    w = np.ones(3)
    opt = tw.SGD(lr=1.0).on(w, engine="plain")
    copies = copy.deepcopy((w, opt) if first else (opt, w))
    v, twin = copies if first else copies[::-1]
    twin.step(np.ones(3))
    assert twin.params is v and v.tolist() == [0.0] * 3 and w.tolist() == [1.0] * 3


def test_a_shallow_copy_is_refused() -> None:
    with pytest.raises(
        StateError, match=r"copy: a shallow copy would move the same arrays.*use copy\.deepcopy"
    ):
        copy.copy(tw.SGD().on(np.ones(3), engine="plain"))
