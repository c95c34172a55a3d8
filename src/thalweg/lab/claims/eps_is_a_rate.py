r"""AdaDelta is not really free of a learning rate: its first step is about $\sqrt{\varepsilon / (1 - \beta)}\,
\operatorname{sign}(g)$, a small $\varepsilon$ converges slowly, and the initial $u$ acts alike.

Source: [@slides], with two figures.
Formula: \Delta_1 = -\frac{\sqrt{\varepsilon}}{\sqrt{(1 - \beta)\, g^2 + \varepsilon}}\, g \approx
-\sqrt{\frac{\varepsilon}{1 - \beta}}\, \operatorname{sign}(g)
Measured: The first update for gradients from $10^{-4}$ to $10^4$; steps to a loss of $10^{-3}$ on the
neuron for $\varepsilon$ and for the start state $u$ over many decades, beside RMSprop's for its rate (with
$\eta = \sqrt{\varepsilon}$ and the same $\varepsilon$ its first step is AdaDelta's). On a constant gradient
$u$ grows by $(1 - \beta)\, \varepsilon$ a step, so that steps grow like $\varepsilon^{-1/3}$, and like
$u^{-1/2}$ where $u$ was given.
Refuted by: A first step that differs from the formula, or steps that do not grow as $\varepsilon$ or $u$
falls.
"""

import numpy as np

from ...core.rule import Rule
from ...problems import landscape
from ..evidence import Evidence, use
from ..formatting import plain
from ..pictures.panels import Chart, Curve, Picture
from ..record import fed
from ..trial import Array, Trial

CHAPTER = "AdaDelta"
STEPS, TARGET, LEAST = 200_000, 1e-3, 1e-14
EPS = np.geomspace(LEAST, 1e2, 33)
GRADIENTS = np.geomspace(1e-4, 1e4, 9)


def _slope(x: Array, y: Array, low: float, high: float) -> float:
    """The power of x that y follows between two values of x."""
    part = (x >= low * 0.99) & (x <= high * 1.01) & np.isfinite(y)
    return float(np.polyfit(np.log(x[part]), np.log(y[part]), 1)[0]) if part.sum() > 1 else np.nan


