r"""AdamW: Adam with decoupled weight decay, under the name by which it is known; no recurrence of its own.

    w   <- (1 - lr * weight_decay) * w_{t-1}
    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    v_t = beta2 * v_{t-1} + (1 - beta2) * g_t^2
    w_t = w - lr / (1 - beta1^t) / (sqrt(v_t / (1 - beta2^t) + eps_root) + eps) * m_t

Intuition: Adam, with every weight first shrunk by the same share. A penalty put into the gradient would be
divided by Adam's denominator, so that weights of large gradients would hardly be decayed; here all are
decayed alike. Rate and decay can then be tuned with less regard to each other.
Use: For transformers, and wherever else Adam trains with weight decay.
Avoid: Without decay, where it is Adam; and on biases and the gains of normalisation, which are usually left
out of the decay (``groups``).
Seen: p=booth&n=200&o=AdamW,lr=0.3,weight_decay=0.3;Adam,lr=0.3 Adam ends in the minimum; AdamW where the
pull of the decay and the slope are in balance, nearer to 0.
Units: as Adam's; weight_decay is 1/w, since lr is w. The paper's lambda is lr * weight_decay.
Source: Loshchilov & Hutter, arXiv 1711.05101 (2019), algorithm 2, as torch, Keras and Optax write it.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, nonnegative, row, rule, sqrt, state
from ..core.pieces import shrunk
from .adam import KERAS, OPTAX, TORCH, gain, idle_states, move_scale, move_terms, rate, shrink
from .adam import step as adam


def clock(t, lr, beta1, beta2, weight_decay):
    size = lr / (1 - beta1**t)
    fix = 1 / (1 - beta2**t)
    return {"keep": 1 - lr * weight_decay, "take1": 1 - beta1, "take2": 1 - beta2, "size": size, "fix": fix}


def epsilon_hat(t, lr, beta1, beta2, weight_decay):
    """Both corrections in the step size: eps is added before v is corrected."""
    size = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
    return {"keep": 1 - lr * weight_decay, "take1": 1 - beta1, "take2": 1 - beta2, "size": size, "fix": 1}


def step(w, g, m, v, /, keep, beta1, take1, beta2, take2, size, fix, eps, eps_root):
    rest = shrunk(w, keep)
    w, m, v = adam(rest, g, m, v, beta1, take1, beta2, take2, size, fix, eps, eps_root)
    return w, m, v


IDLE_MODEL = IdleModel(
    shrink,
    idle_states,
    products={"w": "keep"},
    move_terms=move_terms,
    move_scale=move_scale,
    zero=("eps_root",),
)


OUTSIDE = {"eps_root": 0.0}
DECAY = {"weight_decay": "weight_decay"}

DIALECTS = {
    "torch": row(
        "2.13.0",
        optimizer=("AdamW", "Adam"),
        options={"amsgrad": False},
        states={"m": "exp_avg", "v": "exp_avg_sq"},
        names={**TORCH, **DECAY},
        pinned=OUTSIDE,
    ),
    "keras": row(
        "3.15.1",
        optimizer="AdamW",
        states={"m": "_momentums", "v": "_velocities"},
        names={**KERAS, **DECAY},
        pinned=OUTSIDE,
        clock=epsilon_hat,
        eps=1e-7,
        weight_decay=4e-3,
    ),
    "optax": row(
        "0.2.8",
        optimizer="adamw",
        options={"nesterov": False},
        states={"m": "ScaleByAdamState.mu", "v": "ScaleByAdamState.nu"},
        names={**OPTAX, **DECAY},
        weight_decay=1e-4,
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class AdamW(Rule):
    """Adam with decoupled weight decay."""

    lr: Scalar = nonnegative(default=1e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="what is kept of the average square")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    weight_decay: Scalar = nonnegative(default=1e-2, unit="1/w", text="w shrinks by lr times this first")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    v: float = state(default=0.0, unit="g^2", text="average squared gradient")
