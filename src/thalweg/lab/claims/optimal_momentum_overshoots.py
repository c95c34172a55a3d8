r"""Momentum at its optimal setting is optimal only in the long run: at first heavy ball moves away from the
minimum.

Source: [@polyak] for the optimum, [@odonoghue] for the ripples.
Formula: \beta = \left(\frac{\sqrt{\kappa} - 1}{\sqrt{\kappa} + 1}\right)^2, \quad \eta =
\left(\frac{2}{\sqrt{\lambda_{\max}} + \sqrt{\lambda_{\min}}}\right)^2, \qquad \|x_t\| \sim t\, \beta^{t/2}
Measured: On a quadratic with $\kappa = 100$ and 1000, each method at its optimum, from $(1, 1)$: steps to
$\|x\| = 10^{-6}$ beside the powers of the step's matrix and the bound from the asymptotic factor, the
highest point of $\|x\|$, and the factor fitted to the last half of a long run.
Refuted by: Heavy ball rising to no more than 1.5 times the start's distance, or needing no more than 1.25
times the steps that its factor promises; a run of another length or height than predicted; a fitted factor
that differs from the predicted one by more than a thousandth.
"""

import numpy as np

from ...problems.quadratic import spectrum
from ..evidence import Evidence
from ..pictures.panels import Chart, Curve, Picture
from ..theory import fitted_factor, steps_to, transient, tuned
from ..trial import Trial

CHAPTER = "Theory"
START, GOAL, FLOOR = np.array([1.0, 1.0]), 1e-6, 1e-250
NAMES = {"SGD": "gradient descent", "Momentum": "heavy ball", "Nesterov": "Nesterov"}
SHOWN = {100: 180, 1000: 600}  # steps in the picture, by κ


def experiment() -> Evidence:
    evidence = Evidence()
    panels = []
    for kappa, most in SHOWN.items():
        eigenvalues = np.array([1.0, float(kappa)])
        curves = []
        for name, text in NAMES.items():
            best = tuned(name, 1.0, float(kappa))
            steps = int(steps_to(best.factor, FLOOR))
            runs = Trial(best.rule, spectrum(eigenvalues, None), steps, starts=START, record=("path",)).run()
            size = np.linalg.norm(runs.path[0, 0], axis=1)
            taken = int(np.argmax(size <= GOAL))
            evidence.number(f"steps to 10⁻⁶, {text}, κ = {kappa}", taken)
            evidence.numbers[f"steps from the factor alone, {text}, κ = {kappa}"] = steps_to(
                best.factor, GOAL
            )
            predicted = np.linalg.norm(START) * transient(best.rule, eigenvalues, START, 2 * taken)
            below = predicted <= GOAL
            foretold = int(np.argmax(below)) if below.any() else -1
            evidence.number(f"steps predicted from the step's matrix, {text}, κ = {kappa}", foretold)
            agree = np.allclose(size[1:taken], predicted[1:taken], rtol=1e-6)
            evidence.check(
                f"{text}, κ = {kappa}: the run and its length are as predicted", agree and foretold == taken
            )
            fitted = fitted_factor(size, 100 * FLOOR)
            close = abs(fitted - best.factor) < 1e-3
            evidence.check(f"{text}, κ = {kappa}: the last half contracts by the asymptotic factor", close)
            if name == "Momentum":
                evidence.check(
                    f"κ = {kappa}: at first the run moves away",
                    bool(size[1] > 0 and size.max() > 1.5 * size[0]),
                )
                evidence.number(f"highest ‖x‖, heavy ball, κ = {kappa}", size.max())
                evidence.number(f"highest ‖x‖ predicted, heavy ball, κ = {kappa}", predicted.max())
                hump = abs(size.max() / predicted.max() - 1) < 1e-6
                evidence.check(f"κ = {kappa}: the hump is as high as predicted", bool(hump))
                evidence.check(
                    f"κ = {kappa}: the factor alone promises too much by a quarter",
                    taken > 1.25 * steps_to(best.factor, GOAL),
                )
            shown = slice(0, most)
            curves.append(Curve(np.arange(size.size)[shown], size[shown], text, name))
            if name == "Momentum":
                t = np.arange(size.size)[shown]
                curves.append(Curve(t, best.factor**t, "its factor alone", look="theory"))
        panels.append(
            Chart(
                f"Distance to the minimum, κ = {kappa}",
                "step",
                "‖x‖",
                curves,
                log="y",
                y_range=(1e-7, 30),
            )
        )
    evidence.picture = Picture(
        panels,
        "Heavy ball at its optimum first rises to several times the start, then falls fastest.",
        tuple(NAMES),
    )
    evidence.reading = (
        "Heavy ball's two modes coincide at the optimum, so a term that grows like the step number stands before the "
        "falling power: the hump. The dashed line is what the factor alone would promise."
    )
    return evidence
