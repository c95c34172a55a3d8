"""The XLA engine: an update and its clock as JAX operations, to be traced, compiled, mapped, differentiated.

a) What is known while tracing is computed on the host, in float64; what moves with t, or is itself
   traced, on the device, in float64 too, whether or not JAX has 64 bits switched on. A scalar is rounded
   once, to the dtype of the arithmetic.
b) Weights narrower than 32 bits are computed in float32.
c) XLA contracts products and sums, and takes subnormal numbers as 0: within some ulps of the oracle.
"""

import math
import operator
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import FunctionType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from ..core import clock as scalars
from ..core import math as formulas
from ..core.formula import Formula
from ..core.schedule import Schedule
from ..core.update import Update
from ..errors import HyperparameterError
from . import ops

Array = jax.Array
Value = Any  # a number, a traced number, a Schedule, or a function of the steps done


def arithmetic(dtype: DTypeLike) -> DTypeLike:
    """Return the dtype in which weights of a dtype are computed and their states kept."""
    return dtype if jnp.dtype(dtype).itemsize >= 4 else jnp.dtype(jnp.float32)


@cache
def element(update: Update) -> Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Array]]:
    """Return an update as a function of arrays by name and scalars by name, which returns what it writes, by name."""
    formula = Formula("update", update.arrays, update.scalars, update.body, tuple(update.written.items()), {})
    evaluate = ops.function(formula, {n: getattr(jnp, n) for n in ops.FUNCTIONS})

    def step(arrays: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Array]:
        results = evaluate(*(arrays[n] for n in update.arrays), *(values[n] for n in update.scalars))
        return {
            n: jnp.broadcast_to(v, arrays["g"].shape) for n, v in zip(update.written, results, strict=True)
        }

    return step


def _either(name: str) -> Callable[..., ArrayLike]:
    """Return a function of the grammar: the host's on numbers, JAX's where one of them is traced."""
    host: Callable[..., ArrayLike] = getattr(formulas, name)
    device: Callable[..., ArrayLike] = getattr(jnp, name)

    def called(*values: ArrayLike) -> ArrayLike:
        return device(*values) if any(isinstance(v, Array) for v in values) else host(*values)

    return called


_EITHER = {n: _either(n) for n in (*ops.FUNCTIONS, "maximum", "minimum")}


@cache
def _clock(formula: Formula, narrow: bool) -> Callable[..., tuple[Any, ...]]:
    if not narrow:  # the host's own form, from which expm1 would part it
        return ops.function(formula, _EITHER)
    formula, logs = scalars.traced(formula)
    evaluate, places = ops.function(formula, _EITHER), [formula.inputs.index(n) for n in logs]
    return lambda *given: evaluate(*given, *(_EITHER["log"](given[k]) for k in places))


def value(setting: Value, count: ArrayLike) -> ArrayLike:
    """Return a hyperparameter's value after ``count`` steps, in float64 where it is traced."""
    if isinstance(setting, Schedule):
        return _scheduled(setting, _wide(count))
    return _wide(setting(count) if callable(setting) else setting)


def scheduled(schedule: Schedule, count: ArrayLike, dtype: DTypeLike) -> Array:
    """Return a schedule's value after ``count`` steps, rounded to ``dtype``."""
    exact = value(schedule, jnp.asarray(count))
    with jax.enable_x64(True):
        return jnp.asarray(exact).astype(dtype)


def _wide(number: ArrayLike) -> ArrayLike:
    if not isinstance(number, Array):
        return number
    with jax.enable_x64(True):
        return number.astype(jnp.float64)


_TRACED = {
    "min": _EITHER["minimum"],
    "max": _EITHER["maximum"],
    "float": lambda x: x,
    "growth": operator.pow,
    "where": _EITHER["where"],
}


def _scheduled(schedule: Schedule, step: ArrayLike) -> ArrayLike:
    """A schedule's own ``__call__`` with the grammar's functions in place of Python's."""
    called = type(schedule).__call__
    fields = {n: partial(_scheduled, v) if isinstance(v, Schedule) else v for n, v in schedule.fields.items()}
    space = called.__globals__ | _TRACED | {"math": SimpleNamespace(**{**vars(math), **_EITHER})}
    traced = FunctionType(called.__code__, space, "schedule", called.__defaults__, called.__closure__)
    try:
        with jax.enable_x64(True):
            now: ArrayLike = traced(SimpleNamespace(**fields), step)
            return now
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise HyperparameterError(
            f"{schedule!r}: its __call__ cannot be traced; write where(...) of thalweg.core instead of"
            " if, functions of math only, or hand over an Optax schedule"
        ) from None


def clock(
    update: Update, values: Mapping[str, Value], count: ArrayLike, dtype: DTypeLike
) -> dict[str, Array]:
    """Return the scalars of an update after ``count`` steps, by name, each without dimensions and of ``dtype``.

    values: of the clock's inputs after t: the rule's hyperparameters, and what stands around it.
    """
    formula = update.clock
    inputs = [value(values[n], count) for n in formula.inputs[1:]]
    with jax.enable_x64(True):
        done = jnp.asarray(count).astype(jnp.float64)
        evaluate = _clock(formula, jnp.dtype(dtype).itemsize < 8)
        results = zip(update.scalars, evaluate(done + 1.0, *inputs), strict=True)
        return {n: jnp.asarray(x).astype(dtype) for n, x in results}
