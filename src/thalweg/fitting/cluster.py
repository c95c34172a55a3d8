"""The same fit on a Dask cluster: parts of the files are trained apart and averaged after each pass.

This is not the serial run and does not equal it: in each pass every part begins at the same weights and states
and learns from its own files alone; then weights and states become their means, weighted by rows (parameter
averaging: McDonald, Hall & Mann, NAACL-HLT 2010, iterative parameter mixing). It depends on how many parts
there are and on nothing else of the cluster. Files are read by the workers, under the same paths.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..errors import FileError, HyperparameterError, ProblemError
from ..files import require_writable, sweep
from ..linear import Model
from ..reading import open_stream
from .budget import Budget, peak
from .plan import Paths, Plan, checked, opened, require_known
from .trained import folded
from .training import Report, _Run, learn

Array = np.ndarray[Any, Any]


def fit_on_cluster(
    data: Paths,
    model: str | os.PathLike[str],
    cluster: Any,
    *,
    parts: int | None = None,
    holdout: float | None = None,
    test: Paths | None = None,
    rule: Rule | str | None = None,
    passes: int = 1,
    memory: str | int | None = None,
    checkpoint_every: float = 60.0,
    fresh: bool = False,
    tell: Callable[[str], None] | None = None,
    **settings: Any,
) -> Report:
    """Train on a Dask cluster and write the model to a file; settings as for ``fit``.

    cluster: a ``dask.distributed.Client``, a scheduler's address, or "local". parts: how many are trained
    apart (default: one for each worker, and no more than there are files); files go to them in turn. memory:
    of each worker's blocks. A checkpoint follows each pass, unless checkpoint_every is 0. There is no
    held-out part: give test=. Width, classes and learning rate come from the first block of the first file,
    so that SVMlight needs features= or bits=.

    Raises what ``fit`` raises.
    """
    if holdout:
        raise HyperparameterError("holdout: a cluster holds no rows out; give files of their own: --test")
    start = time.perf_counter()
    plan = _plan(rule, passes, test, settings)
    target = require_writable(model)
    budget = Budget.of(memory)
    stream = opened(data, plan, budget, None)
    check = None if test is None else opened(test, plan, budget, None, stream.layout)
    if stream.features is None and plan.bits is None:
        raise HyperparameterError(
            "features: on a cluster SVMlight files need --features or --bits: no worker sees all of them"
        )
    client, own = _client(cluster)
    try:
        workers = len(client.scheduler_info()["workers"])
        count = min(parts or max(1, workers), len(stream.paths))
        files = [[str(p) for p in stream.paths[k::count]] for k in range(count)]
        run = _Run(plan, stream, check, target, budget, 0.0, tell or (lambda _: None), {"parts": files})
        for path in (target, run.checkpoint):
            sweep(path)
        resumed = not fresh and run.resume()
        s = run.state
        if run.model is None:
            with closing(stream.blocks()) as blocks:
                first = next(blocks, None)
            if first is None:
                raise ProblemError(f"{stream.paths[0]}: holds no rows to learn from")
            run.model = run._begin(run._own(first), None)
        if count < workers:
            run.tell(f"{count} of {workers} workers have files to read; more and smaller files use them all")
        while s.passed < plan.passes:
            state = client.scatter((run.model.head(), run.model.arrays()), broadcast=True)
            jobs = [
                client.submit(_pass, state, f, plan, stream.layout, budget.block, pure=False) for f in files
            ]
            made = client.gather(jobs)
            run.model = averaged(run.model, [(a, t, n) for a, t, n, *_ in made], plan.rule)
            s.rows = sum(n for _, _, n, *_ in made)
            s.loss, s.weight = (sum(m[k] for m in made) for k in (3, 4))
            s.steps += s.rows
            run.done += s.rows
            run.skipped += sum(m[5] for m in made)
            run._pass_done()
            run.tell(
                f"pass {s.passed + 1}/{plan.passes}  {s.rows} rows on {count} workers  loss {s.loss / s.weight:.4f}"
            )
            s.passed, s.rows, s.loss, s.weight = s.passed + 1, 0, 0.0, 0.0
            if checkpoint_every and s.passed < plan.passes:
                run.save()
    finally:
        for thing in own:
            thing.close()
    run.finish()
    made_report = run.report(resumed, True)
    made_report.seconds = time.perf_counter() - start
    made_report.peak_memory = peak()
    return made_report


def _plan(rule: Rule | str | None, passes: int, test: Any, given: dict[str, Any]) -> Plan:
    names: dict[str, Any] = {"task": "auto", "loss": None, "classes": None, "l1": 0.0, "l2": 0.0, "average": None, "intercept": True,
             "dtype": "float32", "epsilon": 0.1, "quantile": 0.5, "bits": None, "features": None, "seed": 0,
             "on_bad_line": "stop"}  # fmt: skip
    known: dict[str, Any] = {n: given.get(n, default) for n, default in names.items()}
    reading = {n: v for n, v in given.items() if n not in names}
    return checked(rule=rule, passes=passes, holdout=0.0, test=test, reading=reading, **known)


def _client(cluster: Any) -> tuple[Any, Sequence[Any]]:
    """A client of the cluster, and what is ours to close."""
    try:
        distributed: Any = import_module("dask.distributed")
    except ImportError:
        raise FileError("--dask: needs dask.distributed; install thalweg[dask]") from None
    if isinstance(cluster, distributed.Client):
        return cluster, ()
    if cluster == "local":
        started = distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)
        client = distributed.Client(started)
        return client, (client, started)
    try:
        client = distributed.Client(cluster, timeout="10s")
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"{cluster}: no Dask scheduler answers ({error})") from None
    return client, (client,)


def _pass(
    state: tuple[dict[str, Any], dict[str, Array]],
    files: list[str],
    plan: Plan,
    layout: dict[str, Any],
    block: int,
) -> tuple[dict[str, Array], int, int, float, float, int]:
    """On a worker: one pass over some files. Arrays, step, rows, sums of loss and weight, bad lines."""
    head, arrays = state
    model = Model.restore(head, arrays, plan.rule)
    fold = plan.bits if layout["format"] == "svmlight" else None
    settings = {
        n: v
        for n, v in plan.reading.items()
        if n in ("format", "target", "weight", "missing", "delimiter") and v is not None
    }
    features = plan.features if fold is None else None
    stream = open_stream(
        files, **settings, layout=layout, features=features, block_bytes=block, on_bad_line=plan.on_bad_line
    )
    rows, loss, weight = 0, 0.0, 0.0
    with closing(stream.blocks()) as blocks:
        for read in blocks:
            made = read if fold is None else folded(read, fold)
            require_known(model, made)
            more = learn(model, made)
            rows, loss, weight = rows + len(made.labels), loss + more[0], weight + more[1]
    return model.arrays(), model.t, rows, loss, weight, stream.skipped


def averaged(model: Model, parts: Sequence[tuple[dict[str, Array], int, int]], rule: Rule) -> Model:
    """The model with the means of the parts' arrays (arrays, step, rows), weighted by rows; the step is the largest."""
    total = sum(n for *_, n in parts)
    if not total:
        raise ProblemError("no part holds rows to learn from")
    arrays = {}
    for name, like in model.arrays().items():
        if name == "classes":
            arrays[name] = like
            continue
        mean = np.zeros(like.shape, np.float64)
        for held, _, n in parts:
            mean += (n / total) * held[name]
        arrays[name] = mean.astype(like.dtype)
    return Model.restore(model.head() | {"t": max(t for _, t, _ in parts)}, arrays, rule)
