r"""Without bias correction Adam's first steps are very large: with $\beta_2 = 0.999$ and a first gradient of
0.1 the effective rate is 316.2 times $\eta$, and 316.4 times at the next step.

Source: [@notes] (0.00001, 316.22, 316.38), which take the second gradient as 0; their $9.99 \cdot 10^{-6}$
is misprinted as 0.0000099 and 0.000099.
Formula: v_1 = (1 - \beta_2)\, g_1^2 = 0.001 \cdot 0.1^2 = 10^{-5}, \qquad \frac{1}{\sqrt{v_1}} = 316.2
Measured: State, effective rate and update for their two gradients, and the updates for 2,000 equal ones,
with and without correction and for several $\beta_2$; the steps to a target at each variant's best rate.
Refuted by: Other rates, or first updates no larger than $\eta$.
"""

import numpy as np

from ...problems import landscape
from ..evidence import Evidence, use
from ..pictures.panels import Bars, Chart, Curve, Panel, Picture
from ..record import fed
from ..search import grid, try_rates

CHAPTER = "Momentum and Adam"
GRADIENT, STEPS = 0.1, 2000
BETAS = (0.9, 0.99, 0.999, 0.9999)
TASKS = {"neuron": 1e-3, "beale": 1e-3, "rosenbrock": 1e-3, "quadratic-2d": 1e-6}


def experiment() -> Evidence:
    evidence = Evidence()
    plain = use("Adam:notes-uncorrected", lr=1.0)
    beta1, beta2 = (float(plain.at(0)[n]) for n in ("beta1", "beta2"))
    two = fed(plain, np.array([[GRADIENT], [0.0]]))
    evidence.number("v after the first gradient", two.states["v"][1, 0], 1e-5, within=1e-9)
    after = evidence.number("v after the second, which is 0", two.states["v"][2, 0])
    evidence.check("v after the second is 0.999 of that, 9.99·10⁻⁶", abs(after / 9.99e-6 - 1) < 1e-9)
    evidence.number("first effective rate, in lr", two.rate[1, 0], 316.22, within=1e-4)
    evidence.number("second effective rate, in lr", two.rate[2, 0], 316.38, within=1e-4)
    first = evidence.number("first update without correction, in lr", -two.update[1, 0])
    ratio = (1 - beta1) / (1 - beta2) ** 0.5
    evidence.check(
        "it is $(1 - \\beta_1) / \\sqrt{1 - \\beta_2} = 3.16$ rates", abs(first / ratio - 1) < 1e-5
    )

    same = np.full((STEPS, 1), GRADIENT)
    moved = {b: -fed(use("Adam:notes-uncorrected", lr=1.0, beta2=b), same).update[1:, 0] for b in BETAS}
    mended = -fed(use("Adam:notes", lr=1.0), same).update[1:, 0]
    step = np.arange(1, STEPS + 1)
    law = (1 - beta1**step) / np.sqrt(1 - beta2**step)
    raw = moved[beta2]
    start = evidence.number("first update with correction, in lr", mended[0])
    evidence.check("the first update with correction is lr", abs(start - 1) < 1e-6)
    peak = evidence.number("largest update without correction, equal gradients, in lr", raw.max())
    evidence.number("the step at which the largest update comes", int(raw.argmax()) + 1)
    evidence.number("updates above 1.5 lr", int(np.sum(raw > 1.5)))
    evidence.number("update at step 1,000, in lr", raw[999])
    for b in BETAS:
        evidence.number(f"first update without correction, β₂ = {b}, in lr", moved[b][0])
    evidence.check(
        "updates are $(1 - \\beta_1^t) / \\sqrt{1 - \\beta_2^t}$ rates", np.allclose(raw, law, rtol=1e-5)
    )
    evidence.check("the start is several times too large without correction", first > 3 and peak > 3)
    evidence.check("with correction no update exceeds lr", bool(np.all(mended <= 1 + 1e-9)))
    evidence.limit(
        "only the rate on m is 316: m is uncorrected too and ten times too small, so the first update is 3.16 lr and "
        "none exceeds 7 lr",
        bool(peak < 7),
    )
    evidence.limit(
        "only while 1 - β₁ is above $\\sqrt{1 - \\beta_2}$: with β₂ = 0.99 the first update is lr, with 0.9 a third of it",
        abs(moved[0.99][0] - 1) < 1e-3 and moved[0.9][0] < 0.5,
    )

    ratios = {}
    for name, target in TASKS.items():
        p = landscape(name)
        both = [
            try_rates(use(f"Adam:{d}"), p, grid(1e-3, 10.0, 33), 2000, target, start=np.array(p.starts[0]))
            for d in ("notes-uncorrected", "notes")
        ]
        for words, t in zip(("without", "with"), both, strict=True):
            evidence.number(f"steps to the target on {name} {words} correction, best rate", t.steps)
        ratios[name] = both[0].steps / both[1].steps
    evidence.limit(
        "only at a rate that suits corrected Adam: at its own best rate the uncorrected one is faster on some problems",
        min(ratios.values()) < 0.9,
    )
    panels: list[Panel] = [
        Chart(
            "Updates for equal gradients, β₂ = 0.999",
            "step",
            "update / lr",
            [
                Curve(step, raw, "uncorrected", "Adam", 1),
                Curve(step, mended, "Adam", "Adam"),
                Curve(step, law, "theory", look="theory"),
            ],
            log="x",
            y_range=(0.0, 7.0),
        ),
        Chart(
            "Uncorrected, by β₂",
            "step",
            "update / lr",
            [Curve(step, moved[b], f"β₂ = {b}") for b in BETAS],
            log="xy",
        ),
        Bars(
            "Steps to the target, each at its best rate",
            "uncorrected over corrected",
            list(ratios),
            list(ratios.values()),
            ["Adam"] * len(ratios),
            levels=[(1.0, "equal")],
        ),
    ]
    evidence.picture = Picture(
        panels,
        "Without correction Adam's updates start at 3.2 times the rate, rise to 6.6 and fall to it in thousands of steps.",
        ("Adam",),
    )
    evidence.reading = (
        "First: without correction the first update is 3.2 lr and the twelfth 6.6 lr, and thousands of steps pass "
        "until it is lr. Second: with a smaller β₂ the start is timid instead. Last: at its own best rate the "
        "uncorrected method needs up to about twice the steps, and on some problems fewer."
    )
    return evidence
