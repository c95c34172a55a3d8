"""Rules whose names are those that a kernel, a function or a module around the formula might use."""

from thalweg.core import Rule, Scalar, fraction, nonnegative, rule, state
from thalweg.core.math import abs, maximum, sqrt


def states_rate(n, job, /, lr):
    return lr / (1 + sqrt(n) + job)


def states_step(w, g, x, n, i, job, /, lr, lo, table):
    x = lo * x + g
    n = table * n + g * g
    i = i + lo * x
    job = maximum(job, abs(g))
    return w - states_rate(n, job, lr) * (x + i), x, n, i, job


@rule(states_step, rate=states_rate)
class OddStates(Rule):
    lr: Scalar = nonnegative(default=0.1, unit="w/g")
    lo: Scalar = fraction(default=0.5)
    table: Scalar = fraction(default=0.25)
    x: float = state(default=0.0, unit="g", signed=True)
    n: float = state(default=0.0, unit="g^2")
    i: float = state(default=0.0, unit="g", signed=True)
    job: float = state(default=0.0, unit="g")


def scalars_rate(p0, /, lr, size):
    return lr / (1 + abs(p0) * size)


def scalars_step(w, g, p0, v_w, k_lr, /, lr, n, size, F):
    new0 = n * p0 + g
    p0 = new0
    v_w = F * v_w + g
    k_lr = k_lr + size * v_w
    return w - scalars_rate(p0, lr, size) * (p0 + k_lr), p0, v_w, k_lr


def scalars_clock(t, lr, n, math, pow):
    return {"size": math * (1 - n**t), "F": pow * n}


@rule(scalars_step, rate=scalars_rate, clock=scalars_clock)
class OddScalars(Rule):
    lr: Scalar = nonnegative(default=0.1, unit="w/g")
    n: Scalar = fraction(default=0.5)
    math: Scalar = fraction(default=0.25)
    pow: Scalar = fraction(default=0.125)
    p0: float = state(default=0.0, unit="g", signed=True)
    v_w: float = state(default=0.0, unit="g", signed=True)
    k_lr: float = state(default=0.0, unit="g", signed=True)


ODD = {c.__name__: c for c in (OddStates, OddScalars)}
