"""What moving a run between worlds takes, whichever the worlds: is the update the same, and what is it called there.

A dialect row says both. The doors know where each world keeps its states.
"""

import math
from typing import Any

from .core.line import Scalar
from .core.rule import Rule
from .core.schedule import Schedule


def require(rule: Rule, world: str, where: str) -> None:
    """ValueError where the update of the world's row is another one, with what going on with it would change."""
    kind, at = type(rule), f"{where}: {rule!r}"
    title = world.capitalize() if world != "torch" else world
    rows = kind.parts.dialects
    if world not in rows:
        raise ValueError(f"{where}: {title} has no {kind.__name__}")
    theirs = kind.like(world)
    if rule.clock is not theirs.clock:
        raise ValueError(
            f"{at} has the clock of {rule.dialect or 'its paper'}, {title} has not{_hat(rule, theirs)}"
        )
    for n, v in rows[world].pinned.items():
        got = getattr(rule, n)
        if got == v:
            continue
        size = "leaving it out changes the update"
        if n.startswith("eps"):
            size += f" where the rest of the denominator is near {_size(n, got):.3g}"
        raise ValueError(f"{at}: {title} has no {n}, which is {got!r} here; {size}")
    named = {t for v in rows[world].names.values() for t in ((v,) if isinstance(v, str) else v)}
    for n in rule.hyperparameters:
        if n not in named and getattr(rule, n) != getattr(theirs, n):
            raise ValueError(f"{at}: {title} knows {n} only as {getattr(theirs, n)!r}")


def _hat(rule: Rule, theirs: Rule) -> str:
    """The size of the difference between eps and eps-hat, where that is what parts two clocks."""
    hat, other = (_name(r) == "epsilon_hat" for r in (rule, theirs))
    if hat == other or not {"beta2", "eps"} <= rule.hyperparameters.keys():
        return ""
    beta2, eps = rule.at(0)["beta2"], rule.at(0)["eps"]
    root = math.sqrt(1 - beta2)
    first, way = (eps / root, "before") if hat else (eps * root, "after")
    return (
        f": its eps of {eps:g} is added {way} v is corrected, which is {first:.3g} in the other form at step 1 and"
        f" tends to {eps:g}; keeping {eps:g} would change the steps of coordinates with |g| near those"
    )


def _name(rule: Rule) -> str:
    return rule.clock.__name__ if rule.clock is not None else ""


def _size(line: str, value: Scalar) -> float:
    """A constant of the denominator in the unit of the gradient."""
    number = float(value(0) if isinstance(value, Schedule) else value)
    return math.sqrt(number) if line.endswith("_root") else number


def arguments(rule: Rule, world: str, where: str) -> dict[str, Any]:
    """The world's own arguments that make this rule, where ``require`` found that they do."""
    made: dict[str, Any] = {}
    for n, target in type(rule).parts.dialects[world].names.items():
        targets = (target,) if isinstance(target, str) else tuple(target)
        values = [getattr(rule, t) for t in targets]
        if any(v != values[0] for v in values):
            told = ", ".join(f"{t}={v!r}" for t, v in zip(targets, values, strict=True))
            raise ValueError(f"{where}: {rule!r}: {n} is one number in {world}, here {told}")
        made[n] = values[0]
    return made
