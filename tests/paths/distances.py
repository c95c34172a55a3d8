"""How far our step and our path are from the real library's, for every row that bears its name.

A step is started from the library's own state; its distance is counted in ulps, an ulp being that of the
largest of |x|, |x'|, |x' - x| (near zero a plain ulp means nothing). A path runs freely for 300 steps; its
distance is a share of the largest |w| that the library's path has seen, coordinate by coordinate.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import thalweg as tw
from thalweg.core import Rule

from ..strategies import FORMS, RULES
from .references import REFERENCES
from .worlds import STEPS, WORLDS, Array, Common, Trace, gradients, starts, streams

DTYPES = ("float32", "float64")
LONGER = {"float32": 1e-5, "float64": 1e-11}  # what a path of 300 steps may part by
LR = 0.01
SCHEDULE = tw.cosine(0.02, steps=STEPS, end=1e-4)
DECAY = 0.1

# What a world's constructor needs for this member of the family, or what is worth a run of its own.
MORE: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("Momentum", "torch"): [{"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5}],
    ("Momentum", "optax"): [{"momentum": 0.9}],
    ("MomentumSutskever", "keras"): [{"momentum": 0.9}],
    ("Nesterov", "torch"): [{"momentum": 0.9}],
    ("Nesterov", "optax"): [{"momentum": 0.9}],
    ("NesterovSutskever", "keras"): [{"momentum": 0.9}],
    ("Adagrad", "torch"): [{}, {"lr_decay": 0.05}],
    ("RMSpropMomentum", "torch"): [{"momentum": 0.9}],
    ("RMSpropCentredMomentum", "torch"): [{"momentum": 0.9}],
    ("RMSpropMomentumSutskever", "keras"): [{"momentum": 0.9}],
    ("RMSpropMomentumSutskever", "optax"): [{"momentum": 0.9}],
    ("RMSpropCentredMomentumSutskever", "keras"): [{"momentum": 0.9}],
    ("RMSpropCentredMomentumSutskever", "optax"): [{"momentum": 0.9}],
}


class Case(NamedTuple):
    """A row, its world's arguments, and whether a schedule and weight decay stand around it."""

    rule: str
    dialect: str
    arguments: dict[str, Any]
    around: bool

    @property
    def title(self) -> str:
        """The row and what was set, in one line."""
        said = [f"{k}={v:g}" for k, v in self.arguments.items()] + ["schedule, decay"] * self.around
        return f"{self.rule}-{self.dialect}" + (f" ({', '.join(said)})" if said else "")


def cases() -> Iterator[Case]:
    """Every row of a world that is here, bare and with a schedule and weight decay."""
    for rule, dialect in FORMS:
        if dialect in WORLDS:
            for arguments in MORE.get((rule, dialect), [{}]):
                for around in (False, True):
                    if not (around and "lr_decay" in arguments):  # it is a schedule itself
                        yield Case(rule, dialect, arguments, around)


class Distance(NamedTuple):
    """The worst of a case: ulps of w and of the states after one step, and the path's share.

    ``theirs``: how far the library's own float32 path is from the formula's float64 path, as such a share.
    """

    w: float
    states: float
    path: float
    where: str
    theirs: float


class Reason(NamedTuple):
    """Why a row goes beyond 8 ulps or the path's bar, and how far it then may."""

    text: str
    w: float = 8.0
    states: float = 8.0
    path: float = 0.0
    loose: bool = False  # the library's own path is not known any better


REASONS: dict[str, Reason] = {
    "corrections": Reason(
        "the library computes 1 − β₂ᵗ (and NAdam's momenta) in float32, where 0.999 is 1.3·10⁻⁸ off and the"
        " difference 2·10⁻⁵; ours come from float64. The roots halve that: some 160 ulps at the second step",
        w=200,
        states=400,
        loose=True,
    ),
    "rectification": Reason(
        "the library computes ρ in float32 as the difference of two numbers near 2000, and ρ − 4 from that:"
        " the first adaptive step comes out half a per cent off",
        w=1e5,
        loose=True,
    ),
    "variance": Reason("v − a² cancels; the library rounds v + ε before it takes a² off, or contracts", w=24),
    "decayed": Reason(
        "coupled decay: g + λw cancels, and one rounding (fma) or two make another small gradient, which the"
        " root of its own square blows up to a whole step",
        w=16,
        states=16,
        loose=True,
    ),
    "velocity": Reason(
        "the new velocity is what is left of two that nearly cancel, at a step where w itself is near 0:"
        " beside w their last places are large, beside the old velocity they are not",
        w=64,
    ),
    "sum": Reason(
        "three hundred sums rounded once (fma) or twice, to the same side in a regular run", path=2e-5
    ),
    "factor": Reason(
        "the library rounds 1 − λη to float32: up to 3·10⁻⁸ off at every step, beside λη, and to the same side for long",
        loose=True,
    ),
    "take": Reason("the library takes 1 − β₂ from the rounded float32 β₂", states=24),
}

_CORRECTED = {"Adam", "AdamW", "AMSGrad", "NAdam", "AdaBelief", "Yogi"}


def reasons(case: Case, dtype: str) -> list[str]:
    """What may carry this case beyond the bars."""
    narrow, elsewhere = dtype == "float32", case.dialect != "torch"
    centred = case.rule in ("RMSpropCentred", "RMSpropCentredMomentumSutskever")
    coupled = case.around and case.dialect != "keras" and "weight_decay" not in RULES[case.rule].parts.lines
    applying = {
        "corrections": narrow and elsewhere and case.rule in _CORRECTED,
        "rectification": narrow and elsewhere and case.rule == "RAdam",
        "variance": elsewhere and centred,
        "decayed": coupled,
        "velocity": case.around and elsewhere and "MomentumSutskever" in case.rule and "RMS" in case.rule,
        "sum": narrow and (case.rule, case.dialect) in {("MomentumSutskever", "keras"), ("Lion", "optax")},
        "factor": narrow and case.rule == "ASGD",
        "take": narrow and case.rule == "Lion" and case.dialect == "keras" and compiled(case),
    }
    return [n for n, applies in applying.items() if applies]


