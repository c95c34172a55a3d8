r"""AdaDelta's numerator acts as a momentum term.

Source: [@slides].
Formula: \Delta_t = -\frac{\sqrt{u_{t-1} + \varepsilon}}{\sqrt{v_t + \varepsilon}}\, g_t, \qquad u_t = \beta
u_{t-1} + (1 - \beta)\, \Delta_t^2
Measured: Updates under a gradient that stays, vanishes, turns round or alternates, beside those of
momentum; each against the same method without the term, which for AdaDelta is RMSProp with $\eta =
\sqrt{\varepsilon}$, its numerator held at its start, and for momentum gradient descent; and the steps that
the numerator saves on the neuron.
Refuted by: Updates that do not grow along a steady gradient, or that grow without the numerator too.
"""

import numpy as np

from ...problems import landscape
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..record import fed
from ..trial import Trial

CHAPTER = "AdaDelta"
STEADY, AFTER, STEPS, TARGET = 200, 30, 100_000, 1e-3
KINDS = ("vanishes", "turns round", "alternates")
WITHOUT = {"Adadelta": "RMSprop", "Momentum": "SGD"}  # the same method without the term in question


def experiment() -> Evidence:
    evidence = Evidence()
    adadelta = use("Adadelta:slides")
    eps = float(adadelta.at(0)["eps_u"])
    rules = {
        "Adadelta": adadelta,
        "RMSprop": use("RMSprop:slides", lr=eps**0.5, eps=eps),
        "Momentum": use("Momentum:slides", lr=1e-2),
        "SGD": use("SGD:notes", lr=1e-3),
    }
    gradients = np.ones((STEADY + AFTER, len(KINDS)))
    gradients[STEADY:, 0] = 0
    gradients[STEADY:, 1] = -1
    gradients[1::2, 2] = -1
    moved = {n: -fed(r, gradients).update[1:] for n, r in rules.items()}
    first = {n: moved[n][0, 0] / moved[bare][0, 0] for n, bare in WITHOUT.items()}
    gain = {n: moved[n][STEADY - 1] / moved[bare][STEADY - 1, 0] for n, bare in WITHOUT.items()}
    coasting = {n: moved[n][STEADY:, 0].sum() / moved[n][STEADY - 1, 0] for n in WITHOUT}
    against = {n: int(np.sum(moved[n][STEADY:, 1] > 0)) for n in WITHOUT}
    steady = {n: float(gain[n][0]) for n in WITHOUT}
    alternating = {n: float(abs(gain[n][2])) for n in WITHOUT}
    for name, bare in WITHOUT.items():
        evidence.number(f"first update, {name} over {bare}", first[name])
        evidence.number(f"update after {STEADY} equal gradients, {name} over {bare}", steady[name])
        evidence.number(f"update after {STEADY} alternating gradients, {name} over {bare}", alternating[name])
        evidence.number(f"way gone after the gradient vanished, over the last update, {name}", coasting[name])
        evidence.number(f"steps against a gradient that turned round, {name}", against[name])
        evidence.check(f"{name} and {bare} begin with the same step", abs(first[name] - 1) < 1e-9)
        evidence.check(f"along a steady gradient the term makes {name}'s updates grow", steady[name] > 2)
    evidence.check(
        "momentum coasts and goes on against the gradient",
        coasting["Momentum"] > 1 and against["Momentum"] > 1,
    )
    evidence.limit(
        "only while successive gradients agree: AdaDelta stops at once where the gradient vanishes, turns at once "
        "where it turns, and never moves against it, so no velocity is carried",
        coasting["Adadelta"] == 0 and against["Adadelta"] == 0,
    )
    evidence.limit(
        "as a memory of the updates' size, not of their direction: alternating gradients make its updates grow as "
        "steady ones do, where momentum cancels them",
        abs(alternating["Adadelta"] / steady["Adadelta"] - 1) < 1e-9 and alternating["Momentum"] < 1,
    )

    neuron = landscape("neuron")
    need = {
        n: Trial(rules[n], neuron, STEPS, starts=neuron.starts[0], stop=TARGET).run().reached[0, 0]
        for n in ("Adadelta", "RMSprop")
    }
    evidence.number("steps to f < 10⁻³ on the neuron, Adadelta", need["Adadelta"])
    evidence.number("steps to f < 10⁻³ on the neuron, Adadelta with its numerator held", need["RMSprop"])
    evidence.check(
        "the numerator saves more than half the steps on the neuron", need["Adadelta"] < need["RMSprop"] / 2
    )

    step = np.arange(1, STEADY + AFTER + 1)
    late = slice(STEADY - 20, None)
    scale = {n: np.abs(moved[bare][:, 2]) for n, bare in WITHOUT.items()}
    panels = [
        Chart(
            "A steady gradient that turns round",
            "step",
            "update over that without the term",
            [Curve(step, moved[n][:, 1] / scale[n], n, n) for n in WITHOUT],
            marks=[(STEADY + 0.5, "turns")],
        ),
        Chart(
            "A steady gradient that vanishes",
            "step",
            "update over the last steady one",
            [Curve(step[late], moved[n][late, 0] / moved[n][STEADY - 1, 0], n, n) for n in WITHOUT],
            marks=[(STEADY + 0.5, "vanishes")],
        ),
        Chart(
            "Alternating gradients",
            "step",
            "size of update over that without the term",
            [Curve(step, np.abs(moved[n][:, 2]) / scale[n], n, n) for n in WITHOUT],
            log="y",
        ),
    ]
    evidence.picture = Picture(
        panels,
        "Adadelta's updates grow along a steady gradient as momentum's do, but turn and stop at once.",
        ("Adadelta", "Momentum"),
    )
    evidence.reading = (
        "First two: along a steady gradient Adadelta speeds up as momentum does, but where the gradient turns "
        "or vanishes it follows at once while momentum coasts. Last: it speeds up on alternating gradients too, "
        "which momentum cancels: what it remembers is size, not direction."
    )
    return evidence
