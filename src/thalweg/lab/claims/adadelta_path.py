r"""AdaDelta goes downhill on an error surface to the minimum without a learning rate, and its rate is not
decreased as Adagrad's is.

Source: The picture and the last sentence of [@readme]. It does not print the function of its picture: the
surfaces here are the sigmoid neuron of [@notes] and Beale's function.
Formula: \Delta_t = -\frac{\sqrt{u_{t-1} + \varepsilon}}{\sqrt{v_t + \varepsilon}}\, g_t, \qquad v_t = \beta
v_{t-1} + (1 - \beta)\, g_t^2, \quad u_t = \beta u_{t-1} + (1 - \beta)\, \Delta_t^2
Measured: From the three starts of the lecture notes on the neuron the share of steps that go downhill, the
steps to $f < 10^{-3}$ and the distance from the minimum after a million; the same on Beale's function from
its usual starts; and the effective rates along a path beside Adagrad's.
Refuted by: A neuron start from which the minimum is not reached, or a rate that only falls.
"""

import numpy as np

from ...problems import landscape
from ...problems.formula import FormulaProblem
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Map, Panel, Path, Picture
from ..record import record
from ..trial import Array, Trial

CHAPTER = "AdaDelta"
STEPS, EVERY, TARGET = 1_000_000, 10, 1e-3
SHOWN = np.unique(np.geomspace(1, STEPS // EVERY, 400).astype(int)) - 1


def _curvature(p: FormulaProblem, at: Array) -> float:
    """The largest eigenvalue of the Hessian."""
    axes = np.column_stack([p.hessian_product(at, e) for e in np.eye(len(at))])
    return float(np.linalg.eigvalsh(0.5 * (axes + axes.T))[-1])


def experiment() -> Evidence:
    evidence = Evidence()
    rule = use("Adadelta:slides")
    neuron, beale = surfaces = landscape("neuron"), landscape("beale")
    paths, reached, closest, last = {}, {}, {}, {}
    for p in surfaces:
        runs = Trial(rule, p, STEPS, starts=np.array(p.starts), every=EVERY, record=("path", "loss")).run()
        path, name = runs.path[0], p.name
        far = np.linalg.norm(path - np.array(p.minima[0]), axis=2)
        hit = runs.loss[0] < TARGET
        paths[name], closest[name], last[name] = path, far.min(axis=1), far[:, -1]
        reached[name] = np.where(hit.any(axis=1), hit.argmax(axis=1) * EVERY, np.inf)
        for k, (x, y) in enumerate(p.starts):
            where = f"{name} from ({x:g}, {y:g})"
            evidence.number(f"steps to f < 10⁻³, {where}", reached[name][k])
            evidence.number(f"distance from the minimum after a million steps, {where}", last[name][k])
    early = Trial(rule, neuron, 10_000, starts=np.array(neuron.starts)).run().loss[0]
    uphill = evidence.number(
        "largest rise of f in the first 10,000 steps, neuron", np.diff(early, axis=1).max()
    )
    evidence.check("no step on the neuron goes uphill, but for rounding", uphill < 1e-15)
    evidence.check("the minimum is reached from all three starts", bool(np.all(last["neuron"] < 1e-6)))
    slow = reached["neuron"].max() / reached["neuron"].min()
    evidence.number("steps of the slowest start over those of the fastest, neuron", slow)
    evidence.limit(
        "soon only from a start with a slope: from the flat (-4, 4) it takes hundreds of times as long as from "
        "(-2, -2), and no rate is there to be raised",
        bool(slow > 100),
    )
    steep = {
        p.name: evidence.number(
            f"largest curvature at the minimum, {p.name}", _curvature(p, np.array(p.minima[0]))
        )
        for p in (neuron, beale)
    }
    evidence.limit(
        "to rest only where the minimum is not steep: on Beale's function it comes near and is driven off again, "
        "for its curvature is above 2 (see adadelta-settles)",
        bool(steep["beale"] > 2 and last["beale"][0] > 10 * closest["beale"][0]),
    )
    evidence.limit(
        "only into the valley where it starts: from (3, 4) on Beale's function it never sees the minimum",
        bool(closest["beale"][1] > 1),
    )
    start = np.array(neuron.starts[0])
    rates = {
        n: record(r, neuron, 1000, start=start, batch=0).rate[1:, 0]
        for n, r in {"Adadelta": rule, "Adagrad": use("Adagrad:slides", lr=0.1)}.items()
    }
    rises = {n: float(np.mean(np.diff(a) > 0)) for n, a in rates.items()}
    for name, value in rises.items():
        evidence.number(f"share of steps at which the rate of w rises, {name}", value)
    evidence.check("Adadelta's rate rises and falls", 0.05 < rises["Adadelta"] < 0.99)
    evidence.check("Adagrad's only falls", rises["Adagrad"] == 0)

    def map_of(p: FormulaProblem, title: str, shown: list[int]) -> Map:
        grid = p.grid()
        assert grid is not None
        runs = [
            Path(paths[p.name][k][SHOWN], "({:g}, {:g})".format(*p.starts[k]), "Adadelta", j)
            for j, k in enumerate(shown)
        ]
        x, y = p.minima[0]
        return Map(title, *(("w", "b") if p is neuron else ("x", "y")), grid, runs, [(x, y, "minimum")])

    step = np.arange(1, 1001)
    panels: list[Panel] = [
        map_of(neuron, "Adadelta on the neuron", [0, 1, 2]),
        map_of(beale, "Adadelta on Beale's function", [0, 2, 1]),
        Chart(
            "Effective rate of w on the neuron",
            "step",
            "effective learning rate",
            [Curve(step, a, n, n) for n, a in rates.items()],
            log="xy",
        ),
    ]
    evidence.picture = Picture(
        panels,
        "Adadelta's paths on two error surfaces, and its effective rate beside Adagrad's.",
        ("Adadelta", "Adagrad"),
    )
    evidence.reading = (
        "First: from three starts, named by their coordinates, Adadelta goes down to the neuron's minimum. Second: on "
        "Beale's function it depends on the start, and the steep minimum does not hold it. Last: its rate rises and "
        "falls with the surface, Adagrad's only falls."
    )
    return evidence
