"""A rule with its rate frozen: the linear map of one step on a quadratic, and where it loses stability.

Every step moves w by the value of ``rate`` times something linear in g and in some states. With that
value held at a, and g = λ w, one step is a matrix M(a, λ) on w and those states. For gradient descent
and heavy ball a is the learning rate, for Adam lr/(√v̂ + ε). The step is stable where M's spectral
radius is at most 1; by units that depends on a λ alone, and ``limit`` is the largest such a λ.

No rule is named in the derivation: the matrix is read off the rule's own formula, in which what
``rate`` returned is an input. Where ``rate`` is proportional to its one argument (torch's RMSprop with
momentum also sums that argument), the argument is held with it. ``limit_formula`` has the closed forms
that are known, for comparison.
Source of the limits: Polyak (1964) for heavy ball; Cohen et al., arXiv 2207.14484 (2022), for Adam's.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core import clock as scalars
from ...core.formula import Builder, Formula, Function, name, signature
from ...core.rule import Rule
from ...core.rule_parts import RuleParts
from ...engines.ops import vectorised
from ...errors import HyperparameterError, ProblemError, RuleError
from ...problems.base import Array, finite, need_integer

RATE = "_frozen"  # the free input; names that a builder makes end in a digit
LATE = 10**9  # a step at which a clock should have come to rest


class _Freezing(Builder):
    """A builder for which ``rate`` is an input; ``asked`` is what it was called with."""

    def __init__(self, rate: Function | None) -> None:
        super().__init__()
        self.rate = rate
        self.asked: list[ast.expr] = []

    def unfold(self, function: Function, arguments: Sequence[ast.expr]) -> tuple[ast.expr, ...]:
        if function is not self.rate:
            return super().unfold(function, arguments)
        if self.asked and list(map(ast.dump, arguments)) != list(map(ast.dump, self.asked)):
            code = function.__code__
            raise RuleError(
                f"{code.co_filename}:{code.co_firstlineno}: {code.co_name} is called with different"
                " arguments in one step: there is no single rate to freeze"
            )
        self.asked = list(arguments)
        return (name(RATE),)

    def actual(self, *coordinates: ast.expr) -> ast.expr:
        """What ``rate`` returns for these values of a coordinate, with the step's scalars."""
        assert self.rate is not None
        (value,) = super().unfold(self.rate, [*coordinates, *self.asked[len(coordinates) :]])
        return value


class _Rename(ast.NodeTransformer):
    def __init__(self, old: str, new: ast.expr) -> None:
        self.old, self.new = old, new

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.new if node.id == self.old else node


class _Frozen(NamedTuple):
    """The step with the rate as an input: ``plain``, and ``joint`` with rate's argument held as well.

    ``probe`` gives the rate itself where it is the same for every coordinate, else, where it has one
    argument, what it returns for 1, 2 and 3.
    """

    plain: Formula
    joint: Formula | None
    probe: Formula | None


@cache
def _frozen(parts: RuleParts) -> _Frozen:
    coordinates, steps = signature(parts.step)
    builder = _Freezing(parts.rate)
    held = {"lr": name(RATE)} if parts.rate is None else {}
    values = builder.unfold(parts.step, [held.get(n, name(n)) for n in (*coordinates, *steps)])
    outputs = dict(zip(("w", *parts.states), values, strict=True))

    def formula(title: str, results: Iterable[tuple[str, ast.expr]], scalars: Iterable[str]) -> Formula:
        return builder.formula(title, coordinates, (*steps, *scalars), results)

    reached = _reached(builder.body, outputs)
    plain = formula("frozen", reached.items(), [RATE])
    if parts.rate is None:
        return _Frozen(plain, None, formula("probe", [("own", name("lr"))], []) if "lr" in steps else None)
    arguments = len(signature(parts.rate)[0])
    if arguments == 0:
        return _Frozen(plain, None, formula("probe", [("own", builder.actual())], []))
    first = builder.asked[0]
    if arguments > 1 or not isinstance(first, ast.Name):
        return _Frozen(plain, None, None)
    answers = [builder.actual(ast.Constant(x)) for x in (1.0, 2.0, 3.0)]
    probe = formula("probe", zip("abc", answers, strict=True), [])
    rename = _Rename(first.id, ast.BinOp(name(RATE), ast.Div(), answers[0]))

    def changed(lines: Iterable[tuple[str, ast.expr]]) -> list[tuple[str, ast.expr]]:
        return [(n, rename.visit(ast.parse(ast.unparse(e), mode="eval").body)) for n, e in lines]

    builder.body, outputs = changed(builder.body), dict(changed(outputs.items()))
    joint = formula("frozen", _reached(builder.body, outputs).items(), [RATE])
    return _Frozen(plain, joint, probe)


