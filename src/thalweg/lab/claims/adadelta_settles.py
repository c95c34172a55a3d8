r"""AdaDelta, whose numerator follows past updates, avoids RMSProp's endless oscillation and needs no initial
rate.

Source: [@notes]; [@readme].
Formula: a_t^2 = a_0^2 + \frac{\varepsilon\, t}{4} \left(1 - \frac{4}{h^2}\right) \quad \text{for a
curvature } h > 2, \text{ whatever } \beta \text{ is}
Measured: The largest distance from the minimum over late windows of up to a million steps, on the neuron of
the lecture notes and on quadratics of curvature 0.1 to 100; the steps to a target for several
$\varepsilon$; and the same neuron with noisy gradients. The formula is what the average squares give for an
oscillation of amplitude $a$ that grows slowly.
Refuted by: An amplitude that does not fall on the neuron and on curvatures below 2, or an RMSProp that
settles.
"""

import numpy as np

from ...core.rule import Rule
from ...problems import landscape
from ...problems.formula import FormulaProblem
from ...problems.quadratic import spectrum
from ..evidence import Evidence, use
from ..formatting import plain
from ..pictures.panels import Chart, Curve, Picture
from ..trial import Array, Trial

CHAPTER = "AdaDelta"
STEPS, EVERY, TARGET = 1_000_000, 11, 1e-3  # an odd stride sees both sides of an oscillation of period 2
SETTLED = 1e-10
CURVATURES = np.array([0.1, 1.0, 1.9, 2.1, 10.0, 100.0])
WINDOWS = np.unique(np.geomspace(1, STEPS // EVERY, 60).astype(int))


def _walk(rule: Rule, p: FormulaProblem, steps: int, every: int, batch: int = 0) -> Array:
    """The path from the first usual start: (records, d)."""
    runs = Trial(rule, p, steps, starts=p.starts[0], batch=batch, every=every, record=("path",)).run()
    path: Array = runs.path[0, 0]
    return path


def _envelope(distance: Array) -> Array:
    """The largest distance in each of the growing windows: (windows, ...)."""
    largest: Array = np.maximum.reduceat(distance, WINDOWS[:-1], axis=0)
    return largest


def experiment() -> Evidence:
    evidence = Evidence()
    neuron = landscape("neuron")
    best = np.array(neuron.minima[0])
    rules = {
        "RMSprop, lr 0.1": use("RMSprop:notes", lr=0.1),
        "RMSprop, lr 0.01": use("RMSprop:notes", lr=0.01),
        "Adadelta": use("Adadelta:notes"),
    }
    far = {
        n: _envelope(np.linalg.norm(_walk(r, neuron, STEPS, EVERY) - best, axis=1)) for n, r in rules.items()
    }
    middle = int(np.searchsorted(WINDOWS * EVERY, STEPS // 10))
    for name, d in far.items():
        evidence.number(f"distance on the neuron after a million steps, {name}", d[-1])
    for name in list(rules)[:2]:
        lasting = evidence.number(
            f"swing after a million steps over that after a hundred thousand, {name}",
            far[name][-1] / far[name][middle],
        )
        evidence.check(f"{name} goes on oscillating", abs(lasting - 1) < 0.01 and far[name][-1] > 1e-3)
    evidence.check("Adadelta settles on the neuron", far["Adadelta"][-1] < SETTLED)

    square = spectrum(CURVATURES, None)
    ends = {
        n: _envelope(np.abs(_walk(rules[n], square, STEPS, EVERY))) for n in ("RMSprop, lr 0.1", "Adadelta")
    }
    flat = CURVATURES < 2
    eps = float(rules["Adadelta"].at(0)["eps_u"])
    law = np.sqrt(eps * STEPS / 4 * (1 - 4 / CURVATURES[~flat] ** 2))
    for h, a in zip(CURVATURES, ends["Adadelta"][-1], strict=True):
        evidence.number(f"Adadelta's amplitude after a million steps, curvature {h:g}", a)
    evidence.number(
        "RMSprop's largest amplitude over all curvatures, in learning rates",
        ends["RMSprop, lr 0.1"][-1].max() / 0.1,
    )
    evidence.number(
        "Adadelta's amplitude over the formula's, curvature 100", ends["Adadelta"][-1, -1] / law[-1]
    )
    evidence.check(
        "Adadelta settles where the curvature is below 2", bool(np.all(ends["Adadelta"][-1, flat] < SETTLED))
    )
    evidence.check("RMSprop settles at no curvature", bool(np.all(ends["RMSprop, lr 0.1"][-1] > 1e-3)))
    steep = ends["Adadelta"][-1, ~flat]
    evidence.limit(
        "only where the curvature is below $2 \\sqrt{\\varepsilon_v / \\varepsilon_u}$, which is 2 for one ε: above it Adadelta's "
        "oscillation goes on growing, like $\\sqrt{\\varepsilon t} / 2$",
        bool(np.all(np.abs(steep / law - 1) < 0.05) and np.all(steep > 2 * ends["Adadelta"][middle, ~flat])),
    )

    noisy = neuron.transformed(noise=0.05)
    rough = [
        np.linalg.norm(_walk(rules[n], noisy, 100_000, 1, batch=1)[50_000:] - best, axis=1).mean()
        for n in rules
    ]
    for name, value in zip(rules, rough, strict=True):
        evidence.number(f"mean distance with gradient noise 0.05, {name}", value)
    evidence.limit("only while gradients carry no noise: with it Adadelta wanders too", rough[-1] > 0.01)

    tries = np.array([1e-4, 1e-6, 1e-8, 1e-10])
    vary = {"eps_v": tries, "eps_u": tries}
    runs = Trial(
        rules["Adadelta"], neuron, STEPS, starts=neuron.starts[0], vary=vary, record=(), stop=TARGET
    ).run()
    reached = runs.reached[:, 0]
    for value, steps in zip(tries, reached, strict=True):
        evidence.number(f"steps to f < 10⁻³ without any rate, ε = {plain(value)}", steps)
    evidence.check("without any rate it reaches the target at its default ε", bool(np.isfinite(reached[1])))
    evidence.limit(
        "without a rate, but not without a setting: ε takes its place (see eps-is-a-rate)",
        bool(reached[-1] > 10 * reached[1]),
    )

    at = WINDOWS[:-1] * EVERY
    late = np.arange(5000, 5021)
    near = {n: _walk(rules[n], neuron, 5050, 1)[late, 0] - best[0] for n in ("RMSprop, lr 0.1", "Adadelta")}
    looks = {
        "RMSprop, lr 0.1": ("RMSprop", 0),
        "RMSprop, lr 0.01": ("RMSprop", 1),
        "Adadelta": ("Adadelta", 0),
    }
    chosen = [(1, "curvature 1"), (4, "curvature 10")]
    panels = [
        Chart(
            "Neuron, after 5,000 steps",
            "step",
            "w minus its optimum",
            [Curve(late, y, n, *looks[n]) for n, y in near.items()],
        ),
        Chart(
            "Neuron: distance from the minimum",
            "step",
            "distance, largest in a window",
            [Curve(at, np.maximum(y, 1e-16), n, *looks[n]) for n, y in far.items()],
            log="xy",
        ),
        Chart(
            "Quadratics: amplitude",
            "step",
            "|w|, largest in a window",
            [
                Curve(at, np.maximum(ends["Adadelta"][:, k], 1e-16), f"Adadelta, {words}", "Adadelta", j)
                for j, (k, words) in enumerate(chosen)
            ]
            + [Curve(at, ends["RMSprop, lr 0.1"][:, 4], "RMSprop, lr 0.1", "RMSprop")]
            + [Curve(at, np.sqrt(eps * at / 4 * (1 - 4 / 10**2)), "theory, ½ √(ε t)", look="theory")],
            log="xy",
            y_range=(1e-8, 3.0),
        ),
    ]
    evidence.picture = Picture(
        panels,
        "On the neuron RMSprop oscillates for ever and Adadelta settles; on a steep quadratic Adadelta's "
        "oscillation grows with the square root of time.",
        ("RMSprop", "Adadelta"),
    )
    evidence.reading = (
        "First two: on the neuron RMSprop keeps jumping across the minimum while Adadelta comes to rest. "
        "Last: so it does on gentle curvature, but above a curvature of 2 its oscillation grows like $\\sqrt{t}$ and "
        "overtakes RMSprop's, which stays at half its rate."
    )
    return evidence
