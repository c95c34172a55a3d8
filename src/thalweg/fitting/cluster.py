"""The same fit on a Dask cluster: parts of the files are trained apart and averaged after each pass.

This is not the serial run and does not equal it: in each pass every part begins at the same weights and states
and learns from its own files alone; then weights and states become their means, weighted by the rows learnt from
(parameter averaging: McDonald, Hall & Mann, NAACL-HLT 2010, iterative parameter mixing). It depends on how many parts
there are and on nothing else of the cluster. Files are read by the workers, under the same paths.
"""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..core.rule import Rule
from ..engines.memory import Array
from ..errors import FileError, HyperparameterError, ProblemError
from ..files import require_writable, sweep
from ..linear import Model
from .budget import Budget, peak
from .chunks import chunks, order
from .labels import require_known
from .learning import learn
from .report import Report
from .settings import FitSettings, Paths
from .sizes import Sizes
from .streams import Layout, part_stream, scored_stream, training_stream
from .trained import folded
from .training import Run


class Closing(Protocol):
    """What is ours to close: a client, a cluster."""

    def close(self) -> object: ...


class Client(Closing, Protocol):
    """What is used of a ``dask.distributed.Client``."""

    def __hash__(self) -> int: ...
    def scheduler_info(self) -> Mapping[str, Any]: ...
    def scatter(self, data: object, *, broadcast: bool, hash: bool) -> object: ...
    def submit(self, function: Callable[..., Any], *arguments: object, pure: bool) -> object: ...
    def gather(self, futures: Sequence[object]) -> list[Any]: ...
    def run(self, function: Callable[..., Any]) -> dict[str, Any]: ...
    def cancel(self, futures: Sequence[object]) -> object: ...


def fit_on_cluster(
    data: Paths,
    model: str | os.PathLike[str],
    cluster: Client | str,
    settings: FitSettings | None = None,
    *,
    parts: int | None = None,
    tell: Callable[[str], None] | None = None,
    **changes: Any,
) -> Report:
    """Train on a Dask cluster and write the model to a file; settings and **changes as for ``fit``.

    cluster: a ``dask.distributed.Client``, a scheduler's address, or "local". parts: how many are trained
    apart (default: one for each worker, and no more than there are files); files go to them in turn. memory:
    of each worker's blocks. A checkpoint follows each pass, unless checkpoint_every is 0. There is no
    held-out part: give test=. Nor is there a cache. Width, classes, learning rate and all scaling come from the
    first rows of the first files, so that SVMlight needs features= or bits=.

    Raises what ``fit`` raises.
    """
    settings = FitSettings.of(settings, changes)
    if settings.holdout:
        raise HyperparameterError("holdout: a cluster holds no rows out; give files of their own: --test")
    if not isinstance(settings.cache, bool):
        raise HyperparameterError("cache: a cluster reads the files again in every pass; leave it out")
    settings = replace(settings, holdout=0.0)
    start = time.perf_counter()
    target = require_writable(model)
    budget = Budget.of(settings.memory)
    stream = training_stream(data, settings, budget.block, None)
    scored = (
        None if settings.test is None else scored_stream(settings.test, settings, budget.block, stream.layout)
    )
    if stream.pipe is not None:
        raise FileError(f"{stream.pipe}: is a pipe; the workers of a cluster read files")
    if stream.features is None and settings.bits is None:
        raise HyperparameterError(
            "features: on a cluster SVMlight files need --features or --bits: no worker sees all of them"
        )
    client, own = client_of(cluster)
    try:
        workers = len(client.scheduler_info()["workers"])
        count = min(parts or max(1, workers), len(stream.paths))
        files = [[str(p) for p in stream.paths[k::count]] for k in range(count)]
        run = Run(settings, stream, scored, target, budget, tell or (lambda _: None), {"parts": files})
        for path in (target, run.checkpoint):
            sweep(path)
        resumed = not settings.fresh and run.resume()
        if run.model is None:
            run.model = _first_model(run)
        if count < workers:
            run.tell(f"{count} of {workers} workers have files to read; more and smaller files use them all")
        while run.state.passed < settings.passes:
            _train_one_pass(run, client, files)
            s = run.state
            loss = math.nan if s.mean_loss is None else s.mean_loss
            run.tell(
                f"pass {s.passed + 1}/{settings.passes}  {s.rows} rows on {count} workers  loss {loss:.4f}"
            )
            run.state.next_pass()
            if settings.checkpoint_every and run.state.passed < settings.passes:
                run.save()
    finally:
        for thing in own:
            thing.close()
    run.finish()
    report = run.report(resumed, True)
    report.seconds = time.perf_counter() - start
    report.peak_memory = peak()
    return report


def _first_model(run: Run) -> Model:
    """The model from the first chunk of the files' rows. Raises ProblemError where there is none."""
    with closing(run.stream.blocks()) as blocks:
        chunk = next(chunks(map(run.indexed, blocks)), None)
    if chunk is None:
        raise ProblemError(f"{run.stream.paths[0]}: holds no rows to learn from")
    return run.begin(run.measured(chunk.block), None)


