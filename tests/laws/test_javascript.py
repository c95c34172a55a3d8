"""What is printed to JavaScript is what the engines compute: bit for bit where C's libm has no part in it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core import clock as scalars
from thalweg.core import math as formulas
from thalweg.core import update as compose
from thalweg.core.formula import Formula
from thalweg.core.math import LIBM
from thalweg.core.rule import Rule
from thalweg.core.schedule import Schedule
from thalweg.core.step_options import StepOptions
from thalweg.engines.ops import applied, vectorised
from thalweg.errors import RuleError
from thalweg.printing import javascript
from thalweg.printing.python import Printer, function_source
from thalweg.problems import landscape, landscape_catalogue

from ..strategies import FORMS, RULES, form
from .node import STAND_INS, needs_node, node, same_bits, stand_in_prelude, ulps

LANDSCAPES = ("rosenbrock", "beale", "himmelblau", "matyas", "six-hump-camel")  # none calls libm
TIMES = (*range(1, 41), 99, 100, 101, 1000, 123_456)


def with_stand_ins(formula: Formula, names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    """A formula as a function of arrays of these names, with the stand-ins for libm."""
    printer = Printer(power="power({0}, {1})", functions={"where": "where({0}, {1}, {2})"})
    source = function_source("f", printer, names, formula.body, (e for _, e in formula.outputs))
    space: dict[str, Any] = {"where": np.where, "sqrt": np.sqrt, "abs": np.abs, "floor": np.floor}
    for n, body in STAND_INS.items():
        space[n] = eval(f"lambda {'x, y' if n == 'power' else 'x'}: {body}")
    exec(source, space)
    return space["f"]  # type: ignore[no-any-return]


def calls_libm(formula: Formula) -> bool:
    """Whether the formula calls anything that IEEE does not define."""
    text = javascript.PRINTER.section(formula)
    lines = " ".join([*text[0], *text[1].values()])
    return any(f"{n}(" in lines for n in (*LIBM, "power") if n != "floor")


def rates_of(rule: Rule) -> list[Rule]:
    """The rule, and at thirty times the rate, where most runs overflow."""
    lr = rule.hyperparameters.get("lr")
    return [rule] if lr is None else [rule, rule.replace(lr=30 * lr)]


def oracle(rules: Sequence[Rule], tables: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The paths (steps, rules, landscapes, 2) of rules of one class, and all that they leave, in ``layout``'s order.

    Their scalars stand in ``tables`` (rules, steps, scalars). All in NumPy's float64, which is IEEE's.
    """
    rule = rules[0]
    names = scalars.names(rule)
    known = scalars.known(rule)
    update = compose.update(rule, StepOptions(rates=rule.parts.rate is not None), known)
    run = applied(update)
    gradients = [vectorised(landscape(n).objective.gradient_formula) for n in LANDSCAPES]
    starts = np.array([landscape(n).starts[0] for n in LANDSCAPES])
    shape = (len(rules), *starts.shape)
    arrays = {"w": np.broadcast_to(starts, shape).copy(), "g": np.zeros(shape)}
    arrays |= {
        n: np.broadcast_to(np.array([float(getattr(r, n)) for r in rules])[:, None, None], shape)
        for n in rule.parts.states
    }
    path = np.empty((tables.shape[1], *shape))
    with np.errstate(all="ignore"):
        for k in range(len(path)):
            for j, gradient in enumerate(gradients):
                w = arrays["w"][:, j]
                arrays["g"][:, j] = np.stack(gradient(w[:, 0], w[:, 1]), axis=-1)
            values = {n: tables[:, k, i, None, None] for i, n in enumerate(names)}
            after = run(arrays, values)
            arrays = {**arrays, **after}
            path[k] = arrays["w"]
    return path, [arrays[n] for n in javascript.layout(rule)]


RUN = """
const run = (rule, landscapes, starts, states, table, h) => {
  const many = rule.scalars.length;
  for (let j = 0; j < landscapes.length; j++) {
    const coordinates = [0, 1].map((k) => Float64Array.from([starts[2 * j + k], 0, ...states, NaN]));
    const w = new Float64Array(2), g = new Float64Array(2), c = new Float64Array(many);
    const path = new Float64Array(2 * steps);
    for (let t = 0; t < steps; t++) {
      if (h) rule.clock(t + 1, h, c);
      else c.set(table.subarray(t * many, (t + 1) * many));
      for (let k = 0; k < 2; k++) w[k] = coordinates[k][0];
      landscapes[j].gradient(w, [], g);
      for (let k = 0; k < 2; k++) {
        coordinates[k][1] = g[k];
        rule.step(coordinates[k], c);
        path[2 * t + k] = coordinates[k][0];
      }
    }
    keep(path);
    for (const x of coordinates) keep(x.subarray(0, rule.places.length));
  }
};
let at = 0;
const take = (count) => given.subarray(at, (at += count));
"""


