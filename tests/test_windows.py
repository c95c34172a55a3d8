"""Accumulated gradients: a window is so many calls for all parameters, whatever each of them was given."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import thalweg as tw
from thalweg.errors import NonFiniteError

Array = np.ndarray[Any, Any]


def drawn(seed: int, shape: tuple[int, ...] = (4, 2)) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def two() -> dict[str, Array]:
    return {"a": np.ones((4, 2)), "b": np.full((4, 2), 2.0)}


def bits(opt: Any) -> list[bytes]:
    trees = [opt.params, *opt.state.values()]
    return [x.tobytes() for tree in trees for x in tree.values()]


def test_a_parameter_without_gradient_stays_in_step() -> None:
    """What it was not given counts as 0; the windows of the others do not drift from its own."""
    opt = tw.Adam(lr=0.1).on(two(), accumulate=3, engine="plain")
    twin = tw.Adam(lr=0.1).on(two(), engine="plain")
    for window in range(4):
        a = [drawn(10 * window + k) for k in range(3)]
        b = drawn(100 + window)
        for k in range(3):
            opt.step({"a": a[k], "b": b if k == window % 3 else None})
        twin.step({"a": (a[0] + a[1] + a[2]) * (1 / 3), "b": b * (1 / 3)})
        assert bits(opt) == bits(twin) and opt.t == window + 1


def test_none_in_a_whole_window_leaves_a_parameter_alone() -> None:
    opt = tw.Adam(lr=0.1).on(two(), accumulate=2, engine="plain")
    opt.step({"a": drawn(0), "b": drawn(1)})
    opt.step({"a": None, "b": None})  # a call all the same
    assert opt.t == 1
    kept = [x["b"].tobytes() for x in (opt.params, *opt.state.values())]
    for k in range(2):
        opt.step({"a": drawn(k), "b": None})
    assert [x["b"].tobytes() for x in (opt.params, *opt.state.values())] == kept
    assert opt.t == {"a": 2, "b": 1}


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_call_that_is_skipped_does_not_count(where: int) -> None:
    """A gradient that is not finite is left out, at whichever place in the window; the next one takes it."""
    given: dict[str, Any] = {"accumulate": 2, "engine": "plain"}
    opt, twin = tw.SGD(lr=1.0).on(two(), on_nonfinite="skip", **given), tw.SGD(lr=1.0).on(two(), **given)
    calls = [{"a": drawn(k), "b": None if k else drawn(9)} for k in range(4)]
    for k, g in enumerate(calls):
        if k == where:
            opt.step({"a": np.full((4, 2), np.inf), "b": drawn(5)})
        opt.step(g)
        twin.step(g)
    assert opt.skipped == 1 and bits(opt) == bits(twin) and opt.t == twin.t == {"a": 2, "b": 1}


FORMS: dict[str, Any] = {
    "dense": lambda g: g,
    "rows": lambda g: tw.Rows(np.flatnonzero(g.any(1)), g[g.any(1)]),
    "matrix": sp.csr_array,
}
AROUND: dict[str, dict[str, Any]] = {
    "bare": {},
    "clipped": {"clip_norm": 0.05},
    "decayed": {"weight_decay": 0.1, "average": 0.9},
}


NOW = ("dense bare", "rows clipped")
CASES = [
    pytest.param(f, a, marks=[pytest.mark.slow] * (f"{f} {a}" not in NOW)) for f in FORMS for a in AROUND
]


@pytest.mark.parametrize(("form", "around"), CASES)
def test_finish_divides_by_the_calls_made(form: str, around: str) -> None:
    """An unfinished window is one step with the mean so far; dense and sparse, given and missing, clipped or not."""
    w, v = two(), two()
    opt = tw.Momentum(lr=0.1).on(w, accumulate=4, exact="bits", **AROUND[around])
    twin = tw.Momentum(lr=0.1).on(v, **AROUND[around])
    zero = np.zeros((4, 2))
    for window in range(3):
        a, b = [drawn(10 * window + k) for k in range(3)], drawn(50 + window)
        for x in (*a, b):
            x[window % 4] = 0.0
        for k in range(3):
            opt.step({"a": FORMS[form](a[k]), "b": FORMS[form](b) if k == 0 else None})
        before = opt.t
        opt.finish()
        assert opt.t == (before + 1 if window else 1)
        twin.step({"a": (zero + a[0] + a[1] + a[2]) * (1 / 3), "b": b * (1 / 3)})
        for n in w:
            np.testing.assert_allclose(opt.params[n], twin.params[n], rtol=1e-13)
    opt.finish()  # nothing is open
    assert opt.t == 3
    for _ in range(4):
        opt.step({"a": a[0], "b": b})  # objects that were bound before
    twin.step({"a": a[0], "b": b})
    np.testing.assert_allclose(opt.params["b"], twin.params["b"], rtol=1e-13)


def test_finish_without_windows_is_no_step() -> None:
    opt = tw.SGD(lr=1.0).on(np.ones(2), engine="plain")
    opt.step(np.ones(2))
    opt.finish()
    assert opt.t == 1


def test_finish_raises_as_a_step_does_and_may_be_called_again() -> None:
    """Nothing has moved; the window is still open."""
    w = np.ones(2, np.float32)
    opt = tw.Adam().on(w, accumulate=3, clip_norm=1e30, engine="plain")
    opt.step(np.full(2, 1e25, np.float32))
    for _ in range(2):
        with pytest.raises(NonFiniteError, match="clip_norm=1e\\+30 leaves too much"):
            opt.finish()
    assert (w == 1).all() and opt.t == 0


def _by_file(opt: Any, path: Path, old: bool) -> Any:
    """A run that goes on from a file; old: as 0.1.0 wrote it, that counted calls by parameter."""
    opt.save(path)
    if old:
        with np.load(path) as file:
            members = dict(file)
        head = json.loads(members["head"].tobytes())
        del head["calls"]
        with open(path, "wb") as out:
            np.savez(out, **{**members, "head": np.frombuffer(json.dumps(head).encode(), np.uint8)})
    return tw.load(path, {n: np.zeros_like(x) for n, x in opt.params.items()})


@pytest.mark.parametrize("how", ["file", "old file", "copy"])
def test_a_window_goes_on_where_it_was_left(how: str, tmp_path: Path) -> None:
    """In the middle, with gaps; a file of 0.1.0 has as many calls behind it as its busiest parameter has gradients."""
    opt = tw.Momentum(lr=0.1).on(two(), accumulate=4)
    opt.step({"a": drawn(0), "b": None})
    opt.step({"a": drawn(1), "b": drawn(2)})
    if how != "old file":
        opt.step({"a": None, "b": None})
    twin = copy.deepcopy(opt) if how == "copy" else _by_file(opt, tmp_path / "run", how == "old file")
    for run in (opt, twin):
        for k in range(3):
            run.step({"a": drawn(5 + k), "b": None})
        run.finish()
    assert bits(opt) == bits(twin) and opt.t == twin.t
    assert opt.t == {"a": 2, "b": 1}