def needed(case: Case, dtype: str, found: Distance) -> list[str] | None:
    """The reasons that this distance needs: none, one that explains it, else all; None where they do not do.

    A path with a loose reason may be four times as far from the library's as that one, rounded as it is, is
    from the formula's float64 path.
    """
    carried = reasons(case, dtype)
    for names in ([], *([n] for n in carried), carried):
        said = [REASONS[n] for n in names]
        path = max([LONGER[dtype], *(r.path for r in said), *(4 * found.theirs * r.loose for r in said)])
        w, states = (max([8.0, *(getattr(r, part) for r in said)]) for part in ("w", "states"))
        if found.w <= w and found.states <= states and found.path <= path:
            return names
    return None


def ours(case: Case) -> tuple[Rule, dict[str, Any]]:
    """Our rule, as the world's own arguments select it, and the settings around it."""
    rate = "lr" if case.dialect == "torch" else "learning_rate"
    head = RULES[case.rule]
    named = {rate: LR, **case.arguments}
    rule = head.like(case.dialect, **named)
    if case.around:
        rule = rule.replace(lr=SCHEDULE)
    own = "weight_decay" in head.parts.lines
    settings: dict[str, Any] = {"on_nonfinite": "propagate"}
    if case.around:
        settings["weight_decay"] = DECAY
        settings["decay"] = "decoupled" if own or case.dialect == "keras" else "coupled"
    return rule, settings


def theirs(case: Case, dtype: str, **options: Any) -> Trace:
    """The library's run."""
    selects = REFERENCES[case.rule, case.dialect].selects
    arguments = {**selects, **case.arguments} if case.dialect != "optax" else dict(case.arguments)
    common = Common([SCHEDULE(t) if case.around else LR for t in range(STEPS)], DECAY * case.around)
    own = "weight_decay" in RULES[case.rule].parts.lines
    if own and case.around:
        arguments["weight_decay"], common = DECAY, common._replace(weight_decay=0.0)
    with np.errstate(all="ignore"):
        return WORLDS[case.dialect](case.rule, starts(dtype), streams(dtype), arguments, common, **options)


def compiled(case: Case) -> bool:
    """Whether XLA runs it: that contracts, and takes subnormal numbers as 0."""
    return case.dialect == "optax" or (case.dialect == "keras" and os.environ.get("KERAS_BACKEND") == "jax")


def ulps(before: Array, wanted: Array, got: Array, flushed: bool = False) -> Array:
    """|got - wanted| in units of the last place of the largest of |before|, |wanted|, |wanted - before|.

    flushed: the library takes subnormal numbers as 0, so a gap below the smallest normal one is none.
    """
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(before), np.abs(wanted)), np.abs(wanted - before))
        gap = np.abs(got.astype(np.longdouble) - wanted.astype(np.longdouble))
        far = (gap / np.spacing(size)).astype(float)
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    if flushed:
        same |= gap < np.finfo(got.dtype).smallest_normal
    return np.where(same, 0.0, np.where(np.isnan(far), np.inf, far))


def path(rule: Rule, settings: dict[str, Any], start: Array, stream: Array) -> Array:
    """Our own path: (T + 1, n)."""
    w = start.copy()
    opt = rule.on(w, **settings)
    made = [start]
    for gradient in stream:
        opt.step(gradient.copy())
        made.append(w.copy())
    return np.stack(made)


def share(got: Array, wanted: Array) -> float:
    """The largest distance of two paths, as a share of the largest |w| of the second, coordinate by coordinate."""
    with np.errstate(all="ignore"):
        seen = np.abs(wanted.astype(float)).max(axis=0)
        far = np.abs(got.astype(float) - wanted.astype(float)) / np.where(seen > 0, seen, 1.0)
    return float(np.where(np.isnan(far), np.inf, far).max())


def measure(case: Case, dtype: str, trace: Trace | None = None) -> Distance:
    """Our steps from the library's states, and our own path, against the library's."""
    trace = trace if trace is not None else theirs(case, dtype)
    rule, settings = ours(case)
    flushed = compiled(case)
    w, g = starts(dtype), streams(dtype)
    opt = rule.on(w, **settings)
    states = opt.state
    start = {n: s.copy() for n, s in states.items()}
    kinds = np.repeat(list(gradients(dtype)), w.size // len(gradients(dtype)))
    worst = {"w": 0.0, "states": 0.0}
    where = ""
    for t, gradient in enumerate(g):
        np.copyto(w, trace.w[t])
        for n, recorded in trace.states.items():
            np.copyto(states[n], start[n] if t == 0 else recorded[t])
        before = {n: s.copy() for n, s in states.items()}
        opt.step(gradient.copy())
        far = ulps(trace.w[t], trace.w[t + 1], w, flushed)
        if far.max() > worst["w"]:
            i = int(far.argmax())
            worst["w"], where = float(far[i]), f"{kinds[i]}, step {t + 1}"
        for n, recorded in trace.states.items():
            apart = ulps(before[n], recorded[t + 1], states[n], flushed)
            worst["states"] = max(worst["states"], float(apart.max()))
    free = path(rule, settings, starts(dtype), g)
    own = 0.0
    if any(REASONS[n].loose for n in reasons(case, dtype)):
        own = share(trace.w, path(rule, settings, starts(dtype).astype(float), g.astype(float)))
    return Distance(worst["w"], worst["states"], share(free, trace.w), where, own)
