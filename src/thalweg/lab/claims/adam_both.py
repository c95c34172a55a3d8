r"""Adam is momentum (speed) and RMSProp (control of oscillation) in one.

Source: [@slides].
Formula: \beta_1 = 0: \quad \Delta_t = -\frac{\eta\, g_t}{\sqrt{\hat{v}_t} + \varepsilon}, \qquad
\varepsilon \to \infty: \quad \Delta_t \to -\frac{\eta}{\varepsilon}\, \hat{m}_t
Measured: With Adam's own lines, that $\beta_1 = 0$ leaves RMSProp with a corrected start and a large
$\varepsilon$ leaves momentum; then on two straight valleys (the gutter; a quadratic of $\kappa = 1000$)
from nine starts at rates tuned over one grid: steps after which $f$ stays below the target (speed along the
valley), and how far a run moves across the valley, in widths of its start (oscillation; 1 is a straight way
in).
Refuted by: Limits that differ, an Adam that is slower than momentum or than itself without momentum, or one
that swings across the valley as far as momentum does.
"""

import numpy as np

from ...problems import landscape
from ...problems.compiled import CompiledProblem
from ...problems.formula import FormulaProblem
from ...problems.quadratic import of
from ..evidence import Evidence, use
from ..pictures.panels import Array, Bars, Map, Path, Picture
from ..record import fed, record
from ..search import grid, try_rates
from ..trial import Trial

CHAPTER = "Momentum and Adam"
RATES, MOST, STARTS = grid(1e-4, 4, 70), 4000, 9
CASES = {  # label → rule, settings
    "SGD": ("SGD", {}),
    "Momentum": ("Momentum:slides", {}),
    "RMSprop, β = 0.9": ("RMSprop:slides", {}),
    "Adam, β₁ = 0": ("Adam:slides", {"beta1": 0.0}),
    "Adam": ("Adam:slides", {}),
}
WILD = ("RMSprop:slides", {"beta": 0.999})


def experiment() -> Evidence:
    evidence = Evidence()
    _inclusions(evidence)
    gutter, steep = landscape("gutter"), of(np.diag([1.0, 1000.0]), (-10.0, 1.0))
    assert isinstance(gutter, FormulaProblem)
    speed, swing, rates = {}, {}, {}
    for place, p, target in (("gutter", gutter, 1e-2), ("κ = 1000", steep, 1e-3)):
        for label, (name, settings) in CASES.items():
            steps, way, lr = _tried(p, target, name, settings)
            speed[place, label], swing[place, label], rates[place, label] = steps, way, lr
            evidence.number(f"steps to stay at f ≤ {target:g}, {place}, {label}", steps)
            evidence.number(f"way across over the start's distance, {place}, {label}", way)
        best, momentum = speed[place, "Adam"], speed[place, "Momentum"]
        evidence.check(f"{place}: Adam is as fast as momentum", best <= 1.1 * momentum)
        evidence.check(f"{place}: faster than without momentum", best < 0.9 * speed[place, "Adam, β₁ = 0"])
        evidence.check(f"{place}: five times as fast as SGD", best < speed[place, "SGD"] / 5)
        calm = swing[place, "Adam"] < swing[place, "Momentum"] / 3
        evidence.check(f"{place}: it moves less than a third as far across as momentum", calm)
    evidence.limit(
        "only with a long average: with β = 0.9 RMSProp itself oscillates and settles at small rates alone",
        speed["gutter", "RMSprop, β = 0.9"] > 2 * speed["gutter", "Adam, β₁ = 0"],
    )
    evidence.limit(
        "only in comparison with momentum: without momentum Adam's way across is shorter still",
        swing["gutter", "Adam"] > 1.5 * swing["gutter", "Adam, β₁ = 0"],
    )
    wild = evidence.number(
        "steps on the gutter, RMSprop, β = 0.999, start not corrected", _tried(gutter, 1e-2, *WILD)[0]
    )
    evidence.limit(
        "only against a corrected start: uncorrected, RMSProp with β = 0.999 strides 30 times as far at first and beats Adam",
        wild < speed["gutter", "Adam"],
    )
    turned = of(np.array([[50.5, -49.5], [-49.5, 50.5]]), (-7.8, -6.4))  # κ = 100, the valley along x = y
    rosenbrock = landscape("rosenbrock")
    for place, p in (("a valley at 45°", turned), ("the curved valley of Rosenbrock", rosenbrock)):
        both, momentum = (_tried(p, 1e-3, *CASES[m])[0] for m in ("Adam", "Momentum"))
        evidence.number(f"steps, {place}, Adam", both)
        evidence.number(f"steps, {place}, Momentum", momentum)
        evidence.limit(
            f"only where the valley follows an axis: in {place} momentum alone is faster", momentum < both
        )
    evidence.picture = _picture(gutter, speed, swing, rates)
    evidence.reading = (
        "On the map SGD would take hundreds of small steps: momentum strides along the valley but swings from wall "
        "to wall, RMSProp walks; Adam strides with a few swings. The bars count both, at each method's best rate."
    )
    return evidence


