"""The OpenMP team that another library in this process already runs, for our kernels.

A worker of GNU's OpenMP spins for some milliseconds after each parallel region. Threads of our own
would wait for the cores that it holds; a kernel that joins the same team does not. The region's
function is a loop of a few instructions, printed here: a thread takes the number of the next job
until none is left, so that a team of any size does all of them. Linux only. A forked child has none
of its parent's team and must not enter it: there ``team`` finds none.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial

import numpy as np

from ..memory import address
from . import object_cache as objects
from .job import OWN, RESULT

GRAIN = 1 << 16  # coordinates a thread takes at least: waking a spinning team costs little
WIDTH = 16  # words between two jobs, so that no two threads write into one cache line

Parallel = Callable[[int, int, int, int], None]

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@lru_cache(maxsize=4)
def _parallel(folder: str) -> Parallel | None:
    """``GOMP_parallel`` of the libgomp that lies in a folder, or of the only one loaded; else None."""
    try:
        with open("/proc/self/maps") as maps:
            found = {x.split(maxsplit=5)[5].strip() for x in maps if "libgomp" in x}
    except OSError:
        return None
    chosen = sorted(p for p in found if p.startswith(folder)) or sorted(found)
    if not chosen or (len(found) > 1 and not chosen[0].startswith(folder)):
        return None
    try:
        function = ctypes.CDLL(chosen[0]).GOMP_parallel
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    function.restype = None
    parallel: Parallel = function
    return parallel


@cache
def _entry() -> int:
    """The address of ``void work(int64 *data)``.

    data: the next job, the number of jobs, the kernel, where its result and exception go, the first job.
    """
    from llvmlite import ir

    word, number = ir.IntType(64), ir.IntType(32)
    pointer = word.as_pointer()
    module = ir.Module("thalweg_team")
    work = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer]), "thalweg_team_work")
    begin, head, body, end = (work.append_basic_block(n) for n in ("begin", "head", "body", "end"))
    builder = ir.IRBuilder(begin)
    data = work.args[0]

    def read(k: int) -> ir.Value:
        return builder.load(builder.gep(data, [ir.Constant(word, k)], source_etype=word), typ=word)

    count, kernel, result, exception, jobs = (read(k) for k in range(1, 6))
    kind = ir.FunctionType(number, [word, word, word])
    call = builder.inttoptr(kernel, kind.as_pointer())
    builder.branch(head)
    builder.position_at_end(head)
    mine = builder.atomic_rmw("add", data, ir.Constant(word, 1), "monotonic")
    builder.cbranch(builder.icmp_signed("<", mine, count), body, end)
    builder.position_at_end(body)
    job = builder.add(jobs, builder.mul(mine, ir.Constant(word, 8 * WIDTH)))
    builder.call(call, [result, exception, job])
    builder.branch(head)
    builder.position_at_end(end)
    builder.ret_void()
    text = str(module)
    return objects.load(text, partial(objects.emit, text, "thalweg_team_work"))


def team(
    folder: str, threads: int
) -> Callable[[Callable[..., int], Sequence[int], int, int, list[int]], int] | None:
    """What runs a kernel over [0, total) on so many threads of the team; None where there is none."""
    parallel = None if _forked or threads < 2 else _parallel(folder)
    return None if parallel is None else partial(_run, parallel, threads)


def _run(
    parallel: Parallel,
    threads: int,
    call: Callable[..., int],
    own: Sequence[int],
    total: int,
    done: int,
    moved: list[int],
) -> int:
    parts = max(1, min(threads, total // GRAIN))
    width = -(-total // parts)
    width += -width % 64  # whole cache lines
    starts = np.arange(0, total, width, dtype=np.int64)
    jobs = np.zeros((len(starts), WIDTH), dtype=np.int64)
    jobs[:, 0], jobs[:, 1] = starts, np.minimum(starts + width, total)
    jobs[:, OWN : OWN + len(own)] = own
    jobs[:, done] = 0
    count = moved[0]
    try:
        if len(starts) == 1:
            call(*objects.CONVENTION, address(jobs))
        else:
            kernel = ctypes.cast(call, ctypes.c_void_p).value or 0  # type: ignore[arg-type]
            data = np.array((0, len(starts), kernel, *objects.CONVENTION, address(jobs)), dtype=np.int64)
            parallel(_entry(), address(data), len(starts), 0)
    finally:  # an interruption comes before the region or after it
        moved[0] = count + int(jobs[0, done])
    return int(jobs[:, RESULT].max())
