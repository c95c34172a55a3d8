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
from ...core.rule import Rule
from ...core.schedule import Schedule
from ...core.started import start
from ...core.update import Update
from ...printing.loop import updated
from ...printing.python import indented
from ..memory import Array, address, limit
from . import launch
from .compile import kernel
from .foreign import Foreign
from .job import RESULT, Job
from .text import PRINTER, Pointers, source

JOB = Job(
    "steps",
    "size",
    "done",
    "function",
    "words",
    "point",
    "gradient",
    "shown",
    "last",
    "best",
    "best_gradient",
    "scale",
    "low",
    "high",
    "numbers",
    "counts",
    "measures",
    "hyper",
    "planned",
    "arrays",
)

_LOOP = """
def look(n, g, x, last, scale, low, high, measures, bound):
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
    measures[0] = top
    measures[1] = move
    measures[2] = size
    return good

def copy(n, a, b):
    distinct()
    for i in range(n):
        b[i] = a[i]

def placed(w, scale, low, high):
    # Where w puts x = w * scale, and w itself, both within the bounds.
    at = w * scale
    if at < low:
        at = low
    if at > high:
        at = high
    if w < low / scale:
        w = low / scale
    if w > high / scale:
        w = high / scale
    return at, w

def move({arguments}):
    distinct()
{loop}

def drive(job):
    steps = job[STEPS]
    n = job[SIZE]
    t = job[DONE]
    x = reals(job[POINT])
    g = reals(job[GRADIENT])
    shown = reals(job[SHOWN])
    last = reals(job[LAST])
    best = reals(job[BEST])
    best_g = reals(job[BEST_GRADIENT])
    scale = reals(job[SCALE])
    low = reals(job[LOW])
    high = reals(job[HIGH])
    numbers = reals(job[NUMBERS])
    counts = words(job[COUNTS])
    measures = reals(job[MEASURES])
    hyper = reals(job[HYPER])
    planned = reals(job[PLANNED])
    arrays = words(job[ARRAYS])
    gtol = numbers[0]
    ftol = numbers[1]
    xtol = numbers[2]
{start}
    for k in range(steps):
        copy(n, x, shown)
        if call(job[FUNCTION], shown, g, measures, n, words(job[WORDS])) != 0:
            break
        f = measures[0]
        if not abs(f) <= D({largest!r}):
            break
        if not look(n, g, x, last, scale, low, high, measures, D({bound!r})):
            break
        if measures[0] <= gtol or f <= numbers[3]:
            break
        calm_f = counts[0] + 1
        if abs(f - numbers[4]) > ftol * max(max(abs(f), abs(numbers[4])), D(1.0)):
            calm_f = 0
        calm_x = counts[1] + 1
        if measures[1] > xtol * max(measures[2], D(1.0)):
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
        job[RESULT] += 1
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


class _Scaled(Pointers):
    """A run's arrays: g is taken for w, of which x = w * scale stays within the bounds."""

    def load(self, array: str, index: str = "i") -> str:
        return f"g[{index}] * scale[{index}]" if array == "g" else super().load(array, index)

    def store(self, array: str, value: str) -> str:
        if array != "w":
            return super().store(array, value)
        return f"x[i], {self.place[array]}[i] = placed({value}, scale[i], low[i], high[i])"


@lru_cache(maxsize=64)
def _source(update: Update, hyper: tuple[str, ...], planned: tuple[str, ...]) -> str:
    """Return the printed loop of an update and its clock; ``planned`` hyperparameters follow a schedule."""
    formula = update.clock
    begin = [f"h_{n} = hyper[{k}]" for k, n in enumerate(hyper)]
    ticking = PRINTER.named("c_", {"t": "now", **{n: f"h_{n}" for n in formula.inputs[1:]}})
    clock, values = ticking.section(formula)
    clock += [f"k_{n} = {v}" for n, v in values.items()]
    step = [f"h_{n} = planned[k * {len(planned)} + {j}]" for j, n in enumerate(planned)]
    if scalars.moving(formula) or planned:
        step += clock
    else:
        begin += clock
    memory = _Scaled(_moved(update), (), "float64")
    fixed = ["n", "x", "g", "scale", "low", "high"]
    arrays = [f"reals(arrays[{k}])" for k in range(len(memory.place))]
    step.append(f"move({', '.join([*fixed, *arrays, *(f'k_{n}' for n in update.scalars)])})")
    loop = updated(PRINTER, memory, update, ["g", *memory.place]).loop()
    text = _LOOP.format(
        arguments=", ".join([*fixed, *memory.place.values(), *map(PRINTER.name, update.scalars)]),
        loop=indented(loop, 1),
        start=indented(begin, 1),
        step=indented(step, 2),
        largest=float(np.finfo(np.float64).max),
        bound=limit(np.dtype(np.float64), update.power),
    )
    return source("float64", JOB, [text])


def _moved(update: Update) -> list[str]:
    """The arrays that a run keeps from step to step."""
    return [n for n in update.arrays if n != "g"]


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
        update = start(rule).update
        # The interpreter's lock is kept: Numba's own code may need it where the function raises.
        self._call = kernel(_source(update, tuple(values), self.planned))[1]
        self.x = np.empty(w.size)
        self._own = {"w": w, **states, "scale": scale, "low": low, "high": high}
        self._buffers = [np.empty(w.size) for _ in range(5)]  # g, shown, last, best, best_g
        self._numbers = np.array([*tolerances, 0.0, 0.0])
        self._counts = np.array([0, 0, patience, 0])
        self._measures = np.empty(3)
        self._hyper = np.array([0.0 if n in self.planned else float(v) for n, v in values.items()])  # type: ignore[arg-type]
        self._arrays = np.array([address(self._own[n]) for n in _moved(update)], dtype=np.int64)

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
        buffers = ("gradient", "shown", "last", "best", "best_gradient")
        job = JOB.vector(
            steps=steps,
            size=self.n,
            done=t,
            function=self.foreign.address,
            words=address(self.foreign.words),
            point=address(self.x),
            numbers=address(self._numbers),
            counts=address(self._counts),
            measures=address(self._measures),
            hyper=address(self._hyper),
            planned=address(plan),
            arrays=address(self._arrays),
            **{n: address(a) for n, a in zip(buffers, self._buffers, strict=True)},
            **{n: address(self._own[n]) for n in ("scale", "low", "high")},
        )
        launch.call(self._call, job)
        at.last_x, at.best_x, at.best_g = last.copy(), best.copy(), best_g.copy()
        at.last_f, at.best_f = self._numbers[4:].tolist()
        at.calm_f, at.calm_x, _, at.best_step = self._counts.tolist()
        return int(job[RESULT])
