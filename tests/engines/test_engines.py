"""The contract of engines (``engines/contract.py``): one suite for all, against the oracle.

A new engine is one row in ENGINES: how it runs an update on arrays, and how far from the oracle it may be.
"""

import pkgutil
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

import thalweg as tw
from thalweg import engines
from thalweg.core import catch_up
from thalweg.core import clock as scalars
from thalweg.core import update as compose
from thalweg.core.objective import Scored
from thalweg.core.rule import Rule
from thalweg.core.step_options import StepOptions
from thalweg.core.update import Update
from thalweg.engines.cpu import dense, loops, sparse
from thalweg.engines.memory import address
from thalweg.problems import catalogue
from thalweg.problems.logistic import Zipf

from ..laws.test_engine import plain_gradient, same_bits
from ..strategies import FEW, KINDS, RULES, streams
from ..test_linear import compare
from .odd_rules import ODD

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Scalars = tuple[float, ...]
OPTIONS = StepOptions(rates=True)
STEPS, SHAPE = 6, (12, 3)


def batch(name: str, rule: Rule, update: Update, arrays: Arrays, gradients: list[Array]) -> None:
    """An engine on NumPy arrays, as the optimizer calls it."""
    made = engines.engine(name).batch(
        update, arrays["w"].dtype, [{n: a.reshape(-1) for n, a in arrays.items()}]
    )
    for t, g in enumerate(gradients, start=1):
        made.bind(0, g.reshape(-1))
        assert made.step([scalars.clock(rule)(t)], [0])


def sweep(rule: Rule, update: Update, arrays: Arrays, gradients: list[Array]) -> None:
    """The compiled kernel on addresses, as torch's door calls it."""
    for t, g in enumerate(gradients, start=1):
        row = [g.size, *(address({**arrays, "g": g}[n]) for n in update.arrays)]
        pass_ = dense.Sweep(update, g.dtype.name, [row])
        assert pass_.finite()
        pass_.run([scalars.clock(rule)(t)], [0])


def rows(rule: Rule, update: Update, arrays: Arrays, gradients: list[Array]) -> None:
    """Sparse steps that touch every row, in an order of their own."""
    plan = catch_up.plan(rule, OPTIONS, "bits", 53)
    count, width = SHAPE
    places = [address(arrays[n]) for n in update.arrays if n != "g"]
    table = sparse.Table(
        rule.parts, update, plan, str(arrays["w"].dtype), places, count, width, t=0, fresh=True, keep=arrays
    )
    for t, g in enumerate(gradients, start=1):
        order = np.random.default_rng(t).permutation(count)
        table.step(order, np.ascontiguousarray(g[order]), scalars.clock(rule)(t), (), 0.1)


def by_name(
    step: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]],
    rule: Rule,
    update: Update,
    arrays: Arrays,
    gradients: list[Array],
) -> None:
    """An engine that is a function of arrays and scalars by name."""
    for t, g in enumerate(gradients, start=1):
        values = map(g.dtype.type, scalars.clock(rule)(t))
        after = step({**arrays, "g": g}, dict(zip(update.scalars, values, strict=True)))
        for n, value in after.items():
            arrays[n][...] = value


def array_module(rule: Rule, update: Update, *data: Any) -> None:
    from thalweg.engines import ops

    by_name(ops.applied(update), rule, update, *data)


def xla(rule: Rule, update: Update, *data: Any) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'thalweg[optax]'")
    from thalweg.engines import xla

    with jax.enable_x64(True), jax.disable_jit():
        by_name(xla.element(update), rule, update, *data)


