r"""RMSprop: Adagrad with a leaky average, so that the rate can rise again.

    v_t = beta * v_{t-1} + (1 - beta) * g_t^2
    w_t = w_{t-1} - lr / (sqrt(v_t + eps_root) + eps) * g_t

Intuition: Adagrad with a memory that fades: the rate is divided by the root of a leaky average of the
squared gradients. Where gradients become small the rate rises again, so that flat stretches are crossed at
about lr a step. Near a minimum the same thing keeps it hopping, by about lr.
Use: In long runs, on data that change and in mini-batches, where Adagrad's sum would end the run; with a
rate that falls in the end.
Avoid: Where it must settle at a constant rate: its steps end only where the rate does.
Seen: p=beale&n=300&o=RMSprop,lr=0.1;Adagrad,lr=0.1 It is near the minimum long before Adagrad, and then goes
on about it by steps of lr, where Adagrad comes to rest.
Units: v is g^2, lr is w, eps is g, eps_root is g^2.
Source: Hinton, Srivastava & Swersky, Coursera lecture 6e (2012), slide 29.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, fraction, inverse_time, nonnegative, ratio, row, rule, sqrt, state


def clock(t, beta):
    return {"take": 1 - beta}


def rate(v, /, lr, eps, eps_root):
    """Effective learning rate, w/g: the factor on g once v has taken g in."""
    return ratio(lr, sqrt(v + eps_root) + eps)


def step(w, g, v, /, lr, beta, take, eps, eps_root):
    v = beta * v + take * g * g
    return w - rate(v, lr, eps, eps_root) * g, v


def idle(w, v, k, /, beta):
    """k steps with g = 0: w rests, v decays."""
    return w, beta**k * v


OUTSIDE, INSIDE = {"eps_root": 0.0}, {"eps": 0.0}
KERAS = {"learning_rate": "lr", "rho": "beta"}
OPTAX = {"learning_rate": "lr", "decay": "beta", "eps": "eps_root", "initial_scale": "v"}
ONLY = {"eps_in_sqrt": True, "bias_correction": False, "nesterov": False}  # of Optax's forms
TF1 = {"learning_rate": "lr", "decay": "beta", "epsilon": "eps_root"}
TORCH = {
    ("centered",): "RMSpropCentred",
    ("momentum",): "RMSpropMomentum",
    ("centered", "momentum"): "RMSpropCentredMomentum",
}
LR_INSIDE = {
    ("centered",): "RMSpropCentred",
    ("momentum",): "RMSpropMomentumSutskever",
    ("centered", "momentum"): "RMSpropCentredMomentumSutskever",
}

DIALECTS = {
    "notes": row(names={"eta": "lr", "eps": "eps_root"}, pinned=INSIDE, lr=0.1, beta=0.9, eps_root=1e-8),
    "notes-code": row(names={"eta": "lr"}, pinned=OUTSIDE, lr=0.1, beta=0.5, eps=1e-4),
    "slides": row(names={"eta": "lr", "eps": "eps_root"}, pinned=INSIDE, beta=0.9, eps_root=1e-8),
    "torch": row(
        "2.13.0",
        optimizer="RMSprop",
        options={"centered": False, "momentum": 0},
        states={"v": "square_avg"},
        names={"lr": "lr", "alpha": "beta", "eps": "eps"},
        pinned=OUTSIDE,
        members=TORCH,
    ),
    "keras": row(
        "3.15.1",
        optimizer="RMSprop",
        states={"v": "_velocities"},
        names={**KERAS, "epsilon": "eps_root"},
        pinned=INSIDE,
        members=LR_INSIDE,
        lr=1e-3,
        beta=0.9,
        eps_root=1e-7,
    ),
    "tf.keras-legacy": row(
        "2.21.0",
        names={**KERAS, "epsilon": "eps"},
        pinned=OUTSIDE,
        ramps={"decay": inverse_time},
        members=LR_INSIDE,
        lr=1e-3,
        beta=0.9,
        eps=1e-7,
        note="with momentum its eps moves inside the root",
    ),
    "optax": row(
        "0.2.8",
        optimizer="rmsprop",
        options=ONLY,
        states={"v": "ScaleByRmsState.nu"},
        names=OPTAX,
        pinned=INSIDE,
        members=LR_INSIDE,
        beta=0.9,
        eps_root=1e-8,
    ),
    "tf1": row("2.21.0", names=TF1, pinned=INSIDE, members=LR_INSIDE, beta=0.9, eps_root=1e-10, v=1.0),
    "ensmallen": row("f65354c0", names={"stepSize": "lr", "alpha": "beta", "epsilon": "eps"}, pinned=OUTSIDE),
}


@rule(step, rate=rate, idle=idle, clock=clock, dialects=DIALECTS)
class RMSprop(Rule):
    """Leaky average of squared gradients, one coordinate at a time."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    beta: Scalar = fraction(default=0.99, text="what is kept of the past average")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    v: float = state(default=0.0, unit="g^2", text="average of squared gradients")
