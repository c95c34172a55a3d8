r"""AdaDelta's update has the unit of the parameter: rescale a coordinate by $c$ and, as $\varepsilon$ tends to
0, its path rescales by $c$; Adagrad's and RMSprop's do not.

Source: [@readme]; [@slides].
Formula: w \to c\, w: \quad g \to \frac{g}{c}, \quad v \to \frac{v}{c^2}, \quad u \to c^2 u \quad
\Rightarrow \quad \Delta = -\sqrt{\frac{u}{v}}\; g \to c\, \Delta
Measured: On the neuron and on the same neuron with $b$ in a unit four times smaller, the largest difference
of the two paths of $b$, the second mapped back, as a share of the way that $b$ went: with $\varepsilon$ in
each coordinate's own units, with one $\varepsilon$ for both, with start states $u = 0$ and $u > 0$ ($u$ in
units of $w^2$).
Refuted by: AdaDelta's share not falling with $\varepsilon$ from $u > 0$, or Adagrad's or RMSprop's path
rescaling too.
"""

import numpy as np

from ...core.rule import Rule
from ...problems import Problem, landscape
from ...problems.base import Grads, Params, Rows, pack, unpack
from ...problems.formula import FormulaProblem
from ..evidence import Evidence, use
from ..formatting import plain
from ..pictures.panels import Chart, Curve, Map, Panel, Path, Picture
from ..trial import Array, Trial

CHAPTER = "AdaDelta"
SCALE, STEPS = 4.0, 400
EPS = np.geomspace(1e-2, 1e-20, 10)
SQUARED_UPDATE = 1e-3  # the start state u of the runs that have one
BOTH = ("w", "b")


class _ByName(Problem):
    """A problem whose coordinates are leaves of their own, so that each may have a rule of its own."""

    def __init__(self, p: FormulaProblem) -> None:
        self.p = p

    def start(self, seed: int) -> Params:
        """The usual start, whatever the seed."""
        return {n: np.array([x]) for n, x in zip(BOTH, self.p.starts[0], strict=True)}

    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        """The problem's, by name."""
        return unpack(self.p.gradient(pack(params), rows), params)

    def loss(self, params: Params) -> float:
        """The problem's."""
        return self.p.loss(pack(params))


def _walk(p: FormulaProblem, first: Rule, second: Rule) -> Array:
    """The path (STEPS + 1, 2), each coordinate with a rule of its own."""
    options = {"groups": {"b": second}}
    path: Array = Trial(first, _ByName(p), STEPS, options=options, record=("path",)).run().path[0, 0]
    return path


def _share(plain: Array, back: Array) -> float:
    """The largest difference in b, as a share of the way it went; inf where it did not move."""
    way = float(np.ptp(plain[:, 1]))
    return float(np.max(np.abs(back[:, 1] - plain[:, 1]))) / way if way else np.inf


def experiment() -> Evidence:
    evidence = Evidence()
    neuron = landscape("neuron")
    other = neuron.transformed(scale=[1, SCALE])
    to_old = np.array([1, 1 / SCALE])

    def pair(rule: Rule, changed: Rule) -> tuple[Array, Array, float]:
        """The path, the rescaled problem's mapped back, and their difference."""
        plain, back = _walk(neuron, rule, rule), _walk(other, rule, changed) * to_old
        return plain, back, _share(plain, back)

    def delta(eps: float, u: float, c: float = 1.0, units: float = 1.0) -> Rule:
        return use("Adadelta:notes", u=u * c**2, eps_u=eps * units**2, eps_v=eps / units**2)

    own = pair(delta(1e-6, 0.0), delta(1e-6, 0.0, units=SCALE))[2]
    evidence.number("Adadelta's difference, ε in each coordinate's units", own)
    evidence.check("with ε in units Adadelta's path rescales to the bit", own == 0)
    warm = [pair(delta(e, SQUARED_UPDATE), delta(e, SQUARED_UPDATE, SCALE)) for e in EPS]
    cold = [pair(delta(e, 0.0), delta(e, 0.0)) for e in EPS]
    for e, one, two in list(zip(EPS, warm, cold, strict=True))[::3]:
        evidence.number(f"Adadelta's difference from u > 0, one ε, {plain(e)}", one[2])
        evidence.number(f"Adadelta's difference from u = 0, one ε, {plain(e)}", two[2])
    shares = np.array([w[2] for w in warm])
    evidence.check("from u > 0 the difference falls as ε does", bool(np.all(np.diff(shares) < 0)))
    evidence.check("and vanishes: below 10⁻⁶ at the smallest ε", bool(shares[-1] < 1e-6))
    way = evidence.number("way of b from u = 0 in 400 steps, ε = 10⁻²⁰", np.ptp(cold[-1][0][:, 1]))
    evidence.limit(
        "only once past updates outweigh ε: from u = 0 the first step is $\\sqrt{\\varepsilon / (1 - \\beta)}$ in any unit, "
        "and as ε falls the run stops moving before it rescales",
        bool(cold[-1][2] > 0.1 and way < 1e-3),
    )
    fixed = {}
    for name, eps in (("Adagrad:notes", "eps"), ("RMSprop:slides", "eps_root")):
        kind = name.partition(":")[0]
        power = SCALE if eps == "eps" else SCALE**2
        rule, softener = use(name, lr=0.1), use(name).at(0)[eps]
        fixed[kind] = pair(rule, use(name, lr=0.1, **{eps: softener / power}))
        mended = pair(rule, use(name, lr=0.1 * SCALE, **{eps: softener / power}))[2]
        evidence.number(f"{kind}'s difference, same learning rate", fixed[kind][2])
        evidence.number(f"{kind}'s difference, learning rate times the scale", mended)
        evidence.check(f"{kind}'s path does not rescale", fixed[kind][2] > 0.1)
        evidence.check(f"{kind}'s does if its lr is rescaled by hand", mended == 0)

    def map_of(title: str, method: str, paths: tuple[Array, Array, float]) -> Map:
        grid = neuron.grid()
        assert grid is not None
        (x, y), (low, deep) = neuron.starts[0], neuron.minima[0]
        return Map(
            title,
            "w",
            "b",
            grid,
            [Path(paths[0], "as it is", method), Path(paths[1], "b × 4", method, 1)],
            [(x, y, "start"), (low, deep, "minimum")],
        )

    panels: list[Panel] = [
        map_of("Adadelta, u > 0, ε = 10⁻²⁰", "Adadelta", warm[-1]),
        map_of("Adagrad, lr 0.1", "Adagrad", fixed["Adagrad"]),
        Chart(
            "How much the path changes with the unit",
            "ε",
            "share of the way",
            [
                Curve(EPS, shares, "Adadelta, u > 0", "Adadelta"),
                Curve(EPS, np.array([c[2] for c in cold]), "Adadelta, u = 0", "Adadelta", 1),
            ],
            log="xy",
            levels=[(fixed[n][2], n) for n in fixed],
        ),
    ]
    evidence.picture = Picture(
        panels,
        "Adadelta's path with b in another unit lies on its path as it was; Adagrad's is another path.",
        ("Adadelta", "Adagrad", "RMSprop"),
    )
    evidence.reading = (
        "First: with b rescaled and mapped back Adadelta takes the same path. Second: Adagrad takes another. "
        "Last: what remains falls with ε if u starts above 0; from u = 0 it does not fall at all."
    )
    return evidence
