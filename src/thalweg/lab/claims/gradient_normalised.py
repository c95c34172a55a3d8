r"""To divide the rate by $|\partial L / \partial x_i|$ itself would not work, because $\nabla L \to 0$.

Source: [@darve] (the step before AdaGrad's formula).
Formula: x_i \leftarrow x_i - \eta\, \frac{\partial L / \partial x_i}{|\partial L / \partial x_i|} = x_i \mp
\eta
Measured: That method is sign descent, MaxProp or RMSProp with $\beta = 0$ and no $\varepsilon$; on
$H_\beta$ ($n = 4$, $\beta = 0.1$) from five starts: the size of its steps while the gradient falls, how
close it stays to the minimum in the end for rates from 0.001 to 0.1, beside gradient descent and AdaGrad;
with rates that fall; with $\varepsilon$.
Refuted by: A fixed rate with which it settles on the minimum.
"""

import numpy as np

from ...core.rule import Rule
from ...core.schedule import exponential, inverse_sqrt
from ...problems.quadratic import matrix, quadratic
from ..evidence import Evidence, use
from ..pictures.panels import Array, Chart, Curve, Picture
from ..record import fed
from ..search import grid
from ..trial import Trial

CHAPTER = "Theory"
N, BETA, STEPS, STARTS, LAST = 4, 0.1, 20_000, 5, 1000
RATES = grid(1e-3, 1e-1, 9)
BARE = {"beta": 0.0, "eps": 0.0}