def triton(rule: Rule, update: Update, arrays: Arrays, gradients: list[Array]) -> None:
    """The launch that torch's door makes, carried out by Triton's interpreter on CPU tensors."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'thalweg[cuda]'")
    pytest.importorskip("triton", reason="Triton is not installed: pip install 'thalweg[cuda]'")
    from thalweg.engines import cuda

    from ..test_cuda import forget, interpreted

    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        from triton.language.extra import libdevice

        patch.setenv("TRITON_INTERPRET", "1")
        for n in ("expm1", "floor", "log"):
            patch.setattr(libdevice, n, interpreted(getattr(np, n)))
        patch.setattr(libdevice, "pow", interpreted(np.power))
        forget()
        for t, g in enumerate(gradients, start=1):
            row = [g.size, *(address({**arrays, "g": g}[n]) for n in update.arrays)]
            where = cuda.table([row], [0])
            given = torch.tensor(scalars.clock(rule)(t), dtype=torch.float64)
            cuda.update(update, g.dtype.name, where, torch.tensor(where.words), given)
        forget()


class Engine(NamedTuple):
    """How an engine runs an update in place, the module it is, and how many ulps it may be away."""

    run: Callable[[Rule, Update, Arrays, list[Array]], None]
    module: str
    ulps: float = 0.0


ENGINES = {
    "cpu": Engine(partial(batch, "cpu"), "cpu"),
    "sweep": Engine(sweep, "cpu"),
    "sparse": Engine(rows, "cpu"),
    "ops": Engine(array_module, "ops", 2.0),  # NumPy's own power
    "xla": Engine(xla, "xla", 2.0),
    "cuda": Engine(triton, "cuda"),
}
NEITHER = {"plain", "contract", "memory", "at_rest"}  # the oracle, the contract, what all know, a check


def test_every_engine_is_in_the_list() -> None:
    modules = {m.name for m in pkgutil.iter_modules(engines.__path__)}
    assert modules - NEITHER == {e.module for e in ENGINES.values()}


def after(run: Callable[..., None], rule: Rule, dtype: str) -> Arrays:
    """What some steps leave behind, from the same start."""
    update = compose.update(rule, OPTIONS, scalars.known(rule))
    rng = np.random.default_rng(0)
    starts = {"w": rng.standard_normal(SHAPE), "_rate": np.nan, **rule.values}
    arrays = {n: np.full(SHAPE, starts[n], dtype=dtype) for n in update.arrays if n != "g"}
    run(rule, update, arrays, list(streams(dtype, SHAPE, STEPS)))
    return arrays


@pytest.mark.parametrize("dtype", [pytest.param("float64", marks=pytest.mark.slow), "float32"])
@pytest.mark.parametrize("rule", ODD)
@pytest.mark.parametrize("engine", ENGINES)
def test_odd_names_change_nothing(engine: str, rule: str, dtype: str) -> None:
    agrees(engine, ODD[rule](), dtype)


def case(engine: str, rule: str) -> Any:
    """Where a kernel is compiled or interpreted, by default once a kind."""
    return pytest.param(
        engine,
        rule,
        marks=[pytest.mark.slow] * (engine != "ops" and rule not in (FEW if engine == "sparse" else KINDS)),
    )


@pytest.mark.parametrize(("engine", "rule"), [case(e, r) for e in ENGINES for r in RULES])
def test_every_rule_agrees_with_the_oracle(engine: str, rule: str) -> None:
    agrees(engine, RULES[rule](), "float32")


def agrees(engine: str, rule: Rule, dtype: str) -> None:
    """The engine's arrays are the oracle's, to the bit or within its ulps."""
    chosen = ENGINES[engine]
    ours, oracle = after(chosen.run, rule, dtype), after(partial(batch, "plain"), rule, dtype)
    if not chosen.ulps:
        assert same_bits([*ours.values()], [*oracle.values()])
        return
    for n, wanted in oracle.items():
        np.testing.assert_allclose(ours[n], wanted, rtol=chosen.ulps * 2 * STEPS * np.finfo(dtype).eps)


@pytest.mark.parametrize("rule", ODD)
@pytest.mark.parametrize("problem", [pytest.param("beale", marks=pytest.mark.slow), "neuron"])
def test_odd_names_in_compiled_loops(rule: str, problem: str) -> None:
    """Unrolled: a whole run has the bits of step after step."""
    p: Any = catalogue()[problem]()
    start, order = p.start(3), p.order(3, 1, 9)
    chosen = ODD[rule](lr=0.01)
    orders = None if order is None else order[None]
    trace = loops.run(
        chosen, p.objective, start[None], 9, record=("path", "rates"), data=p.data, order=orders
    )
    assert trace.path is not None and trace.rates is not None
    w, gradient = start.copy(), plain_gradient(p)
    opt = chosen.on(w, engine="plain")
    for t in range(9):
        opt.step(gradient(w, None if order is None else order[t]))
        np.testing.assert_array_equal(w, trace.path[0, t + 1])
        np.testing.assert_array_equal(opt.rates(), trace.rates[0, t + 1])


@pytest.mark.parametrize("rule", ODD)
def test_odd_names_in_scored_loops(rule: str) -> None:
    p = Zipf(rows=60, features=19)
    assert isinstance(p.objective, Scored)
    order = p.order(3, 7, 9)
    assert order is not None
    trace = loops.run(
        ODD[rule](), p.objective, p.start(3)[None], 9, record=("path",), data=p.data, order=order[None]
    )
    assert trace.path is not None
    w = p.start(3)
    opt = ODD[rule]().on(w, engine="plain")
    for chosen in order:
        opt.step(p.gradient(w, chosen))
    np.testing.assert_allclose(trace.path[0, -1], w, rtol=1e-9, atol=1e-11)


@numba.njit
def bowl(x: Any) -> Any:
    return (x * x).sum(), 2 * x


@pytest.mark.parametrize(
    "rule", [*ODD, *(pytest.param(n, marks=[pytest.mark.slow] * (n not in FEW)) for n in RULES)]
)
def test_objective_loops_take_the_steps_of_python(rule: str) -> None:
    """Compiled, and with a callback, which keeps the loop in Python: the same run."""
    given: dict[str, Any] = {"method": {**ODD, **RULES}[rule](lr=0.01), "jac": True, "maxiter": 30}
    compiled = tw.minimize(bowl, [-1.2, 1.0], **given)
    plain = tw.minimize(bowl, [-1.2, 1.0], callback=lambda xk: None, **given)
    assert compiled.nit == plain.nit > 4
    np.testing.assert_array_equal(compiled.x, plain.x)


@pytest.mark.parametrize("rule", ODD)
def test_odd_names_in_linear_passes(rule: str) -> None:
    compare(ODD[rule](lr=0.01))