def _reached(body: Sequence[tuple[str, ast.expr]], outputs: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """The outputs for w and for the states that w depends on, through any number of steps."""
    read: dict[str, set[str]] = {}  # which of the formula's inputs each name depends on

    def inputs(tree: ast.expr) -> set[str]:
        names = (n.id for n in ast.walk(tree) if isinstance(n, ast.Name))
        return set().union(*(read.get(n, {n}) for n in names))

    for target, tree in body:
        read[target] = inputs(tree)
    kept = {"w"}
    while (more := kept | set().union(*(inputs(outputs[n]) for n in kept)) & set(outputs)) != kept:
        kept = more
    return {n: e for n, e in outputs.items() if n in kept}


class Map(NamedTuple):
    """One step with the rate frozen: x' = A x + b g, with x = (w, states).

    ``names`` (n,) of x; ``a`` (..., n, n) and ``b`` (..., n) float64, one for each rate asked for.
    """

    names: tuple[str, ...]
    a: Array
    b: Array

    def at(self, curvature: Array | float) -> Array:
        """The matrices of a step on a quadratic, where g = curvature · w: (..., n, n)."""
        made = np.array(
            np.broadcast_to(self.a, np.broadcast_shapes(self.a.shape, (*np.shape(curvature), 1, 1)))
        )
        made[..., :, 0] += np.asarray(curvature)[..., None] * self.b
        return made


def _scalars(rule: Rule, t: int) -> tuple[float, ...]:
    """The scalars of step t, 1 first."""
    need_integer("t", t, 1)
    return scalars.clock(rule)(t)


def own_rate(rule: Rule, t: int = LATE) -> float | None:
    """The rate of step t (1 first), where it does not depend on the gradients; else None.

    Raises ProblemError for a t below 1, as everything does here that takes a t.
    """
    probe = _frozen(rule.parts).probe
    if probe is None or len(probe.outputs) > 1:
        return None
    nothing = [np.nan] * len(probe.inputs)
    return float(vectorised(probe)(*nothing, *_scalars(rule, t))[0])


def frozen(rule: Rule, rate: Array | float, t: int | None = None) -> Map:
    """The linear map of step t (None: of late steps) with the rate held; any shape of rates.

    Raises RuleError for a rule whose step is not linear once its rate is held, HyperparameterError
    where the clock does not come to rest and no t is given.
    """
    if t is not None:
        return _map(rule, np.asarray(rate, dtype=float), t)
    made, later = (_map(rule, np.asarray(rate, dtype=float), k) for k in (LATE, 2 * LATE))
    if not (np.allclose(made.a, later.a, rtol=1e-9) and np.allclose(made.b, later.b, rtol=1e-9)):
        raise HyperparameterError(
            f"{rule!r}: its scalars still move after {LATE:.0e} steps; give t=, the step to look at"
        )
    return made


def _formula(rule: Rule, values: Sequence[float]) -> Formula:
    """The step with the rate as an input, and with the rate's argument where it is proportional to that, at these scalars."""
    known = _frozen(rule.parts)
    if known.joint is not None and known.probe is not None:
        one, two, three = vectorised(known.probe)(*[np.nan] * len(known.probe.inputs), *values)
        if one != 0 and np.allclose([two / one, three / one], [2, 3], rtol=1e-12):
            return known.joint
    return known.plain


def _map(rule: Rule, rate: Array, t: int) -> Map:
    known = _frozen(rule.parts)
    where = type(rule).__name__
    if rule.parts.rate is None and known.probe is None:
        raise RuleError(f"{where}: has neither `rate` nor lr in its step: there is nothing to freeze")
    values = _scalars(rule, t)
    formula = _formula(rule, values)
    names = tuple(n for n, _ in formula.outputs)
    inputs = ("g", *names)

    def run(x: Array) -> Array:
        """The outputs (..., n, k) for k columns of inputs (1 + n, k) at each rate."""
        given = dict(zip(inputs, x, strict=True))
        columns = [given.get(n, np.zeros(x.shape[1])) for n in formula.inputs]
        made = vectorised(formula)(*columns, *values, rate[..., None])
        shape = (*rate.shape, x.shape[1])
        return np.stack([np.broadcast_to(m, shape) for m in made], axis=-2)

    matrix = run(np.eye(len(inputs)))
    # Linear means: what it does to the unit vectors says what it does to any others.
    trial = np.random.default_rng(0).standard_normal((len(inputs), 8)) * 10.0 ** np.arange(-4, 4)
    error = np.abs(run(trial) - matrix @ trial)
    if not np.all(error <= 1e-9 * (np.abs(matrix) @ np.abs(trial))):
        raise RuleError(
            f"{where}: its step is not linear in w, g and its states once `rate` is held: theory of"
            " quadratics says nothing about it"
        )
    return Map(names, matrix[..., 1:], matrix[..., 0])


def frozen_formula(rule: Rule) -> Formula | None:
    """Return the step with its rate as the last of the scalars, the frame of ``frozen``; None where it is not linear."""
    try:
        frozen(rule, 1.0, LATE)
    except (RuleError, ArithmeticError):  # a clock of a user's own may not bear so late a step
        return None
    return _formula(rule, _scalars(rule, LATE))


def _chosen(rule: Rule, rate: float | None, t: int | None) -> float:
    if rate is not None:
        return rate
    own = own_rate(rule, LATE if t is None else t)
    if own is None:
        raise HyperparameterError(
            f"{type(rule).__name__}: its rate follows the gradients; give rate=, the effective rate to hold"
        )
    if t is None and own != own_rate(rule, 2 * LATE):
        raise HyperparameterError(f"{rule!r}: its rate never comes to rest; give rate= or t=")
    return own


def iteration_matrix(
    rule: Rule, curvature: Array | float, rate: float | None = None, t: int | None = None
) -> Array:
    """The matrix that one step applies to (w, states) where g = curvature · w.

    curvature: any shape, unit g/w. rate: what ``rate`` returns, held, unit w/g; None takes the rule's own
    where that does not depend on gradients. t: the step whose scalars are taken, None for late steps.
    (..., n, n) float64; the states are those that w depends on. Raises HyperparameterError, RuleError.
    """
    return frozen(rule, _chosen(rule, rate, t), t).at(curvature)


def spectral_radius(matrices: Array) -> Array:
    """The largest modulus of an eigenvalue, for each of (..., n, n)."""
    radius: Array = np.abs(np.linalg.eigvals(matrices)).max(axis=-1)
    return radius


def factor(
    rule: Rule, eigenvalues: Array | Sequence[float], rate: float | None = None, t: int | None = None
) -> float:
    """The asymptotic contraction per step on a quadratic with these eigenvalues: the worst mode's.

    rate, t and errors as in ``iteration_matrix``; ProblemError unless there are eigenvalues and all are
    finite. Above 1 the run diverges.
    """
    values = finite("eigenvalues", eigenvalues)
    if not values.size:
        raise ProblemError("eigenvalues: got none; the factor is that of the worst of them")
    return float(spectral_radius(iteration_matrix(rule, values, rate, t)).max())


def limit(rule: Rule, t: int | None = None) -> float:
    """The largest rate · curvature up to which the step is stable: 2 for gradient descent.

    Found from the spectral radius: scanned upwards to the first crossing of 1, then bisected; inf where
    nothing up to 1e9 is unstable. A momentum of 1 damps nothing: every rate is at the edge, and rounding decides. Raises RuleError, HyperparameterError as ``frozen`` does.
    """
    frozen(rule, 1.0, t)  # the checks, once
    step = LATE if t is None else t

    def stable(rates: Array) -> NDArray[np.bool_]:
        answer: NDArray[np.bool_] = spectral_radius(_map(rule, rates, step).at(1.0)) <= 1
        return answer

    rates = np.geomspace(1e-6, 1e9, 3001)
    crossed = np.flatnonzero(~stable(rates))
    if not crossed.size:
        return float("inf")
    if crossed[0] == 0:
        return 0.0
    low, high = rates[crossed[0] - 1 : crossed[0] + 1]
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if stable(middle) else (low, middle)
    return float(low)


class ClosedForm(NamedTuple):
    """A stability limit as people write it, and its value."""

    text: str
    value: float


def limit_formula(rule: Rule) -> ClosedForm | None:
    """The closed form of ``limit`` where one is known; None for others, a user's rule among them."""
    h = rule.at(0)
    match type(rule).__name__:
        case "SGD" | "Adagrad" | "RMSprop" | "RMSpropCentred" | "Adadelta" | "MaxProp" | "LpProp":
            return ClosedForm("2", 2.0)
        case "FTRL" if not (h["l1"] or h["l2"]):
            return ClosedForm("2", 2.0)
        case "ASGD" if not h["lambd"]:  # which is a curvature of its own
            return ClosedForm("2", 2.0)
        case "Momentum" if rule.dialect == "slides":
            forgets = 1 - h["beta"]  # 1 forgets nothing and takes nothing in
            return ClosedForm(
                "(2 + 2β) / (1 − β)", (2 + 2 * h["beta"]) / forgets if forgets else float("inf")
            )
        case "Momentum" if h["dampening"]:
            return ClosedForm("(2 + 2β) / (1 − d)", (2 + 2 * h["beta"]) / (1 - h["dampening"]))
        case "Momentum" | "MomentumSutskever":
            return ClosedForm("2 + 2β", 2 + 2 * h["beta"])
        case "Nesterov" | "NesterovSutskever":
            return ClosedForm("(2 + 2β) / (1 + 2β)", (2 + 2 * h["beta"]) / (1 + 2 * h["beta"]))
        case "Adam" | "Adamax" | "AMSGrad" | "RAdam" | "AdaBelief" | "Yogi":
            return ClosedForm("(2 + 2β₁) / (1 − β₁)", (2 + 2 * h["beta1"]) / (1 - h["beta1"]))
        case "AdamW":  # w shrinks by 1 − ηλ before the step
            shrunk = 2 - h["lr"] * h["weight_decay"]
            return ClosedForm("(2 − ηλ) (1 + β₁) / (1 − β₁)", shrunk * (1 + h["beta1"]) / (1 - h["beta1"]))
        case (
            "RMSpropMomentum"
            | "RMSpropCentredMomentum"
            | "RMSpropMomentumSutskever"
            | "RMSpropCentredMomentumSutskever"
        ):
            return ClosedForm("2 + 2μ", 2 + 2 * h["mu"])
    return None
