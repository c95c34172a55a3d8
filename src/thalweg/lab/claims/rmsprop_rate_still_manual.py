r"""RMSProp's learning rate is still manual: one suggested value does not suit every task.

Source: [@slides]; [@notes] (“set initial learning rate properly”).
Formula: w_t = w_{t-1} - \frac{\eta}{\sqrt{v_t + \varepsilon}}\, g_t, \qquad \eta = \;?
Measured: RMSProp at each rate of one grid on sixteen tasks without noise, where arriving means that $f$
stays below the target: the best rates, and the price of each value, in multiples of the fewest steps; the
values that Keras, torch and the lecture notes suggest; logistic regression one row at a time, its loss at
those values and at the best; and Beale's function with its coordinates a hundred times smaller and larger.
Refuted by: A value on the grid that arrives on every task in at most four times the fewest steps, of which
every task is given more; eight tenths of the best rates within a decade; a suggested value that misses
fewer than a quarter of the tasks; a best rate on Beale's function that does not go with the size of its
coordinates to half a decade.
"""

import numpy as np

from ...problems import landscape, problem
from ...problems.compiled import CompiledProblem
from ..evidence import Evidence, use
from ..pictures.panels import Bars, Chart, Curve, Picture
from ..search import RATES, TASKS, grid, try_rates

CHAPTER = "RMSProp"
SUGGESTED, PRICE, SCALES, ROWS = ("keras", "torch", "notes"), 4.0, (0.01, 1.0, 100.0), 4000
SHOWN = (2, 5, 8, 12, 15)  # of the tasks, for the picture


def experiment() -> Evidence:
    evidence = Evidence()
    rule = use("RMSprop:slides")
    steps = np.array([task.tried(rule, RATES).reached for task in TASKS])
    solved = np.isfinite(steps.min(axis=1))
    evidence.number(f"tasks of {len(TASKS)} that some rate solves", solved.sum())
    evidence.check("every task is solved by some rate", bool(solved.all()))
    with np.errstate(invalid="ignore"):  # a task that no rate solves has no price
        price = steps / steps.min(axis=1, keepdims=True)
    best = np.where(solved, RATES[steps.argmin(axis=1)], np.nan)
    low, high = np.quantile(best[solved], (0.1, 0.9)) if solved.any() else (np.nan, np.nan)
    evidence.number("best rates of the tasks, 10 % quantile", low)
    evidence.number("best rates of the tasks, 90 % quantile", high)
    evidence.check("eight tenths of the best rates spread over a decade or more", high / low >= 10)
    fails = np.sum(~(price[solved] <= PRICE), axis=0)
    evidence.number(
        f"the value that fails least: tasks of {len(TASKS)} that it misses by more than {PRICE:g} times",
        fails.min(),
    )
    evidence.number("the value that fails least", RATES[fails.argmin()])
    evidence.check(f"no value comes within {PRICE:g} times the fewest steps on every task", fails.min() > 0)
    values = {n: use(f"RMSprop:{n}").at(0)["lr"] for n in SUGGESTED}
    for name, lr in values.items():
        count = int(fails[np.abs(np.log(RATES / lr)).argmin()])
        evidence.number(f"tasks that lr = {lr:g} ({name}) misses by more than {PRICE:g} times", count)
        evidence.check(f"the value of {name} misses a quarter of the tasks or more", count >= len(TASKS) / 4)

    on = landscape("beale")
    moved = []
    for scale in SCALES:
        other = on.transformed(scale=scale)
        tiny = use("RMSprop:slides", eps=1e-30)
        tried = try_rates(
            tiny, other, grid(1e-6, 1e2, 33), 2000, 1e-3, start=np.array(other.starts[0]), stay=True
        )
        moved.append(evidence.number(f"best rate, Beale with its coordinates times {scale:g}", tried.lr))
    ratios = np.array(moved) / moved[1] / np.array(SCALES)
    evidence.check(
        "the best rate goes with the size of the weights", bool(np.all(np.abs(np.log10(ratios)) < 0.5))
    )

    zipf = problem("zipf")
    assert isinstance(zipf, CompiledProblem)
    at = np.concatenate([list(values.values()), RATES])
    loss = try_rates(rule, zipf, at, ROWS, -1.0, batch=1, seeds=range(3), every=ROWS).loss
    for k, (name, lr) in enumerate(values.items()):
        evidence.number(f"zipf: loss after {ROWS} rows at lr = {lr:g} ({name}), median of 3 seeds", loss[k])
    evidence.number("zipf: the same at the best rate", loss.min())

    alike = [k for k, t in enumerate(TASKS) if t.problem == "neuron"]
    common = float(price[alike].max(axis=0).min())
    evidence.number(f"one rate for the neuron's {len(alike)} starts: price on the worst of them", common)
    evidence.limit(
        "only between tasks that differ: from all of the neuron's starts one rate will do", common < 2
    )

    marks = [(lr, f"{lr:g}, {name}") for name, lr in values.items()]
    evidence.picture = Picture(
        [
            Chart(
                "Price of a learning rate",
                "learning rate",
                "steps over the fewest",
                [
                    Curve(RATES, np.where(np.isinf(price[k]), np.nan, price[k]), TASKS[k].problem)
                    for k in SHOWN
                ],
                log="xy",
                marks=marks,
                x_range=(RATES[0], 1.0),
            ),
            Bars(
                "RMSprop's best rate",
                "learning rate",
                [t.words for t in TASKS],
                best.tolist(),
                ["RMSprop"] * len(TASKS),
                log=True,
                levels=marks,
            ),
        ],
        "RMSprop's steps against its learning rate on five tasks, whose good ranges hardly overlap, and its best rate on "
        "sixteen tasks beside three suggested values.",
        ("RMSprop",),
    )
    evidence.reading = (
        "First: each task has its own range of good rates, cut off on the right where the swing of RMSProp exceeds the "
        "target. Last: no suggested value lies near all best rates. The rate is a length in the space of weights."
    )
    return evidence
