"""Sharpness: the largest curvature where a run stands, against the limit up to which its rule is stable.

    sharpness    λ_max(P^-1/2 H P^-1/2),   P = lr / rate,   one entry per coordinate
    margin       λ_max(R^1/2 H R^1/2) / limit(rule),   R = diag(rates); 1 is the cliff

Sources: Cohen et al., arXiv 2103.00065 (2021), the edge of stability; arXiv 2207.14484 (2022), the same
with a preconditioner.
"""

from collections.abc import Callable
from math import inf
from typing import NamedTuple

import numpy as np

from ...core.rule import Rule
from ...errors import ProblemError
from ...problems.base import Array, Params, Problem, Rows, need_integer, pack, unpack
from ..formatting import number
from .freeze import limit, limit_formula, own_rate

DENSE = 20  # with fewer parameters the whole matrix is made
NEGLIGIBLE = 1e-3  # of the sharpness: less negative curvature than that may be rounding


def curvature(
    problem: Problem,
    params: Params,
    scale: Array | None = None,
    rows: Rows | None = None,
    tol: float = 1e-3,
    below: float | None = None,
) -> float:
    """The largest eigenvalue of S H S, S = diag(scale) and H the Hessian at ``params``; or the smallest.

    scale: (d,) packed, None for ones. rows: of which the mean loss is taken (None: all). tol: relative
    error that Lanczos may leave; with fewer than 20 parameters the matrix is made whole. below: a bound
    on the eigenvalues, with which the smallest is found, to within tol · (below − smallest). Raises
    ProblemError where params or the Hessian's products are not finite, or Lanczos does not converge.
    """
    point = pack(params)
    d = point.size
    if not np.all(np.isfinite(point)):
        raise ProblemError(f"{problem.name}: params are not finite; give the last ones that were")
    given = np.ones(d) if scale is None else scale

    def product(direction: Array) -> Array:
        v = direction.ravel()
        with np.errstate(all="ignore"):
            made: Array = given * problem.hessian_product(params, given * v, rows)
        if not np.all(np.isfinite(made)):
            raise ProblemError(f"{problem.name}: the Hessian at these params is not finite")
        return made if below is None else below * v - made

    value = largest(problem.name, product, d, tol)
    return value if below is None else below - value


def largest(name: str, product: Callable[[Array], Array], d: int, tol: float = 1e-3) -> float:
    """The largest eigenvalue of a symmetric matrix of which products (d,) → (d,) are known, to a relative ``tol``.

    Lanczos, which keeps 20 vectors; below 20 rows the matrix is made whole. Raises ProblemError, which begins with
    ``name``, where it does not converge.
    """
    if d < DENSE:
        matrix = np.array([product(e) for e in np.eye(d)])
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1])
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    start = product(np.random.default_rng(0).standard_normal(d))
    if not np.any(start):
        return 0.0
    operator = LinearOperator((d, d), matvec=product, dtype=float)
    try:
        return float(eigsh(operator, 1, which="LA", v0=start, tol=tol, return_eigenvectors=False)[0])
    except ArpackNoConvergence as error:
        raise ProblemError(f"{name}: Lanczos found no extreme eigenvalue to {tol:g}") from error


def sharpness(
    problem: Problem,
    params: Params,
    preconditioner: Array | None = None,
    rows: Rows | None = None,
    tol: float = 1e-3,
) -> float:
    """The largest eigenvalue of P^-1/2 H P^-1/2 at ``params``; unit of the curvature over P's.

    preconditioner: P's diagonal, (d,) positive and packed, None for ones. Other arguments and errors as
    in ``curvature``; ProblemError also for a preconditioner of another length or not positive.
    """
    if preconditioner is None:
        return curvature(problem, params, None, rows, tol)
    p = _fitting(problem, params, "preconditioner", preconditioner)
    if not np.all(p > 0):
        raise ProblemError(f"preconditioner: all entries must be positive, the smallest is {p.min():g}")
    return curvature(problem, params, 1 / np.sqrt(p), rows, tol)


def _fitting(problem: Problem, params: Params, what: str, values: Params) -> Array:
    made = pack(values) if isinstance(values, dict) else np.asarray(values, dtype=float).ravel()
    d = pack(params).size
    if made.shape != (d,):
        raise ProblemError(f"{what}: got {made.size} entries, {problem.name} has {d} parameters")
    if not np.all(np.isfinite(made)):
        raise ProblemError(f"{what}: all entries must be finite")
    return made


def preconditioned(
    problem: Problem, params: Params, rates: Params, rows: Rows | None = None, tol: float = 1e-3
) -> float:
    """The largest eigenvalue of R^1/2 H R^1/2, R = diag(rates): rate times curvature, without a unit.

    rates: effective rates as ``Optimizer.rates`` gives them, packed (d,) or as params; not negative.
    """
    r = _fitting(problem, params, "rates", rates)
    if not np.all(r >= 0):
        raise ProblemError(f"rates: no entry may be negative, the smallest is {r.min():g}")
    return curvature(problem, params, np.sqrt(r), rows, tol)