def _train_one_pass(run: Run, client: Client, files: Sequence[list[str]]) -> None:
    """Train each part apart on the workers, make their mean the run's model, and add what they saw to its state."""
    model, state = run.trained_model, run.state
    sizes = None if run.sizes is None else run.sizes.array
    # Named by what it holds, what is sent again while an earlier pass's is being forgotten would be lost with it.
    sent = client.scatter((model.head(), model.arrays(), sizes, state.passed), broadcast=True, hash=False)
    jobs = [
        client.submit(_train_part, sent, part, run.settings, run.stream.layout, run.budget.block, pure=False)
        for part in files
    ]
    parts: list[Part] = client.gather(jobs)
    if run.sizes is not None:
        parts = with_sizes_in_common(parts)
        run.sizes = Sizes(parts[0].sizes)
    run.model = averaged(model, parts, run.settings.start_rule)
    state.rows = sum(p.rows for p in parts)
    learnt = sum(p.steps - model.t for p in parts)
    state.learnt(learnt, sum(p.loss for p in parts), sum(p.weight for p in parts))
    run.rows_read += state.rows
    run.skipped += sum(p.skipped for p in parts)
    run.end_pass()


def client_of(cluster: Client | str) -> tuple[Client, Sequence[Closing]]:
    """A client of the cluster, and what is ours to close. Raises FileError where no scheduler answers."""
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


class Part(NamedTuple):
    """What a worker learnt in a pass: the model's arrays and steps; rows, sums of loss and weight, bad lines; the sizes
    of features, where they are divided by them (``Sizes``).
    """

    arrays: dict[str, Array]
    steps: int
    rows: int
    loss: float
    weight: float
    skipped: int
    sizes: Array | None = None


def _train_part(
    sent: tuple[dict[str, Any], dict[str, Array], Array | None, int],
    files: list[str],
    settings: FitSettings,
    layout: Layout,
    block_bytes: int,
) -> Part:
    """On a worker: train a model, sent as head, arrays, sizes and passes done, on some of the files, once."""
    head, arrays, known, passed = sent
    sizes = None if known is None else Sizes(known.copy())
    model = Model.restore(head, arrays, settings.start_rule)
    fold = settings.bits if layout["format"] == "svmlight" else None
    features = settings.features if fold is None else None
    stream = part_stream(files, settings, block_bytes, layout, features)
    rows, loss, weight = 0, 0.0, 0.0
    with closing(stream.blocks()) as blocks:
        for chunk in chunks(blocks if fold is None else (folded(block, fold) for block in blocks)):
            block = chunk.block
            if sizes is not None:
                sizes.divide(block)
            require_known(model, block)
            mixed = order(np.arange(len(block.labels)), settings.seed, passed, block.row)
            more_loss, more_weight = learn(model, block, mixed)
            rows, loss, weight = rows + len(block.labels), loss + more_loss, weight + more_weight
    after = None if sizes is None else sizes.array
    return Part(model.arrays(), model.t, rows, loss, weight, stream.skipped, after)


def with_sizes_in_common(parts: Sequence[Part]) -> list[Part]:
    """The parts with weights for the same sizes of features: of one that several parts were the first to see, the
    first part's. States stay as they are.
    """
    known = [part.sizes if part.sizes is not None else np.zeros(0, np.float32) for part in parts]
    common = np.zeros(max(map(len, known)), np.float32)
    for sizes in known:
        unknown = common[: len(sizes)] == 0
        common[: len(sizes)][unknown] = sizes[unknown]
    rescaled = []
    for part, sizes in zip(parts, known, strict=True):
        count = min(len(sizes), len(part.arrays["w"]) - 1)
        factor = np.ones(count, np.float32)
        np.divide(common[:count], sizes[:count], out=factor, where=sizes[:count] > 0)
        arrays = dict(part.arrays)
        for name in ("w", "_total"):
            if name in arrays:
                arrays[name] = arrays[name].copy()
                arrays[name][:count] *= factor[:, None]
        rescaled.append(part._replace(arrays=arrays, sizes=common))
    return rescaled


def averaged(model: Model, parts: Sequence[Part], rule: Rule) -> Model:
    """The model with the means of the parts' arrays, weighted by the rows that each has learnt from since ``model``; its
    step is the largest of theirs. Raises ProblemError where there are none.
    """
    learnt = [part.steps - model.t for part in parts]  # a row of weight 0 is none
    if not any(learnt):
        raise ProblemError("no part holds rows to learn from")
    arrays = {}
    for name, like in model.arrays().items():
        if name == "classes":
            arrays[name] = like
            continue
        mean = np.zeros(like.shape, np.float64)
        for part, steps in zip(parts, learnt, strict=True):
            mean += (steps / sum(learnt)) * part.arrays[name]
        arrays[name] = mean.astype(like.dtype)
    return Model.restore(model.head() | {"t": max(p.steps for p in parts)}, arrays, rule)
