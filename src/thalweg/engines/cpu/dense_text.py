"""The printed kernel of a dense step: an update over a table of tensors."""

from ...core.update import Update
from ...printing.loop import updated
from ...printing.python import indented
from .job import Job
from .text import PRINTER, Pointers, check_finite, source

JOB = Job("table", "tensors", "scalars", "phase", "done")  # done: updates so far
CHECK, UPDATE = 1, 2  # phases: bits, so that both may be asked for
# A tensor's row in the table: where it begins in the work, its size, its scalars; then its addresses.
START, SIZE, SCALARS, ADDRESSES = range(4)

_UPDATE = """
def update(n, {pointers}, scalars):
    distinct()
{scalars}
{loop}
"""

_KERNEL = """
def kernel(job):
    lo = job[LO]
    hi = job[HI]
    job[RESULT] = 0
    table = words(job[TABLE])
    tensors = job[TENSORS]
    if job[PHASE] & {CHECK}:
        for r in range(tensors):
{slice}
            if a < b and not check(b - a, {gradient}):
                job[RESULT] = 1
                return 0
    if job[PHASE] & {UPDATE}:
        for r in range(tensors):
{slice}
            if a < b:
                update(b - a, {addresses}, reals(job[SCALARS] + 8 * table[o + {scalars}]))
        job[DONE] += 1
    return 0
"""

_SLICE = (  # the part of tensor r that lies in [lo, hi)
    "o = r * {columns}",
    "a = lo - table[o]",
    "b = hi - table[o]",
    "if a < 0:",
    "    a = 0",
    "if b > table[o + 1]:",
    "    b = table[o + 1]",
)


def printed(update: Update, stored: str) -> str:
    """Return the kernel of an update for parameters of a dtype: one of NumPy's names, or bfloat16."""
    arrays = update.arrays
    memory = Pointers(arrays, update.stored, stored)
    columns = ADDRESSES + len(arrays)

    def at(n: str) -> str:
        column = ADDRESSES + arrays.index(n)
        return memory.at(n, f"table[o + {column}] + {memory.size(n)} * a")

    step = _UPDATE.format(
        pointers=", ".join(memory.place.values()),
        scalars=indented((f"{PRINTER.name(n)} = F(scalars[{k}])" for k, n in enumerate(update.scalars)), 1),
        loop=indented(updated(PRINTER, memory, update).loop(), 1),
    )
    kernel = _KERNEL.format(
        slice=indented(_SLICE, 3).format(columns=columns),
        gradient=at("g"),
        addresses=", ".join(map(at, arrays)),
        scalars=SCALARS,
        CHECK=CHECK,
        UPDATE=UPDATE,
    )
    return source(stored, JOB, (check_finite(stored, update.power), step, kernel))