@needs_node
@pytest.mark.parametrize("steps", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_every_path_is_the_formulas(steps: int, tmp_path: Path) -> None:
    """Every rule and dialect on five landscapes, also at 30 times the rate, for 500 steps in the slow suite.

    With the scalars of each step as Python has them, and, where the clock calls no libm, by the printed clock.
    """
    source = [f"const steps = {steps};", RUN]
    source += [
        "const landscapes = ["
        + ", ".join(javascript.objective(landscape(n).objective) for n in LANDSCAPES)
        + "];"
    ]
    given: list[float] = [x for n in LANDSCAPES for x in landscape(n).starts[0]]
    source += [f"const starts = take({len(given)});"]
    wanted, names = [], []
    for name in RULES:
        forms = [(d, r) for n, d in FORMS if n == name for r in rates_of(form(n, d))]
        clocks = [scalars.clock(r) for _, r in forms]
        tables = np.array([[c(t + 1) for t in range(steps)] for c in clocks])
        dialects = [d for n, d in FORMS if n == name]
        path, left = oracle([r for _, r in forms], tables)
        for i, (dialect, rule) in enumerate(forms):
            exact = not calls_libm(rule.clock_formula)
            if dialect not in {d for d, _ in forms[:i]}:
                source += [f"const rule_{name}_{dialects.index(dialect)} = {javascript.rule(rule)};"]
            printed_rule = f"rule_{name}_{dialects.index(dialect)}"
            starts = [float(getattr(rule, n)) for n in rule.parts.states]
            hyper = list(rule.at(0).values())
            given += [*starts, *tables[i].ravel(), *hyper]
            source += [
                f"{{ const states = take({len(starts)}), table = take({tables[i].size}), h = take({len(hyper)});",
                f"run({printed_rule}, landscapes, starts, states, table);",
                f"run({printed_rule}, landscapes, starts, states, table, h);" * exact + "}",
            ]
            names += [f"{name}:{dialect}"]
            both = [
                np.concatenate(
                    [path[:, i, j].ravel(), *(np.ravel(x[i, j, k]) for k in range(2) for x in left)]
                )
                for j in range(len(LANDSCAPES))
            ]
            wanted += [np.concatenate(both * (1 + exact))]
    printed = node(tmp_path, "\n".join(source), given)
    assert printed.size == sum(w.size for w in wanted)
    wrong = [
        n
        for n, ours, theirs in zip(
            names, wanted, np.split(printed, np.cumsum([w.size for w in wanted])[:-1]), strict=True
        )
        if not same_bits(ours, theirs).all()
    ]
    assert wrong == []
    overflown = sum(not np.isfinite(w).all() for w in wanted)
    assert 0 < overflown < len(wanted) / 2


@needs_node
def test_libm_is_the_browsers_to_an_ulp(tmp_path: Path) -> None:
    """Also at zeros, infinities and NaN; floor, root and the special cases of powers are exact."""
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 1e-310, 800.0, -800.0, math.inf, -math.inf, math.nan]
    x = np.concatenate([special, rng.standard_normal(2000) * 2.0 ** rng.integers(-8, 8, 2000)])
    y = np.concatenate([np.roll(special, 1), rng.standard_normal(2000) * 3])
    x, y = np.concatenate([x, np.repeat(special, len(special))]), np.concatenate([y, special * len(special)])
    names = (*LIBM, "sqrt", "abs")
    source = f"const n = {len(x)}, x = given.subarray(0, n), y = given.subarray(n);"
    source += (
        "".join(f"keep(x.map((v) => {n}(v)));" for n in names) + "keep(x.map((v, i) => power(v, y[i])));"
    )
    printed = dict(zip((*names, "power"), node(tmp_path, source, [*x, *y]).reshape(-1, len(x)), strict=True))
    ours = {n: np.array([float(getattr(formulas, n)(v)) for v in x]) for n in names}
    ours["power"] = np.array([float(formulas.power(a, b)) for a, b in zip(x, y, strict=True)])
    assert all(same_bits(ours[n], printed[n]).all() for n in ("sqrt", "abs", "floor"))
    far = {n: ulps(v, printed[n]).max() for n, v in ours.items()}
    assert not {n: d for n, d in far.items() if d > (3 if n == "tanh" else 1)}
    assert max(far.values()) > 0


