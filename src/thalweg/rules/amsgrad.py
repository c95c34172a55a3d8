r"""AMSGrad: Adam over the largest average square so far, so that no rate can rise again.

    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    v_t = beta2 * v_{t-1} + (1 - beta2) * g_t^2
    u_t = max(u_{t-1}, before * v_t)
    w_t = w_{t-1} - lr / (1 - beta1^t) / (sqrt(after * u_t + eps_root) + eps) * m_t

The largest v is corrected for its start after it is taken (``before = 1``, ``after = 1 / (1 - beta2**t)``) or,
by Optax, before (the other way round).
Intuition: Adam that remembers the largest average square instead of the present one. No coordinate's rate
can rise again, which closes the case in which Adam leaves the minimum of a convex problem: rare large
gradients that are forgotten too soon. The price is Adagrad's: what once was steep stays slow.
Use: Where rare large gradients carry the information, and where a proof of convergence is wanted.
Avoid: Where the beginning is far steeper than the rest of the way.
Seen: p=rosenbrock&n=300&o=AMSGrad,lr=0.1,beta2=0.9;Adam,lr=0.1,beta2=0.9 Adam forgets the steep beginning,
runs along the floor, and swings about the minimum in the end; AMSGrad keeps the rate of the beginning, slow
and steady.
Units: m is g, v and u are g^2, lr is w, eps is g, eps_root is g^2. A row without eps takes 0/0 as 0.
Source: Reddi, Kale & Kumar, arXiv 1904.09237 (ICLR 2018), algorithm 2, which corrects nothing.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, maximum, nonnegative, ratio, row, rule, sqrt, state


def clock(t, lr, beta1, beta2):
    size = lr / (1 - beta1**t)
    after = 1 / (1 - beta2**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": size, "before": 1, "after": after}


def corrected_before(t, lr, beta1, beta2):
    """The largest of the corrected averages, not the corrected largest average."""
    size = lr / (1 - beta1**t)
    before = 1 / (1 - beta2**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": size, "before": before, "after": 1}


def epsilon_hat(t, lr, beta1, beta2):
    """Both corrections in the step size: eps is added before v is corrected."""
    size = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": size, "before": 1, "after": 1}


def uncorrected(t, lr, beta1, beta2):
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": lr, "before": 1, "after": 1}


def rate(u, /, size, after, eps, eps_root):
    """Effective learning rate, w/g: the factor on m."""
    return ratio(size, sqrt(after * u + eps_root) + eps)


def step(w, g, m, v, u, /, beta1, take1, beta2, take2, size, before, after, eps, eps_root):
    m = beta1 * m + take1 * g
    v = beta2 * v + take2 * g * g
    u = maximum(u, before * v)
    return w - rate(u, size, after, eps, eps_root) * m, m, v, u


def gain(rate, /, t, beta1):
    """Under a constant gradient m is ``1 - beta1**t`` of it."""
    return rate * (1 - beta1**t)


def shrink(beta1):
    return beta1


def idle_states(m, v, u, k, /, beta1, beta2):
    return beta1**k * m, beta2**k * v, u


def move_terms(m, v, u, /, eps):
    """An idle step moves w by size m / (sqrt(after u) + eps): u holds still."""
    return m, sqrt(u), eps


def move_scale(k, /, beta1, size, after):
    return size * beta1**k, sqrt(after)


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale, zero=("eps_root",))


OUTSIDE, NONE = {"eps_root": 0.0}, {"eps": 0.0, "eps_root": 0.0}
KERAS = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps", "eps_root": "eps_root"}
TORCH = {"lr": "lr", "betas": ("beta1", "beta2"), "eps": "eps"}

DIALECTS = {
    "paper": row("arXiv 1904.09237", names={"alpha": "lr"}, pinned=NONE, clock=uncorrected),
    "torch": row(
        "2.13.0",
        optimizer=("Adam", "AdamW"),
        options={"amsgrad": True},
        states={"m": "exp_avg", "v": "exp_avg_sq", "u": "max_exp_avg_sq"},
        names=TORCH,
        pinned=OUTSIDE,
        note="Adam(amsgrad=True)",
    ),
    "keras": row(
        "3.15.1",
        optimizer="Adam",
        options={"amsgrad": True},
        states={"m": "_momentums", "v": "_velocities", "u": "_velocity_hats"},
        names=KERAS,
        pinned=OUTSIDE,
        clock=epsilon_hat,
        eps=1e-7,
        note="Adam(amsgrad=True)",
    ),
    "optax": row(
        "0.2.8",
        optimizer="amsgrad",
        options={"bias_correction_mu": True, "bias_correction_nu": True},
        states={
            "m": "ScaleByAmsgradState.mu",
            "v": "ScaleByAmsgradState.nu",
            "u": "ScaleByAmsgradState.nu_max",
        },
        names=OPTAX,
        clock=corrected_before,
    ),
    "ensmallen": row(
        "f65354c0", names={"stepSize": "lr", "epsilon": "eps"}, pinned=OUTSIDE, clock=epsilon_hat
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class AMSGrad(Rule):
    """Adam whose denominator never falls."""

    lr: Scalar = nonnegative(default=1e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="what is kept of the average square")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    v: float = state(default=0.0, unit="g^2", text="average squared gradient")
    u: float = state(default=0.0, unit="g^2", text="largest average squared gradient")
