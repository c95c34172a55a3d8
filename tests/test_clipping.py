"""Clipping of gradients too large for what it protects: NaN and infinity are refused before, size is judged after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import thalweg as tw
from thalweg.errors import NonFiniteError
from thalweg.rules import shipped

from .strategies import few_rules_in_time

Array = np.ndarray[Any, Any]


def run(kind: type[tw.Rule], gradients: list[Any], dtype: Any, **settings: Any) -> dict[str, Array]:
    """Weights and states after a step for each gradient."""
    w = np.ones((3, 2), dtype)
    opt = kind(lr=0.25).on(w, **({"engine": "plain"} | settings))
    for g in gradients:
        opt.step(g)
    assert opt.skipped == 0
    return {"w": w, **opt.state}


def given(size: float, dtype: Any) -> Array:
    return np.array([[3, -4], [0, 1], [2, 0]], dtype) * dtype(size)


def agree(a: dict[str, Array], b: dict[str, Array], dtype: Any) -> None:
    for n, value in a.items():
        np.testing.assert_allclose(value, b[n], rtol=16 * np.finfo(dtype).eps)


SIZES = {np.float16: 2.0**13, np.float32: 2.0**125, np.float64: 2.0**1020}
CLIPS: dict[str, dict[str, Any]] = {
    "norm": {"clip_norm": 2.0**-3},
    "tiny norm": {"clip_norm": 2.0**-20},
    "value": {"clip_value": 0.5},
    "norm and value": {"clip_norm": 1.0, "clip_value": 0.3},
    "norm with decay": {"clip_norm": 1.0, "weight_decay": 0.1, "decay": "coupled"},
}


CASES = [(c, d) for c in CLIPS for d in SIZES if c == "norm" or d is np.float32]


@few_rules_in_time
@pytest.mark.parametrize(("clip", "dtype"), CASES, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_what_clipping_leaves_is_what_counts(name: str, clip: str, dtype: Any) -> None:
    """Gradients at the edge of their dtype give the step of gradients in the same direction that are a little too large."""
    kind = shipped()[name]
    small = [given(2.0**k, dtype) for k in (3, 4)]
    large = [given(SIZES[dtype], dtype), given(SIZES[dtype] / 2, dtype)]
    assert np.isfinite(large[0]).all()
    agree(run(kind, large, dtype, **CLIPS[clip]), run(kind, small, dtype, **CLIPS[clip]), dtype)


@pytest.mark.parametrize("settings", [{}, {"accumulate": 2}], ids=str)
@pytest.mark.parametrize("form", ["dense", "matrix", "rows"])
def test_sparse_and_gathered_gradients_too(form: str, settings: dict[str, Any]) -> None:
    """The compiled engine: rows, matrices and windows that are too large by far are clipped alike."""

    def shaped(g: Array) -> Any:
        if form == "dense":
            return g
        return sp.csr_array(g) if form == "matrix" else tw.Rows([0, 1, 2], g)

    def walk(size: float) -> dict[str, Array]:
        gradients = [shaped(given(size * 2.0**-k, np.float32)) for k in range(4)]
        return run(tw.Adam, gradients, np.float32, clip_norm=0.125, engine="cpu", **settings)

    agree(walk(2.0**110), walk(2.0**6), np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("clip", ["norm", "value"])
def test_what_is_not_finite_is_refused_before(bad: float, clip: str) -> None:
    w = np.ones((3, 2), np.float32)
    opt = tw.Adam().on(w, engine="plain", **CLIPS[clip])
    g = given(1.0, np.float32)
    g[1, 0] = bad
    with pytest.raises(NonFiniteError, match=r"at \(1, 0\) is not finite"):
        opt.step(g)
    assert (w == 1).all() and opt.t == 0


@pytest.mark.parametrize("form", ["dense", "rows"])
@pytest.mark.parametrize("how", ["raise", "skip"])
@pytest.mark.parametrize("settings", [{"clip_norm": 1e25}, {"clip_value": 1e25}], ids=str)
def test_a_loose_bound_does_not_let_states_overflow(settings: dict[str, Any], how: Any, form: str) -> None:
    """What is left by clipping is judged as gradients without clipping are, and nothing has moved."""
    w = np.ones((3, 2), np.float32)
    opt = tw.Adam().on(w, on_nonfinite=how, **settings)
    dense = given(1e20, np.float32)
    g = dense if form == "dense" else tw.Rows([0, 1, 2], dense)
    if how == "raise":
        with pytest.raises(NonFiniteError, match=r"of Adam in float32 \(at most 5\.765e\+17\)"):
            opt.step(g)
    else:
        opt.step(g)
        assert opt.skipped == 1
    assert (w == 1).all() and opt.t == 0 and not opt.state["v"].any()
    opt.step(given(1e15, np.float32))
    assert opt.t == 1


def test_a_group_and_a_dtype_are_judged_by_themselves() -> None:
    """One norm over float32 and float64; a bound that only one group has helps only that one."""
    w = {"a": np.ones(2, np.float32), "b": np.ones(2)}
    opt = tw.Adam().on(w, clip_norm=1.0, engine="plain")
    opt.step({"a": np.full(2, 3.0, np.float32), "b": np.full(2, 1e300)})
    np.testing.assert_allclose(opt.state["m"]["b"], 0.1 / np.sqrt(2), rtol=1e-12)
    assert not opt.state["m"]["a"].any()  # 3 beside 1e300 is 0 in float32
    w = {"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)}
    opt = tw.Adam().on(w, groups={"a": {"clip_value": 1.0}}, engine="plain")
    big, one = np.full(2, 1e25, np.float32), np.ones(2, np.float32)
    opt.step({"a": big, "b": one})
    with pytest.raises(NonFiniteError, match="gradient of 'b'"):
        opt.step({"a": one, "b": big})
