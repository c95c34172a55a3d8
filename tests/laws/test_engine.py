"""Promise 1: the compiled engine equals the formula, bit for bit."""

import itertools
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core import clock as scalars
from thalweg.core import update as compose
from thalweg.core.formula import signature
from thalweg.core.gain import lacks_gain
from thalweg.core.step_options import StepOptions
from thalweg.engines import plain
from thalweg.engines.cpu import launch, loops, pool
from thalweg.engines.cpu.dense_text import printed as source
from thalweg.printing.python import function_source
from thalweg.problems import catalogue

from ..strategies import FEW, FORMS, KINDS, RULES, every_rule, every_rule_in_time, form, streams

AROUND: dict[str, dict[str, Any]] = {
    "coupled, clipped": {"weight_decay": 0.1, "clip_value": 3.0},
    "decoupled, averaged": {"weight_decay": 0.1, "decay": "decoupled", "average": 0.9},
    "proximal, averaged": {"weight_decay": 0.1, "decay": "proximal", "l1_decay": 0.05, "average": 0.9},
    "all": {
        "weight_decay": 0.1,
        "clip_value": 3.0,
        "clip_norm": 5.0,
        "maximize": True,
        "accumulate": 3,
        "average": "polyak",
        "rates": True,
    },
}


def run(
    rule: Any, engine: str, dtype: str, steps: int, shape: tuple[int, ...] = (37,), **settings: Any
) -> list[Any]:
    """Everything that steps leave behind: weights, states, average, rates."""
    w = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    opt = rule.on(w, engine=engine, on_nonfinite="propagate", **settings)
    for g in streams(dtype, shape, steps):
        opt.step(g)
    left = [w, *opt.state.values()]
    if settings.get("average"):
        left.append(opt.average)
    if rule.parts.rate is not None:
        left.append(opt.rates())
    return left


def same_bits(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )


WIDE = [(n, d, x) for n, d in FORMS for x in ("float64", "float32")]
NARROW = [  # float32's formula between two conversions
    pytest.param(n, d, "float16", marks=[pytest.mark.slow] * (n not in FEW)) for n, d in FORMS if n in KINDS
]


@pytest.mark.parametrize(("name", "dialect", "dtype"), [*WIDE, *NARROW])
def test_cpu_equals_the_formula(name: str, dialect: str, dtype: str) -> None:
    """Twelve steps over gradients of many sizes."""
    rule = form(name, dialect)
    assert same_bits(run(rule, "cpu", dtype, 12), run(rule, "plain", dtype, 12))


@pytest.mark.parametrize(
    ("name", "around"),
    [
        pytest.param(n, a, marks=[pytest.mark.slow] * (n not in (KINDS if a == "all" else FEW)))
        for a in AROUND
        for n in RULES
        if (a == "all" or n in KINDS) and not (a.startswith("proximal") and lacks_gain(RULES[n].parts))
    ],
)
def test_cpu_equals_the_formula_with_all_that_stands_around(name: str, around: str) -> None:
    """Twelve steps; decoupled decay in float64, so that both widths are seen."""
    rule = RULES[name]()
    dtype = "float64" if around == "decoupled, averaged" else "float32"
    ours = run(rule, "cpu", dtype, 12, **AROUND[around])
    assert same_bits(ours, run(rule, "plain", dtype, 12, **AROUND[around]))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 4.0, 7.5, 100.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_powers_equal_the_formula(p: float, dtype: str) -> None:
    """With and without printed powers."""
    rule = tw.LpProp(p=p)
    ours = run(rule, "cpu", dtype, 12)
    assert same_bits(ours, run(rule, "plain", dtype, 12))
    assert all(np.isfinite(x).all() for x in ours)


def test_small_powers_are_printed_without_powers() -> None:
    printed = {
        p: source(
            compose.update(tw.LpProp(p=p), StepOptions(), scalars.known(tw.LpProp(p=p))), np.dtype("f4")
        )
        for p in (1.0, 2.0, 4.0, 3.0)
    }
    assert [("pow" in text) for text in printed.values()] == [False, False, False, True]


