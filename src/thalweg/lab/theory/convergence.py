"""How fast a rule with a constant rate converges on a quadratic: predicted, and fitted to what was measured.

Each eigenvalue of the Hessian is a mode of its own, on which one step is a small matrix (``freeze``).
The asymptotic factor is the worst mode's spectral radius. Before it sets in there may be a hump: heavy
ball at its optimum has a Jordan block, and the error first grows.
Sources: Polyak (1964) for gradient descent and heavy ball; Nesterov, Introductory Lectures on Convex
Optimization (2004), 2.2, for the constant momentum; Goh, Distill (2017).
"""

from collections.abc import Callable, Sequence
from math import ceil, inf, log, sqrt
from typing import NamedTuple

import numpy as np

from ...core import clock as scalars
from ...core.rule import Rule, find
from ...errors import HyperparameterError, ProblemError, nearest
from ...problems.base import Array, finite, need_integer
from ...problems.quadratic import spectrum
from ..trial import Trial
from .freeze import frozen, own_rate


class Tuned(NamedTuple):
    """A rule at the settings that are optimal on a spectrum, and its factor per step."""

    rule: Rule
    factor: float


def _descent(low: float, high: float) -> tuple[dict[str, float], float]:
    kappa = high / low
    return {"lr": 2 / (low + high)}, (kappa - 1) / (kappa + 1)


def _heavy_ball(low: float, high: float) -> tuple[dict[str, float], float]:
    root = sqrt(high / low)
    contraction = (root - 1) / (root + 1)
    return {"lr": (2 / (sqrt(low) + sqrt(high))) ** 2, "beta": contraction**2}, contraction


def _nesterov(low: float, high: float) -> tuple[dict[str, float], float]:
    root = sqrt(high / low)
    return {"lr": 1 / high, "beta": (root - 1) / (root + 1)}, 1 - 1 / root


_OPTIMA: dict[str, Callable[[float, float], tuple[dict[str, float], float]]] = {
    "SGD": _descent,
    "Momentum": _heavy_ball,
    "Nesterov": _nesterov,
}


def tuned(name: str, smallest: float, largest: float) -> Tuned:
    """SGD, Momentum or Nesterov at its optimum for eigenvalues from ``smallest`` to ``largest``.

    Nesterov's is the textbook's constant momentum at the rate 1/largest. Raises HyperparameterError for
    another name, ProblemError unless 0 < smallest <= largest < inf.
    """
    if name not in _OPTIMA:
        raise HyperparameterError(f"no optimum is known for {name!r}: {nearest(name, _OPTIMA)}")
    if not 0 < smallest <= largest < inf:
        raise ProblemError(
            f"eigenvalues: got smallest={smallest!r}, largest={largest!r}; 0 < smallest <= largest is needed"
        )
    settings, contraction = _OPTIMA[name](smallest, largest)
    return Tuned(find(name)(**settings), contraction)


def transient(
    rule: Rule,
    eigenvalues: Array | Sequence[float],
    start: Array | Sequence[float],
    steps: int,
    rate: float | None = None,
) -> Array:
    """Predicted ‖x_k‖ / ‖x_0‖ for k = 0 ... steps, (steps + 1,) float64; its maximum is the hump.

    start: (d,) in the eigenvectors' coordinates, the minimum at 0. States begin where the rule lets them
    begin. rate: held in place of the rule's own, unit w/g; None needs a rate that does not depend on
    gradients. For such rules this is the run itself, up to rounding. Raises as ``iteration_matrix`` does, and
    ProblemError for eigenvalues, a start or a number of steps that cannot be.
    """
    values, x = finite("eigenvalues", eigenvalues), finite("start", start)
    need_integer("steps", steps)
    if values.shape != x.shape or values.ndim != 1 or not np.any(x):
        raise ProblemError(
            f"start: got shape {x.shape} for {values.size} eigenvalues; one number each is needed, not all 0"
        )
    if rate is None and own_rate(rule, 1) is None:
        raise HyperparameterError(
            f"{type(rule).__name__}: its rate follows the gradients; give rate=, the effective rate to hold"
        )
    moves = scalars.scheduled(rule) or bool(scalars.moving(rule.clock_formula))

    def matrices(t: int) -> tuple[tuple[str, ...], Array]:
        used = own_rate(rule, t) if rate is None else rate
        step = frozen(rule, np.nan if used is None else used, t)
        return step.names, step.at(values)

    names, matrix = matrices(1)
    state = np.array([x, *(np.full(x.size, getattr(rule, n)) for n in names[1:])]).T[..., None]
    norms = np.empty(steps + 1)
    for k in range(steps + 1):
        norms[k] = np.linalg.norm(state[:, 0, 0])
        if moves and k:
            _, matrix = matrices(k + 1)
        state = matrix @ state
    shares: Array = norms / norms[0]
    return shares


