"""A rule that descends the user's own compiled function, many steps in one call.

The loop is printed and cached as any kernel is; the function is called by its address. It goes on as
long as a point needs no second look: where a tolerance is met, a value is not finite or the function
fails, it stops before that point is taken in, and its caller looks at it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...core import clock as scalars
from ...core import update as compose
from ...core.formula import Formula
from ...core.rule import Rule
from ...core.schedule import Schedule
from ...core.update import Update
from ...printing.python import indented
from ..memory import Array, address, limit
from . import object_cache as objects
from .dense import PRINTER, Foreign, kernel
from .loop_unrolled import section

_LOOP = """
def look(n, g, x, last, scale, low, high, held, bound):
    distinct()
    top = D(0.0)
    move = D(0.0)
    size = D(0.0)
    good = True
    for i in range(n):
        a = abs(g[i])
        good &= a * scale[i] <= bound
        if not (((x[i] <= low[i]) and (g[i] > 0)) or ((x[i] >= high[i]) and (g[i] < 0))):
            top = max(top, a)
        move = max(move, abs((x[i] - last[i]) / scale[i]))
        size = max(size, abs(x[i] / scale[i]))
    held[0] = top
    held[1] = move
    held[2] = size
    return good

def copy(n, a, b):
    distinct()
    for i in range(n):
        b[i] = a[i]

def move(n, p_x, p_g, p_scale, p_low, p_high, {pointers}, {scalars}):
    distinct()
    for i in range(n):
        g = p_g[i] * p_scale[i]
{body}
        p_at = new0 * p_scale[i]
        if p_at < p_low[i]:
            p_at = p_low[i]
        if p_at > p_high[i]:
            p_at = p_high[i]
        p_x[i] = p_at
        if new0 < p_low[i] / p_scale[i]:
            new0 = p_low[i] / p_scale[i]
        if new0 > p_high[i] / p_scale[i]:
            new0 = p_high[i] / p_scale[i]
        p_w[i] = new0

def drive(job):
    steps = job[3]
    n = job[4]
    t = job[5]
    x = reals(job[8])
    g = reals(job[9])
    shown = reals(job[10])
    last = reals(job[11])
    best = reals(job[12])
    best_g = reals(job[13])
    scale = reals(job[14])
    low = reals(job[15])
    high = reals(job[16])
    numbers = reals(job[17])
    counts = words(job[18])
    held = reals(job[19])
    hyper = reals(job[20])
    planned = reals(job[21])
    gtol = numbers[0]
    ftol = numbers[1]
    xtol = numbers[2]
{start}
    for k in range(steps):
        copy(n, x, shown)
        if call(job[6], shown, g, held, n, words(job[7])) != 0:
            break
        f = held[0]
        if not abs(f) <= D({largest!r}):
            break
        if not look(n, g, x, last, scale, low, high, held, D({bound!r})):
            break
        if held[0] <= gtol or f <= numbers[3]:
            break
        calm_f = counts[0] + 1
        if abs(f - numbers[4]) > ftol * max(max(abs(f), abs(numbers[4])), D(1.0)):
            calm_f = 0
        calm_x = counts[1] + 1
        if held[1] > xtol * max(held[2], D(1.0)):
            calm_x = 0
        if (ftol >= 0 and calm_f >= counts[2]) or (xtol >= 0 and calm_x >= counts[2]):
            break
        counts[0] = calm_f
        counts[1] = calm_x
        numbers[4] = f
        copy(n, x, last)
        if f <= numbers[5]:
            numbers[5] = f
            counts[3] = t
            copy(n, x, best)
            copy(n, g, best_g)
        t += 1
        now = D(t)
{step}
        job[2] += 1
    return 0
