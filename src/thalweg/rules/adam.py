r"""Adam: momentum over RMSprop, both averages corrected for their start at 0.

    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    v_t = beta2 * v_{t-1} + (1 - beta2) * g_t^2
    w_t = w_{t-1} - lr / (1 - beta1^n) / (sqrt(v_t / (1 - beta2^n) + eps_root) + eps) * m_t

with n = t; the notes' code counts epochs instead: n = floor((t - 1) / epoch) + 1.
Intuition: The average gradient over the root of the average square: a ratio of signal to size, about lr a
step at most whatever the gradient's scale. The two averages have two memories, a short one for the direction
and a long one for the scale. Both begin at 0 and are corrected for it, so that the first step is lr along
every coordinate.
Use: As a first choice for networks, for sparse or badly scaled gradients, and where there is little time to
tune.
Avoid: Where valleys lie across the axes, which no rate for each coordinate helps; where it must settle at a
constant rate; and with an L2 penalty in the gradient, which AdamW takes out of the scaling.
Seen: p=booth&n=60&o=Adam,lr=0.5;Adam:notes-uncorrected,lr=0.5&t=1 Corrected, the first step is lr along each
axis; without it the first steps are several times as long.
Units: m is g, v is g^2, lr is w, eps is g, eps_root is g^2.
Source: Kingma & Ba, arXiv 1412.6980 (2015), algorithm 1; epsilon-hat: the end of their section 2.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    IdleModel,
    Rule,
    Scalar,
    floor,
    fraction,
    inverse_time,
    nonnegative,
    number,
    ratio,
    row,
    rule,
    sqrt,
    state,
)


def clock(t, lr, beta1, beta2, epoch):
    n = floor((t - 1) / epoch) + 1
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": lr / (1 - beta1**n), "fix": 1 / (1 - beta2**n)}


def epsilon_hat(t, lr, beta1, beta2):
    """Both corrections in the step size: eps is added before v is corrected."""
    size = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": size, "fix": 1}


def uncorrected(t, lr, beta1, beta2):
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": lr, "fix": 1}


def rate(v, /, size, fix, eps, eps_root):
    """Effective learning rate, w/g: the factor on m."""
    return ratio(size, sqrt(v * fix + eps_root) + eps)


def step(w, g, m, v, /, beta1, take1, beta2, take2, size, fix, eps, eps_root):
    m = beta1 * m + take1 * g
    v = beta2 * v + take2 * g * g
    return w - rate(v, size, fix, eps, eps_root) * m, m, v


def gain(rate, /, t, beta1):
    """Under a constant gradient m is ``1 - beta1**t`` of it."""
    return rate * (1 - beta1**t)


def shrink(beta1, beta2):
    return beta1 / sqrt(beta2)


def idle_states(m, v, k, /, beta1, beta2):
    return beta1**k * m, beta2**k * v


def move_terms(m, v, /, eps):
    """An idle step moves w by size m / (sqrt(fix v) + eps)."""
    return m, sqrt(v), eps


def move_scale(k, /, beta1, beta2, size, fix):
    return size * beta1**k, sqrt(beta2**k * fix)


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale, zero=("eps_root",))


OUTSIDE, HAT = {"eps_root": 0.0}, {"eps_root": 0.0, "epoch": 1.0}
KERAS = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
TF1 = {"learning_rate": "lr", "epsilon": "eps"}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps", "eps_root": "eps_root"}
AMSGRAD: dict[tuple[str, ...], str] = {("amsgrad",): "AMSGrad"}
TORCH = {"lr": "lr", "betas": ("beta1", "beta2"), "eps": "eps"}

DIALECTS = {
    "notes": row(names={"eta": "lr"}, pinned=OUTSIDE, lr=0.1),
    "notes-code": row(
        names={"eta": "lr"}, pinned=OUTSIDE, lr=0.1, eps=1e-10, epoch=2, note="two points an epoch"
    ),
    "notes-uncorrected": row(names={"eta": "lr"}, pinned=HAT, clock=uncorrected, lr=0.1),
    "slides": row(names={"eta": "lr"}, pinned=OUTSIDE),
    "paper": row("arXiv 1412.6980v9", names={"alpha": "lr", "epsilon": "eps"}, pinned=OUTSIDE),
    "torch": row(
        "2.13.0",
        optimizer=("Adam", "AdamW"),
        options={"amsgrad": False},
        states={"m": "exp_avg", "v": "exp_avg_sq"},
        names=TORCH,
        pinned=OUTSIDE,
        members=AMSGRAD,
    ),
    "keras": row(
        "3.15.1",
        optimizer="Adam",
        states={"m": "_momentums", "v": "_velocities"},
        names=KERAS,
        pinned=HAT,
        members=AMSGRAD,
        clock=epsilon_hat,
        eps=1e-7,
    ),
    "tf.keras-legacy": row(
        "2.21.0", names=KERAS, pinned=HAT, ramps={"decay": inverse_time}, clock=epsilon_hat, eps=1e-7
    ),
    "optax": row(
        "0.2.8",
        optimizer="adam",
        options={"nesterov": False},
        members={("nesterov",): "NAdam"},
        states={"m": "ScaleByAdamState.mu", "v": "ScaleByAdamState.nu"},
        names=OPTAX,
    ),
    "tf1": row("2.21.0", names=TF1, pinned=HAT, clock=epsilon_hat),
    "ensmallen": row("f65354c0", names={"stepSize": "lr", "epsilon": "eps"}, pinned=HAT, clock=epsilon_hat),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class Adam(Rule):
    """Adaptive moment estimation."""

    lr: Scalar = nonnegative(default=1e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="what is kept of the average square")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    epoch: Scalar = number(default=1.0, low=1.0, unit="1", text="steps between ticks of the correction")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    v: float = state(default=0.0, unit="g^2", text="average squared gradient")
