r"""Full-batch training drives a network to the edge of its method's stability and holds it there: Adam's rate
times curvature rises to $(2 + 2\beta_1)/(1 - \beta_1) = 38$, RMSProp's to 2.

Source: [@cohen2021] and, for Adam's $38/\eta$ and RMSProp's $2/\eta$, [@cohen2022].
Formula: \lambda_{\max}\!\left(\operatorname{diag}(\text{rates})\, \nabla^2 f\right) \to \frac{2 + 2
\beta_1}{1 - \beta_1}
Measured: The largest eigenvalue of the effective rates times the Hessian, by Lanczos, every 50 steps of a
tanh network with 673 weights on 20 points, two learning rates for Adam, one for RMSProp; the sharpness of
the Hessian alone beside it.
Refuted by: A last third of a run whose median is more than 10 % off the limit, or that strays from it by 20
%; a run that begins there; a limit of the step's own matrix that is another.
"""

import numpy as np

from ...problems.base import unpack
from ...problems.regression_network import chebyshev
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..theory import limit, preconditioned, sharpness
from ..trial import Array, Trial

CHAPTER = "Theory"
EVERY, WITHIN, STRAY = 50, 0.1, 0.2
STATED = {"Adam": 38.0, "RMSprop": 2.0}  # Cohen et al. 2022, times the rate
RUNS = (("Adam", 2e-3, 4000), ("Adam", 3e-3, 2000), ("RMSprop", 3e-4, 4000))


def gauge(name: str, lr: float, steps: int) -> tuple[Array, Array, Array]:
    """Step, rate times curvature over the limit, and raw sharpness along a run."""
    net = chebyshev()
    runs = Trial(use(name, lr=lr), net, steps, every=EVERY, record=("path", "rates")).run()
    like = net.start(0)
    at = [unpack(x, like) for x in runs.path[0, 0, 1:]]
    margins = [preconditioned(net, x, a) for x, a in zip(at, runs.rates[0, 0, 1:], strict=True)]
    return runs.steps[1:], np.array(margins), np.array([sharpness(net, x) for x in at])


def experiment() -> Evidence:
    evidence = Evidence()
    margins, sharp = [], []
    for k, (name, lr, steps) in enumerate(RUNS):
        bound = STATED[name]
        at, moved, raw = gauge(name, lr, steps)
        late = moved[2 * len(moved) // 3 :]
        text = f"{name}, lr {lr:g}"
        evidence.number(
            f"rate × curvature, median of the last third, {text}", float(np.median(late)), bound, WITHIN
        )
        evidence.numbers[f"rate × curvature, lowest of the last third, {text}"] = float(late.min())
        evidence.numbers[f"rate × curvature, highest of the last third, {text}"] = float(late.max())
        close = abs(limit(use(name, lr=lr)) / bound - 1) < 1e-9
        evidence.check(f"{text}: the step's matrix has this limit", close)
        evidence.check(f"{text}: it comes from at least a fifth below", bool(moved[0] < 0.8 * bound))
        evidence.check(f"{text}: it stays within 20 %", bool(np.all(np.abs(late / bound - 1) < STRAY)))
        margins.append(Curve(at, moved / bound, text, name, variant=k % 2))
        sharp.append(Curve(at, raw, text, name, variant=k % 2))
    evidence.picture = Picture(
        [
            Chart(
                "Rate × curvature over the method's limit",
                "step",
                "1 is the cliff",
                margins,
                levels=[(1.0, "limit: Adam 38, RMSprop 2")],
                y_range=(0.0, 1.3),
            ),
            Chart("Curvature of the loss alone", "step", "largest eigenvalue of the Hessian", sharp),
        ],
        "Rate times curvature rises to each method's stability limit and hovers there; the curvature alone does not.",
        ("Adam", "RMSprop"),
    )
    evidence.reading = (
        "First: whatever the method and its rate, the run climbs to the line and stays. Last: the Hessian's own "
        "largest eigenvalue knows no such line; under RMSProp it keeps growing while the rates shrink with it."
    )
    return evidence
