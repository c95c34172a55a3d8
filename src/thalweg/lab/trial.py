"""One method on one problem from one seed, or compiled for many at once: losses, metric, rates, time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..optimizer import tree
from ..problems import Problem, Source
from ..problems.compiled import CompiledProblem

Array = np.ndarray[Any, Any]
BLOWN = 1e3  # a height this many times that of the start counts as diverged
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Run:
    """A run's records: R = steps // every + 1.

    ``steps`` (R,), ``loss`` (R,) with inf from divergence on, ``rates`` (R, 3): 10, 50, 90 % over
    coordinates (or None), ``path`` (R, 2) for problems of two parameters (or None), ``metric`` at the
    end, ``seconds`` spent in gradient and step.
    """

    steps: Array
    loss: Array
    rates: Array | None
    path: Array | None
    metric: float | None
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether the loss became non-finite or a thousand times its start."""
        return not np.isfinite(self.loss[-1])


@lru_cache(maxsize=4)
def _made(source: Source) -> Problem:
    return source.problem()


def find(source: Source | Problem) -> Problem:
    """A problem as it is, or from its source (kept for the next call)."""
    return _made(source) if isinstance(source, Source) else source


def ceiling(p: Problem, start: Array) -> Array:
    """The loss above which a run counts as diverged: BLOWN times the start's height over the minimum.

    A start that lies near the minimum counts as high as the problem's usual one. Where no minimum is
    known the height is that over 0, which is that of most losses.
    """
    floor = p.minimum or 0.0
    height: Array = floor + BLOWN * np.maximum(np.abs(start - floor), p.height)
    return height


def blown(loss: Array, p: Problem) -> Array:
    """Losses (..., R) with inf from the first that is non-finite or above the problem's ceiling."""
    bad = ~np.isfinite(loss) | (loss > ceiling(p, loss[..., :1]))
    return np.where(np.maximum.accumulate(bad, axis=-1), np.inf, loss)


def train(
    source: Source | Problem,
    rule: Rule,
    seed: int,
    steps: int,
    batch: int,
    every: int,
    rates: bool,
) -> Run:
    """Step by step, for problems with their own gradient code."""
    p = find(source)
    params: Any = p.start(seed)
    rates = rates and rule.parts.rate is not None
    opt = rule.on(params, on_nonfinite="propagate", rates=rates)
    records = steps // every + 1
    loss = np.full(records, np.inf)
    seen = np.full((records, 3), np.nan)
    loss[0] = p.loss(params)
    seconds, done = 0.0, 0
    with np.errstate(all="ignore"):
        tick = time.perf_counter()
        for done, rows in enumerate(p.batches(seed, batch, steps), start=1):
            opt.step(p.gradient(params, rows))
            if done % every == 0:
                seconds += time.perf_counter() - tick
                k = done // every
                loss[k] = p.loss(params)
                if not loss[k] <= ceiling(p, loss[:1]):
                    break
                if rates:
                    flat = np.concatenate([np.ravel(a) for _, a in tree.leaves(opt.rates())])
                    seen[k] = np.quantile(flat, QUANTILES)
                tick = time.perf_counter()
        metric = p.metric(params) if np.isfinite(loss[-1]) else None
    return Run(
        np.arange(records) * every,
        blown(loss, p),
        seen if rates else None,
        None,
        metric,
        seconds / max(done, 1),
    )


def compiled(
    p: CompiledProblem,
    rule: Rule,
    lrs: Sequence[float] | None,
    seeds: Sequence[int],
    steps: int,
    batch: int,
    every: int,
    full: bool,
) -> list[list[Run]]:
    """All learning rates × all seeds in one compiled loop; runs[rate][seed]."""
    from ..engines.cpu import loops

    count = len(lrs) if lrs is not None else 1
    starts = np.array([p.start(s) for s in seeds])
    orders = [p.order(s, batch, steps) for s in seeds]
    order = None if orders[0] is None else np.stack([o for o in orders if o is not None])
    every_start = np.tile(starts, (count, 1))
    vary = {} if lrs is None else {"lr": np.repeat(np.asarray(lrs, dtype=float), len(seeds))}
    tick = time.perf_counter()
    trace = loops.run(
        rule,
        p.objective,
        every_start,
        steps,
        vary=vary,
        every=every,
        record=("loss", "path", "rates") if full else ("loss",),
        data=p.data,
        order=order,
        stream=np.tile(np.arange(len(seeds)), count),
    )
    seconds = (time.perf_counter() - tick) / (steps * len(every_start))
    assert trace.loss is not None
    losses = blown(trace.loss, p)
    runs = []
    for i in range(len(every_start)):
        rates = path = metric = None
        if trace.rates is not None and trace.path is not None:
            with np.errstate(all="ignore"):
                rates = np.quantile(trace.rates[i], QUANTILES, axis=-1).T
            path = trace.path[i] if trace.path.shape[-1] == 2 else None
            metric = p.metric(trace.path[i, -1]) if np.isfinite(losses[i, -1]) else None
        runs.append(Run(trace.steps, losses[i], rates, path, metric, seconds))
    return [runs[k * len(seeds) : (k + 1) * len(seeds)] for k in range(count)]