def _inclusions(evidence: Evidence) -> None:
    """Adam's two limits, on the same gradients for both rules."""
    gradients = np.random.default_rng(0).standard_normal((200, 3)) * [1e-2, 1.0, 1e2]
    t = np.arange(1, 201)[:, None]
    bare = fed(use("Adam:slides", lr=1.0, beta1=0.0, beta2=0.9, eps=0.0), gradients).update[1:]
    rms = fed(use("RMSprop:slides", lr=1.0, beta=0.9, eps=0.0), gradients).update[1:]
    gap = np.abs(bare / (rms * np.sqrt(1 - 0.9**t)) - 1).max()
    evidence.number(
        "Adam with β₁ = 0 against RMSprop times $\\sqrt{1 - \\beta^t}$, largest relative gap", gap
    )
    evidence.check("β₁ = 0 leaves RMSProp with a corrected start", gap < 1e-9)
    large = fed(use("Adam:slides", lr=1e12, eps=1e12), gradients).update[1:]
    mean = fed(use("Momentum:slides", lr=1.0), gradients).update[1:]
    gap = np.max(np.abs(large * (1 - 0.9**t) - mean).max(axis=0) / np.abs(mean).max(axis=0))
    evidence.number("Adam with ε = 10¹² against momentum over $1 - \\beta^t$, largest relative gap", gap)
    evidence.check("a large ε leaves momentum", gap < 1e-6)


def _tried(
    p: CompiledProblem, target: float, name: str, settings: dict[str, float]
) -> tuple[float, float, float]:
    """Medians over starts at the best rate: steps until f stays below the target, way across; that rate."""
    jitter = np.random.default_rng(0).uniform(0.9, 1.1, (STARTS, 2))
    starts = np.array(p.starts[0]) * jitter
    counts = try_rates(use(name, **settings), p, RATES, MOST, target, start=starts, stay=True).reached
    best = int(np.argmin(counts))
    lr = float(RATES[best])
    if np.isinf(counts[best]):
        return float("inf"), float("nan"), lr
    best_rule = use(name, lr=lr, **settings)
    path = Trial(best_rule, p, int(counts[best]), starts=starts, record=("path",)).run().path[0]
    way = np.abs(np.diff(path[:, :, 1], axis=1)).sum(axis=1) / np.abs(starts[:, 1])
    return float(counts[best]), float(np.median(way)), lr


def _picture(
    p: FormulaProblem,
    speed: dict[tuple[str, str], float],
    swing: dict[tuple[str, str], float],
    rates: dict[tuple[str, str], float],
) -> Picture:
    x, y = np.linspace(-11, 3, 140), np.linspace(-1.6, 1.6, 140)
    shown: list[Array] = []
    for label in ("Momentum", "RMSprop, β = 0.9", "Adam"):
        name, settings = CASES[label]
        rule = use(name, lr=rates["gutter", label], **settings)
        shown.append(record(rule, p, 60, start=np.array(p.starts[0])).weights)
    kinds = ("Momentum", "RMSprop", "Adam")
    labels, methods = list(CASES), ["SGD", "Momentum", "RMSprop", "Adam", "Adam"]
    return Picture(
        [
            Map(
                "60 steps on the gutter at the best rates",
                "x, along the valley",
                "y, across",
                (x, y, p.values(*np.meshgrid(x, y))),
                [Path(w, k, k) for w, k in zip(shown, kinds, strict=True)],
                [(-10.0, 1.0, "start"), (0.0, 0.0, "minimum")],
            ),
            Bars(
                "Speed: steps to stay at f ≤ 0.01",
                "steps",
                labels,
                [speed["gutter", n] for n in labels],
                methods,
                log=True,
                missing="never",
            ),
            Bars(
                "Oscillation: way across the valley",
                "distances of the start",
                labels,
                [swing["gutter", n] for n in labels],
                methods,
                log=True,
                levels=[(1.0, "straight in")],
            ),
        ],
        "Paths of Momentum, RMSprop and Adam along a valley, and their speed and oscillation as bars.",
        ("SGD", "Momentum", "RMSprop", "Adam"),
    )
