r"""The more you update the less you update: AdaGrad's effective rate only falls, and it stops short along the
parameters that are updated often.

Source: [@notes]; [@slides].
Formula: \frac{\eta}{\sqrt{s_t}} \le \frac{\eta}{\sqrt{s_{t-1}}}, \qquad |g| = 1: \quad w_0 - w_t = \eta
\sum_{z=1}^{t} \frac{1}{\sqrt{z}} \approx 2 \eta \sqrt{t}
Measured: The rate at every step of three runs, two of them with noise; logistic regression on features of
Zipf frequencies, one row at a time: the final rate of each weight against the number of its updates; and a
long gutter whose slope is about 1 at every step: the way gone at $\eta = 0.1$ beside RMSProp's and the law
$2 \eta \sqrt{t}$ of a constant slope.
Refuted by: A rate that rises, a rate that does not fall with the number of updates, or an arrival as early
as RMSProp's at the same rate.
"""

import numpy as np

from ...problems import landscape, problem
from ...problems.compiled import CompiledProblem
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..search import grid, try_rates
from ..trial import Array, Trial

CHAPTER = "AdaGrad"
LR, STEPS, ROWS = 0.1, 1000, 8000
NEAR, RATES = 0.05, grid(1e-1, 1e1, 17)


def run(name: str, on: CompiledProblem, steps: int, batch: int, every: int = 1) -> tuple[Array, Array]:
    """Path and rates from the first usual start at lr = LR: (records, d) each."""
    trial = Trial(
        use(name, lr=LR), on, steps, starts=on.starts[0], batch=batch, every=every, record=("path", "rates")
    )
    runs = trial.run()
    return runs.path[0, 0], runs.rates[0, 0]


def experiment() -> Evidence:
    evidence = Evidence()
    gutter, neuron, noisy = (
        landscape("gutter"),
        landscape("neuron-sparse"),
        landscape("beale").transformed(noise=0.5),
    )
    for words, on, batch in (("gutter", gutter, 0), ("sparse neuron", neuron, 1), ("noisy beale", noisy, 1)):
        _, rates = run("Adagrad:slides", on, STEPS, batch)
        rises = int(np.sum(np.diff(rates[1:], axis=0) > 0))
        evidence.number(f"{words}: times that a rate rises in {STEPS} steps", rises)
        evidence.check(f"{words}: the effective rate never rises", rises == 0)

    zipf = problem("zipf")
    assert isinstance(zipf, CompiledProblem)
    order = zipf.order(0, 1, ROWS)
    assert order is not None
    assert zipf.data is not None
    often = np.sum(zipf.data[order[:, 0], :-1] > 0, axis=0)
    _, rates = run("Adagrad:slides", zipf, ROWS, 1, every=ROWS)
    used = often > 0
    slope, offset = np.polyfit(np.log(often[used]), np.log(rates[-1, used]), 1)
    evidence.number("power of the number of updates with which the final rate goes, 200 features", slope)
    evidence.check("weights with more updates have the lower rates, with a power below −1/4", slope < -0.25)

    far = abs(gutter.starts[0][0])
    way = {n: run(f"{n}:slides", gutter, 4 * STEPS, 0)[0][:, 0] + far for n in ("Adagrad", "RMSprop")}
    arrived = {n: int(np.argmax(w > (1 - NEAR) * far)) for n, w in way.items()}
    for n, t in arrived.items():
        evidence.number(
            f"gutter: steps to within {NEAR:.0%} of the way's end, lr = {LR:g}, {n}", t if t else np.inf
        )
    evidence.check(
        "RMSProp walks on at about lr a step: it arrives in no more than one and a half times way over lr",
        0 < arrived["RMSprop"] <= 1.5 * far / LR,
    )
    evidence.check(
        "in the steps that take RMSProp to the end Adagrad has not gone half the way",
        arrived["RMSprop"] > 0 and way["Adagrad"][arrived["RMSprop"]] < 0.5 * far,
    )
    power = np.log(way["Adagrad"][500] / way["Adagrad"][50]) / np.log(500 / 50)
    evidence.number("gutter: power of the steps with which the way gone grows, 50 to 500 steps", power)
    evidence.limit(
        "only in a given number of steps: it slows as $\\sqrt{t}$ and never quite stops", 0.45 < power < 0.55
    )
    tuned = try_rates(use("Adagrad:slides"), gutter, RATES, 2000, 1e-3, stay=True)
    evidence.number("gutter: steps to f < 0.001 for good, best rate", tuned.steps)
    evidence.number("gutter: the best rate", tuned.lr)
    evidence.limit("only at a rate that is small for the way to go: tuned, it arrives", tuned.steps < 100)
    path, _ = run("Adagrad:slides", neuron, STEPS, 1)
    left = np.abs(path[-1] - neuron.minima[0]) / np.abs(path[0] - neuron.minima[0])
    for k, words in enumerate(("the rare weight", "the frequent bias")):
        evidence.number(f"sparse neuron: share of the way left after {STEPS} steps, {words}", left[k])
    evidence.limit(
        "only for each update: step for step the rare weight is still the further behind", left[0] > left[1]
    )

    axis = np.arange(4 * STEPS + 1)
    counts = np.sort(often[used])
    evidence.picture = Picture(
        [
            Chart(
                "Final rate of each feature's weight",
                "updates received",
                "effective learning rate",
                [
                    Curve(often[used], rates[-1, used], "Adagrad", "Adagrad", look="points"),
                    Curve(counts, np.exp(offset) * counts**slope, f"slope {slope:.2f}", look="theory"),
                ],
                log="xy",
            ),
            Chart(
                f"Way gone along the gutter, lr = {LR:g}",
                "step",
                "way gone",
                [
                    Curve(axis, way["Adagrad"], "Adagrad", "Adagrad"),
                    Curve(axis, way["RMSprop"], "RMSprop", "RMSprop"),
                    Curve(axis[:2500], 2 * LR * np.sqrt(axis[:2500]), "2·lr·√t", look="theory"),
                ],
                levels=[(far, "minimum")],
            ),
        ],
        "Adagrad's final rate falls with the number of updates; along a gutter it slows as the root of the steps "
        "where RMSprop walks on.",
        ("Adagrad", "RMSprop"),
    )
    evidence.reading = (
        "First: each point is a feature; the more updates its weight received, the lower its rate. Last: on a steady "
        "slope RMSprop walks at lr a step, Adagrad's steps shrink as $1/\\sqrt{t}$. It slows rather than stops."
    )
    return evidence
