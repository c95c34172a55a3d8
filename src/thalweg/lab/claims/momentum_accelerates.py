r"""Momentum speeds up the motion towards the minimum.

Source: [@slides] (the average $v = \beta v + (1 - \beta)\, g$, $\beta = 0.9$).
Formula: \text{gradient descent: } \ln(1000)\, \frac{\kappa}{2} \text{ steps}, \qquad \text{heavy ball at
its optimum: } \ln(1000)\, \frac{\sqrt{\kappa}}{2}
Measured: Steps until $f$ has fallen a millionfold on quadratics of condition $\kappa = 1 \ldots 10{,}000$,
whose modes start with equal shares of $f$, for gradient descent, momentum with $\beta = 0.9$ and 0.99,
momentum and Nesterov with $\beta$ tuned, all over one grid of rates; the same on Rosenbrock's and Beale's
functions; beside the theory's numbers of steps.
Refuted by: A gain that does not grow with $\kappa$, or none on the curved valleys.
"""

import numpy as np

from ...problems import landscape
from ...problems.quadratic import of
from ..evidence import Evidence, use
from ..pictures.panels import Array, Chart, Curve, Map, Path, Picture
from ..record import record
from ..search import Tried, grid, soonest

CHAPTER = "Momentum and Adam"
KAPPAS = (1, 10, 100, 1000, 10_000)
FALL, MOST, SHOWN = 1e-6, 60_000, 30
RATES = grid(0.3, 600, 96)  # times 1 / the largest eigenvalue
BETAS = 1 - grid(1e-3, 1, 19)
SLIDES = "Momentum:slides"


@np.errstate(invalid="ignore")  # a target that no rate met: inf / inf
def experiment() -> Evidence:
    evidence = Evidence()
    sgd = [_tried("SGD", k) for k in KAPPAS]
    nine, ninety_nine = ([_tried(SLIDES, k, beta=b) for k in KAPPAS] for b in (0.9, 0.99))
    tuned, nesterov = ([_tried(name, k, BETAS) for k in KAPPAS] for name in (SLIDES, "Nesterov"))
    steps = {n: np.array([t.steps for t in ts]) for n, ts in (("SGD", sgd), ("β = 0.9", nine))}
    steps |= {
        "β = 0.99": np.array([t.steps for t in ninety_nine]),
        "β tuned": np.array([t.steps for t in tuned]),
    }
    steps["Nesterov"] = np.array([t.steps for t in nesterov])
    for k, kappa in enumerate(KAPPAS):
        for name, counts in steps.items():
            evidence.number(f"steps at κ = {kappa:,}, {name}", counts[k])
    gain = {n: steps["SGD"] / c for n, c in steps.items()}
    last = KAPPAS[-1]
    bound = (1 + 0.9) / (1 - 0.9)
    evidence.number(f"gain at κ = {last:,}, β = 0.9 (theory for κ → ∞: {bound:.0f})", gain["β = 0.9"][-1])
    evidence.number(f"gain at κ = {last:,}, β tuned (theory: {last**0.5:.0f})", gain["β tuned"][-1])
    wide = np.array(KAPPAS) >= 100
    root = np.sqrt(KAPPAS)
    evidence.check("SGD's steps grow like κ", _within(steps["SGD"][wide], np.log(1e3) * root[wide] ** 2 / 2))
    evidence.check(
        "those of momentum with β tuned like $\\sqrt{\\kappa}$",
        _within(steps["β tuned"][wide], np.log(1e3) * root[wide] / 2),
    )
    evidence.check("so do Nesterov's", _within(steps["Nesterov"][wide], np.log(1e3) * root[wide] / 2))
    evidence.check(
        "β = 0.9 is at least three times as fast as SGD from κ = 100 on", gain["β = 0.9"][wide].min() > 3
    )
    for name, target in (("rosenbrock", 1e-4), ("beale", 1e-4)):
        p = landscape(name)
        taken = {}
        for rule in ("SGD", SLIDES):
            taken[rule] = soonest(use(rule), p, grid(1e-4, 1, 80), MOST, target).steps
            evidence.number(f"steps to f ≤ {target:g} on {name}, {rule}", taken[rule])
        evidence.check(f"momentum is faster on {name}", taken[SLIDES] < taken["SGD"])
    same = _tried(SLIDES, 1000, rates=np.array([sgd[3].lr * 1000]), beta=0.9)
    evidence.number("steps at κ = 1,000, β = 0.9 at SGD's best rate", same.steps)
    evidence.limit(
        "only with a larger rate: at gradient descent's own best rate the slides' average gains less than a tenth",
        same.steps > 0.9 * steps["SGD"][3],
    )
    evidence.limit("only where κ is large: with β = 0.9 not at κ = 10", steps["β = 0.9"][1] > steps["SGD"][1])
    evidence.limit(
        "only with a β that fits: with 0.99 not at κ = 100", steps["β = 0.99"][2] > steps["SGD"][2]
    )
    evidence.limit(
        "by $\\sqrt{\\kappa}$ only with β tuned: with β = 0.9 by 19 at most, however large κ",
        bool(gain["β = 0.9"][-1] < 0.5 * last**0.5),
    )
    evidence.picture = _picture(steps)
    evidence.reading = (
        "First: on log scales gradient descent's steps rise with slope 1, those of momentum with β tuned with "
        "slope 1/2; a fixed β leaves slope 1/2 where κ outgrows it, and costs steps where κ is small. Last: the same "
        f"{SHOWN} steps on κ = 100 take momentum to the minimum and gradient descent a part of the way."
    )
    return evidence


