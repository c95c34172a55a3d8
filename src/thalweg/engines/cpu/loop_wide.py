"""What compiled runs of wide objectives share: the rule's step as a kernel of its own, batches, penalty, records.

The loop knows no rule and the step no objective, so that a race compiles one loop, and for each rule nothing but
its clock and the move of all coordinates in one vectorised loop: an eighth of what a whole run takes. The loop calls the
step by its address.
"""

from functools import lru_cache, partial

import numpy as np

from ...core import clock as scalars
from ...core.rule import Rule
from ...core.update import Update
from ...printing.loop import summed_in_lanes, updated
from ...printing.python import indented
from ..memory import Array, address
from . import object_cache as objects
from .compile import compile_source
from .job import Job
from .text import PRINTER, Pointers, source

# Of one configuration: how many coordinates, and where its arrays, its lines, the schedules and its scalars are.
JOB = Job("step", "divisor", "size", "arrays", "hyper", "planned", "scalars")
LINE = 128  # bytes: words that another thread writes are not beside one's own

_STEP = """
def move({arguments}):
    distinct()
{loop}

def step(job):
    n = job[SIZE]
    scalars = reals(job[SCALARS])
    if {when}:
        hyper = reals(job[HYPER])
        planned = reals(job[PLANNED])
        now = D(job[STEP])
{clock}
    move({given})
    return 0
"""
_PENALISE = """
def penalise(n, l2, divisor, x, g):
    distinct()
    for i in range(n):
        g[i] = g[i] / divisor + l2 * x[i]
"""
_DOT = """
def dot(n, a, x):
    distinct()
{lanes}
"""
FUNCTIONS = {
    "penalise": _PENALISE,
    "dot": _DOT.format(lanes=indented(summed_in_lanes("D(0.0)", lambda i: f"a[{i}] * x[{i}]"), 1)),
}

# Of a loop: where a configuration's gradient, parameters and rates lie, in the order of ``arrays``.
PLACES = [
    "a_g = work + 8 * d * (c * job[ARRAYS])",
    "a_w = a_g + 8 * d",
    "a__rate = a_g + 8 * d * (job[ARRAYS] - 1)",
    f"own = words(job[JOBS] + {LINE} * c)",
]
# The rows of step t: as many as stand before the first -1.
BATCH = [
    "at = (stream[c] * steps + t - 1) * batch",
    "used = batch",
    "if shuffled:",
    "    used = 0",
    "    while used < batch and order[at + used] >= 0:",
    "        used += 1",
]
# The step on what stands in g, which it leaves at 0.
CALL = [
    f"own[{JOB.at['step']}] = t",
    f"own[{JOB.at['divisor']}] = divisor",
    "enter(job[STEP], own)",
]
_COPY = ["for i in range(d):", "    {0}[{1} * d + i] = reals({2})[i]"]
PATH = [line.format("paths", "place", "a_w") for line in _COPY]
RATES = [line.format("rates", "k", "a__rate") for line in _COPY]


class _Summed(Pointers):
    """Arrays of which the gradient is a sum that is divided, and begun anew, when it is read."""

    def load(self, array: str, index: str = "i") -> str:
        value = super().load(array, index)
        return f"{value} / divisor" if array == "g" else value


def arrays(update: Update) -> list[str]:
    """What a configuration holds d numbers of: g, w, the states, and the rates, whether there are any or not."""
    return ["g", "w", *(n for n in update.arrays if n not in ("g", "w", "_rate")), "_rate"]


@lru_cache(maxsize=256)
def step_source(update: Update, lines: tuple[str, ...], planned: tuple[str, ...]) -> str:
    """Return a rule's step as a whole printed source; planned: the lines that follow a schedule. float64 only."""
    held = arrays(update)
    memory = _Summed(held, (), "float64")
    moved = updated(PRINTER, memory, update, [n for n in held if n in update.arrays])
    hyper = [f"h_{n} = hyper[{k}]" for k, n in enumerate(lines) if n not in planned]
    hyper += [f"h_{n} = planned[(job[STEP] - 1) * {len(planned)} + {k}]" for k, n in enumerate(planned)]
    # The clock ticks in float64, in the same expressions.
    formula = update.clock
    ticking = PRINTER.named("c_", {"t": "now", **{n: f"h_{n}" for n in formula.inputs[1:]}})
    clock, values = ticking.section(formula)
    clock += [f"scalars[{k}] = {values[n]}" for k, n in enumerate(update.scalars)]
    pointers = [f"reals(job[ARRAYS] + 8 * n * {k})" for k in range(len(held))]
    given = ["n", *pointers, "D(job[DIVISOR])", *(f"scalars[{k}]" for k in range(len(update.scalars)))]
    text = _STEP.format(
        arguments=", ".join(["n", *memory.place.values(), "divisor", *map(PRINTER.name, update.scalars)]),
        loop=indented(moved.loop([memory.store("g", "D(0.0)")]), 1),
        when="True" if scalars.moving(formula) or planned else "job[STEP] == 1",
        clock=indented([line.replace("F(", "D(") for line in [*hyper, *clock]], 2),
        given=", ".join(given),
    )
    return source("float64", JOB, [text])


class Standing:
    """Where the runs of C configurations stand: their arrays, what the loop works with, and the job of each one's step."""

    def __init__(
        self,
        rule: Rule,
        update: Update,
        planned: tuple[str, ...],
        hyper: Array,
        plan: Array,
        starts: Array,
        room: int,
    ) -> None:
        """Begin at ``starts`` (C, d) and at what the rule's states begin at.

        hyper: the values of the rule's lines (C, lines); planned: those that follow a schedule, whose values of all
        steps are ``plan``'s. room: numbers that the loop works with for each configuration.
        """
        count, d = starts.shape
        held, lines = arrays(update), tuple(rule.parts.lines)
        work, scratch = np.zeros((count, len(held), d)), np.zeros((count, room))
        numbers = np.zeros((count, _whole(len(update.scalars))))
        work[:, held.index("w")], work[:, -1] = starts, np.nan
        for n in rule.parts.states:
            work[:, held.index(n)] = hyper[:, lines.index(n), None]
        jobs = np.zeros((count, _whole(len(JOB.words))), dtype=np.int64)
        for n, of_each in (("arrays", work), ("hyper", hyper), ("scalars", numbers)):
            jobs[:, JOB.at[n]] = address(of_each) + of_each.strides[0] * np.arange(count)
        jobs[:, JOB.at["size"]], jobs[:, JOB.at["planned"]] = d, address(plan)
        self._keep = work, scratch, numbers, jobs
        text = step_source(update, lines, planned)
        self.words = {
            "work": address(work),
            "arrays": len(held),
            "step": objects.load(text, partial(compile_source, text)),
            "jobs": address(jobs),
            "scratch": address(scratch),
            "room": room,
        }
        """The loop's own words, by name."""


def _whole(words: int) -> int:
    """So many words of 8 bytes as whole lines, so that no thread writes beside what another reads."""
    return -(-max(1, words) // (LINE // 8)) * (LINE // 8)
