r"""AdaGrad is slow and sensitive to the learning rate.

Source: [@slides].
Formula: w_t = w_{t-1} - \frac{\eta}{\sqrt{s_t + \varepsilon}}\, g_t, \qquad s_t = \sum_{z=1}^{t} g_z^2
Measured: Sixteen tasks without noise, three runs around each start, four methods on one grid of four rates
a decade from $10^{-4}$ to $10^2$; a run has arrived when $f$ stays below the task's target. For each task
the steps at the best rate, at a tenth and at ten times of it where that lies on the grid, and the basin:
how many decades of rates arrive within three times the fewest steps. Tasks that no rate of a method solves
are left out of its medians and counted.
Refuted by: A rate ten times too small costing AdaGrad no more than ten times the steps, which is what it
costs a method whose steps are proportional to its rate, or no more than it costs the other methods; a basin
no narrower than Adam's; or AdaGrad needing, at the rates that suit RMSProp, more than twice RMSProp's steps
on no more than half of the tasks.
"""

import numpy as np

from ..evidence import Evidence, use
from ..pictures.panels import Bars, Chart, Curve, Picture
from ..search import RATES, TASKS

CHAPTER = "AdaGrad"
DECADE, NEAR, SHOWN = 4, 3.0, "beale"
METHODS = ("SGD", "Adagrad", "RMSprop", "Adam")


def experiment() -> Evidence:
    evidence = Evidence()
    steps = {}  # by method: (tasks, rates), inf where the target was not met
    for name in METHODS:
        rule = use(name if name == "SGD" else f"{name}:slides")
        steps[name] = np.array([task.tried(rule, RATES).reached for task in TASKS])
    rows = np.arange(len(TASKS))
    best = {n: np.argmin(s, axis=1) for n, s in steps.items()}
    fewest = {n: s.min(axis=1) for n, s in steps.items()}
    record = np.min(list(fewest.values()), axis=0)
    cost, basin, still, tried, first = {}, {}, {}, {}, {}
    for n, s in steps.items():
        solved = np.isfinite(fewest[n])
        # A tenth or ten times of a best rate near the grid's end was not tried: such a task does not count there.
        under, over = (
            rows[solved & (best[n] + k >= 0) & (best[n] + k < len(RATES))] for k in (-DECADE, DECADE)
        )
        cost[n] = float(np.median(s[under, best[n][under] - DECADE] / fewest[n][under]))
        still[n], tried[n] = int(np.isfinite(s[over, best[n][over] + DECADE]).sum()), len(over)
        basin[n] = float(np.median(np.sum(s <= NEAR * fewest[n][:, None], axis=1)[solved] / DECADE))
        first[n] = int(np.sum(solved & (fewest[n] == record)))
        evidence.number(f"tasks of {len(TASKS)} solved by some rate, {n}", solved.sum())
        evidence.number(f"steps at a tenth of the best rate over the fewest, median of tasks, {n}", cost[n])
        evidence.number(f"tasks with a tenth of the best rate on the grid, {n}", len(under))
        evidence.number(f"tasks that still arrive at ten times the best rate, {n}", still[n])
        evidence.number(f"tasks with ten times the best rate on the grid, {n}", tried[n])
        evidence.number(f"decades of rates within {NEAR:g} times the fewest steps, median, {n}", basin[n])
        evidence.number(f"tasks of {len(TASKS)} on which its best rate takes the fewest steps, {n}", first[n])
    others = [n for n in METHODS if n != "Adagrad"]
    evidence.check(
        "a tenth of the best rate costs Adagrad more than ten times the steps", cost["Adagrad"] > 10
    )
    evidence.check("and more than it costs any of the others", all(cost["Adagrad"] > cost[n] for n in others))
    evidence.check("its basin is narrower than Adam's", basin["Adagrad"] < basin["Adam"])
    suits = best["RMSprop"]
    slower = int(np.sum(steps["Adagrad"][rows, suits] > 2 * fewest["RMSprop"]))
    evidence.number("tasks on which Adagrad at RMSProp's best rate takes more than twice its steps", slower)
    both = np.isfinite(fewest["Adagrad"]) & np.isfinite(fewest["RMSprop"])
    apart = np.median((RATES[best["Adagrad"]] / RATES[suits])[both])
    evidence.number("Adagrad's best rate over RMSProp's, median of the tasks that both solve", apart)
    evidence.check("slow: so on most tasks", slower > len(TASKS) / 2)
    evidence.limit(
        f"slow only where the rate is too small: with best rates it takes the fewest steps on {first['Adagrad']} of "
        f"{len(TASKS)} tasks (no noise)",
        first["Adagrad"] > len(TASKS) / 2,
    )
    evidence.limit(
        f"sensitive only to rates that are too small: at ten times the best it still arrives on {still['Adagrad']} of "
        f"{tried['Adagrad']} tasks, gradient descent on {still['SGD']} of {tried['SGD']}, RMSProp on {still['RMSprop']} of "
        f"{tried['RMSprop']}",
        all(
            still["Adagrad"] / max(1, tried["Adagrad"]) > still[n] / max(1, tried[n])
            for n in ("SGD", "RMSprop")
        ),
    )
    evidence.limit(
        "against Adam: RMSProp's basin is no wider than Adagrad's", basin["RMSprop"] <= basin["Adagrad"]
    )
    evidence.limit(
        "against adaptive methods: gradient descent's basin is narrower", basin["SGD"] < basin["Adagrad"]
    )

    shown = [task.problem for task in TASKS].index(SHOWN)
    evidence.picture = Picture(
        [
            Chart(
                f"Steps until f stays below {TASKS[shown].target:g}, Beale",
                "learning rate",
                "steps",
                [
                    Curve(RATES, np.where(np.isinf(s[shown]), np.nan, s[shown]), n, n)
                    for n, s in steps.items()
                ],
                log="xy",
            ),
            Bars(
                "Price of a tenth of the best rate",
                "times the steps, median of tasks",
                METHODS,
                [cost[n] for n in METHODS],
                METHODS,
                levels=[(10.0, "in proportion")],
                missing="not reached",
            ),
            Bars(
                "Width of the basin",
                f"decades of rates within {NEAR:g}× the fewest steps",
                METHODS,
                [basin[n] for n in METHODS],
                METHODS,
            ),
        ],
        "Steps against learning rate on Beale's function, and over all tasks: a rate too small costs Adagrad the most, "
        "its basin is narrower than Adam's.",
        METHODS,
    )
    evidence.reading = (
        "First: Adagrad's curve is the steepest on its left side and reaches the lowest point. Second: over all tasks a "
        "rate ten times too small costs it the most. Last: how wide the band of good rates is."
    )
    return evidence