@every_rule_in_time
def test_bits_do_not_depend_on_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread and three, with slices small enough to be shared out."""
    monkeypatch.setattr(launch, "GRAIN", 64)
    before = pool.threads()
    rule = RULES[name]()
    try:
        results = []
        for count in (1, 3):
            tw.set_threads(count)
            results.append(run(rule, "cpu", "float32", 12, (1003,), **AROUND["all"]))
    finally:
        tw.set_threads(before)
    assert same_bits(*results)


@every_rule
def test_the_printed_oracle_is_the_function_itself(name: str) -> None:
    """Calling ``step`` as it stands in the file gives what its printed form gives."""
    rule = RULES[name]()
    update = compose.update(rule)
    element = plain.element(update, np.dtype(np.float64))
    states = [0.5 + 0.1 * i for i in range(len(rule.parts.states))]
    for t, g in itertools.product((1, 2, 50), (-1.5, 0.0, 1e-3)):
        values = [0.7, g, *states]
        s = scalars.clock(rule)(t)
        direct = rule.parts.step(*values, *s)
        direct = direct if isinstance(direct, tuple) else (direct,)
        made = element(*(np.float64(x) for x in (*values, *s)))
        np.testing.assert_allclose(np.array(made), np.array(direct), rtol=1e-15)
        assert len(signature(rule.parts.step)[1]) == len(s)


LOOPS = [
    pytest.param(n, p, marks=[pytest.mark.slow] * (n not in FEW))
    for p, names in (("beale", KINDS), ("quadratic", RULES), ("neuron", RULES))
    for n in names
]


@pytest.mark.parametrize(("name", "problem"), LOOPS)
def test_compiled_loops_walk_the_optimizers_path(name: str, problem: str) -> None:
    """A whole run in one kernel has the bits of step after step, rates included."""
    p: Any = catalogue()[problem]()
    rule = RULES[name](lr=tw.cosine(1e-2, steps=50)) if problem == "beale" else RULES[name](lr=1e-2)
    start = p.start(3)
    order = p.order(3, 1, 40)
    trace = loops.run(
        rule,
        p.objective,
        start[None],
        40,
        record=("path", "rates", "loss"),
        data=p.data,
        order=None if order is None else order[None],
    )
    assert trace.path is not None
    assert trace.rates is not None
    assert trace.loss is not None
    w = start.copy()
    opt = rule.on(w, engine="plain")
    gradient = plain_gradient(p)
    for t in range(40):
        opt.step(gradient(w, None if order is None else order[t]))
        np.testing.assert_array_equal(w, trace.path[0, t + 1])
        np.testing.assert_array_equal(opt.rates(), trace.rates[0, t + 1])
    np.testing.assert_allclose(trace.loss[0, -1], p.loss(w), rtol=1e-12)


def plain_gradient(p: Any) -> Any:
    """The problem's gradient on the oracle's scalars, rows added one by one."""
    formula = p.objective.gradient_formula
    inputs, outputs = (*formula.inputs, *formula.scalars), (e for _, e in formula.outputs)
    source = function_source("f", plain.PRINTER, inputs, formula.body, outputs)
    import thalweg.core.math as formulas

    space: dict[str, Any] = {n: getattr(formulas, n) for n in (*formulas.LIBM, "power")}
    space |= {"F": np.float64, "np_sqrt": np.sqrt}
    exec(source, space)

    def gradient(w: Any, rows: Any) -> Any:
        point = [np.float64(x) for x in w]
        if p.data is None:
            return np.array(space["f"](*point))
        chosen = p.data if rows is None else p.data[rows]
        total = [np.float64(0.0)] * len(point)
        for row in chosen:
            total = [a + b for a, b in zip(total, space["f"](*point, *row), strict=True)]
        return np.array([x / np.float64(len(chosen)) for x in total])

    return gradient


def test_many_configurations_are_each_their_own_run() -> None:
    """A map of learning rates and epsilons: each cell is the run of that rule alone."""
    p: Any = catalogue()["rosenbrock"]()
    lrs, epsilons = np.array([1e-3, 1e-2, 1e-1]), np.array([1e-8, 1e-2, 1.0])
    starts = np.tile(p.start(0), (3, 1))
    trace = loops.run(tw.Adam(), p.objective, starts, 30, vary={"lr": lrs, "eps": epsilons}, record=("path",))
    assert trace.path is not None
    for i in range(3):
        alone = loops.run(tw.Adam(lr=lrs[i], eps=epsilons[i]), p.objective, starts[:1], 30, record=("path",))
        assert alone.path is not None
        np.testing.assert_array_equal(trace.path[i], alone.path[0])


def test_a_varied_line_out_of_range_is_refused() -> None:
    p: Any = catalogue()["beale"]()
    with pytest.raises(tw.errors.HyperparameterError, match=r"lr must lie in \[0, inf\), got -1.0"):
        loops.run(tw.Adam(), p.objective, np.ones((2, 2)), 5, vary={"lr": np.array([0.1, -1.0])})