def margin(
    rule: Rule,
    problem: Problem,
    params: Params,
    rates: Params,
    rows: Rows | None = None,
    tol: float = 1e-3,
) -> float:
    """Rate times curvature over the rule's ``limit``: below 1 stable, above it the steepest mode grows.

    On the local quadratic model with these rates held. Arguments as in ``preconditioned``.
    """
    return _share(preconditioned(problem, params, rates, rows, tol), limit(rule))


def _share(moved: float, bound: float) -> float:
    return moved / bound if bound > 0 else inf  # a rule that is never stable, ascent for one


def first_rates(rule: Rule, problem: Problem, params: Params, rows: Rows | None = None) -> Array:
    """The effective rates (d,) that the rule's first step from ``params`` would use."""
    like = unpack(pack(params), params)  # a copy: the step is taken on it
    optimizer = rule.on(like, rates=True)
    optimizer.step(problem.gradient(like, rows))
    return pack(optimizer.rates())


class Diagnosis(NamedTuple):
    """Why a run with this rule is or is not stable here.

    sharpness: λ_max(H). lowest: λ_min(H), negative at a saddle. preconditioned: rate times curvature in
    the steepest direction. limit: of the rule. margin: the two's ratio, above 1 unstable.
    largest_safe_lr: the lr with margin 1; None without an lr or where it is 0, inf where nothing curves
    upwards.
    """

    sharpness: float
    lowest: float
    preconditioned: float
    limit: float
    margin: float
    largest_safe_lr: float | None
    sentence: str


def diagnose(
    rule: Rule,
    problem: Problem,
    params: Params,
    rates: "Params | None" = None,
    rows: Rows | None = None,
    t: int = 1,
    where: str = "here",
) -> Diagnosis:
    """Whether ``rule`` is stable at ``params``, on the local quadratic model, and up to which lr.

    rates: the effective rates that it had there; None takes those of a first step from there, which for
    Adam are up to 1/(1 - beta1) times its later ones. t: the step (1 first) whose lr is meant, for
    schedules. where: how the sentence names the place. Rates are taken to be proportional to lr. Raises
    ProblemError, RuleError.
    """
    need_integer("t", t, 1)
    rated = _fitting(
        problem, params, "rates", first_rates(rule, problem, params, rows) if rates is None else rates
    )
    sharp = curvature(problem, params, rows=rows, tol=1e-4)
    lowest = curvature(problem, params, rows=rows, tol=NEGLIGIBLE / 2, below=abs(sharp))
    moved = preconditioned(problem, params, rated, rows, tol=1e-4)
    bound = limit(rule)
    lr = rule.at(t - 1).get("lr")
    if lr is None:
        safe = None
    elif sharp <= 0:
        safe = inf
    else:  # from rates of 0 there is no telling
        safe = lr * bound / moved if lr and moved > 0 else None
    if rates is not None:
        what = "effective rates × curvature in the steepest direction"
    elif lr is not None and own_rate(rule, t) == lr:
        what = f"learning rate {_short(lr)} × sharpness {_short(sharp)}"
    else:
        what = "rates of a first step × curvature in the steepest direction"
    said = _sentence(rule, what, sharp, lowest, moved, bound, safe, where)
    return Diagnosis(sharp, lowest, moved, bound, _share(moved, bound), safe, said)


def _short(value: float | None) -> str:
    text = number(value, 4)
    text = text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text
    return text.replace("-", "−")


def _sentence(
    rule: Rule,
    what: str,
    sharp: float,
    lowest: float,
    moved: float,
    bound: float,
    safe: float | None,
    where: str,
) -> str:
    who = type(rule).__name__
    known = limit_formula(rule)
    at = _short(bound) + (f" = {known.text}" if known is not None and not known.text.isdigit() else "")
    if sharp <= 0:
        said = f"{who}: nothing curves upwards {where} (sharpness {_short(sharp)}), so no rate is too large."
    elif moved <= 0:
        said = (
            f"{who}: the rates are 0 where it curves upwards (sharpness {_short(sharp)}), so nothing moves"
            " there; give rates above 0 to learn which are stable."
        )
    else:
        side = "above" if moved > bound else "within"
        said = f"{who}: {what} = {_short(moved)}, {side} the limit {at}"
        said += (
            "." if safe is None else f"; the largest learning rate that is stable {where} is {_short(safe)}."
        )
    if lowest < -NEGLIGIBLE * abs(sharp):
        said += (
            f" In another direction the curvature is {_short(lowest)}: this is no minimum, and along it every"
            " rate leads away, as it should."
        )
    return said