def _tried(
    name: str, kappa: float, betas: Array | None = None, rates: Array = RATES, **settings: float
) -> Tried:
    """One rule at all rates, and at all of ``betas``, on four eigenvalues from 1 to kappa."""
    values = np.geomspace(1, kappa, 4)
    p = of(np.diag(values), tuple(1 / np.sqrt(values)))
    start = np.array(p.starts[0])
    lrs, vary, most = rates / kappa, None, MOST
    if betas is not None:
        lrs, beta = (a.ravel() for a in np.meshgrid(lrs, betas))
        vary, most = {"beta": beta}, MOST // 10
    return soonest(use(name, **settings), p, lrs, most, FALL * p.loss(start), start=start, vary=vary)


def _within(measured: Array, theory: Array, factor: float = 1.5) -> bool:
    return bool(np.all((measured < factor * theory) & (theory < factor * measured)))


def _picture(steps: dict[str, Array]) -> Picture:
    kappas = np.array(KAPPAS)
    looks = {"SGD": ("SGD", 0), "β = 0.9": ("Momentum", 1), "β = 0.99": ("Momentum", 2)}
    looks |= {"β tuned": ("Momentum", 0), "Nesterov": ("Nesterov", 0)}
    curves = [
        Curve(kappas, c, n if m == n else f"{m}, {n}", m, v) for n, c in steps.items() for m, v in [looks[n]]
    ]
    fine = np.geomspace(10, KAPPAS[-1], 50)
    curves += [Curve(fine, np.log(1e3) * fine / 2, "∝ κ", look="theory")]
    curves += [Curve(fine, np.log(1e3) * np.sqrt(fine) / 2, "∝ √κ", look="theory")]
    kappa = 100.0
    valley = of(np.diag([1.0, kappa]), (-1.0, kappa**-0.5))
    x, y = np.linspace(-1.1, 0.5, 120), np.linspace(-0.3, 0.3, 120)
    paths = []
    for name, settings in (("SGD", {}), (SLIDES, {"beta": 0.7})):
        start = np.array(valley.starts[0])
        lr = soonest(
            use(name, **settings), valley, RATES / kappa, MOST, FALL * valley.loss(start), start=start
        ).lr
        kind = name.partition(":")[0]
        path = record(use(name, lr=lr, **settings), valley, SHOWN, start=start).weights
        paths.append(Path(path, kind, kind))
    return Picture(
        [
            Chart(
                "Steps until f has fallen a millionfold",
                "condition κ",
                "steps at the best rate",
                curves,
                log="xy",
            ),
            Map(
                f"{SHOWN} steps at the best rates, κ = 100",
                "x",
                "y",
                (x, y, valley.values(*np.meshgrid(x, y))),
                paths,
                [(-1.0, kappa**-0.5, "start"), (0.0, 0.0, "minimum")],
            ),
        ],
        "Steps against condition: slope 1 for gradient descent, 1/2 for tuned momentum; two paths down a valley.",
        ("SGD", "Momentum", "Nesterov"),
    )
