"""A setting of the explorer as the address that its page reads: ``web/src/state.ts`` has the same on its side."""

from collections.abc import Sequence
from numbers import Integral
from urllib.parse import quote

from ...core.rule import Rule, is_shipped
from ...core.schedule import Schedule
from ...errors import HyperparameterError, UnknownProblemError, nearest
from ...problems import landscape_catalogue
from ...rules import resolved
from .. import methods as naming
from ..methods import Method
from .payload import dialect_of
from .subject import Window, checked_start, checked_window, require_formula

MOST_STEPS = 5000  # as web/src has it
PLAIN = ",:;=/!~*'()"  # what an address shows as it is
CURVES = (
    "rate",
    "margin",
    "predicted",
    "eps",
    "split",
    "update",
    "gradient",
)  # that every rule with a rate has; and its states


def address(
    problem: str,
    methods: Sequence[str | Rule],
    *,
    start: Sequence[float] | None = None,
    window: Window | None = None,
    steps: int | None = None,
    focus: int | None = None,
    step: int | None = None,
    curve: str | None = None,
    beside: str | None = None,
) -> str:
    """Return the address, without its ``#``, at which the explorer's page shows this setting.

    problem: a landscape of two coordinates or, as on the page, ``=`` and a formula of x and y. methods: as for
    ``explore``; of those named without a rate the page chooses it. start: (2,). focus: the number of the method in
    focus, 0 first. step: the one that is looked at. curve: what is drawn of it by step, "rate", "margin",
    "predicted", "eps", "split", "update", "gradient" or "state-m". beside: the value beside the rate that sensitivity is shown over. What is left
    out is the page's own choice.

    Raises HyperparameterError, UnknownProblemError.
    """
    if problem.startswith("="):
        require_formula(problem[1:])
    elif problem not in landscape_catalogue() or landscape_catalogue()[problem]().window is None:
        raise UnknownProblemError(
            f"explorer: {problem!r} is no landscape of two coordinates: {nearest(problem, landscape_catalogue())}"
        )
    entrants = naming.methods(list(methods))
    focused = entrants[_whole("focus", focus or 0, 0, len(entrants) - 1)].rule
    fields: dict[str, str | None] = {
        "p": problem,
        "x": _numbers(checked_start(start)),
        "w": _numbers([v for side in checked_window(window) or () for v in side]),
        "n": None if steps is None else str(_whole("steps", steps, 1, MOST_STEPS)),
        "o": ";".join(_spelled(m, resolved(given)[1]) for m, given in zip(entrants, methods, strict=True)),
        "f": None if focus is None else str(focus),
        "t": None if step is None else str(_whole("step", step, 0, steps or MOST_STEPS)),
        "c": None if curve is None else _one("curve", curve, [*CURVES, *_states(focused)]),
        "s": None if beside is None else _one("beside", beside, list(focused.parts.hyperparameters)),
    }
    parts = (f"{n}={quote(text, safe=PLAIN)}" for n, text in fields.items() if text is not None)
    return "&".join(parts).replace("%20", "+")


def _states(rule: Rule) -> list[str]:
    return [f"state-{n}" for n in rule.parts.states]


def _spelled(method: Method, is_open: bool) -> str:
    """A method as an address has it: what it has otherwise than its dialect, and its rate unless that is open."""
    rule, kind = method.rule, type(method.rule)
    if not is_shipped(kind):
        raise HyperparameterError(
            f"explorer: {method.name} is no rule of the library's, an address has no others"
        )
    dialect = dialect_of(method)
    form = kind.like(dialect) if dialect else kind()
    changed = [f"{kind.__name__}:{dialect}" if dialect else kind.__name__]
    for n in (*kind.parts.hyperparameters, *kind.parts.states):
        value = rule.values[n]
        if isinstance(value, Schedule):
            raise HyperparameterError(
                f"explorer: {method.name}: {n} follows a schedule, an address has numbers"
            )
        if value != form.values[n] or (n == "lr" and not is_open and n not in _pinned(kind, dialect)):
            changed.append(f"{n}={float(value)!r}")
    return ",".join(changed)


def _pinned(kind: type[Rule], dialect: str) -> Sequence[str]:
    return list(kind.parts.dialects[dialect].pinned) if dialect else []


def _numbers(values: Sequence[float] | None) -> str | None:
    return ",".join(map(repr, values)) if values else None


def _whole(what: str, value: int, low: int, high: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= value <= high:
        raise HyperparameterError(f"explorer: {what}={value!r}: a whole number in {low} .. {high} is needed")
    return int(value)


def _one(what: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise HyperparameterError(f"explorer: {what}={value!r}: {nearest(value, known)}")
    return value
