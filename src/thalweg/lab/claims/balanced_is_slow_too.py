r"""Slow convergence is possible even where $H$ is perfectly balanced and all gradient components are alike:
adaptive rates are a heuristic, no cure.

Source: The closing remark of [@darve].
Formula: H = R^{\top} \Lambda R, \quad H_{ii} = \text{const}, \quad \kappa =
\frac{\lambda_{\max}}{\lambda_{\min}} = 1000
Measured: Steps to $f \le 10^{-4}$ on quadratics of condition 1000 whose axes are turned: in the plane by
$0°$ to $45°$, where the diagonal of $H$ is constant; in eight dimensions by a random rotation and by a
Hadamard matrix, which again makes the diagonal constant. Gradient descent, AdaGrad, RMSProp ($\beta =
0.999$) and Adam with and without momentum, each at its best rate, medians over five starts.
Refuted by: An adaptive method that keeps its gain over gradient descent as the axes turn.
"""

import numpy as np
from scipy.linalg import hadamard

from ...problems.quadratic import of
from ..evidence import Evidence, use
from ..pictures.panels import Array, Bars, Chart, Curve, Picture
from ..search import grid, soonest

CHAPTER = "Limits"
KAPPA, ANGLES, STARTS, MOST, TARGET = 1000.0, (0, 1, 2, 5, 10, 20, 30, 45), 5, 10_000, 1e-4
METHODS = {  # label → rule, settings, rates
    "SGD": ("SGD", {}, grid(0.5, 2.5, 33) / KAPPA),
    "Adagrad": ("Adagrad:darve", {}, grid(1e-2, 20, 49)),
    "RMSprop, β = 0.999": ("RMSprop:slides", {"beta": 0.999}, grid(1e-3, 2, 49)),
    "Adam, β₁ = 0": ("Adam:slides", {"beta1": 0.0}, grid(1e-2, 20, 49)),
    "Adam": ("Adam:slides", {}, grid(1e-2, 20, 49)),
}
ADAPTIVE = ("Adagrad", "RMSprop, β = 0.999", "Adam, β₁ = 0")


def experiment() -> Evidence:
    evidence = Evidence()
    turns = [_turn(a) for a in ANGLES]
    plane = {m: np.array([_steps(m, np.array([1.0, KAPPA]), q) for q in turns]) for m in METHODS}
    h = turns[-1] @ np.diag([1.0, KAPPA]) @ turns[-1].T
    evidence.number("largest over smallest diagonal entry of H at 45°", h[0, 0] / h[1, 1])
    evidence.number("larger over smaller gradient component at 45°, median", _unevenness(h))
    evidence.number(
        "larger over smaller gradient component at 0°, median", _unevenness(np.diag([1.0, KAPPA]))
    )
    for m in ADAPTIVE:
        gain = plane["SGD"] / plane[m]
        for a, g in zip(ANGLES, gain, strict=True):
            evidence.number(f"gain over SGD at {a}°, {m}", g)
        evidence.check(f"{m} gains more than tenfold along the axes", gain[0] > 10)
        evidence.check(f"{m} is no faster than SGD at 45°, to a fifth", gain[-1] < 1.2)
    near = min(plane["SGD"][1] / plane[m][1] for m in ADAPTIVE)
    evidence.limit("only where the axes are turned: 1° from them all three still gain tenfold", near > 10)
    eight = np.geomspace(1, KAPPA, 8)
    random = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    places = {"axes": np.eye(8), "random": random, "balanced": hadamard(8) / np.sqrt(8)}
    wide = {(m, p): _steps(m, eight, q) for m in ("SGD", "Adagrad", "Adam") for p, q in places.items()}
    for (m, p), steps in wide.items():
        evidence.number(f"steps in eight dimensions, {p}, {m}", steps)
    for p, bound in (("random", 2.0), ("balanced", 2.0)):
        gain = wide["SGD", p] / wide["Adagrad", p]
        evidence.check(f"in eight dimensions, {p}, Adagrad gains less than twofold", gain < bound)
    along = wide["SGD", "axes"] / wide["Adagrad", "axes"]
    evidence.check("in eight dimensions along the axes more than fivefold", along > 5)
    evidence.check(
        "gradient descent is as slow in every position",
        bool(plane["SGD"].min() > KAPPA and plane["SGD"].max() < 1.02 * plane["SGD"].min() < np.inf),
    )
    evidence.limit(
        "for adaptive rates alone: the momentum in Adam gains threefold at 45° all the same",
        plane["SGD"][-1] > 3 * plane["Adam"][-1],
    )
    looks = {"SGD": 0, "Adagrad": 0, "RMSprop, β = 0.999": 0, "Adam, β₁ = 0": 1, "Adam": 0}
    curves = [Curve(np.array(ANGLES), steps, m, m.partition(",")[0], looks[m]) for m, steps in plane.items()]
    rows = [(f"{m}, {p}", wide[m, p], m) for p in places for m in ("SGD", "Adagrad", "Adam")]
    evidence.picture = Picture(
        [
            Chart(
                "A valley of condition 1000, turned", "angle, degrees", "steps to f ≤ 0.0001", curves, log="y"
            ),
            Bars(
                "Eight dimensions, condition 1000",
                "steps to f ≤ 0.0001",
                [label for label, _, _ in rows],
                [steps for _, steps, _ in rows],
                [m for _, _, m in rows],
                log=True,
            ),
        ],
        "Steps against the valley's angle: adaptive methods lose their gain by 45°; bars for eight dimensions.",
        ("SGD", "Adagrad", "RMSprop", "Adam"),
    )
    evidence.reading = (
        "First: gradient descent does not see the angle. Along the axes adaptive rates need a handful of steps, at 45° as many "
        "as gradient descent; what Adam keeps is momentum's. Last: the same in eight dimensions; where all diagonal "
        "entries are alike Adagrad's advantage is gone."
    )
    return evidence


def _turn(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def _steps(label: str, values: Array, axes: Array) -> float:
    """Median over starts, of size 0.5 to 1.5 along every eigenvector, of the steps at each start's best rate."""
    name, settings, rates = METHODS[label]
    h = axes @ np.diag(values) @ axes.T
    counts = []
    for seed in range(STARTS):
        rng = np.random.default_rng(seed)
        start = axes @ (rng.choice([-1, 1], len(values)) * rng.uniform(0.5, 1.5, len(values)))
        p = of((h + h.T) / 2, tuple(start))
        counts.append(soonest(use(name, **settings), p, rates, MOST, TARGET, start=start, first=256).steps)
    return float(np.median(counts))


def _unevenness(h: Array) -> float:
    g = np.abs(np.random.default_rng(0).standard_normal((1000, 2)) @ h)
    return float(np.median(g.max(axis=1) / g.min(axis=1)))
