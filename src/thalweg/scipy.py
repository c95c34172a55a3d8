"""SciPy's door: ``minimize`` with SciPy's signature and result, and ``method`` for SciPy's own.

    result = tw.minimize(fun, x0, jac=True, method=tw.Adam(lr=0.1))
    result = scipy.optimize.minimize(fun, x0, jac=True, method=thalweg.scipy.method(tw.Adam(lr=0.1)))

a) One implementation: SciPy calls the method with the arguments that ``minimize`` takes.
b) The rule runs on x / x_scale; after each step the point is projected onto the bounds.
c) Stopping is judged by points: the iterates, or, for a stochastic objective, means over a window of
   them (x, f and gradient alike). The lowest point seen is returned.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sized
from functools import partial
from inspect import signature
from operator import index
from typing import Any, NamedTuple
from warnings import warn

import numpy as np
from scipy.optimize import Bounds, OptimizeResult

from . import rules
from .core.line import short
from .core.rule import Rule
from .engines.cpu.foreign import foreign
from .engines.cpu.objective_loop import Driver, Standing
from .errors import GradientError, HyperparameterError, NonFiniteError, ParameterError, nearest
from .optimizer.optimizer import on
from .optimizer.options import Settings, checked
from .optimizer.row_tracking import Rows, sparse

Array = np.ndarray[Any, Any]

DONE, MAXITER, MAXFEV, MAXTIME, NONFINITE, MISFIT, RAISED, INTERRUPTED, CALLBACK = *range(8), 99
DIFFERENCES = {"2-point": 0.5, "3-point": 1 / 3, "cs": 0.5}  # powers of eps: SciPy's relative steps


class _Options(NamedTuple):
    """What ``minimize`` takes in ``options``; see there."""

    gtol: float | None = 1e-8
    ftol: float | None = None
    xtol: float | None = None
    ftarget: float | None = None
    maxiter: int = 10_000
    maxfev: int | None = None
    maxtime: float | None = None
    window: Any = None
    x_scale: Any = 1.0
    average: Any = None
    clip_value: float | None = None
    clip_norm: float | None = None
    stochastic: bool = False
    rng: Any = None
    finite_diff: str = "2-point"
    disp: bool = False


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: Rule | str | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> OptimizeResult:
    """Minimise a function of several variables by a rule; SciPy's signature and result.

    fun: ``fun(x, *args)`` gives f, one real number, or (f, gradient) with ``jac=True``; x is a copy of
    shape (n,) float64. x0: (n,) real numbers, kept as float64. method: a rule (``Adam(lr=0.1)``) or the name
    of one with its defaults (``"Adam"``, ``"RMSprop:keras"``); Adam by default. jac: True, a callable
    ``jac(x, *args)`` that gives the gradient, shape (n,), or ``"2-point"``, ``"3-point"``, ``"cs"`` for
    finite differences within the bounds; None is ``"2-point"``. bounds: a ``scipy.optimize.Bounds`` or n pairs
    (low, high), None for no bound; x0 is moved onto them, and so is each step. tol: the same as ``gtol``.
    callback: called after each step as ``callback(intermediate_result)``, with x, fun, jac, nit, nfev and
    njev, or as ``callback(xk)``, by the name of its parameter; StopIteration ends the run. hess, hessp: not
    used (RuntimeWarning). constraints: refused.

    The rest stands in ``options`` or is given by keyword; a tolerance of None is not asked for. By default only
    gtol and maxiter end a run: adaptive methods cross flat stretches.
    gtol: 1e-8, of the largest gradient entry; where x is at a bound, entries that push against it do not count.
    ftol: f changes by at most ftol · max(abs(f), 1), as in L-BFGS-B, in ``window`` steps running.
    xtol: x / x_scale changes by at most xtol · max(abs(x / x_scale), 1), likewise.
    ftarget: f is at most this.
    maxiter: 10,000 steps. maxfev: evaluations of fun. maxtime: seconds.
    x_scale: a number or (n,) positive numbers; the rule runs on x / x_scale.
    average: "polyak" or the decay of a moving average of the iterates, as in :py:meth:`on <thalweg.Rule.on>`;
    f is evaluated there at the end. clip_value, clip_norm: of the gradient, as there.
    stochastic: ``fun(x, *args, rng)`` and ``jac`` draw from the Generator handed to them; f, x and gradients
    are judged and returned as means over ``window`` steps. rng: its seed or a Generator.
    window: 10 steps; 100 where stochastic.
    finite_diff: "2-point" and so on, where jac is None (SciPy does not hand these names on as jac).
    disp: print the message.

    Returns a ``scipy.optimize.OptimizeResult`` with the lowest point seen: x (n,), fun, jac (n,), nit, nfev,
    njev, success, status, message, exception. success: a tolerance asked for was met. status: 0 so; 1 maxiter,
    2 maxfev, 3 maxtime; 4 f or the gradient is not finite; 5 fun or jac gave something of another kind or
    shape; 6 fun, jac or callback raised; 7 interrupted from the keyboard; 99 the callback raised
    StopIteration. In 4 to 7 the message says what happened, and ``exception`` holds what was raised (else
    None): nothing is raised once the first evaluation has begun.

    Raises HyperparameterError for arguments and options, ParameterError for x0; both are ValueError.
    """
    rule = _rule(method)
    chosen = _options(options, more, tol)
    _functions(fun, jac, callback)
    _unused(rule, hess, hessp, constraints)
    x = _start(x0)
    box = _box(bounds, x.size)
    generator = np.random.default_rng(chosen.rng) if chosen.stochastic else None
    objective = _Objective(fun, jac, args, box, chosen.finite_diff, generator)
    start = np.clip(x, *box)
    run = _Run(rule, objective, start, box, _scale(chosen.x_scale, x.size), chosen, _told(callback))
    error: BaseException | None = None
    try:
        status, message = run.descend()
    except (Exception, KeyboardInterrupt) as caught:
        status, message, error = *_ended(caught, run.nit), caught
    message += "" if np.array_equal(x, start) else " x0 lay outside the bounds and was moved onto them."
    x, f, g, _ = run.best()
    result = OptimizeResult(
        x=x, fun=f, jac=g, nit=run.nit, nfev=objective.nfev, njev=objective.njev,
        success=status == DONE, status=status, message=message, exception=error,
    )  # fmt: skip
    if chosen.disp:
        print(f"{message}\n  f = {f:.6g} after {run.nit} steps and {objective.nfev} evaluations of fun")
    return result


def method(rule: Rule | str) -> Callable[..., OptimizeResult]:
    """A rule, or the name of one, as a method of ``scipy.optimize.minimize``.

    ``scipy.optimize.minimize(fun, x0, jac=jac, method=thalweg.scipy.method(rule), options={...})`` does
    what :py:func:`thalweg.minimize` does with the same arguments. Raises HyperparameterError.
    """
    return partial(minimize, method=_rule(rule))


# What was given, checked.


def _rule(given: Any) -> Rule:
    if given is None:
        given = "Adam"
    if isinstance(given, str):
        return rules.named(given)
    if not isinstance(given, Rule):
        call = f"; write {given.__name__}()" if isinstance(given, type) and issubclass(given, Rule) else ""
        raise HyperparameterError(
            f"minimize: method must be a rule such as Adam() or its name, got {short(given)}{call}"
        )
    return given


def _options(given: Mapping[str, Any] | None, more: Mapping[str, Any], tol: Any) -> _Options:
    if not isinstance(given, Mapping | None):
        raise HyperparameterError(f"minimize: options must be a dict, got {short(given)}")
    values = {**(given or {})}
    for n in (*values, *more):
        if n not in _Options._fields:
            raise HyperparameterError(f"minimize: unknown option {n!r}: {nearest(n, _Options._fields)}")
        if n in values and n in more:
            raise HyperparameterError(f"minimize: {n} is given twice, as an argument and in options")
    values |= more
    if tol is not None:
        values.setdefault("gtol", _number("tol", tol, 0.0))
    o = _Options(**values)
    plain: dict[str, Any] = {n: _switch(n, getattr(o, n)) for n in ("stochastic", "disp")}
    plain |= {n: _number(n, getattr(o, n), 0.0) for n in ("gtol", "ftol", "xtol", "maxtime")}
    around = checked(Settings(clip_value=o.clip_value, clip_norm=o.clip_norm, average=o.average))
    window = 100 if plain["stochastic"] else 10
    return o._replace(
        **plain,
        ftarget=_number("ftarget", o.ftarget, -math.inf),
        maxiter=_whole("maxiter", 10_000 if o.maxiter is None else o.maxiter, 0),
        maxfev=None if o.maxfev is None else _whole("maxfev", o.maxfev, 1),
        window=window if o.window is None else _whole("window", o.window, 1),
        clip_value=around.clip_value, clip_norm=around.clip_norm, average=around.average,
        finite_diff=_difference("finite_diff", o.finite_diff),
        rng=_seed(o.rng),
    )  # fmt: skip


def _number(name: str, value: Any, low: float) -> float | None:
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number >= low:
        allowed = "a number" if low == -math.inf else f"a number of at least {low:g}"
        raise HyperparameterError(f"minimize: {name} must be {allowed} or None, got {short(value)}")
    return number


def _whole(name: str, value: Any, low: int) -> int:
    try:  # 1e4 is how many people write ten thousand
        plain = int(value) if isinstance(value, float) and value.is_integer() else value
        number = low - 1 if isinstance(value, bool) else index(plain)
    except TypeError:
        number = low - 1
    if number < low:
        raise HyperparameterError(
            f"minimize: {name} must be a whole number of at least {low}, got {short(value)}"
        )
    return number


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool | int) or value not in (0, 1):
        raise HyperparameterError(f"minimize: {name} must be True or False, got {short(value)}")
    return bool(value)


def _difference(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in DIFFERENCES:
        raise HyperparameterError(
            f"minimize: {name} must be one of {', '.join(map(repr, DIFFERENCES))}, got {short(value)}"
        )
    return value


def _seed(given: Any) -> Any:
    try:
        return np.random.default_rng(given) if given is not None else None
    except (TypeError, ValueError):
        raise HyperparameterError(
            f"minimize: rng must be a seed or a Generator, got {short(given)}"
        ) from None


def _functions(fun: Any, jac: Any, callback: Any) -> None:
    if not callable(fun):
        raise HyperparameterError(f"minimize: fun must be callable, fun(x, *args); got {short(fun)}")
    if not (
        jac is None or isinstance(jac, bool) or callable(jac) or (isinstance(jac, str) and jac in DIFFERENCES)
    ):
        allowed = ", ".join(map(repr, DIFFERENCES))
        raise HyperparameterError(
            f"minimize: jac must be True, a callable, None or one of {allowed}; got {short(jac)}"
        )
    if callback is not None and not callable(callback):
        raise HyperparameterError(f"minimize: callback must be callable, got {short(callback)}")


def _unused(rule: Rule, hess: Any, hessp: Any, constraints: Any) -> None:
    if constraints is not None and not (isinstance(constraints, Sized) and len(constraints) == 0):
        raise HyperparameterError(
            f"minimize: {type(rule).__name__} knows bounds but no constraints; got {short(constraints)}"
        )
    for n, given in (("hess", hess), ("hessp", hessp)):
        if given is not None:
            warn(
                f"Method {type(rule).__name__} does not use Hessian information ({n}).",
                RuntimeWarning,
                stacklevel=3,
            )


def _start(x0: Any) -> Array:
    """x0 as (n,) float64, a copy."""
    array = np.atleast_1d(_array(x0))
    if array.dtype.kind not in "fiub":
        hint = (
            "; real and imaginary parts are two coordinates: use .view(float)"
            if array.dtype.kind == "c"
            else ""
        )
        raise ParameterError(f"minimize: x0 must be real numbers, got {array.dtype}{hint}")
    if array.ndim != 1 or not array.size:
        raise ParameterError(
            f"minimize: x0 must be one-dimensional and not empty, got shape {array.shape}; use .ravel()"
        )
    array = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ParameterError(f"minimize: x0 must be finite, got {array[bad[0]]} at {bad[0]}")
    return array


def _box(bounds: Any, size: int) -> tuple[Array, Array]:
    """Lower and upper bounds, (n,) each, infinite where there is none."""
    if bounds is None:
        return np.full(size, -np.inf), np.full(size, np.inf)
    try:
        if isinstance(bounds, Bounds):
            pair = [np.broadcast_to(np.asarray(b, float), size) for b in (bounds.lb, bounds.ub)]
        else:
            rows = [(low, high) for low, high in bounds]
            if len(rows) != size:
                raise ValueError
            pair = [
                np.array([e if x is None else x for x in column], dtype=float)
                for e, column in zip((-np.inf, np.inf), zip(*rows, strict=True), strict=True)
            ]
    except (TypeError, ValueError):
        raise HyperparameterError(
            f"minimize: bounds must be a scipy.optimize.Bounds or {size} pairs (low, high), got {short(bounds)}"
        ) from None
    low, high = np.array(pair)
    bad = np.flatnonzero(~(low <= high) | (low == np.inf) | (high == -np.inf))
    if bad.size:
        k = bad[0]
        raise HyperparameterError(f"minimize: bounds[{k}] must have low <= high, got ({low[k]}, {high[k]})")
    return low, high


def _scale(given: Any, size: int) -> Array:
    try:
        scale = np.array(np.broadcast_to(np.asarray(given, dtype=float), size))
        good = not isinstance(given, bool | str) and bool(np.all((scale > 0) & np.isfinite(scale)))
    except (TypeError, ValueError):
        good = False
    if not good:
        raise HyperparameterError(
            f"minimize: x_scale must be a positive number or {size} of them, got {short(given)}"
        )
    return scale


def _told(callback: Callable[..., Any] | None) -> Callable[[OptimizeResult], bool] | None:
    """The callback by the signature that it has, as SciPy tells them apart; whether it wants to go on."""
    if callback is None:
        return None
    try:
        modern = set(signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):  # a builtin such as list.append
        modern = False

    def tell(result: OptimizeResult) -> bool:
        try:
            if modern:
                callback(intermediate_result=result)
            else:
                callback(result.x)
        except StopIteration:
            return False
        return True

    return tell


# The objective.


class _Objective:
    """f and its gradient at a point, counted; GradientError where they are of another kind or shape."""

    def __init__(
        self, fun: Any, jac: Any, args: Any, box: tuple[Array, Array], difference: str, rng: Any
    ) -> None:
        memo = getattr(jac, "__self__", None)
        if memo is not None and memo is fun and type(memo).__module__.startswith("scipy."):
            fun, jac = memo.fun, True  # SciPy's memo of (f, gradient), which keeps a draw while x rests
        self.fun, self.jac, self.box, self.rng = fun, jac, box, rng
        self.args = args if isinstance(args, tuple) else (args,)
        if rng is not None:
            self.args += (rng,)
        self.nfev = self.njev = 0
        self.f = math.nan  # the last value
        n = box[0].size
        if not (callable(jac) or jac is True):
            self.jac = difference = jac if isinstance(jac, str) else difference
            self.cost = 1 + (2 * n if difference == "3-point" else n)
        else:
            self.cost = 1
        self.draw = None if rng is None or jac is True else rng.bit_generator

    def __call__(self, x: Array) -> tuple[float, Array]:
        """f and the gradient at x; with a generator all calls see the same draw."""
        self.njev += 1
        before = None if self.draw is None else self.draw.state

        def call(function: Any, point: Array) -> Any:
            if self.draw is not None:
                self.draw.state = before
            self.nfev += function is self.fun
            return function(point.copy(), *self.args)

        made = call(self.fun, x)
        if self.jac is True:
            if not isinstance(made, tuple | list) or len(made) != 2:
                raise GradientError(f"with jac=True fun must return (f, gradient), got {short(made)}")
            self.f = _real("fun", made[0])
            return self.f, _vector(made[1], x.size)
        self.f = f = _real("fun", made)
        if isinstance(self.jac, str):
            return f, _differences(partial(call, self.fun), x, f, self.box, self.jac)
        return f, _vector(call(self.jac, x), x.size)


def _real(name: str, made: Any) -> float:
    if isinstance(made, float):
        return float(made)
    if isinstance(made, tuple | list) and len(made) == 2:
        raise GradientError(f"{name} returned two values: pass jac=True where they are f and its gradient")
    value = _array(made)
    if value.size != 1 or value.dtype.kind not in "fiub":
        raise GradientError(f"{name} must return one real number, got {short(made)}")
    return float(value.item())


def _array(made: Any) -> Array:
    """As NumPy has it; ragged lists as an array of objects, which is refused like any other."""
    try:
        return np.asarray(made)
    except ValueError:
        return np.array(None)


def _vector(made: Any, size: int) -> Array:
    if sparse(made) and not isinstance(made, Rows) and math.prod(made.shape) == size:
        made = made.toarray().reshape(-1)  # the objective reads all of x at every step: nothing to be saved
    array = _array(made)
    if array.dtype.kind not in "fiu" or (array.shape != (size,) and not size == array.size == 1):
        got = short(made) if array.dtype.kind not in "fiuc" else f"{array.dtype} of shape {array.shape}"
        raise GradientError(f"the gradient must be real and of shape ({size},) as x, got {got}")
    return array.astype(np.float64, copy=False).reshape(size)


def _differences(
    fun: Callable[[Array], Any], x: Array, f: float, box: tuple[Array, Array], kind: str
) -> Array:
    """The gradient by finite differences that stay within the bounds; 0 where they leave no room.

    The steps are SciPy's: a power of eps times max(1, abs(x)).
    """
    steps = np.finfo(float).eps ** DIFFERENCES[kind] * np.maximum(1.0, np.abs(x))
    made = np.zeros(x.size)
    if kind == "cs":
        for i, h in enumerate(steps):
            point = x.astype(complex)
            point[i] += 1j * h
            f_i = np.asarray(fun(point))
            if f_i.size != 1 or f_i.dtype.kind != "c":
                raise GradientError(f"for 'cs' fun must return one complex number, got {short(f_i)}")
            made[i] = f_i.item().imag / h
        return made

    def value(i: int, at: float) -> tuple[float, float]:
        point = x.copy()
        point[i] = at
        return float(point[i] - x[i]), _real("fun", fun(point))

    for i, (at, h, low, high) in enumerate(zip(x, steps, *box, strict=True)):
        below, above = at - low, high - at
        if kind == "3-point" and min(below, above) >= h:
            (a, fa), (b, fb) = value(i, at - h), value(i, at + h)
            made[i] = (fb - fa) / (b - a)
            continue
        reach = 2 * h if kind == "3-point" else h
        sign = math.copysign(1.0, at)
        if (above if sign > 0 else below) < reach:
            sign = 1.0 if above >= below else -1.0
            reach = min(reach, max(above, below))
        if reach == 0:
            continue
        a, fa = value(i, at + sign * reach)
        if kind == "2-point":
            made[i] = (fa - f) / a
            continue
        b, fb = value(i, at + sign * reach / 2)
        # The slope at 0 of the parabola through (0, f), (b, fb), (a, fa).
        made[i] = ((fb - f) * a / b - (fa - f) * b / a) / (a - b)
    return made


# The run.


class _Point(NamedTuple):
    """An iterate, or the mean of several; ``nit`` is the step at which it was complete."""

    x: Array
    f: float
    g: Array
    nit: int


class _Judge:
    """The lowest point so far, and which tolerance is met; a point is the mean of ``every`` iterates."""

    def __init__(self, options: _Options, box: tuple[Array, Array], scale: Array) -> None:
        self.o, self.box, self.scale = options, box, scale
        self.bounded = bool(np.isfinite(box).any())
        self.every = options.window if options.stochastic else 1
        self.patience = 1 if options.stochastic else options.window
        self.lowest: _Point | None = None
        self.last: _Point | None = None
        self.calm_f = self.calm_x = 0
        self.size = 0.0  # of f at the start: what rounding is measured against
        self.sums: tuple[Any, ...] = (0.0, 0.0, 0.0)
        self.count = 0

    def take(self, x: Array, f: float, g: Array, nit: int, average: Array | None) -> str | None:
        """Take in an iterate; the sentence about a tolerance that is now met."""
        if self.every == 1:
            return self._judge(_Point(x, f, g, nit))
        self.sums = tuple(s + new for s, new in zip(self.sums, (x, f, g), strict=True))
        self.count += 1
        return self._judge(self._mean(nit, average)) if self.count == self.every else None

    def _mean(self, nit: int, average: Array | None) -> _Point:
        x, f, g = (s / self.count for s in self.sums)
        self.sums, self.count = (0.0, 0.0, 0.0), 0
        return _Point(np.clip(x if average is None else average, *self.box), f, g, nit)

    def best(self, nit: int, average: Array | None) -> _Point | None:
        """The lowest point; of a window that is not full yet where there is no other."""
        if self.lowest is None and self.count:
            self.lowest = self._mean(nit, average)
        return self.lowest

    def offer(self, point: _Point) -> None:
        """Keep the point if it is the lowest."""
        if self.lowest is None or point.f <= self.lowest.f:
            self.lowest = point._replace(x=point.x.copy(), g=point.g.copy())

    def _judge(self, p: _Point) -> str | None:
        o, last = self.o, self.last
        if last is None:
            self.size = abs(p.f)
        else:
            change = abs(p.f - last.f)
            self.calm_f += 1
            if o.ftol is None or change > o.ftol * max(abs(p.f), abs(last.f), 1.0):
                self.calm_f = 0
            self.calm_x += 1
            if o.xtol is None or _top((p.x - last.x) / self.scale) > o.xtol * max(
                _top(p.x / self.scale), 1.0
            ):
                self.calm_x = 0
        self.last = p
        self.offer(p)
        assert self.lowest is not None
        top = self.top(p)
        mean = "mean " if self.every > 1 else ""
        steps = (
            f"in {self.patience} steps running"
            if self.every == 1
            else f"from one mean of {self.every} steps to the next"
        )
        met = None
        if o.gtol is not None and top <= o.gtol:
            met = f"The largest {mean}gradient entry, {top:.3g}, is within gtol = {o.gtol:g}"
            if p.f - self.lowest.f <= 4 * np.finfo(float).eps * max(self.size, abs(p.f)):
                # As low but for rounding, and it has the gradient asked for.
                self.lowest = p._replace(g=p.g.copy())
        elif o.ftarget is not None and p.f <= o.ftarget:
            met = f"The {mean}objective, {p.f:.6g}, is at most ftarget = {o.ftarget:g}"
        elif self.calm_f >= self.patience:
            met = f"The objective changed by no more than ftol = {o.ftol:g} {steps}"
        elif self.calm_x >= self.patience:
            met = f"x changed by no more than xtol = {o.xtol:g} {steps}"
        if met is None:
            return None
        where = "" if self.lowest.nit == p.nit else f" The lowest value was seen at step {self.lowest.nit}."
        return f"{met}.{where}"

    def standing(self) -> Standing:
        """What the compiled loop needs to judge on; ``follow`` takes it back."""
        p, low = self.last, self.lowest
        assert p is not None and low is not None
        return Standing(p.x, p.f, low.x, low.f, low.g, low.nit, self.calm_f, self.calm_x)

    def follow(self, s: Standing) -> None:
        """Go on from where the compiled loop came to."""
        assert self.last is not None
        self.last = self.last._replace(x=s.last_x, f=s.last_f)
        self.lowest = _Point(s.best_x, s.best_f, s.best_g, s.best_step)
        self.calm_f, self.calm_x = s.calm_f, s.calm_x

    def top(self, p: _Point) -> float:
        """The largest gradient entry but for those that push against a bound."""
        if not self.bounded:
            return _top(p.g)
        low, high = self.box
        held = ((p.x <= low) & (p.g > 0)) | ((p.x >= high) & (p.g < 0))
        return _top(np.where(held, 0.0, p.g))


def _top(values: Array) -> float:
    return float(np.abs(values).max())


class _Run:
    """A rule on its way through an objective."""

    def __init__(
        self,
        rule: Rule,
        objective: _Objective,
        start: Array,
        box: tuple[Array, Array],
        scale: Array,
        options: _Options,
        tell: Callable[[OptimizeResult], bool] | None,
    ) -> None:
        self.objective, self.start, self.box, self.scale = objective, start, box, scale
        self.o, self.tell = options, tell
        self.judge = _Judge(options, box, scale)
        self.w = start / scale
        self.optimizer = on(rule, self.w, clip_value=options.clip_value, clip_norm=options.clip_norm)
        self.average = None if options.average is None else start.copy()
        self.nit = 0
        self.driver = self._driver(rule)
        self.chunk = 64  # steps of the driver at a time

    def _driver(self, rule: Rule) -> Driver | None:
        """The compiled loop, where Numba compiled fun (and jac) and nothing else needs each step."""
        o, objective = self.o, self.objective
        if self.tell or o.stochastic or isinstance(objective.jac, str):
            return None
        if not (o.average is o.clip_value is o.clip_norm is None):
            return None
        function = foreign(objective.fun, objective.jac, objective.args)
        if function is None:
            return None
        g, f, x = (-1.0 if v is None else v for v in (o.gtol, o.ftol, o.xtol))
        target = -math.inf if o.ftarget is None else o.ftarget
        return Driver(
            rule,
            function,
            self.w,
            self.optimizer.state,
            self.scale,
            *self.box,
            (g, f, x, target),
            o.window,
        )

    def descend(self) -> tuple[int, str]:
        """Step until something ends the run: the status and its sentence."""
        o, objective, box, scale = self.o, self.objective, self.box, self.scale
        begun = time.perf_counter()
        gradient = np.empty_like(self.w)
        final = 0 if self.average is None or o.stochastic else objective.cost
        x = self.start
        while True:
            f, g = objective(x)
            if not math.isfinite(f):
                return NONFINITE, f"The objective is {f} at step {self.nit}."
            if not np.isfinite(g).all():
                bad = np.flatnonzero(~np.isfinite(g))[0]
                return NONFINITE, f"The gradient is {g[bad]} at ({bad},) at step {self.nit}."
            met = self.judge.take(x, f, g, self.nit, self.average)
            if self.nit and self.tell is not None:
                shown = OptimizeResult(
                    x=x.copy(), fun=f, jac=g.copy(), nit=self.nit, nfev=objective.nfev, njev=objective.njev
                )
                if not self.tell(shown):
                    return CALLBACK, "`callback` raised `StopIteration`."
            ended = (DONE, met) if met is not None else self._limit(begun, final)
            if ended is not None:
                if final:
                    self._look_at_the_average()
                return ended
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                np.multiply(g, scale, out=gradient)
                self.optimizer.step(gradient)
                self.nit += 1
                x = np.clip(self.w * scale, *box)
                np.clip(self.w, box[0] / scale, box[1] / scale, out=self.w)
            if self.driver is not None:
                x = self._drive(self.driver, x)
            if self.average is not None:
                take = 1.0 / self.nit if o.average == "polyak" else 1.0 - float(o.average)
                self.average = self.average + take * (x - self.average)

    def _drive(self, driver: Driver, x: Array) -> Array:
        """Go on from x, compiled, for about a tenth of a second or to a point that ``descend`` must see."""
        o, objective, judge = self.o, self.objective, self.judge
        steps = min(self.chunk, o.maxiter - self.nit)
        if o.maxfev is not None:
            steps = min(steps, o.maxfev - objective.nfev - 1)
        begun = time.perf_counter()
        driver.x[:] = x
        at = judge.standing()
        done = driver.advance(steps, self.nit, at) if steps > 0 else 0
        judge.follow(at)
        if time.perf_counter() - begun < 0.05:
            self.chunk *= 2
        elif self.chunk > 1:
            self.chunk //= 2
        self.nit += done
        objective.nfev += done
        objective.njev += done
        self.optimizer.count(done)
        return driver.x.copy()

    def _limit(self, begun: float, final: int) -> tuple[int, str] | None:
        """Whether a limit forbids another step."""
        o, objective = self.o, self.objective
        if self.nit >= o.maxiter:
            return MAXITER, f"The limit of maxiter = {o.maxiter} steps was reached."
        if o.maxfev is not None and objective.nfev + objective.cost + final > o.maxfev:
            return MAXFEV, f"The limit of maxfev = {o.maxfev} evaluations was reached."
        if o.maxtime is not None and time.perf_counter() - begun >= o.maxtime:
            return MAXTIME, f"The limit of maxtime = {o.maxtime:g} seconds was reached."
        return None

    def _look_at_the_average(self) -> None:
        assert self.average is not None
        f, g = self.objective(self.average)
        if math.isfinite(f):
            self.judge.offer(_Point(self.average, f, g, self.nit))

    def best(self) -> _Point:
        """The lowest point seen; the start where nothing was seen."""
        found = self.judge.best(self.nit, self.average)
        if found is None:
            return _Point(self.start, self.objective.f, np.full(self.start.size, np.nan), 0)
        return found


def _ended(error: BaseException, nit: int) -> tuple[int, str]:
    """The status and the sentence of a run that an exception ended."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, f"Interrupted from the keyboard at step {nit}."
    if isinstance(error, NonFiniteError):
        return NONFINITE, f"At step {nit}: {text}."
    if isinstance(error, GradientError):
        return MISFIT, f"At step {nit}: {text}."
    return RAISED, f"At step {nit} {type(error).__name__} was raised: {text or 'no message'}."


__all__ = ["method", "minimize"]
