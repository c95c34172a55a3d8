r"""If convergence is slow, AdaGrad's sum $s$ of squared gradients grows and slows it down further; RMSProp
mends this.

Source: [@darve].
Formula: \mathrm{d}w = -\frac{\eta \lambda w}{\sqrt{s}}\, \mathrm{d}t, \quad \mathrm{d}s = (\lambda w)^2\,
\mathrm{d}t \quad \Rightarrow \quad \sqrt{s_\infty} = \frac{\lambda w_0^2}{4 \eta}
Measured: Darve's badly scaled quadratic with $\beta = 0.1$ and $n = 4$ over four decades of learning rates:
the steps until $f$ stays below a target, and $s$ at the end of slow runs. By the formula, of one coordinate
with curvature $\lambda$, a rate ten times smaller should leave $s$ a hundred times larger and cost AdaGrad
a hundred times the steps; RMSProp, which walks at about $\eta$ a step, ten times.
Refuted by: An $s$ that does not grow as the rate falls, AdaGrad's steps growing no faster than RMSProp's,
or RMSProp arriving later at a small rate.
"""

import numpy as np

from ...problems import landscape
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..search import grid, try_rates
from ..trial import Trial

CHAPTER = "AdaGrad"
TARGET, STEPS, RATES, DECADE = 1e-4, 40_000, grid(1e-3, 1e1, 33), 8  # eight rates a decade
LOW, HIGH = (1, 2)  # decades above the lowest rate: where RMSProp's and Adagrad's tenfold are looked at
EPS = 1e-30  # so small that no rate depends on it


def experiment() -> Evidence:
    evidence = Evidence()
    on = landscape("quadratic")
    rules = {n: use(f"{n}:slides", eps=EPS) for n in ("Adagrad", "RMSprop")}
    tried = {n: try_rates(rule, on, RATES, STEPS, TARGET, stay=True) for n, rule in rules.items()}
    reached = {n: t.reached for n, t in tried.items()}
    cost = {}
    for n, k in (("Adagrad", HIGH * DECADE), ("RMSprop", LOW * DECADE)):
        cost[n] = reached[n][k - DECADE] / reached[n][k]
        evidence.number(f"steps at lr = {RATES[k - DECADE]:g} over steps at {RATES[k]:g}, {n}", cost[n])
    evidence.check(
        "a rate ten times smaller costs Adagrad more than fifty times the steps", cost["Adagrad"] > 50
    )
    evidence.check("it costs RMSProp no more than ten times", cost["RMSprop"] <= 10)
    k = LOW * DECADE
    gain = reached["Adagrad"][k] / reached["RMSprop"][k]
    evidence.number(f"Adagrad's steps over RMSProp's at lr = {RATES[k]:g}", gain)
    evidence.check("RMSProp needs a tenth of the steps or fewer there", gain > 10)

    slow = RATES[[LOW * DECADE, HIGH * DECADE]]
    sums = {}
    for n, rule in rules.items():
        runs = Trial(
            rule, on, STEPS, starts=on.starts[0], vary={"lr": slow}, every=10, record=("rates",)
        ).run()
        # Of the steepest coordinate, eps being nothing.
        sums[n] = (slow[:, None] / runs.rates[:, 0, 1:, 0]) ** 2
    steps = runs.steps[1:]
    growth = sums["Adagrad"][0, -1] / sums["Adagrad"][1, -1]
    evidence.number(f"s at the end, at lr = {slow[0]:g} over at {slow[1]:g}, steepest coordinate", growth)
    evidence.check("at a tenth of the rate s ends more than fifty times larger", growth > 50)
    evidence.check("s only grows", bool(np.all(np.diff(sums["Adagrad"], axis=1) >= 0)))

    floor = tried["RMSprop"].loss / RATES**2
    evidence.number("RMSProp's last f over the square of its rate, median of rates", np.median(floor))
    arriving = RATES[np.isfinite(reached["RMSprop"])]
    evidence.number("largest rate at which RMSProp arrives for good", arriving.max(initial=0.0))
    evidence.number(
        "the rate at which RMSProp's swing alone would have f at the target",
        np.sqrt(TARGET / np.median(floor)),
    )
    evidence.limit(
        "RMSProp mends it only while lr is so small that its swing stays under the target; above that it never arrives",
        bool(np.all(np.isinf(reached["RMSprop"][2 * DECADE :]))),
    )
    for n, t in tried.items():
        evidence.number(f"fewest steps over all rates, {n}", t.steps)
        evidence.number(f"the rate that takes the fewest steps, {n}", t.lr)
    evidence.limit(
        "there is something to mend only while lr is small for the way to go: at its best rate Adagrad is the faster",
        tried["Adagrad"].steps < tried["RMSprop"].steps,
    )

    lows = RATES[RATES <= 0.1]
    anchor = {"Adagrad": (HIGH * DECADE, -2), "RMSprop": (0, -1)}
    theory = [
        Curve(lows, reached[n][i] * (lows / RATES[i]) ** p, "lr⁻²" if p == -2 else "lr⁻¹", look="theory")
        for n, (i, p) in anchor.items()
    ]
    evidence.picture = Picture(
        [
            Chart(
                f"Steps until f stays below {TARGET:g}",
                "learning rate",
                "steps",
                [Curve(RATES, np.where(np.isinf(r), np.nan, r), n, n) for n, r in reached.items()] + theory,
                log="xy",
                y_range=(1, STEPS),
            ),
            Chart(
                "Squared gradients kept, steepest coordinate",
                "step",
                "s or v",
                [
                    Curve(steps, sums[n][i], f"{n}, lr = {lr:g}", n, i)
                    for n in rules
                    for i, lr in enumerate(slow)
                ],
                log="xy",
            ),
        ],
        "Adagrad's steps grow as the inverse square of the learning rate, RMSprop's as its inverse until its swing "
        "exceeds the target; Adagrad's sum ends the larger the smaller the rate.",
        ("Adagrad", "RMSprop"),
    )
    evidence.reading = (
        "First: below a rate of 1 a tenfold smaller rate costs Adagrad almost a hundred times the steps and RMSProp "
        "less than ten; where RMSProp's line ends it swings above the target for ever. Last: the slower Adagrad is, "
        "the larger its sum."
    )
    return evidence