def experiment() -> Evidence:
    evidence = Evidence()
    gradients = np.random.default_rng(0).standard_normal((50, 3)) * np.geomspace(1, 1e-6, 50)[:, None]
    for name in ("MaxProp", "RMSprop"):
        update = fed(use(name, lr=0.1, **BARE), gradients).update[1:]
        signs = np.allclose(update, -0.1 * np.sign(gradients), rtol=1e-9)
        evidence.check(f"{name} with β = 0 and no ε moves by lr · sign(g), however small g is", signs)
    fixed = _paths(use("MaxProp", lr=1.0, **BARE), lr=RATES)
    size = dict(zip(RATES, _ends(fixed), strict=True))
    share = np.array([np.median(s) / r for r, s in size.items()])
    evidence.number(
        "largest $|x_i|$ in the last 1,000 steps over the rate, smallest of nine rates", share.min()
    )
    evidence.number(
        "largest $|x_i|$ in the last 1,000 steps over the rate, largest of nine rates", share.max()
    )
    evidence.check(
        "at no rate and from no start does it come nearer than half a step",
        all(s.min() >= r / 2 for r, s in size.items()),
    )
    first = np.median(_ends(fixed, 1), axis=1) / RATES
    evidence.number("largest |x₁| in the last 1,000 steps over the rate, largest of nine rates", first.max())
    evidence.check("along x₁ the cycle is one step wide", bool(first.max() <= 1 and first.min() >= 0.5))
    evidence.check(
        "flat coordinates follow the sign of the steep ones' error: their cycle is wider",
        bool(share.max() > 2 * first.max()),
    )
    steep = float(np.linalg.eigvalsh(matrix(N, BETA))[-1])
    others = {
        "SGD": _paths(use("SGD", lr=1 / steep))[0],
        "Adagrad": _paths(use("Adagrad:darve", lr=1.0))[0],
    }
    near = {n: float(np.median(_ends(p, 1))) for n, p in others.items()}
    for n, x in near.items():
        evidence.number(f"largest |x₁| in the last 1,000 steps, {n}", x)
    evidence.check(
        "Adagrad settles far below the best of these rates",
        near["Adagrad"] < 1e-3 * float(np.median(size[RATES[0]])),
    )

    falling = _paths(use("MaxProp", lr=inverse_sqrt(0.1), **BARE))[0]
    slow = float(np.median(_ends(falling)))
    final = 0.1 / STEPS**0.5
    evidence.number(
        "largest $|x_i|$ in the last 1,000 steps over the last rate, $\\eta = 0.1/\\sqrt{t}$", slow / final
    )
    evidence.limit(
        "only while the rate is fixed: with $0.1/\\sqrt{t}$ it ends ten times closer than with 0.1 throughout",
        slow < 0.1 * float(np.median(size[RATES[-1]])),
    )
    short = float(np.median(_ends(_paths(use("MaxProp", lr=exponential(0.1, factor=0.8), **BARE)))))
    evidence.number("largest $|x_i|$ in the end, $\\eta = 0.1 \\cdot 0.8^t$, whose sum is 0.5", short)
    evidence.check("a rate whose sum is too small stops short", short > 0.1)
    epsilons = 0.01 * steep / 2 * grid(0.1, 10, 41)
    softened = _paths(use("MaxProp", lr=0.01, beta=0.0), eps=epsilons)
    settled = np.median(_ends(softened, 1), axis=1) < 0.01 / 20
    edge = float(epsilons[np.argmax(settled)]) if settled.any() else np.inf
    evidence.number(
        "smallest ε with which x₁ comes within lr/20, over lr λ₁ / 2 (theory: 1)", edge / (0.01 * steep / 2)
    )
    evidence.limit(
        "only while ε < lr λ₁ / 2: above, the method is gradient descent near the minimum and settles",
        abs(edge / (0.01 * steep / 2) - 1) < 0.15,
    )
    shown = {f"MaxProp β = 0, lr {RATES[k]:g}": fixed[k] for k in (-1, len(RATES) // 2, 0)}
    evidence.picture = _picture({**shown, "MaxProp β = 0, 0.1/√t": falling, **others}, share, first)
    evidence.reading = (
        "First: with a fixed rate the distance falls until it is of the size of a step and then goes round and round; a rate "
        "that falls, gradient descent and AdaGrad go on. Last: along x₁ the cycle is about one step wide at every rate; "
        "where H is flat, signs follow the steep coordinates' error and the cycle is many steps wide."
    )
    return evidence


def _paths(rule: Rule, **vary: Array) -> Array:
    """Runs from the same random starts, for each value (C,) of one line if given: (C, S, STEPS + 1, n)."""
    starts = np.random.default_rng(0).uniform(0.5, 1.5, (STARTS, N))
    return Trial(rule, quadratic(N, BETA), STEPS, starts=starts, vary=vary, record=("path",)).run().path


def _ends(paths: Array, coordinates: int = N) -> Array:
    """The largest |x_i| of the last steps, over the first coordinates: (..., S)."""
    largest: Array = np.abs(paths[..., -LAST:, :coordinates]).max(axis=(-2, -1))
    return largest


def _picture(paths: dict[str, Array], share: Array, first: Array) -> Picture:
    shown = np.unique(np.geomspace(1, 0.9 * STEPS, 240).astype(int))
    curves = []
    for k, (label, path) in enumerate(paths.items()):
        away = np.median(np.abs(path[:, :, 0]), axis=0)
        # The largest distance of a window, since a cycle passes close to zero.
        widest = [float(away[t : t + max(2, t // 10)].max()) for t in shown]
        kind = label.partition(" ")[0]
        curves.append(Curve(shown, np.array(widest), label, kind, k if kind == "MaxProp" else 0))
    return Picture(
        [
            Chart(
                "Distance from the minimum along x₁", "step", "|x₁|", curves, log="xy", y_range=(1e-6, 2.0)
            ),
            Chart(
                "Size of the final cycle",
                "learning rate",
                "largest |x_i| at the end",
                [
                    Curve(RATES, share * RATES, "all coordinates", "MaxProp", look="points"),
                    Curve(RATES, first * RATES, "x₁ alone", "MaxProp", 1, look="points"),
                    Curve(RATES, RATES, "one step", look="theory"),
                ],
                log="xy",
            ),
        ],
        "Sign descent stops at a distance that its rate sets; gradient descent, Adagrad and a falling rate do not.",
        ("MaxProp", "SGD", "Adagrad"),
    )
