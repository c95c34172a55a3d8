"""What ``minimize`` is given, checked and made plain: HyperparameterError, and ParameterError for x0."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sized
from inspect import signature
from operator import index
from typing import Any, NamedTuple, TypeAlias
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, OptimizeResult

from .. import rules
from ..core.line import short
from ..core.rule import Rule
from ..errors import HyperparameterError, ParameterError, nearest
from ..optimizer.options import Settings, checked
from .objective import DIFFERENCES, as_array

Array = np.ndarray[Any, Any]
Seed = int | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None
Limits: TypeAlias = Bounds | Iterable[tuple[float | None, float | None]] | None


class Options(NamedTuple):
    """What ``minimize`` takes in ``options``; see there."""

    gtol: float | None = 1e-8
    ftol: float | None = None
    xtol: float | None = None
    ftarget: float | None = None
    maxiter: int = 10_000
    maxfev: int | None = None
    maxtime: float | None = None
    window: Any = None
    x_scale: ArrayLike = 1.0
    average: Any = None
    clip_value: float | None = None
    clip_norm: float | None = None
    stochastic: bool = False
    rng: Seed = None
    finite_diff: str = "2-point"
    disp: bool = False
    follows: bool = True  # gtol, the precision of the gradient; not an option but whether one was given


NAMES = Options._fields[:-1]


def rule_of(given: Rule | str) -> Rule:
    if isinstance(given, str):
        return rules.named(given)
    if not isinstance(given, Rule):
        call = f"; write {given.__name__}()" if isinstance(given, type) and issubclass(given, Rule) else ""
        raise HyperparameterError(
            f"minimize: method must be a rule such as Adam() or its name, got {short(given)}{call}"
        )
    return given


def options_of(given: Mapping[str, Any] | None, more: Mapping[str, Any], tol: float | None) -> Options:
    if not isinstance(given, Mapping | None):
        raise HyperparameterError(f"minimize: options must be a dict, got {short(given)}")
    values = {**(given or {})}
    for n in (*values, *more):
        if n not in NAMES:
            raise HyperparameterError(f"minimize: unknown option {n!r}: {nearest(n, NAMES)}")
        if n in values and n in more:
            raise HyperparameterError(f"minimize: {n} is given twice, as an argument and in options")
    values |= more
    if tol is not None:
        values.setdefault("gtol", _number("tol", tol, 0.0))
    o = Options(**values)
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
        follows="gtol" not in values,
    )  # fmt: skip


def _number(name: str, value: float | None, low: float) -> float | None:
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


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool | int) or value not in (0, 1):
        raise HyperparameterError(f"minimize: {name} must be True or False, got {short(value)}")
    return bool(value)


def _difference(name: str, value: object) -> str:
    if not isinstance(value, str) or value not in DIFFERENCES:
        raise HyperparameterError(
            f"minimize: {name} must be one of {', '.join(map(repr, DIFFERENCES))}, got {short(value)}"
        )
    return value


def _seed(given: Seed) -> np.random.Generator | None:
    try:
        return np.random.default_rng(given) if given is not None else None
    except (TypeError, ValueError):
        raise HyperparameterError(
            f"minimize: rng must be a seed or a Generator, got {short(given)}"
        ) from None


def require_functions(fun: object, jac: object, callback: object) -> None:
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


def warn_of_unused(rule: Rule | None, hess: object, hessp: object, constraints: object) -> None:
    if constraints is not None and not (isinstance(constraints, Sized) and len(constraints) == 0):
        raise HyperparameterError(
            f"minimize: {_named(rule)} knows bounds but no constraints; got {short(constraints)}"
        )
    for n, given in (("hess", hess), ("hessp", hessp)):
        if given is not None:
            warn(
                f"Method {_named(rule)} does not use Hessian information ({n}).",
                RuntimeWarning,
                stacklevel=3,
            )


def _named(rule: Rule | None) -> str:
    return "thalweg" if rule is None else type(rule).__name__


def start_of(x0: ArrayLike) -> Array:
    """x0 as (n,) float64, a copy."""
    if isinstance(x0, np.ma.MaskedArray):
        raise ParameterError("minimize: x0 must be a plain array, got MaskedArray; use .filled(0.0)")
    array = np.atleast_1d(as_array(x0))
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


def box_of(bounds: Limits, size: int) -> tuple[Array, Array]:
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


def scale_of(given: ArrayLike, size: int) -> Array:
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


def as_callback(callback: Callable[..., Any] | None) -> Callable[[OptimizeResult], bool] | None:
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
