r"""RMSProp keeps the squared gradients at a manageable size the whole time, where AdaGrad's sum of them grows.

Source: [@slides].
Formula: v_t = \beta v_{t-1} + (1 - \beta)\, g_t^2 \le \max_{z \le t} g_z^2, \qquad s_t = s_{t-1} + g_t^2
\ge s_{t-1}
Measured: The states of both methods step by step on two noisy problems, one row at a time: RMSProp's
average against the largest squared gradient so far, which it can never exceed, and how much both states
grow over the last nine tenths of a run; and after one gradient a thousand times the usual, the steps until
the state has forgotten it.
Refuted by: An average above the largest square so far, an average that grows with the steps, or an AdaGrad
whose sum does not.
"""

import numpy as np

from ...problems import Problem, landscape
from ...problems.logistic import Zipf
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..record import fed, record

CHAPTER = "RMSProp"
LR, STEPS, SHOCK, AFTER = 0.01, 1200, 1000.0, 300


def experiment() -> Evidence:
    evidence = Evidence()
    rules = {"RMSprop": ("v", use("RMSprop:slides", lr=LR)), "Adagrad": ("s", use("Adagrad:slides", lr=LR))}
    beale = landscape("beale").transformed(noise=0.5)
    cases: dict[str, tuple[Problem, np.ndarray | None]] = {
        "noisy beale": (beale, np.array(beale.minima[0])),  # from the minimum: all that is left is noise
        "zipf": (Zipf(rows=400, features=20), None),
    }
    states: dict[str, np.ndarray] = {}
    growth: dict[str, float] = {}
    for words, (on, start) in cases.items():
        for name, (state, rule) in rules.items():
            run = record(rule, on, STEPS, start=start, batch=1)
            squares = run.states[state]
            if name == "RMSprop":
                largest = np.maximum.accumulate(np.nan_to_num(run.gradient) ** 2, axis=0)
                above = int(np.sum(squares > largest * (1 + 1e-12)))
                evidence.number(
                    f"{words}: times that RMSProp's v exceeds the largest squared gradient so far", above
                )
                evidence.check(f"{words}: v never exceeds the largest squared gradient so far", above == 0)
            mean = squares.mean(axis=1)
            tenth = STEPS // 10
            growth[name] = float(mean[-tenth:].mean() / mean[tenth : 2 * tenth].mean())
            evidence.number(
                f"{words}: mean square kept, last tenth of the steps over the second tenth, {name}",
                growth[name],
            )
            if words == "noisy beale":
                states[name] = mean
        evidence.check(f"{words}: RMSProp's squares do not grow with the steps", growth["RMSprop"] < 1.5)
        evidence.check(f"{words}: Adagrad's do, more than threefold", growth["Adagrad"] > 3)

    blow = np.ones((AFTER, 1))
    blow[0] = SHOCK
    shocked = {n: fed(rule, blow).states[state][1:, 0] for n, (state, rule) in rules.items()}
    for name, squares in shocked.items():
        low = np.flatnonzero(squares < 2)
        evidence.number(
            f"steps from one gradient of {SHOCK:g} until the state is below 2, {name}",
            low[0] if low.size else np.inf,
        )
    evidence.check(
        "RMSProp forgets the blow, Adagrad does not", shocked["RMSprop"][-1] < 2 < shocked["Adagrad"][-1]
    )
    calm = record(use("Adagrad:slides", lr=1.0), landscape("quadratic-2d"), STEPS).states["s"].sum(axis=1)
    still = float(calm[-1] / calm[STEPS // 10])
    evidence.number("quadratic without noise: Adagrad's s at the end over a tenth of the way, lr = 1", still)
    evidence.limit(
        "the contrast with Adagrad only where gradients do not vanish: else its sum stops growing too",
        still < 1.01,
    )

    steps = np.arange(1, STEPS + 1)
    evidence.picture = Picture(
        [
            Chart(
                "Noisy Beale: mean square kept",
                "step",
                "s or v",
                [Curve(steps, states[n][1:], f"{n}, {rules[n][0]}", n) for n in rules],
                log="xy",
            ),
            Chart(
                f"After one gradient of {SHOCK:g}, then of 1",
                "step",
                "s or v",
                [Curve(steps[:AFTER], shocked[n], f"{n}, {rules[n][0]}", n) for n in rules],
                log="y",
            ),
        ],
        "Under gradient noise Adagrad's sum of squares climbs without end while RMSprop's average stays level; after "
        "one huge gradient RMSprop's average falls back within some hundred steps.",
        ("RMSprop", "Adagrad"),
    )
    evidence.reading = (
        "First: noise keeps the gradients alive, so Adagrad's sum climbs; RMSProp's average stays where the gradients "
        "are. Last: a single blow stays in the sum for good and leaves the average geometrically."
    )
    return evidence
