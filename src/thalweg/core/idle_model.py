"""How a rule coasts: what can be foreseen of k steps with g = 0.

A coordinate that a sparse gradient does not touch takes a step with g = 0 all the same. ``idle`` is a
rule's closed form of k such steps. Where none exists, ``IdleModel`` says what is known of them:

    k idle steps after s, a state is              idle_states(state, k)
    idle step s + k moves w by                    -a p / (b y + e),   (p, y, e) = move_terms(states at s),
                                                  (a, b) = move_scale(k), with the scalars of step s + k
    each move is smaller than the one before by   shrink

so that over k steps w moves by -p/y sum_i (-e/y)^i A_i with A_i = sum_j a_j / b_j^(i+1): the sums A_i
belong to a row, not to a coordinate. Cut off after n terms, the error is at most (e/y)^n A_n p/y.
"""

import ast
import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from .formula import Formula, Function, lift, signature
from .schedule import Schedule

if TYPE_CHECKING:
    from .rule import Rule
    from .update import StepOptions

Exact = Literal["value", "bits", "lazy"]
EXACT = ("value", "bits", "lazy")

GROWTH = 64.0  # by how much lr may grow before moves that should have vanished could be seen
_SLACK = 6  # further bits below the last one at which a move counts as vanished
_LONGEST = 4096  # steps over which the sums of a series are kept up to date


class IdleModel(NamedTuple):
    """What a rule file knows of idle steps beyond ``idle``; see the module.

    shrink: of hyperparameters, a bound on the ratio of two idle steps' moves. idle_states: ``(*states, k, /,
    *hyperparameters)``, the states after k steps but for those in ``products``. products: a coordinate's
    value (w or a state) → the scalar of ``step`` that multiplies it at every idle step. move_terms and move_scale:
    as above, move_scale with scalars of ``step``; both hold only where the lines in ``zero`` are 0.
    """

    shrink: Function
    idle_states: Function
    products: Mapping[str, str] = {}
    move_terms: Function | None = None
    move_scale: Function | None = None
    zero: tuple[str, ...] = ()


class CatchUp(NamedTuple):
    """How rows that a gradient has not touched are brought up to date.

    kind: ``closed`` (by ``idle``), ``series`` (sums kept for each step), ``bounded`` (replay of at most
    ``window`` steps, then ``idle_states``), ``replay`` (of every step) or ``lazy`` (not at all). constants:
    hyperparameters that must not have changed meanwhile. products: see ``IdleModel``. why: in words.
    """

    kind: Literal["closed", "series", "bounded", "replay", "lazy"]
    window: int
    constants: tuple[str, ...]
    products: tuple[tuple[str, tuple[str, ...]], ...]
    why: str


def plan(rule: "Rule", parts: "StepOptions", exact: Exact, bits: int) -> CatchUp:
    """The plan for a rule with pieces around it, in arithmetic whose mantissa has so many bits."""
    rule_parts = rule.parts
    idle_model, idle = rule_parts.idle_model, rule_parts.idle
    if exact == "lazy":
        return CatchUp("lazy", 0, (), (), "untouched rows are left behind: another algorithm")
    if exact == "bits":
        return _replay("bit for bit")
    if parts.coupled:
        return _replay("coupled weight decay moves every weight, with no closed form")
    if parts.average:
        return _replay("the average of the weights follows every step")
    values = rule.hyperparameters
    decay = ("_keep",) if parts.decoupled else ()
    if idle_model is None:
        if idle is None:
            return _replay("the rule has no closed form")
        needed = signature(idle)[1]
        if any(isinstance(values[n], Schedule) for n in needed):
            return _replay("its closed form needs constant hyperparameters")
        if decay and not rests(idle, rule_parts.states):
            return _replay("its closed form does not go with decoupled decay")
        return CatchUp("closed", 0, needed, (("w", decay),) if decay else (), "closed form")
    move_terms = idle_model.move_terms if not any(values[n] for n in idle_model.zero) else None
    needed = tuple(
        dict.fromkeys(signature(idle_model.idle_states)[1] + (signature(move_terms)[1] if move_terms else ()))
    )
    bound = {n: values[n] for n in signature(idle_model.shrink)[1]}
    if any(isinstance(values[n], Schedule) for n in (*needed, *bound)):
        return _replay("a hyperparameter of its averages follows a schedule")
    ratio = _ratio(idle_model.shrink, bound)  # type: ignore[arg-type]
    if not ratio < 1:
        return _replay(f"moves without gradient do not shrink (by {ratio:.4g} a step)")
    below = bits + _SLACK + math.log2(GROWTH)
    window = 1 if ratio == 0 else math.ceil(below / -math.log2(ratio))
    multiplied: dict[str, tuple[str, ...]] = {n: (s,) for n, s in idle_model.products.items()}
    if decay:
        multiplied["w"] = multiplied.get("w", ()) + decay
    kept = tuple(multiplied.items())
    if move_terms is None or window > _LONGEST or parts.rates:
        return CatchUp("bounded", window, needed, kept, f"replay of at most {window} steps")
    return CatchUp("series", window, needed, kept, f"series, or replay of at most {window} steps")


def _replay(why: str) -> CatchUp:
    return CatchUp("replay", 1 << 30, (), (), f"replay of every step: {why}")


def _ratio(shrink: Function, values: Mapping[str, float]) -> float:
    try:
        return float(shrink(**values))
    except ZeroDivisionError:
        return math.inf


@cache
def rests(idle: Function, states: tuple[str, ...]) -> bool:
    """Whether w stays where it is without a gradient."""
    moved = lift(idle, outputs=("w", *states)).outputs[0][1]
    return isinstance(moved, ast.Name) and moved.id == "w"


class Split(NamedTuple):
    """A formula as what belongs to a row, in ``row``, and what to a coordinate: ``body``, ``outputs``."""

    row: tuple[tuple[str, ast.expr], ...]
    body: tuple[tuple[str, ast.expr], ...]
    outputs: tuple[tuple[str, ast.expr], ...]


@cache
def split(formula: Formula, stem: str = "row") -> Split:
    """Take out of a formula what does not depend on its inputs, to be computed once for many.

    What is taken out for the coordinates is named ``stem`` and a number.
    """
    taken: dict[str, str] = {}  # an expression → its name
    row: list[tuple[str, ast.expr]] = []
    body: list[tuple[str, ast.expr]] = []
    local = set(formula.inputs)

    def rest(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in local):
            return node
        if not {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & local:
            text = ast.unparse(node)
            if text not in taken:
                taken[text] = f"{stem}{len(taken)}"
                row.append((taken[text], node))
            return ast.Name(taken[text], ast.Load())
        match node:
            case ast.UnaryOp():
                return ast.UnaryOp(node.op, rest(node.operand))
            case ast.BinOp():
                return ast.BinOp(rest(node.left), node.op, rest(node.right))
            case ast.Compare():
                return ast.Compare(rest(node.left), node.ops, [rest(node.comparators[0])])
            case ast.Call():
                return ast.Call(node.func, [rest(a) for a in node.args], [])
        raise AssertionError(f"not lifted: {ast.dump(node)}")

    for target, tree in formula.body:
        if {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} & local:
            local.add(target)
            body.append((target, rest(tree)))
        else:
            row.append((target, tree))
    outputs = tuple((n, rest(tree)) for n, tree in formula.outputs)
    return Split(tuple(row), tuple(body), outputs)
