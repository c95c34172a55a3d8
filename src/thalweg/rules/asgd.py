r"""ASGD: gradient descent on a rate that falls as a power of t, beside the average of its own path.

    w_t = w_{t-1} - eta_t * (g_t + lambd * w_{t-1})          eta_1 = lr
    a_t = a_{t-1} + mu_t * (w_t - a_{t-1})                   mu_t = 1 / max(1, t - 1 - t0)
    eta_{t+1} = lr / (1 + lambd * lr * t)^alpha

Intuition: Noise keeps gradient descent hopping about the minimum; the mean of the hops lies far nearer to it
than any of them. So the run goes on, on a rate that falls slowly, and what is read in the end is the average
of its path. For convex problems that is as good as if the curvature had been known.
Use: For convex problems on a stream of rows, in one pass.
Avoid: Early in a run, whose beginning the average drags along (t0 says when it starts); and where the path
crosses several basins.
Seen: p=ill-conditioned&x=100,1&n=300&o=ASGD,lr=0.0196,lambd=0.1;SGD,lr=0.0196 The falling rate ends the
swings across the valley early, and takes longer for the last stretch along it.
Units: a is w, lr and eta are w/g, lambd is g/w. The average begins anew at every step up to t0 + 2, and is read
from the states: w goes on as if there were none. An lr on a schedule acts one step late, as a scheduler's on torch's
does, so eta is a state, the same for each coordinate.
Source: Polyak & Juditsky, SIAM J. Control Optim. 30 (1992) 838-855; Bottou, COMPSTAT (2010) 177-186, section 4; torch's form.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, maximum, nonnegative, row, rule, state, where


def clock(t, lr, lambd, alpha, t0):
    mu = 1 / maximum(1, t - 1 - t0)
    first = where(t > 1, 0, lr)
    return {"first": first, "next": lr / (1 + lambd * lr * t) ** alpha, "mu": mu}


def rate(eta):
    """Effective learning rate, w/g."""
    return eta


def step(w, g, a, eta, /, lambd, first, next, mu):
    eta = eta + first
    w = w - rate(eta) * (g + lambd * w)
    a = where(mu < 1, a + mu * (w - a), w)
    return w, a, next


TORCH = {n: n for n in ("lr", "lambd", "alpha", "t0")}

DIALECTS = {
    "torch": row("2.13.0", optimizer="ASGD", states={"a": "ax", "eta": "eta"}, names=TORCH),
}


@rule(step, rate=rate, gain=None, clock=clock, dialects=DIALECTS)  # its own decay pulls beside any penalty
class ASGD(Rule):
    """Averaged stochastic gradient descent."""

    lr: Scalar = nonnegative(default=1e-2, unit="w/g", text="learning rate of the first step")
    lambd: Scalar = nonnegative(default=1e-4, unit="g/w", text="decay of the weights, and of the rate")
    alpha: Scalar = nonnegative(default=0.75, unit="1", text="power of t that the rate falls with")
    t0: Scalar = nonnegative(default=1e6, unit="1", text="steps before the average begins")
    a: float = state(default=0.0, unit="w", signed=True, text="average of the weights")
    eta: float = state(default=0.0, unit="w/g", text="rate of the next step; 0 before the first")
