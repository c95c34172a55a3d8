r"""Adam has many settings, and its defaults are not to be trusted too much.

Source: [@slides]: $\beta_1$, $\beta_2$, $\eta$, $\varepsilon$ and both initial states are to be tuned; 0.9,
0.999 and $10^{-8}$ are stated. $\eta = 0.001$ is from [@kingma].
Formula: w_t = w_{t-1} - \eta\, \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \varepsilon}, \qquad \eta = 10^{-3},
\quad \beta_1 = 0.9, \quad \beta_2 = 0.999, \quad \varepsilon = 10^{-8}, \quad m_0 = v_0 = 0
Measured: Steps to a target on five problems at the default and at the best learning rate; on Rosenbrock's
function over the whole plane of learning rate and $\varepsilon$, and of $\beta_1$ and $\beta_2$; over
initial states $m$ and $v$; and what the default costs a network on handwritten digits.
Refuted by: A default that is near the best on all of them, or settings that make no difference.
"""

import numpy as np

from ...problems.digits import digits_network
from ...problems.formula import FormulaProblem
from ...problems.landscapes.beale import beale
from ...problems.landscapes.gutter import gutter
from ...problems.landscapes.rosenbrock import rosenbrock
from ...problems.neuron import neuron
from ...problems.quadratic import quadratic
from ..evidence import Evidence, use
from ..pictures.panels import Array, Chart, Curve, Heat, Picture
from ..search import Tried, grid, try_rates
from ..trial import Trial

CHAPTER = "Momentum and Adam"
MOST = 12_000
DEFAULT = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
RATES, EPSILONS = grid(1e-4, 10, 31), grid(1e-8, 1e4, 17)
LEFT1, LEFT2 = grid(1e-2, 1, 21), grid(1e-4, 1, 21)  # 1 - β₁, 1 - β₂
FIRST = np.append(0.0, grid(1e-8, 1e4, 25))  # initial v
PROBLEMS = {  # target, start
    "rosenbrock": (rosenbrock, 1e-3, 0),
    "beale": (beale, 1e-3, 0),
    "gutter": (gutter, 1e-2, 0),
    "neuron": (neuron, 1e-4, 2),
    "quadratic": (quadratic, 1e-6, 0),
}
TUNED, STARTS = np.append(DEFAULT["lr"], grid(1e-3, 3, 31)), 9


@np.errstate(invalid="ignore")  # a target that no rate met: inf / inf
def experiment() -> Evidence:
    evidence = Evidence()
    best, steps = {}, {}
    for name in PROBLEMS:
        counts = _medians(name)
        k = int(np.argmin(counts[1:])) + 1
        best[name], steps[name] = float(TUNED[k]), float(counts[k])
        evidence.number(f"steps at lr = 0.001, {name}, median of {STARTS} starts", counts[0])
        evidence.number(f"steps at the best rate, {name}, median of {STARTS} starts", counts[k])
        evidence.number(f"the best rate, {name}", TUNED[k])
        evidence.check(
            f"lr = 0.001 costs more than ten times the best rate's steps on {name}",
            counts[0] > 10 * counts[k],
        )
    valley = rosenbrock()
    after = try_rates(
        use("Adam:slides"), valley, TUNED, MOST, 1e-3, start=_starts(valley, 0), stay=True
    ).reached
    stays = evidence.number(
        f"steps until f stays below to the end of {MOST:,}, lr = 0.001 over best, rosenbrock",
        after[0] / after.min(),
    )
    evidence.limit(
        "to reach a target, not to stay there: rates that arrive soon leave again, and the default is near the best that stay",
        bool(stays < 2),
    )

    lrs, eps = (a.ravel() for a in np.meshgrid(RATES, EPSILONS))
    first = _tried("rosenbrock", lrs, eps=eps)
    left1, left2 = (a.ravel() for a in np.meshgrid(LEFT1, LEFT2))
    at_best = np.full(left1.size, best["rosenbrock"])
    second = _tried("rosenbrock", at_best, beta1=1 - left1, beta2=1 - left2)
    usual = evidence.number(
        "steps on rosenbrock from its usual start, best rate and defaults",
        _tried("rosenbrock", at_best[:1]).steps,
    )
    for what, made in (("lr and ε", first), ("β₁ and β₂ at the best rate", second)):
        slow = float(np.mean(made.reached > 10 * usual))
        evidence.number(f"settings of {what} tried", made.reached.size)
        evidence.number(f"share of these settings ten times slower, or failing, {what}", slow)
        evidence.check(f"at least a third of the settings of {what} are ten times slower", slow > 1 / 3)

    lr = best["neuron"]
    v0 = _tried("neuron", np.full(FIRST.size, lr), v=FIRST)
    m0 = _tried("neuron", np.full(3, lr), m=np.array([-1e-3, 0.0, 1e-3]))
    ones = int(np.argmin(np.abs(FIRST - 1)))
    evidence.number("steps on neuron with v₀ = 1 over v₀ = 0", v0.reached[ones] / v0.reached[0])
    evidence.number("steps on neuron with m₀ = 0.001 over m₀ = 0", m0.reached[2] / m0.reached[1])
    evidence.number("steps on neuron with m₀ = -0.001 over m₀ = 0", m0.reached[0] / m0.reached[1])
    evidence.check(
        "v₀ = 1 costs the neuron more than ten times the steps", v0.reached[ones] > 10 * v0.reached[0]
    )
    evidence.check(
        "m₀ = ±0.001 more than doubles them", bool(min(m0.reached[0], m0.reached[2]) > 2 * m0.reached[1])
    )
    behind = {}
    for length in (600, 3000):
        default, tuned = (_accuracy(lr, length) for lr in (DEFAULT["lr"], 1e-2))
        evidence.number(f"test accuracy of the digits network after {length:,} steps, lr = 0.001", default)
        evidence.number(f"test accuracy of the digits network after {length:,} steps, lr = 0.01", tuned)
        behind[length] = tuned - default
    evidence.check(
        "the digits network is two points behind after 600 steps at lr = 0.001", behind[600] > 0.02
    )
    evidence.limit("for short runs: after 3,000 steps the network is within a point", behind[3000] < 0.01)
    evidence.picture = _picture(first, second, v0)
    evidence.reading = (
        "First: on Rosenbrock's function the default lies in the slow corner; the best settings are two decades off. "
        "Second: at the best rate the defaults of β₁ and β₂ are good, but a wrong pair costs as much as a wrong rate. "
        "Last: the state that v starts from can cost as much as either."
    )
    return evidence


