r"""A sparse but important feature gets few and small updates under gradient descent; AdaGrad keeps its
effective rate high: it decays slowly for the sparse feature's weight $w$ and fast for the bias $b$.

Source: [@notes]; their figure $0.1 / \sqrt{0.019} = 0.72$ is AdaGrad's first effective rate of $w$, for a
squared gradient of 0.019.
Formula: \frac{\eta}{\sqrt{s_t}}, \quad s_t = \sum_{z \le t} g_z^2: \qquad g_w = (f - y)\, f\, (1 - f)\, x,
\quad g_b = (f - y)\, f\, (1 - f)
Measured: A sigmoid neuron whose feature is 1 in every tenth row, sample by sample at $\eta = 0.1$ as in the
lecture notes, in five row orders: the effective rates of $w$ and $b$, how far $w$ has come when $b$ has
gone nine tenths of its way, and the steps that both methods need with their rates tuned on one grid. The
notes' figure is arithmetic on a state; it is reproduced by feeding a gradient whose square is 0.019, and
stands beside the neuron's own first rate.
Refuted by: A rate of $w$ that falls as far as $b$'s, or a $w$ that lags behind $b$ under AdaGrad as it does
under gradient descent.
"""

import numpy as np

from ...core.rule import Rule
from ...problems import landscape
from ...problems.formula import FormulaProblem
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..record import fed
from ..search import grid, try_rates
from ..trial import Array, Trial

CHAPTER = "Why adapt"
LR, EPOCHS, ORDERS, LARGE = 0.1, 20, 5, 10.0
TARGET, BUDGET, RATES = 1e-3, 2000, grid(1e-1, 1e2, 25)


def experiment() -> Evidence:
    evidence = Evidence()
    on = landscape("neuron-sparse")
    assert on.data is not None
    data, start, teacher = on.data, np.array(on.starts[0]), np.array(on.minima[0])
    epoch, steps = on.rows, EPOCHS * on.rows
    orders = np.array([on.order(seed, 1, steps) for seed in range(ORDERS)])
    begun = np.argmax(data[orders[:, :, 0], 0] > 0, axis=1) + 1  # the first step that moves w
    every = np.arange(ORDERS)

    def walk(rule: Rule, on: FormulaProblem) -> tuple[Array, Array]:
        """The share of its way that each weight has gone, and the rates: (orders, steps + 1, 2)."""
        trial = Trial(rule, on, steps, range(ORDERS), starts=start, batch=1, record=("path", "rates"))
        runs = trial.run()
        return 1 - np.abs(runs.path[0] - teacher) / np.abs(start - teacher), runs.rates[0]

    adagrad, sgd = use("Adagrad:notes", lr=LR), use("SGD", lr=LR)
    gone = {}
    gone["SGD"], _ = walk(sgd, on)
    gone["Adagrad"], rates = walk(adagrad, on)

    figure = fed(adagrad, np.array([[np.sqrt(0.019)]])).rate[1, 0]
    evidence.number("effective rate for a squared gradient of 0.019", figure, 0.72, within=0.01)
    first = rates[every, begun, 0]
    evidence.number("the neuron's own first effective rate of w, median of orders", np.median(first))

    moved = np.mean(np.diff(gone["SGD"][:, :, 0], axis=1) != 0)
    evidence.number("share of gradient descent's steps that move w", moved)
    evidence.check("gradient descent moves w in no more than a tenth of its steps", moved < 0.101)
    falls = first / rates[every, begun + epoch, 0], rates[:, 1, 1] / rates[:, 1 + epoch, 1]
    for name, fall in zip("wb", falls, strict=True):
        evidence.number(f"Adagrad: rate of {name} at its first update over one epoch later", np.median(fall))
    evidence.check(
        "b's rate falls at least twice as far as w's, every order", bool(np.all(falls[1] > 2 * falls[0]))
    )
    higher = [bool(np.all(r[t:, 0] > r[t:, 1])) for r, t in zip(rates, begun, strict=True)]
    evidence.check("w's rate stays above b's, every order", all(higher))
    behind = {}
    for name, way in gone.items():
        late = np.argmax(way[:, :, 1] >= 0.9, axis=1)
        behind[name] = way[every, late, 0]
        evidence.number(f"{name}: share of w's way gone when b has gone 0.9, median", np.median(behind[name]))
    ahead = bool(np.all(behind["Adagrad"] > 1.5 * behind["SGD"]))
    evidence.check("w comes along half as far again under Adagrad, every order", ahead)
    for name in ("SGD", "Adagrad:notes"):
        tried = try_rates(
            use(name), on, RATES, BUDGET, TARGET, start=start, batch=1, seeds=range(ORDERS), stay=True
        )
        best = np.min(tried.reached)
        evidence.number(
            f"steps to f < {TARGET:g} at the best rate, {name.split(':')[0]}, median of orders", best
        )
    larger = landscape("neuron-sparse")
    larger.data = data * [LARGE, 1.0]
    _, large = walk(adagrad, larger)
    evidence.limit(
        f"only while the sparse feature's values are small: at x = {LARGE:g} in its rows w's rate ends below b's",
        bool(np.all(large[:, -1, 0] < large[:, -1, 1])),
    )

    evidence.limit(
        f"only early on the way: at lr = {LR:g} gradient descent's w overtakes within {EPOCHS} epochs",
        bool(np.all(gone["SGD"][:, -1, 0] > gone["Adagrad"][:, -1, 0])),
    )

    axis = np.arange(steps + 1)
    seen = np.where(axis[:, None] >= [begun[0], 1], rates[0], np.nan)
    evidence.picture = Picture(
        [
            Chart(
                f"Adagrad's effective rate, lr = {LR:g}",
                "step",
                "effective learning rate",
                [
                    Curve(axis, seen[:, 0], "w, sparse", "Adagrad"),
                    Curve(axis, seen[:, 1], "b, in every row", "Adagrad", 1),
                ],
                log="xy",
                x_range=(1, steps),
                levels=[(LR, "gradient descent")],
            ),
            Chart(
                f"The way to the teacher, both at lr = {LR:g}",
                "step",
                "share of the way gone",
                [
                    Curve(axis, way[0, :, k], f"{name}, {'wb'[k]}", name, k)
                    for name, way in gone.items()
                    for k in (0, 1)
                ],
            ),
        ],
        "Adagrad's effective rate falls less for the sparse weight w than for b; beside it how far w and b have "
        "come under gradient descent and Adagrad.",
        ("SGD", "Adagrad"),
    )
    evidence.reading = (
        "First: w meets its feature in every tenth row and keeps the higher rate; b pays in every row. Last: under "
        "gradient descent b has all but arrived while w has hardly left; Adagrad brings w along sooner, until its rates "
        "have fallen below lr. With both rates tuned the difference in steps is small."
    )
    return evidence
