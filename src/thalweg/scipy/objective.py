"""f and its gradient at a point: called, counted, checked; finite differences where there is no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from ..core.line import short
from ..errors import GradientError
from ..optimizer.gradients import Rows, sparse

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
Jacobian = Function | bool | str | None  # True: fun returns (f, gradient); a name: finite differences

DIFFERENCES = {"2-point": 0.5, "3-point": 1 / 3, "cs": 0.5}  # powers of eps: SciPy's relative steps
# Powers of eps again: what rounding of f, divided by the step, leaves of a gradient's digits.
DIGITS = {"2-point": 0.5, "3-point": 2 / 3, "cs": 1.0}
DOUBLE, SINGLE = (float(np.finfo(d).eps) for d in (np.float64, np.float32))


class Objective:
    """f and its gradient at a point, counted; GradientError where they are of another kind or shape."""

    def __init__(
        self,
        fun: Function,
        jac: Jacobian,
        args: object,
        box: tuple[Array, Array],
        difference: str,
        rng: np.random.Generator | None,
    ) -> None:
        memo = getattr(jac, "__self__", None)
        behind: Function | None = getattr(memo, "fun", None)
        if memo is fun and behind is not None and type(memo).__module__.startswith("scipy."):
            fun, jac = behind, True  # SciPy's memo of (f, gradient), which keeps a draw while x rests
        self.fun, self.box, self.rng = fun, box, rng
        self.args = args if isinstance(args, tuple) else (args,)
        if rng is not None:
            self.args += (rng,)
        self.nfev = self.njev = 0
        self.f = math.nan  # the last value
        self.eps = 0.0  # of the arithmetic that f and its gradient are computed in; known once they were
        self.side: Array | None = None  # where one-sided differences go
        n = box[0].size
        fixed = box[0] == box[1]
        self.fixed = fixed if fixed.any() else None
        self.jac: Function | str | Literal[True]
        if callable(jac) or jac is True:
            self.jac = jac
            self.cost = 1
        else:
            self.jac = difference = jac if isinstance(jac, str) else difference
            self.cost = 1 + (2 * n if difference == "3-point" else n)
        self.draw = None if rng is None or jac is True else rng.bit_generator

    def __call__(self, x: Array) -> tuple[float, Array]:
        """f and the gradient at x; with a generator all calls see the same draw.

        What is not finite in the gradient of a variable that its bounds fix counts as 0.
        """
        f, g = self._at(x)
        if self.fixed is not None:
            g = np.where(self.fixed & ~np.isfinite(g), 0.0, g)
        return f, g

    def unresolved(self, x: Array, f: float) -> Array | float:
        """The gradient entries, (n,), that rounding of a value f at x may have made of 0; 0 for exact float64 ones."""
        p = DIGITS[self.jac] if isinstance(self.jac, str) else 1.0
        if p == 1.0 and self.eps <= DOUBLE:
            return 0.0
        whole: Array = 8.0 * self.eps**p * np.maximum(1.0, abs(f) / np.maximum(1.0, np.abs(x)))
        return whole

    def _at(self, x: Array) -> tuple[float, Array]:
        self.njev += 1
        before: Any = None if self.draw is None else self.draw.state

        def call(function: Function, point: Array) -> object:
            if self.draw is not None:
                self.draw.state = before
            self.nfev += function is self.fun
            return function(point.copy(), *self.args)

        value = call(self.fun, x)
        if self.jac is True:
            if not isinstance(value, tuple | list) or len(value) != 2:
                raise GradientError(f"with jac=True fun must return (f, gradient), got {short(value)}")
            value, slope = value
            self.f = real_number("fun", value)
        else:
            self.f = real_number("fun", value)
            if isinstance(self.jac, str):
                return self.f, self._differences(partial(call, self.fun), x, value, self.jac)
            slope = call(self.jac, x)
        g = gradient_vector(slope, x.size)
        self.eps = self.eps or max(precision(slope), precision(value))
        return self.f, g

    def _differences(self, fun: Callable[[Array], object], x: Array, value: object, kind: str) -> Array:
        """The gradient by differences whose steps fit the arithmetic that f is computed in."""
        if self.side is None:
            # x0's side throughout, not each point's: else the gradient jumps by h · f'' where x passes 0, perhaps the
            # minimum, and is never small there.
            self.side = np.copysign(1.0, x)
        if self.eps:
            return finite_differences(fun, x, self.f, self.box, kind, self.eps, self.side)
        self.eps = precision(value)
        values = [self.f]

        def noted(point: Array) -> object:
            now = fun(point)
            array = as_array(now)
            values.append(getattr(array.item(), "real", math.nan) if array.size == 1 else math.nan)
            return now

        g = finite_differences(noted, x, self.f, self.box, kind, self.eps, self.side)
        # Single precision inside, a Python float outside: so tell all values, and one at a point with digits.
        if self.eps == DOUBLE and len(values) > 1 and all(map(single, values)):
            low, high = self.box
            odd = np.clip(x + 1e-3 * math.pi * np.maximum(1.0, np.abs(x)), low, high)
            odd = np.where(odd == x, np.clip(x - 1e-3 * math.pi * np.maximum(1.0, np.abs(x)), low, high), odd)
            if single(real_number("fun", fun(odd))):
                self.eps = SINGLE
                return finite_differences(fun, x, self.f, self.box, kind, self.eps, self.side)
        return g


def precision(value: object) -> float:
    """The eps of a result's type; float64's for whole numbers."""
    dtype = value.dtype if sparse(value) and not isinstance(value, Rows) else as_array(value).dtype
    return float(np.finfo(dtype).eps) if dtype.kind in "fc" else DOUBLE


def single(value: float) -> bool:
    """Whether a number is one of float32's."""
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