"""


@dataclass
class Standing:
    """Where a run stands: what its stopping rules and its lowest point need. x and g (n,) float64."""

    last_x: Array
    last_f: float
    best_x: Array
    best_f: float
    best_g: Array
    best_step: int
    calm_f: int
    calm_x: int


@lru_cache(maxsize=64)
def _source(
    formula: Formula, update: Update, hyper: tuple[str, ...], planned: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """The printed loop of an update and its functions' names; the clock's formula, its schedules apart."""
    start = [f"h_{n} = hyper[{k}]" for k, n in enumerate(hyper)]
    clock, values = section(formula, "c_", {"t": "now", **{n: f"h_{n}" for n in formula.inputs[1:]}})
    clock += [f"k_{n} = {v}" for n, v in values.items()]
    step = [f"h_{n} = planned[k * {len(planned)} + {j}]" for j, n in enumerate(planned)]
    if scalars.moving(formula) or planned:
        step += clock
    else:
        start += clock
    arrays = [n for n in update.arrays if n != "g"]
    body = [f"{n} = p_{n}[i]" for n in arrays]
    body += PRINTER.lines(update.body)
    body += [f"new{k} = {PRINTER.expression(e)}" for k, e in enumerate(update.written.values())]
    body += [f"p_{n}[i] = new{k}" for k, n in enumerate(update.written) if n != "w"]
    given = [f"reals(job[{22 + k}])" for k in range(len(arrays))]
    step.append(
        f"move(n, x, g, scale, low, high, {', '.join([*given, *(f'k_{n}' for n in update.scalars)])})"
    )
    text = _LOOP.format(
        pointers=", ".join(f"p_{n}" for n in arrays),
        scalars=", ".join(update.scalars),
        body=indented(body, 2),
        start=indented(start, 1),
        step=indented(step, 2),
        largest=float(np.finfo(np.float64).max),
        bound=limit(np.dtype(np.float64), update.power),
    ).replace(", ):", "):")
    return f"# float64\n{text}", ("look", "copy", "move", "drive")


class Driver:
    """The compiled loop of one run: a rule, the user's function, and the arrays that a step changes.

    w and states: (n,) float64, moved in place; x = w · scale within [low, high] is where the run stands.
    tolerances: gtol, ftol and xtol (-1 where not asked for), ftarget (-inf likewise); patience: in how
    many steps running ftol and xtol must hold.
    """

    def __init__(
        self,
        rule: Rule,
        foreign: Foreign,
        w: Array,
        states: Mapping[str, Array],
        scale: Array,
        low: Array,
        high: Array,
        tolerances: tuple[float, float, float, float],
        patience: int,
    ) -> None:
        values = rule.hyperparameters
        self.rule, self.foreign, self.n = rule, foreign, w.size
        self.planned = tuple(n for n, v in values.items() if isinstance(v, Schedule))
        update = compose.update(rule, known=scalars.known(rule))
        # The interpreter's lock is kept: Numba's own code may need it where the function raises.
        self._call = kernel(*_source(rule.clock_formula, update, tuple(values), self.planned))[1]
        self.x = np.empty(w.size)
        self._own = {"w": w, **states, "scale": scale, "low": low, "high": high}
        self._buffers = [np.empty(w.size) for _ in range(5)]  # g, shown, last, best, best_g
        self._numbers = np.array([*tolerances, 0.0, 0.0])
        self._counts = np.array([0, 0, patience, 0])
        self._held = np.empty(3)
        self._hyper = np.array([0.0 if n in self.planned else float(v) for n, v in values.items()])  # type: ignore[arg-type]
        self._arrays = [address(self._own[n]) for n in update.arrays if n != "g"]

    def advance(self, steps: int, t: int, at: Standing) -> int:
        """Take up to ``steps`` steps from step t on; how many were taken. ``x`` and ``at`` move along."""
        _, _, last, best, best_g = self._buffers
        last[:], best[:], best_g[:] = at.last_x, at.best_x, at.best_g
        self._numbers[4:] = at.last_f, at.best_f
        self._counts[[0, 1, 3]] = at.calm_f, at.calm_x, at.best_step
        if self.planned:
            rows = [self.rule.at(t + k) for k in range(steps)]
            plan = np.array([[row[n] for n in self.planned] for row in rows])
        else:
            plan = np.zeros(1)
        job = np.array(
            [
                0, 1, 0, steps, self.n, t, self.foreign.address, address(self.foreign.words), address(self.x),
                *map(address, self._buffers), *(address(self._own[n]) for n in ("scale", "low", "high")),
                address(self._numbers), address(self._counts), address(self._held), address(self._hyper),
                address(plan), *self._arrays,
            ],
            dtype=np.int64,
        )  # fmt: skip
        self._call(*objects.CONVENTION, address(job))
        at.last_x, at.best_x, at.best_g = last.copy(), best.copy(), best_g.copy()
        at.last_f, at.best_f = self._numbers[4:].tolist()
        at.calm_f, at.calm_x, _, at.best_step = self._counts.tolist()
        return int(job[2])
