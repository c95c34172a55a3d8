"""SciPy's door: ``minimize`` with SciPy's signature and result, and ``method`` for SciPy's own.

    result = tw.minimize(fun, x0, jac=True, method=tw.Adam(lr=0.1))
    result = scipy.optimize.minimize(fun, x0, jac=True, method=thalweg.scipy.method(tw.Adam(lr=0.1)))

a) One implementation: SciPy calls the method with the arguments that ``minimize`` takes.
b) The rule runs on x / x_scale; after each step the point is projected onto the bounds.
c) Stopping is judged by points: the iterates, or, for a stochastic objective, means over a window of
   them (x, f and gradient alike). The lowest point seen is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult

from ..core.rule import Rule
from ..notebook import display, table
from .arguments import (
    Limits,
    as_callback,
    box_of,
    options_of,
    require_functions,
    rule_of,
    scale_of,
    start_of,
    warn_of_unused,
)
from .choice import ChosenRun
from .objective import Function, Jacobian, Objective
from .run import DONE, Run, outcome_of


class Minimum(OptimizeResult):  # type: ignore[misc]  # SciPy has no types
    """SciPy's result, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        """What was found and why the run ended."""
        x = np.array2string(np.asarray(self["x"]), precision=6, threshold=12)
        largest = float(np.abs(self["jac"]).max(initial=0.0))
        rows = [
            ["x", x],
            ["largest |gradient|", f"{largest:.3g}"],
            ["steps", self["nit"]],
            ["evaluations of fun, jac", f"{self['nfev']}, {self['njev']}"],
            ["rule", repr(self["method"])],
            ["converged" if self["success"] else "ended", self["message"]],
        ]
        return display(table(["f", f"{self['fun']:.8g}"], rows, left=(0, 1)))


def minimize(
    fun: Function,
    x0: ArrayLike,
    args: object = (),
    method: Rule | str | None = None,
    jac: Jacobian = None,
    hess: object = None,
    hessp: object = None,
    bounds: Limits = None,
    constraints: object = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> OptimizeResult:
    """Minimise a function of several variables by a rule; SciPy's signature and result.

    fun: ``fun(x, *args)`` gives f, one real number, or (f, gradient) with ``jac=True``; x is a copy of
    shape (n,) float64. x0: (n,) real numbers, kept as float64. method: a rule (``Adam(lr=0.1)``) or the name
    of one with its defaults (``"Adam"``, ``"RMSprop:keras"``). None: Adam, its rate chosen by short runs, on
    restarted cosines; the message says which, and ``method`` of the result is that rule. jac: True, a callable
    ``jac(x, *args)`` that gives the gradient, shape (n,), or ``"2-point"``, ``"3-point"``, ``"cs"`` for
    finite differences within the bounds; None is ``"2-point"``. bounds: a ``scipy.optimize.Bounds`` or n pairs
    (low, high), None for no bound; x0 is moved onto them, and so is each step. tol: the same as ``gtol``.
    callback: called after each step as ``callback(intermediate_result)``, with x, fun, jac, nit, nfev and
    njev, or as ``callback(xk)``, by the name of its parameter; StopIteration ends the run. hess, hessp: not
    used (RuntimeWarning). constraints: refused.

    The rest stands in ``options`` or is given by keyword; a tolerance of None is not asked for. By default only
    gtol and maxiter end a run: adaptive methods cross flat stretches.
    gtol: 1e-8, of the largest gradient entry; where x is at a bound, entries that push against it do not count. Where
    it is not given, and differences or float32 leave the gradient less exact, what they can tell from 0.
    ftol: f changes by at most ftol · max(abs(f), 1), as in L-BFGS-B, in ``window`` steps running; without a
    method, from the end of one cosine to the end of the next.
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
    njev, success, status, message, exception, method (the rule). success: a tolerance asked for was met. status: 0 so; 1 maxiter,
    2 maxfev, 3 maxtime; 4 f or the gradient is not finite; 5 fun or jac gave something of another kind or
    shape; 6 fun, jac or callback raised; 7 interrupted from the keyboard; 99 the callback raised
    StopIteration. In 4 to 7 the message says what happened, and ``exception`` holds what was raised (else
    None): nothing is raised once the first evaluation has begun.

    Raises HyperparameterError for arguments and options, ParameterError for x0; both are ValueError.
    """
    rule = None if method is None else rule_of(method)
    chosen = options_of(options, more, tol)
    require_functions(fun, jac, callback)
    warn_of_unused(rule, hess, hessp, constraints)
    x = start_of(x0)
    box = box_of(bounds, x.size)
    generator = np.random.default_rng(chosen.rng) if chosen.stochastic else None
    objective = Objective(fun, jac, args, box, chosen.finite_diff, generator)
    start = np.clip(x, *box)
    given = (objective, start, box, scale_of(chosen.x_scale, x.size), chosen, as_callback(callback))
    run = ChosenRun(*given) if rule is None else Run(rule, *given)
    error: BaseException | None = None
    try:
        status, message = run.descend()
    except (Exception, KeyboardInterrupt) as caught:
        status, message, error = *outcome_of(caught, run.nit), caught
    message += "" if np.array_equal(x, start) else " x0 lay outside the bounds and was moved onto them."
    x, f, g, _ = run.best()
    result = Minimum(
        x=x, fun=f, jac=g, nit=run.nit, nfev=objective.nfev, njev=objective.njev,
        success=status == DONE, status=status, message=message, exception=error, method=run.rule,
    )  # fmt: skip
    if chosen.disp:
        print(f"{message}\n  f = {f:.6g} after {run.nit} steps and {objective.nfev} evaluations of fun")
    return result


def method(rule: Rule | str | None = None) -> Callable[..., OptimizeResult]:
    """A rule, or the name of one, as a method of ``scipy.optimize.minimize``; None leaves the choice to us.

    ``scipy.optimize.minimize(fun, x0, jac=jac, method=thalweg.scipy.method(rule), options={...})`` does
    what :py:func:`thalweg.minimize` does with the same arguments. Raises HyperparameterError.
    """
    return partial(minimize, method=None if rule is None else rule_of(rule))


__all__ = ["method", "minimize"]