@needs_node
def test_every_clock_is_the_formula(tmp_path: Path) -> None:
    """Every rule and dialect, with stand-ins for libm on both sides."""
    source, given, wanted = [f"const times = {list(TIMES)};"], [], []
    for name, dialect in FORMS:
        rule = form(name, dialect)
        formula, hyper = rule.clock_formula, list(rule.at(0).values())
        function = f"clock{len(wanted)}"
        source += [
            f"const {function} = {javascript.clock(rule)};",
            f"for (const t of times) {{ const c = new Float64Array({len(formula.outputs)});",
            f"{function}(t, given.subarray({len(given)}, {len(given) + len(hyper)}), c); keep(c); }}",
        ]
        given += hyper
        row = with_stand_ins(formula, formula.inputs)
        with np.errstate(all="ignore"):
            wanted += [[np.float64(v) for v in row(np.float64(t), *map(np.float64, hyper))] for t in TIMES]
    printed = node(tmp_path, "\n".join(source), given, stand_in_prelude())
    assert same_bits(np.concatenate(wanted), printed).all()


@needs_node
def test_every_landscape_is_the_formula(tmp_path: Path) -> None:
    """Value, gradient and Hessian at 50 points of the window, with stand-ins for libm on both sides."""
    rng = np.random.default_rng(0)
    source, given, wanted, names = [], [0.0], [], []
    for n, make in landscape_catalogue().items():
        p = make()
        o, d = p.objective, len(p.starts[0])
        x = rng.uniform(-3, 3, (50, d))
        rows = np.zeros((50, 0)) if p.data is None else p.data[rng.integers(p.rows, size=50)]
        source += [f"{{ const o = {javascript.objective(o)};"]
        parts = {"value": o.value_formula, "gradient": o.gradient_formula, "hessian": o.hessian_formula}
        for part, formula in parts.items():
            assert formula is not None
            width, size = rows.shape[1], len(formula.outputs)
            source += [
                f"for (let i = 0; i < 50; i++) {{ const at = {len(given)} + i * {d + width};",
                f"const out = new Float64Array({size}), x = given.subarray(at, at + {d});",
                f"o.{part}(x, given.subarray(at + {d}, at + {d + width}), out); keep(out); }}",
            ]
            run = with_stand_ins(formula, (*formula.inputs, *formula.scalars))
            with np.errstate(all="ignore"):
                values = np.broadcast_arrays(*run(*x.T, *rows.T), x[:, 0])[:-1]
            wanted += [np.stack(values, axis=-1).ravel()]
            names += [f"{n}: {part}"]
        source += ["}"]
        given += [*np.concatenate([x, rows], axis=1).ravel()]
    printed = node(tmp_path, "\n".join(source), given, stand_in_prelude())
    parted = np.split(printed, np.cumsum([w.size for w in wanted])[:-1])
    wrong = [n for n, a, b in zip(names, wanted, parted, strict=True) if not same_bits(a, b).all()]
    assert wrong == []


class Sawtooth(tw.Schedule):
    """A schedule of a user's own."""

    value: float
    every: int

    def __call__(self, step: int) -> float:
        return self.value * (1 + step // self.every) / (1 + step)


class Branching(tw.Schedule):
    value: float

    def __call__(self, step: int) -> float:
        return self.value if step < 10 else 0.0


SCHEDULES = (
    tw.constant(0.3),
    tw.step_decay(1.0, factor=0.5, every=30),
    tw.step_decay(1.0, factor=2, every=3),
    tw.exponential(0.1, factor=0.9, every=7),
    tw.cosine(0.1, steps=100, end=0.01),
    tw.restarts(0.1, steps=10),
    tw.inverse_sqrt(1.0, shift=3),
    tw.inverse_time(1.0, decay=0.1),
    tw.warmup(0.2, steps=20),
    tw.warmup(tw.join(0.1, tw.exponential(0.1, factor=0.9), at=50) * tw.inverse_sqrt(1.0), steps=20),
    Sawtooth(0.5, 4),
)


@needs_node
def test_every_schedule_is_its_call(tmp_path: Path) -> None:
    """At steps 0 to 400: bit for bit without libm, else to the ulps that its calls may be off."""
    source = "".join(
        f"{{ const f = {javascript.schedule(s)}; keep(Array.from({{length: 400}}, (_, k) => f(k))); }}"
        for s in SCHEDULES
    )
    printed = node(tmp_path, source, [0.0]).reshape(len(SCHEDULES), -1)
    ours = {n for n, kind in Schedule.KINDS.items() if kind.__module__ == Schedule.__module__}
    assert {type(s).__name__ for s in SCHEDULES} >= ours - {"Product", "Join"}  # which stand inside another
    for schedule, values in zip(SCHEDULES, printed, strict=True):
        wanted = np.array([float(schedule(k)) for k in range(400)])
        text = javascript.schedule(schedule)
        if any(f"{n}(" in text for n in ("cos", "power", "log")):
            np.testing.assert_allclose(values, wanted, rtol=3e-16 if "cos" not in text else 1e-13, atol=1e-16)
        else:
            assert same_bits(wanted, values).all()


def test_a_schedule_that_branches_is_refused() -> None:
    with pytest.raises(RuleError, match=r"Branching\(value=0.1\): .*branches.*where\(\.\.\.\)"):
        javascript.schedule(Branching(0.1))