def steps_to(factor: float, reduction: float) -> float:
    """Steps after which factor^k is at most ``reduction``: a bound that knows no transient; inf if never."""
    if not (factor >= 0 and reduction > 0):
        raise ProblemError(f"steps: got factor={factor!r}, reduction={reduction!r}; both must be positive")
    if reduction >= 1:
        return 0.0
    if factor >= 1:
        return inf
    return 1.0 if factor == 0 else float(ceil(log(reduction) / log(factor)))


def fitted_factor(norms: Array | Sequence[float], floor: float = 1e-300) -> float:
    """The contraction per step of measured norms ‖x_k‖, k = 0, 1, ...: least squares on their logarithms.

    Taken over the last half of the steps before the norms first fall to ``floor``, where rounding holds
    them up. The default suits a minimum at 0; elsewhere some 1e-14 times the minimiser's norm. Raises
    ProblemError where fewer than four norms are above it.
    """
    values = np.asarray(norms, dtype=float)
    below = np.flatnonzero(~(values > floor))  # NaN ends the run, too
    stop = int(below[0]) if below.size else len(values)
    if stop < 4 or not np.all(np.isfinite(values[:stop])):
        raise ProblemError(f"fit: {stop} norms are finite and above {floor:g}; at least 4 are needed")
    half = np.arange(stop // 2, stop)
    slope = np.polyfit(half, np.log(values[half]), 1)[0]
    return float(np.exp(slope))


_ROUNDS, _RUNS, _RECORDS = 4, 64, 400
_HELD = 1e-3  # a factor that moves by no more, relatively, is constant
_REST, _CEILING = 1e-150, 1e60  # outside of which squares and momentum under- or overflow


def measured_limit(rule: Rule, steps: int = 4000) -> float:
    """The largest effective rate at which real runs on w²/2 from w = 1 do not grow: ``limit``, measured.

    Runs with many learning rates at once, six decades around the rule's own lr and then finer, each
    of ``steps`` compiled steps. What comes back is the rate (unit w/g) that the last stable run used, so
    that adaptive rules can be measured where an ε of 1e100 holds their rate. inf where no
    run grows, 0 where all do.

    It is ``limit`` only where the rate is lr times the same factor in all runs and at all steps after the
    first quarter: a rate that follows the gradients adapts until the run is stable. Raises
    HyperparameterError for such a rule and for one without a positive lr, ProblemError for fewer than 8
    steps. Schedules of lr are replaced by constants.
    """
    need_integer("steps", steps, 8)
    lr = rule.at(0).get("lr", 0.0)
    if not lr > 0:
        raise HyperparameterError(f"{rule!r}: a positive lr is needed, around which to look")
    bowl = spectrum((1.0,), None)
    every = max(1, steps // _RECORDS)

    def tried(rates: Array) -> tuple[int, float]:
        """How many of these runs, in order, are stable before one is not; the last one's effective rate."""
        trial = Trial(
            rule, bowl, steps, starts=(1.0,), vary={"lr": rates}, every=every, record=("path", "rates")
        )
        runs = trial.run()
        size, used = np.abs(runs.path[:, 0, 1:, 0]), runs.rates[:, 0, :, 0]
        # The first quarter belongs to the transient. After it no quarter may exceed the one before, and
        # the last one not the ceiling, where an adaptive rule takes over. (NaN is under no ceiling.)
        quarters = np.stack([q.max(axis=1) for q in np.array_split(size, 4, axis=1)[1:]])
        grown = quarters[1:] > np.maximum(quarters[:-1], _REST)
        good = ~grown.any(axis=0) & (quarters[-1] < _CEILING)
        stable = int(np.argmin(good)) if not good.all() else len(rates)
        # What is held is lr times the same factor, whatever the gradients were.
        factors = used[:stable, 1 + used.shape[1] // 4 :] / rates[:stable, None]
        if stable and not np.ptp(factors) <= _HELD * np.abs(factors).max():
            raise HyperparameterError(
                f"{rule!r}: its rate follows the gradients, from {factors.min():.4g} to {factors.max():.4g}"
                " times lr; hold it with a large eps, such as eps=1e100 and lr=1e100"
            )
        return stable, float(used[max(stable - 1, 0), -1])

    rates = lr * np.geomspace(1e-6, 1e6, 600)
    found = inf
    for _ in range(_ROUNDS):
        stable, effective = tried(rates)
        if stable == len(rates):
            return inf
        if stable == 0:
            return 0.0
        found = effective
        rates = np.linspace(rates[stable - 1], rates[stable], _RUNS)
    return found
