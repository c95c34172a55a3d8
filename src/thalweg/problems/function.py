"""A user's own function as a problem: NumPy, Numba, JAX or PyTorch, with a gradient or without, exact or noisy.

What a call returns tells what the function is. ``f`` alone is differentiated by differences whose steps fit the
arithmetic that f is computed in, a JAX array or a tensor by its own framework; ``(f, gradient)`` is taken as it is.
A function of two arguments is noisy: the second is a ``numpy.random.Generator``.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any, TypeAlias

import numpy as np

from ..errors import GradientError, ProblemError
from ..scipy.objective import Objective, real_number
from .base import (
    START,
    Array,
    Grads,
    Outsider,
    Params,
    Problem,
    Rows,
    batch_stream,
    need_integer,
    pack,
    shown,
    stream,
)

Function: TypeAlias = Callable[..., Any]
Start: TypeAlias = Sequence[float] | Array | Callable[[int], Any]

DIFFERENCES, OWN = "taken by differences", "its own"  # how a gradient comes about, beside a framework's
SPREAD = 0.1  # by which a seed moves the start, of its size (1 at least)
DRAWS = 32  # of a noisy function, over which its loss is a mean
REASONS = 3  # different failures that are kept
FAR = 0.05  # relative difference of a slope from that of its values, above which the gradient is called wrong


def required(fun: Function) -> int:
    """How many arguments a call must give; 1 for what has no signature."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.default is inspect.Parameter.empty and p.kind in positional for p in parameters)


