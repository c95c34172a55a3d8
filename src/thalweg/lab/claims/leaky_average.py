r"""RMSProp weighs past squared gradients by $(1 - \beta)\, \beta^{t-z}$: 0.1, 0.09, 0.081, … for $\beta = 0.9$,
so its effective rate can rise, fall or stay.

Source: [@notes].
Formula: v_t = \beta v_{t-1} + (1 - \beta)\, g_t^2 = (1 - \beta) \sum_{z=1}^{t} \beta^{t-z} g_z^2
Measured: The state after one gradient of 1 at step $z$ and zeros elsewhere, for each $z$: the weight
itself; and the effective rate under gradients that shrink, grow and stay, beside AdaGrad's.
Refuted by: Weights that differ from the powers, or a rate that moves in one direction only.
"""

import numpy as np

from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..record import fed

CHAPTER = "RMSProp"
BETA, STEPS = 0.9, 60


def experiment() -> Evidence:
    evidence = Evidence()
    rule = use("RMSprop:slides", lr=0.1, beta=BETA)
    # Column z sees a gradient of 1 at step z alone, so its state at the end is that step's weight.
    weights = fed(rule, np.eye(STEPS)).states["v"][-1][::-1]
    age = np.arange(STEPS)
    for k, stated in enumerate((0.1, 0.09, 0.081)):
        evidence.number(f"weight of the gradient {k} steps ago", weights[k], stated, within=1e-9)
    evidence.check(
        "all weights are $(1 - \\beta)\\, \\beta^{t-z}$",
        np.allclose(weights, (1 - BETA) * BETA**age, rtol=1e-12),
    )
    steps = np.arange(1, STEPS + 1)
    kinds = {"gradients shrink": 0.9**steps, "gradients grow": 1.1**steps, "gradients stay": np.ones(STEPS)}
    gradients = np.column_stack(list(kinds.values()))
    rates = fed(rule, gradients).rate[1:]
    grown = fed(use("Adagrad:slides", lr=0.1), gradients).rate[1:]
    change = dict(zip(kinds, rates[-1] / rates[STEPS // 2], strict=True))
    for kind, ratio in change.items():
        evidence.number(f"rate at the end over the rate half way, {kind}", ratio)
    evidence.check("the rate rises where gradients shrink", change["gradients shrink"] > 1.5)
    evidence.check("it falls where they grow", change["gradients grow"] < 0.7)
    evidence.check("it stays where they stay", abs(change["gradients stay"] - 1) < 0.05)
    evidence.check("AdaGrad's falls in all three", bool(np.all(np.diff(grown, axis=0) < 0)))
    panels = [
        Chart(
            "Weight of a past squared gradient",
            "age, steps",
            "weight",
            [
                Curve(age[:30], weights[:30], "measured", "RMSprop", look="points"),
                Curve(age[:30], (1 - BETA) * BETA ** age[:30], "(1 − β) βᵗ⁻ᶻ", look="theory"),
            ],
        ),
        Chart(
            "Effective rate, lr = 0.1",
            "step",
            "effective learning rate",
            [Curve(steps, rates[:, k], f"RMSprop, {kind}", "RMSprop", k) for k, kind in enumerate(kinds)]
            + [Curve(steps, grown[:, k], f"Adagrad, {kind}", "Adagrad", k) for k, kind in enumerate(kinds)],
            log="y",
        ),
    ]
    evidence.picture = Picture(
        panels,
        "The weights fall geometrically with age; RMSProp's rate rises, falls and stays with the gradients.",
        ("RMSprop", "Adagrad"),
    )
    evidence.reading = (
        "First: the measured weights lie on the geometric law. Last: where gradients shrink RMSProp's rate rises, "
        "where they grow it falls, where they stay it settles; AdaGrad's falls in all three."
    )
    return evidence