def _tried(name: str, lrs: Array, **vary: Array) -> Tried:
    make, target, start = PROBLEMS[name]
    p: FormulaProblem = make()
    at = np.array(p.starts[start])
    return try_rates(use("Adam:slides"), p, lrs, MOST, target, start=at, vary=vary)


def _starts(p: FormulaProblem, start: int) -> Array:
    return np.array(p.starts[start]) * np.random.default_rng(0).uniform(0.9, 1.1, (STARTS, len(p.starts[0])))


def _medians(name: str) -> Array:
    """Steps to the target at each of TUNED, medians over starts, so that no lucky hit counts."""
    make, target, start = PROBLEMS[name]
    p = make()
    return try_rates(use("Adam:slides"), p, TUNED, MOST, target, start=_starts(p, start)).reached


def _accuracy(lr: float, steps: int) -> float:
    """Test accuracy of a network on handwritten digits, mean over two seeds."""
    p = digits_network()
    trial = Trial(
        use("Adam:slides", lr=lr), p, steps, range(2), batch=p.batch, every=steps, record=("metric",)
    )
    return float(np.mean(trial.run().records["metric"]))


def _picture(first: Tried, second: Tried, v0: Tried) -> Picture:
    a, b = first.best, second.best
    eps, lr = np.unravel_index(a, (EPSILONS.size, RATES.size))
    two, one = np.unravel_index(b, (LEFT2.size, LEFT1.size))
    return Picture(
        [
            Heat(
                "Adam on Rosenbrock's function: lr and ε",
                "learning rate",
                "ε",
                RATES,
                EPSILONS,
                first.reached.reshape(EPSILONS.size, RATES.size),
                "steps to f ≤ 0.001",
                missing=f"not within {MOST:,} steps",
                points=[(1e-3, 1e-8, "default"), (RATES[lr], EPSILONS[eps], "best")],
            ),
            Heat(
                "β₁ and β₂ at the best rate",
                "1 − β₁",
                "1 − β₂",
                LEFT1,
                LEFT2,
                second.reached.reshape(LEFT2.size, LEFT1.size),
                "steps to f ≤ 0.001",
                missing=f"not within {MOST:,} steps",
                points=[(0.1, 1e-3, "default"), (LEFT1[one], LEFT2[two], "best")],
            ),
            Chart(
                "The state v starts from: the lecture notes' neuron",
                "initial v, in squared gradients",
                "steps to f ≤ 0.0001",
                [Curve(FIRST[1:], v0.reached[1:], "Adam, best lr", "Adam")],
                log="xy",
                levels=[(v0.reached[0], "v₀ = 0")],
            ),
        ],
        "Two maps of Adam's steps over its settings, default and best marked, and a curve over the initial state.",
        ("Adam",),
    )
