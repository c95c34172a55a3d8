r"""Momentum widens the range of stable learning rates: on a curvature $\lambda$ gradient descent needs $\eta
\lambda < 2$, heavy ball $2 + 2\beta$, averaged momentum (Adam's) $(2 + 2\beta)/(1 - \beta)$, Nesterov $(2 +
2\beta)/(1 + 2\beta)$, which is less.

Source: [@polyak] for heavy ball, [@cohen2021] for Nesterov's form, and [@cohen2022] for averaged momentum.
Formula: \eta \lambda < \begin{cases} 2 & \text{gradient descent} \\ 2 + 2 \beta & \text{heavy ball} \\
\frac{2 + 2 \beta}{1 - \beta} & \text{averaged momentum} \\ \frac{2 + 2 \beta}{1 + 2 \beta} &
\text{Nesterov} \end{cases}
Measured: The largest rate at which compiled runs on a parabola do not grow, found by bisection for $\beta =
0$, 0.5, 0.9 and 0.99, beside the formula and beside the spectral radius of the step's own matrix.
Refuted by: A measured limit more than 0.1 % off the formula, or a limit of the step's matrix that is not
the formula's.
"""

from collections.abc import Callable

import numpy as np

from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..theory import limit, measured_limit

CHAPTER = "Theory"
BETAS = (0.0, 0.5, 0.9, 0.99)
WITHIN = 1e-3
FORMULAS: dict[str, Callable[[float], float]] = {
    "heavy ball": lambda beta: 2 + 2 * beta,
    "Nesterov": lambda beta: (2 + 2 * beta) / (1 + 2 * beta),
    "averaged momentum": lambda beta: (2 + 2 * beta) / (1 - beta),
}
KINDS = {"heavy ball": ("Momentum", "Momentum"), "Nesterov": ("Nesterov", "Nesterov")}
KINDS |= {"averaged momentum": ("Momentum:slides", "Adam")}  # drawn as Adam, whose form it is


def experiment() -> Evidence:
    evidence = Evidence()
    evidence.number("gradient descent", measured_limit(use("SGD", lr=1.0)), 2.0, WITHIN)
    fine = 1 - np.geomspace(1.0, 0.01, 24)
    curves = []
    for kind, (name, colour) in KINDS.items():
        measured = []
        for beta in BETAS:
            rule = use(name, lr=1.0, beta=beta)
            stated = FORMULAS[kind](beta)
            measured.append(evidence.number(f"{kind}, β = {beta:g}", measured_limit(rule), stated, WITHIN))
            close = abs(limit(rule) / stated - 1) < 1e-9
            evidence.check(f"{kind}, β = {beta:g}: the step's matrix has the formula's limit", close)
        theory = [limit(use(name, lr=1.0, beta=b)) for b in fine]
        curves.append(Curve(fine, np.array(theory), kind, colour))
        curves.append(Curve(np.array(BETAS), np.array(measured), "", look="points"))
    evidence.check(
        "Nesterov's limit lies below gradient descent's wherever β > 0",
        all(evidence.numbers[f"Nesterov, β = {b:g}"] < 2 for b in BETAS[1:]),
    )
    evidence.picture = Picture(
        [
            Chart(
                "Largest stable rate times curvature",
                "momentum β",
                "limit of lr · λ",
                curves,
                log="y",
                levels=[(2.0, "gradient descent: 2")],
            )
        ],
        "Stability limits against momentum: heavy ball rises to 4, averaged momentum without bound, Nesterov falls.",
        ("Momentum", "Nesterov", "Adam"),
    )
    evidence.reading = (
        "Lines come from the spectral radius of the step's own matrix; the black dots at β = 0, 0.5, 0.9 and 0.99 are runs. Averaging the gradient buys a rate "
        "1/(1 − β) times as large, heavy ball at most twice, and Nesterov's look ahead costs some of it."
    )
    return evidence
