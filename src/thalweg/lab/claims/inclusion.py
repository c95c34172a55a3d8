r"""The adaptive methods contain the plain ones: as $\varepsilon \to \infty$ Adam's path becomes momentum's, and
those of Adagrad, RMSprop, MaxProp and Adadelta become gradient descent's.

Source: [@choi], on what tuned methods can be compared by.
Formula: \begin{aligned} \text{Adagrad, RMSprop, MaxProp } (\eta = \varepsilon \alpha), \text{ Adadelta }
(\eta = \alpha) &\to \text{gradient descent } (\alpha) \\ \text{Adam, Adamax } \left(\eta_t = \varepsilon
\alpha\, \frac{1 - \beta_1^t}{1 - \beta_1}\right) &\to \text{momentum } (\alpha, \beta_1) \end{aligned}
Measured: The largest distance between the two paths over 200 steps on Rosenbrock's function for
$\varepsilon$ from $10^2$ to $10^{12}$, the power of $\varepsilon$ with which it falls, and the distance
times $\varepsilon$. $\alpha$ is the rate of the plain method; the limits are those of the formula, for
every history of gradients, and momentum with $\beta = 0$ is gradient descent.
Refuted by: A power further from $-1$ than 0.02, or a distance times $\varepsilon$ that from $\varepsilon =
10^6$ on varies by more than 1 %.
"""

import numpy as np

from ...core.rule import Rule
from ...problems import landscape
from ..evidence import Evidence, use
from ..formatting import plain as written
from ..inclusions import INCLUSIONS
from ..pictures.panels import Chart, Curve, Picture
from ..trial import Array, Trial

CHAPTER = "Theory"
ALPHA, BETA, STEPS = 1e-4, 0.9, 200
EPS = (1e2, 1e3, 1e4, 1e6, 1e8, 1e10, 1e12)
FAR = 3  # of EPS: from this one on the next term, 1/ε², should be below a hundredth


# In the forms whose ε is added after the root or the maximum.
FORMS = ("Adam", "Adamax:notes", "Adagrad", "RMSprop", "MaxProp:notes", "Adadelta")


def _plain() -> dict[str, Rule]:
    """The methods that they tend to."""
    return {"Momentum": use("Momentum", lr=ALPHA, beta=BETA), "SGD": use("SGD", lr=ALPHA)}


def _limits(eps: float) -> dict[str, tuple[Rule, str]]:
    """Each method at this ε, and the method that it tends to."""
    nearest = {i.outer: i for i in reversed(INCLUSIONS) if i.large}
    limits = {}
    for form in FORMS:
        rule = use(form, beta=0.95) if form == "Adadelta" else use(form)
        inclusion = nearest[type(rule).__name__]
        goal = inclusion.inner
        limits[inclusion.outer] = (inclusion.limit(rule, _plain()[goal], eps), goal)
    return limits


def experiment() -> Evidence:
    evidence = Evidence()
    valley = landscape("rosenbrock")

    def path(rule: Rule) -> Array:
        return Trial(rule, valley, STEPS, starts=valley.starts[0], record=("path",)).run().path

    plain = {name: path(rule) for name, rule in _plain().items()}
    apart: dict[str, list[float]] = {}
    for eps in EPS:
        for name, (rule, goal) in _limits(eps).items():
            apart.setdefault(name, []).append(float(np.abs(path(rule) - plain[goal]).max()))
    for name, (_, goal) in _limits(1.0).items():
        for eps, distance in zip(EPS, apart[name], strict=True):
            if eps in (1e4, 1e6, 1e8, 1e12):
                evidence.number(f"distance of {name} from {goal}, ε = {written(eps)}", distance)
        power = np.polyfit(np.log(EPS[2:]), np.log(np.maximum(apart[name][2:], 1e-300)), 1)[0]
        evidence.number(f"power of ε with which {name}'s distance falls", power)
        evidence.check(f"{name} tends to {goal} like 1/ε", abs(power + 1) < 0.02)
        times = np.multiply(EPS, apart[name])[FAR:]
        evidence.number(f"{name}: distance times ε at ε = {written(EPS[-1])}", times[-1])
        evidence.check(
            f"{name}: distance times ε is a constant to 1 % from ε = {written(EPS[FAR])} on",
            bool(times.min() > 0 and times.max() / times.min() < 1.01),
        )
    still = float(np.abs(path(use("Momentum", lr=ALPHA, beta=0.0)) - plain["SGD"]).max())
    evidence.number("distance of momentum with β = 0 from gradient descent", still)
    evidence.check("momentum with β = 0 is gradient descent", still == 0)
    largest = EPS[-1]
    fixed = path(use("Adam", lr=largest * ALPHA / (1 - BETA), beta1=BETA, eps=largest))
    constant = evidence.number(
        "distance of Adam from Momentum with a constant rate, ε = 10¹²",
        np.abs(fixed - plain["Momentum"]).max(),
    )
    evidence.limit(
        "Adam and AdaMax only with a rate schedule that undoes their bias correction: at a constant rate a gap remains",
        bool(constant > 1e6 * apart["Adam"][-1]),
    )
    evidence.limit(
        "only in the limit: at an ε of the gradients' size the paths are apart",
        apart["Adam"][0] > 1e-2,
    )
    at = np.array(EPS)
    evidence.picture = Picture(
        [
            Chart(
                "Distance between paths, 200 steps on Rosenbrock",
                "ε",
                "largest distance",
                [Curve(at, np.array(d), f"{n} from {_limits(1.0)[n][1]}", n) for n, d in apart.items()],
                log="xy",
                levels=[(constant, "Adam at a constant rate")],
            )
        ],
        "Six methods' distances from momentum or gradient descent fall like one over epsilon.",
        tuple(apart),
    )
    evidence.reading = (
        "A hundred times the ε, a hundredth of the distance: with a large ε the adaptive methods are momentum and "
        "gradient descent. Adam at a constant rate keeps its gap."
    )
    return evidence