class FunctionProblem(Problem):
    """A function ``f(x)``, or ``f(x, rng)`` where it is noisy, of x (n,) float64.

    fun: returns f, one real number of any kind (NumPy's, a JAX array, a tensor), or (f, gradient). start: (n,) real
    numbers, or a function of a seed that returns them; without it ``fun.start`` or ``fun.x0``. A seed moves numbers
    by ``SPREAD`` of their size, so that runs from several seeds are runs from several starts.

    Raises ProblemError where there is no start, where the first calls fail or return something else, are not finite,
    or do not give the same twice.
    """

    loss_name = "f"
    steps = 1000
    batch = 0

    def __init__(self, fun: Function, start: Start | None = None) -> None:
        self.given = fun, start
        self.name = getattr(fun, "__name__", type(fun).__name__)
        lines = (inspect.getdoc(fun) or "").strip().splitlines() if inspect.isroutine(fun) else []
        self.title = lines[0].rstrip(".") if lines else self.name
        self._failures: list[str] = []
        arity = required(fun)
        if arity not in (1, 2):
            raise ProblemError(
                f"{self.name}: takes {arity} arguments; f(x) or f(x, rng) is needed, where x is an array of all unknowns"
            )
        self.noisy = arity == 2
        self._begin = self._starts(
            getattr(fun, "start", getattr(fun, "x0", None)) if start is None else start
        )
        self._rng = np.random.default_rng(0)
        x = self.start(0)
        with redirect_stdout(sys.stderr), np.errstate(all="ignore"):
            how = self._known(fun, x)
            slope = self._tried(x)
        self.door = (
            how.removesuffix("'s") if how not in (OWN, DIFFERENCES) else ""
        )  # whose arrays it is made of
        if how == OWN:
            self.caveat = self._disagreement(x, slope)
        if not slope.any():
            self.caveat = f"The gradient of {self.name} is 0 where runs begin: it is flat there, or has steps, and no method moves."
        calls = f", in {self._objective.cost:,} calls" if how == DIFFERENCES else ""
        kind = f"noisy, its loss the mean of {DRAWS} draws" if self.noisy else "without noise"
        unknowns = f"{x.size:,} unknown{'s' * (x.size > 1)}"
        self.text = f"A function of {unknowns}, {kind}; its gradient is {how}{calls}. Seeds are starts."

    def __reduce__(self) -> tuple[type["FunctionProblem"], tuple[Function, Start | None]]:
        return type(self), self.given  # what a framework compiled does not travel

    def start(self, seed: int) -> Array:
        """The start, moved by the seed: (n,) float64."""
        need_integer("seed", seed)
        if callable(self._begin):
            return self._vector(self._begin(int(seed)))
        size = max(1.0, float(np.sqrt(np.mean(self._begin * self._begin))))
        moved: Array = self._begin + SPREAD * size * stream(seed, START).standard_normal(self._begin.size)
        return moved

    def batches(self, seed: int, batch: int, steps: int) -> Iterator[Rows | None]:
        """What each step's draw is made from, where the function is noisy; else None for each."""
        batch_stream(seed, batch, steps)
        return (np.array([seed, k]) if self.noisy else None for k in range(steps))

    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        """The gradient (n,); NaN where the function raises, which ``failures`` tells."""
        x = pack(params)
        try:
            self._draw(rows)
            return self._objective(x)[1]
        except (Exception, SystemExit) as error:
            self._note(error)
            return np.full(x.size, np.nan)

    def loss(self, params: Params) -> float:
        """f at a point, the mean of ``DRAWS`` draws where it is noisy; NaN where it raises."""
        x, values = pack(params), []
        try:
            for k in range(DRAWS if self.noisy else 1):
                self._draw(np.array([DRAWS, k]))
                value = self._fun(x.copy(), *([self._rng] if self.noisy else []))
                values.append(real_number(self.name, value[0] if self._objective.jac is True else value))
        except (Exception, SystemExit) as error:
            self._note(error)
            return float("nan")
        return float(np.mean(values))

    def failures(self) -> list[str]:
        """Why the function failed since the last call: what it raised, ``REASONS`` at most."""
        said, self._failures = self._failures, []
        return said

    def outsider(self) -> Outsider | None:
        """What L-BFGS-B reaches from the first start; None where f is noisy, or raises on the way."""
        from scipy.optimize import minimize

        if self.noisy:
            return None
        try:
            with redirect_stdout(sys.stderr), np.errstate(all="ignore"):
                done = minimize(self._objective, self.start(0), jac=True, method="L-BFGS-B")
        except (Exception, SystemExit) as error:
            self._note(error)
            return None
        return Outsider("SciPy L-BFGS-B", float(done.fun), None)

    def _starts(self, given: object) -> Array | Callable[[int], Any]:
        if given is None:
            raise ProblemError(
                f"{self.name}: no start; give start= (--start 1,2), set {self.name}.start, or define start(seed) beside it"
            )
        return given if callable(given) else self._vector(given)

    def _vector(self, given: object) -> Array:
        try:
            x = np.asarray(given, dtype=float)
        except (TypeError, ValueError, OverflowError):
            x = np.array(np.nan)
        if x.ndim > 1 or not x.size or not np.isfinite(x).all():
            raise ProblemError(f"{self.name}: its start must be finite numbers, (n,), got {shown(given)}")
        return np.atleast_1d(x).copy()

    def _known(self, fun: Function, x: Array) -> str:
        """Find out how the function's gradient is had, and say it; set what is called from then on.

        A framework's own gradient is taken where that framework can give it. Raises ProblemError.
        """
        more = [self._rng] if self.noisy else []
        arrays = True  # it takes NumPy's
        try:
            value = fun(x.copy(), *more)
        except (Exception, SystemExit) as error:
            torch = sys.modules.get("torch")  # imported by now where f uses it
            if torch is None:
                raise ProblemError(self._reason(error) + self._hint()) from None
            arrays = False
            try:  # operations of torch's take no NumPy arrays
                value = fun(torch.tensor(x, requires_grad=True), *more)
            except (Exception, SystemExit):  # the first is told, of which a function without torch knows
                raise ProblemError(self._reason(error) + self._hint()) from None
        world = type(value).__module__.partition(".")[0]
        if world == "torch":
            return self._by_framework(fun, _of_torch(fun), "PyTorch's", x, arrays)
        if world in ("jax", "jaxlib"):
            return self._by_framework(fun, _of_jax(fun, more), "JAX's", x, arrays)
        paired = isinstance(value, tuple | list) and len(value) == 2
        try:
            real_number(self.name, value[0] if paired else value)
        except GradientError as error:
            raise ProblemError(str(error)) from None
        self._call(fun, paired, x.size)
        return OWN if paired else DIFFERENCES

    def _by_framework(self, fun: Function, paired: Function, whose: str, x: Array, arrays: bool) -> str:
        """Take a framework's gradient, or differences where it has none of f and f takes arrays; which it is."""
        self._call(paired, True, x.size)
        try:
            self._draw(None)
            self._objective(x)
        except (Exception, SystemExit):
            if not arrays:
                return whose  # why it has none is told with the first whole call
            self._call(fun, False, x.size)
            return DIFFERENCES
        return whose

    def _call(self, fun: Function, paired: bool, size: int) -> None:
        """Let ``fun`` be what is called: it returns (f, gradient) where ``paired``, else f."""
        box = np.full(size, -np.inf), np.full(size, np.inf)
        self._fun = fun
        self._objective = Objective(
            fun, paired or None, (), box, "3-point", self._rng if self.noisy else None
        )

    def _tried(self, x: Array) -> Array:
        """The gradient at the start, once f is known to be finite there, and the same twice. Raises ProblemError."""
        try:
            self._draw(None)
            f, slope = self._objective(x)
            again = self._value(x)
        except (Exception, SystemExit) as error:
            raise ProblemError(self._told(error)) from None
        place = f"{self.name}: at its start {shown(x.tolist())}"
        if not np.isfinite(f):
            raise ProblemError(f"{place} it is {f}; runs must begin where it is finite")
        if not np.isfinite(slope).all():
            raise ProblemError(f"{place} its gradient is not finite; runs must begin where it is")
        if abs(again - f) > np.sqrt(self._objective.eps) * max(abs(f), abs(again)):
            raise ProblemError(
                f"{place} it is {f:.9g}, and {again:.9g} when it is called again: it keeps something from call to call, or draws"
                " random numbers of its own; those of a second argument, f(x, rng), are the same for all methods"
            )
        return slope

    def _disagreement(self, x: Array, slope: Array) -> str:
        """A sentence if f's own gradient at the start, (n,), is not that of its values; else ""."""
        along = stream(0, START).standard_normal(x.size)
        along /= np.linalg.norm(along)
        eps = self._objective.eps
        step = eps ** (1 / 3) * max(1.0, float(np.linalg.norm(x)))
        try:
            ahead, behind = (self._value(x + side * step * along) for side in (1, -1))
        except (Exception, SystemExit):
            return ""  # beyond where f is
        rise, told = (ahead - behind) / (2 * step), float(slope @ along)
        rounding = 8 * eps * max(abs(ahead), abs(behind)) / step
        size = max(abs(rise), float(np.linalg.norm(slope)) / np.sqrt(x.size))
        if not abs(rise - told) > FAR * size + rounding:
            return ""
        return (
            f"The gradient that {self.name} returns is not that of its values: in one direction from the start"
            f" they change by {rise:.3g} a unit, and it says {told:.3g}."
        )

    def _value(self, x: Array) -> float:
        """f at a point with the draw of a first call."""
        self._draw(None)
        value = self._fun(x.copy(), *([self._rng] if self.noisy else []))
        return real_number(self.name, value[0] if self._objective.jac is True else value)

    def _draw(self, seeds: Rows | None) -> None:
        if self.noisy:
            self._rng.bit_generator.state = np.random.default_rng(
                0 if seeds is None else seeds
            ).bit_generator.state

    def _reason(self, error: BaseException) -> str:
        said = str(error)
        return f"{self.name} raised {type(error).__name__}{': ' if said else ''}{said}"

    def _hint(self) -> str:
        """What a function of two arguments is called with, of which its author may not think."""
        return "; it is called as f(x, rng), with a numpy.random.Generator" if self.noisy else ""

    def _told(self, error: BaseException) -> str:
        """A failure in words that name the function."""
        return f"{self.name}: {error}" if isinstance(error, GradientError) else self._reason(error)

    def _note(self, error: BaseException) -> None:
        reason = self._told(error)
        if reason not in self._failures and len(self._failures) < REASONS:
            self._failures.append(reason)


def _of_torch(fun: Function) -> Function:
    """A function of tensors as one of arrays that returns (f, gradient)."""

    def paired(x: Array, *more: Any) -> tuple[float, Array]:
        import torch

        point = torch.tensor(x, requires_grad=True)
        value = fun(point, *more)
        (slope,) = torch.autograd.grad(value, point)
        single = value.dtype == torch.float32
        return value.item(), slope.numpy().astype(np.float32 if single else np.float64)

    return paired


def _of_jax(fun: Function, more: Sequence[Any]) -> Function:
    """A function that JAX traces as one of arrays that returns (f, gradient); compiled where nothing is drawn.

    A trace would keep the first draw of a NumPy generator, and does not go through a branch on values.
    """
    import jax

    both = jax.value_and_grad(fun)
    compiled = both if more else jax.jit(both)

    def paired(x: Array, *more: Any) -> tuple[float, Array]:
        nonlocal compiled
        try:
            value, slope = compiled(jax.numpy.asarray(x), *more)
        except jax.errors.JAXTypeError:
            compiled = both
            value, slope = compiled(jax.numpy.asarray(x), *more)
        return float(value), np.asarray(slope)

    return paired