def experiment() -> Evidence:
    evidence = Evidence()
    rule = use("Adadelta:notes")
    beta, default = (float(rule.at(0)[n]) for n in ("beta", "eps_u"))
    ratios = {}
    for eps in (1e-12, 1e-6):
        first = fed(use("Adadelta:notes", eps=eps), np.concatenate([GRADIENTS, -GRADIENTS])[None]).update[1]
        ratios[eps] = first * -np.sign(np.concatenate([GRADIENTS, -GRADIENTS])) / np.sqrt(eps / (1 - beta))
    one = int(np.argmin(np.abs(GRADIENTS - 1)))
    unit = evidence.number(
        "first step over $\\sqrt{\\varepsilon / (1 - \\beta)}$, g = 1, ε = 10⁻⁶", ratios[default][one]
    )
    evidence.check(
        "the first step is $\\sqrt{\\varepsilon / (1 - \\beta)}$ to a ten-thousandth there",
        bool(abs(unit - 1) < 1e-4),
    )
    evidence.check(
        "so it is for all gradients from 10⁻⁴ to 10⁴ and both signs, ε = 10⁻¹²",
        np.allclose(ratios[1e-12], 1, rtol=0.01),
    )
    evidence.number(
        "first step over $\\sqrt{\\varepsilon / (1 - \\beta)}$, g = 10⁻⁴, ε = 10⁻⁶", ratios[default][0]
    )
    evidence.limit(
        "the first step only where $(1 - \\beta)\\, g^2$ is large against ε: below, it is g itself",
        bool(ratios[default][0] < 0.1),
    )

    neuron = landscape("neuron")

    def steps(rule: Rule, vary: dict[str, Array]) -> Array:
        trial = Trial(rule, neuron, STEPS, starts=neuron.starts[0], vary=vary, record=(), stop=TARGET)
        return trial.run().reached[:, 0]

    by_eps = steps(rule, {"eps_v": EPS, "eps_u": EPS})
    by_u = steps(use("Adadelta:notes", eps=LEAST), {"u": EPS})
    by_rate = steps(use("RMSprop:notes", eps=default), {"lr": np.sqrt(EPS)})
    slopes = {
        "ε": _slope(EPS, by_eps, 1e-14, 1e-8),
        "the start state u": _slope(EPS, by_u, 1e-10, 1e-5),
        "the squared rate, RMSprop": _slope(EPS, by_rate, 1e-8, 1e-4),
    }
    for eps in (1e-14, 1e-10, 1e-6, 1e-2):
        k = int(np.argmin(np.abs(np.log(EPS / eps))))
        evidence.number(f"steps to f < 10⁻³, ε = {plain(eps)}", by_eps[k])
        evidence.number(f"steps to f < 10⁻³, start state u = {plain(eps)} (ε = 10⁻¹⁴)", by_u[k])
    for name, slope in slopes.items():
        evidence.number(f"power of {name} with which steps grow", slope)
    by_eps, by_u = (np.minimum(s, STEPS + 1) for s in (by_eps, by_u))  # one more than allowed: not reached
    small = EPS <= 1e-6
    evidence.check("steps only grow as ε falls below 10⁻⁶", bool(np.all(np.diff(by_eps[small]) < 0)))
    evidence.check(
        "ten decades of ε change them more than 100 times", by_eps[0] > 100 * by_eps[EPS > 1e-4][0]
    )
    evidence.check("steps fall as u grows to 0.01", bool(np.all(np.diff(by_u[EPS <= 1e-2]) < 0)))
    evidence.check("u changes them more than 100 times", by_u[0] > 100 * by_u[EPS > 1e-3][0])
    evidence.limit(
        "less than a rate: steps grow like $\\varepsilon^{-1/3}$, where a rate of $\\sqrt{\\varepsilon}$ would give $\\varepsilon^{-1/2}$, because u "
        "goes on growing",
        abs(slopes["ε"] + 1 / 3) < 0.02 and abs(slopes["the squared rate, RMSprop"] + 1 / 2) < 0.02,
    )
    flat = by_eps[EPS > 1]
    evidence.limit(
        "only while ε is small: a large one divides itself out and leaves gradient descent with a rate of 1",
        bool(np.ptp(flat) <= 0.02 * flat.max()),
    )

    seen, rated = (np.where(s <= STEPS, s, np.nan) for s in (by_u, by_rate))
    panels = [
        Chart(
            "Steps to f < 10⁻³ on the neuron",
            "√ε, and RMSprop's learning rate",
            "steps",
            [
                Curve(np.sqrt(EPS), by_eps, "Adadelta, √ε", "Adadelta"),
                Curve(np.sqrt(EPS), rated, "RMSprop, lr", "RMSprop"),
            ],
            log="xy",
            marks=[(default**0.5, "default ε")],
        ),
        Chart(
            "The start state acts alike, ε = 10⁻¹⁴",
            "√u at the start",
            "steps",
            [
                Curve(np.sqrt(EPS), seen, "Adadelta, √u", "Adadelta"),
                Curve(np.sqrt(EPS), by_eps, "Adadelta, √ε", "Adadelta", 1),
            ],
            log="xy",
        ),
        Chart(
            "First step over √(ε / (1 − β))",
            "|g|",
            "ratio",
            [
                Curve(GRADIENTS, ratios[e][: len(GRADIENTS)], f"Adadelta, ε = {words}", "Adadelta", k)
                for k, (e, words) in enumerate(zip(ratios, ("10⁻¹²", "10⁻⁶"), strict=True))
            ],
            log="xy",
            levels=[(1.0, "the formula")],
        ),
    ]
    evidence.picture = Picture(
        panels,
        "Adadelta's steps to a target against epsilon and against its start state look like RMSprop's against its rate.",
        ("Adadelta", "RMSprop"),
    )
    evidence.reading = (
        "First: steps against the square root of ε fall as RMSprop's do against its rate, only less steeply. "
        "Second: the start state u does the same. Last: the first step depends on ε, not on the gradient, "
        "unless the gradient is tiny."
    )
    return evidence