def real_number(name: str, made: object) -> float:
    if isinstance(made, float):
        return float(made)
    if isinstance(made, tuple | list) and len(made) == 2:
        raise GradientError(f"{name} returned two values: pass jac=True where they are f and its gradient")
    if isinstance(made, int):  # one beyond 64 bits is no number of NumPy's
        try:
            return float(made)
        except OverflowError:
            return math.inf if made > 0 else -math.inf
    value = as_array(made)
    if value.size != 1 or value.dtype.kind not in "fiub":
        raise GradientError(f"{name} must return one real number, got {short(made)}")
    return float(value.item())


def as_array(made: object) -> Array:
    """As NumPy has it; ragged lists as an array of objects, which is refused like any other."""
    try:
        return np.asarray(made)
    except ValueError:
        return np.array(None)


def gradient_vector(made: object, size: int) -> Array:
    if sparse(made) and not isinstance(made, Rows) and math.prod(made.shape) == size:
        made = made.toarray().reshape(-1)  # the objective reads all of x at every step: nothing to be saved
    array = as_array(made)
    if array.dtype.kind not in "fiu" or (array.shape != (size,) and not size == array.size == 1):
        got = short(made) if array.dtype.kind not in "fiuc" else f"{array.dtype} of shape {array.shape}"
        raise GradientError(f"the gradient must be real and of shape ({size},) as x, got {got}")
    return array.astype(np.float64, copy=False).reshape(size)


def finite_differences(
    fun: Callable[[Array], object],
    x: Array,
    f: float,
    box: tuple[Array, Array],
    kind: str,
    eps: float,
    side: Array,
) -> Array:
    """The gradient by finite differences that stay within the bounds; 0 where they leave no room.

    The steps are SciPy's: a power of ``eps``, that of f's arithmetic, times max(1, abs(x)); a one-sided one goes to
    ``side``, (n,) of -1 or 1, where there is room.
    """
    steps = eps ** DIFFERENCES[kind] * np.maximum(1.0, np.abs(x))
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
        return float(point[i] - x[i]), real_number("fun", fun(point))

    for i, (at, h, low, high, sign) in enumerate(zip(x, steps, *box, side, strict=True)):
        below, above = at - low, high - at
        if kind == "3-point" and min(below, above) >= h:
            (a, fa), (b, fb) = value(i, at - h), value(i, at + h)
            made[i] = (fb - fa) / (b - a)
            continue
        reach = 2 * h if kind == "3-point" else h
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
