r"""Yogi: Adam whose average square moves by a bounded amount, however large the gap to it.

    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    v_t = v_{t-1} - (1 - beta2) * sign(v_{t-1} - g_t^2) * g_t^2
    w_t = w_{t-1} - lr / (1 - beta1^t) / (sqrt(v_t / (1 - beta2^t) + eps_root) + eps) * m_t

Intuition: Adam forgets past squares at a fixed pace, so that after a quiet spell its rate has grown many
times. Yogi lets the average square fall only by the size of the new square: it rises as Adam's does, and
falls slowly while gradients are small. So no rate shoots up.
Use: Where gradients come in bursts, as with rare classes or sparse rows.
Avoid: Where the first gradients are far larger than the later ones, since they are hardly forgotten; and
without a look at what v starts from, which fades as slowly.
Seen: p=beale&x=3,4&n=300&o=Yogi,lr=0.1,beta2=0.9;Adam,lr=0.1,beta2=0.9 The start lies on a steep wall. Adam
forgets it in a few dozen steps; Yogi's average falls only by the small squares of the plain, and so do its
steps stay short.
Units: m is g, v is g^2, lr is w, eps is g, eps_root is g^2. What v starts with matters here: it fades
only by small steps.
Source: Zaheer, Reddi, Sachan, Kale & Kumar, NeurIPS 2018, algorithm 2, which corrects nothing; Optax's form.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, nonnegative, ratio, row, rule, sign, sqrt, state


def clock(t, lr, beta1, beta2):
    size = lr / (1 - beta1**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": size, "fix": 1 / (1 - beta2**t)}


def uncorrected(t, lr, beta1, beta2):
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": lr, "fix": 1}


def rate(v, /, size, fix, eps, eps_root):
    """Effective learning rate, w/g: the factor on m."""
    return ratio(size, sqrt(v * fix + eps_root) + eps)


def step(w, g, m, v, /, beta1, take1, take2, size, fix, eps, eps_root):
    m = beta1 * m + take1 * g
    v = v - take2 * sign(v - g * g) * (g * g)
    return w - rate(v, size, fix, eps, eps_root) * m, m, v


def gain(rate, /, t, beta1):
    """Under a constant gradient m is ``1 - beta1**t`` of it."""
    return rate * (1 - beta1**t)


def shrink(beta1):
    return beta1


def idle_states(m, v, k, /, beta1):
    return beta1**k * m, v


def move_terms(m, v, /, eps):
    """An idle step moves w by size m / (sqrt(fix v) + eps): v holds still."""
    return m, sqrt(v), eps


def move_scale(k, /, beta1, size, fix):
    return size * beta1**k, sqrt(fix)


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale, zero=("eps_root",))


OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps"}

DIALECTS = {
    "paper": row(
        "NeurIPS 2018",
        names={"eta": "lr", "epsilon": "eps"},
        pinned={"eps_root": 0.0},
        clock=uncorrected,
        v=0.0,
    ),
    "optax": row(
        "0.2.8",
        optimizer="yogi",
        states={"m": "ScaleByAdamState.mu", "v": "ScaleByAdamState.nu"},
        names=OPTAX,
        pinned={"eps_root": 0.0},
        m=1e-6,
        note="both averages start at 1e-6",
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class Yogi(Rule):
    """Adam with a controlled growth of its rate."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="1 less the share of a square by which v moves")
    eps: Scalar = nonnegative(default=1e-3, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    v: float = state(default=1e-6, unit="g^2", text="average squared gradient")
