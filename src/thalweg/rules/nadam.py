r"""NAdam: Adam with Nesterov's look ahead and a momentum that warms up.

    mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    v_t = beta2 * v_{t-1} + (1 - beta2) * g_t^2
    p_t = mu_t * p_{t-1}
    d_t = mu_{t+1} / (1 - mu_{t+1} * p_t) * m_t + (1 - mu_t) / (1 - p_t) * g_t
    w_t = w_{t-1} - lr / (sqrt(v_t / (1 - beta2^t) + eps_root) + eps) * d_t

Intuition: Adam whose average gradient looks a step ahead, as Nesterov's sum does: the newest gradient counts
more than in Adam. The momentum itself warms up over the first steps. Turns are noticed a little earlier;
where there are none, both walk alike.
Use: Where Adam would be used and swings about the valley's floor; the settings are Adam's.
Avoid: Where a large gain over Adam is hoped for: it is seldom there.
Seen: p=rosenbrock&n=200&o=NAdam,lr=0.1;Adam,lr=0.1 It turns into the valley a little earlier and swings less
about its floor.
Units: m is g, v is g^2, p has none, lr is w, eps is g, eps_root is g^2. The product p of the momenta
has no closed form in t, so it is a state (in torch and Keras too), kept for each coordinate.
Source: Dozat, Incorporating Nesterov momentum into Adam, Stanford CS 229 report (2015), algorithm 8. His
ICLR workshop paper (2016) also multiplies v's correction by beta2; no library here does.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, nonnegative, ratio, row, rule, sqrt, state


def momentum(t, beta1, momentum_decay):
    return beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))


def clock(t, lr, beta1, beta2, momentum_decay):
    mu = momentum(t, beta1, momentum_decay)
    ahead = momentum(t + 1, beta1, momentum_decay)
    fix = 1 / (1 - beta2**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "mu": mu, "ahead": ahead, "rest": 1 - mu, "size": lr, "fix": fix}  # fmt: skip


def epsilon_hat(t, lr, beta1, beta2, momentum_decay):
    """v's correction in the step size: eps is added before v is corrected."""
    mu = momentum(t, beta1, momentum_decay)
    ahead = momentum(t + 1, beta1, momentum_decay)
    size = lr * sqrt(1 - beta2**t)
    return {
        "take1": 1 - beta1,
        "take2": 1 - beta2,
        "mu": mu,
        "ahead": ahead,
        "rest": 1 - mu,
        "size": size,
        "fix": 1,
    }


def constant(t, lr, beta1, beta2):
    """The momentum is beta1 at every step."""
    take1 = 1 - beta1
    fix = 1 / (1 - beta2**t)
    return {"take1": take1, "take2": 1 - beta2, "mu": beta1, "ahead": beta1, "rest": take1, "size": lr, "fix": fix}  # fmt: skip


def rate(v, /, size, fix, eps, eps_root):
    """Effective learning rate, w/g: the factor on d, the gradient averaged and looked ahead."""
    return ratio(size, sqrt(v * fix + eps_root) + eps)


def step(w, g, m, v, p, /, beta1, take1, beta2, take2, mu, ahead, rest, size, fix, eps, eps_root):
    m = beta1 * m + take1 * g
    v = beta2 * v + take2 * g * g
    p = mu * p
    d = ahead / (1 - ahead * p) * m + rest / (1 - p) * g
    return w - rate(v, size, fix, eps, eps_root) * d, m, v, p


def gain(rate, /, ahead, rest):
    """Under a constant gradient m settles at it and p at 0, so that d settles at ``ahead + rest`` of it."""
    return rate * (ahead + rest)


def shrink(beta1, beta2):
    return beta1 / sqrt(beta2)


def idle_states(m, v, k, /, beta1, beta2):
    return beta1**k * m, beta2**k * v


IDLE_MODEL = IdleModel(shrink, idle_states, products={"p": "mu"})


OUTSIDE = {"eps_root": 0.0}
KERAS = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps", "eps_root": "eps_root"}
TORCH = {"lr": "lr", "betas": ("beta1", "beta2"), "eps": "eps", "momentum_decay": "momentum_decay"}

DIALECTS = {
    "torch": row(
        "2.13.0",
        optimizer="NAdam",
        states={"m": "exp_avg", "v": "exp_avg_sq", "p": "mu_product"},
        names=TORCH,
        pinned=OUTSIDE,
        lr=2e-3,
    ),
    "keras": row(
        "3.15.1",
        optimizer="Nadam",
        states={"m": "_momentums", "v": "_velocities", "p": "_u_product"},
        names=KERAS,
        pinned={**OUTSIDE, "momentum_decay": 1.0},
        lr=1e-3,
        eps=1e-7,
    ),
    "optax": row(
        "0.2.8",
        optimizer="nadam",
        options={"nesterov": True},
        members={("nesterov",): "NAdam", (): "Adam"},
        states={"m": "ScaleByAdamState.mu", "v": "ScaleByAdamState.nu"},
        names=OPTAX,
        pinned={"momentum_decay": 0.0},
        clock=constant,
        lr=1e-3,
    ),
    "ensmallen": row(
        "f65354c0",
        names={"stepSize": "lr", "epsilon": "eps", "scheduleDecay": "momentum_decay"},
        pinned=OUTSIDE,
        clock=epsilon_hat,
        lr=1e-3,
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class NAdam(Rule):
    """Adam with Nesterov momentum."""

    lr: Scalar = nonnegative(default=2e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="what is kept of the average square")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    momentum_decay: Scalar = nonnegative(default=4e-3, unit="1", text="how fast the momentum warms up")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    v: float = state(default=0.0, unit="g^2", text="average squared gradient")
    p: float = state(default=1.0, unit="1", text="product of the momenta")
