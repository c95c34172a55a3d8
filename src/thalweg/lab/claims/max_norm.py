r"""As $p$ grows $|x|^p$ becomes too small or too large to represent; the limit $p = \infty$ (AdaMax, MaxProp)
is stable, and the unit circle of $L^p$ tends to the square.

Source: [@notes], which stop at the $L^p$ norm; the limits are those of [@kingma], section 7.1, and of the
course that the notes follow.
Formula: \left(\beta^p v^p + (1 - \beta^p)\, |g|^p\right)^{1/p} \;\longrightarrow\; \max(\beta v, |g|)
\qquad (p \to \infty)
Measured: The first whole $p$ at which $x^p$ is 0 or infinite in float32 and float64; the power sum as it
stands in the formula beside the library's LpProp, AdaMax and MaxProp in float32 on gradients of all sizes;
the distance of LpProp's path from MaxProp's and of the unit circle from the square against $p$.
Refuted by: Limits that fail where the powers do, or a path or circle that does not tend to the limit.
"""

from typing import Any

import numpy as np

from ...core.rule import Rule
from ...problems import landscape
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..trial import Array, Trial

CHAPTER = "Norms"
SIZES = np.geomspace(1e-12, 1e12, 25)  # of gradients
BASES = np.concatenate([np.geomspace(1e-6, 0.9, 24), np.geomspace(1.1, 1e6, 24)])
POWERS = np.array([1.0, 1.5, 2, 4, 8, 16, 32, 64, 100, 256, 1000])
SHOWN = (1.0, 1.5, 2.0, 4.0, 8.0, 32.0)
ANGLES = np.linspace(0, 2 * np.pi, 721)
STEPS = 200


def _breaks(x: float, dtype: type[np.floating[Any]]) -> float:
    """The first whole p at which x^p is 0 or infinite."""
    with np.errstate(all="ignore"):
        powers = dtype(x) ** np.arange(1, 20_001).astype(dtype)
    bad = (powers == 0) | ~np.isfinite(powers)
    return float(np.argmax(bad) + 1) if bad.any() else np.nan


def _circle(p: float) -> Array:
    """The unit circle of L^p, (angles, 2)."""
    along = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
    norms: Array = np.linalg.norm(along, p, axis=1)
    return along / norms[:, None]


def _updates(rule: Rule, gradients: Array) -> Array:
    """The updates in float32, (T, d), as the library makes them."""
    updates = []
    w = np.zeros(gradients.shape[1], np.float32)
    opt = rule.on(w, on_nonfinite="propagate")
    for g in gradients:
        w[:] = 0
        opt.step(g)
        updates.append(w.copy())
    return np.array(updates)


def _naive(gradients: Array, beta: float, p: float) -> Array:
    """g over the naive power sum's root in float32, (T, d)."""
    kept, power = np.float32(beta**p), np.float32(p)
    v, updates = np.zeros(gradients.shape[1], np.float32), []
    with np.errstate(all="ignore"):
        for g in gradients:
            v = kept * v + (1 - kept) * np.abs(g) ** power
            updates.append(-g / v ** (1 / power))
    return np.array(updates)


def experiment() -> Evidence:
    evidence = Evidence()
    for kind in (np.float32, np.float64):
        for x in (0.01, 0.1, 10.0):
            evidence.number(f"first p at which the power of {x:g} breaks, {kind.__name__}", _breaks(x, kind))
    evidence.check(
        "the powers of 0.1 and 10 break at p below 50 in float32",
        all(_breaks(x, np.float32) < 50 for x in (0.1, 10)),
    )

    wave = np.abs(np.random.default_rng(0).normal(1, 0.3, (50, 1))) + 0.1
    gradients = (wave * SIZES).astype(np.float32)
    stable = {
        "LpProp, p = 100": use("LpProp:notes", lr=1.0, p=100, eps=0.0),
        "MaxProp": use("MaxProp:notes", lr=1.0, eps=0.0),
        "Adamax": use("Adamax:notes", lr=1.0, eps=0.0),
    }
    beta = float(stable["MaxProp"].at(0)["beta"])
    naive = _naive(gradients, beta, 100.0)
    lost = np.mean(~np.isfinite(naive).all(axis=0) | (naive == 0).any(axis=0))
    evidence.number(
        "gradient sizes from 10⁻¹² to 10¹² at which the plain power sum, p = 100, fails in float32", lost
    )
    evidence.check("the naive power sum fails for most sizes", bool(lost > 0.5))
    one = int(np.argmin(np.abs(SIZES - 1)))
    off = {}
    for name, rule in stable.items():
        u = _updates(rule, gradients)
        off[name] = float(np.max(np.abs(u / u[:, one : one + 1] - 1)))
        evidence.number(f"largest relative difference of updates between sizes, {name}", off[name])
        if name != "LpProp, p = 100":
            evidence.check(f"{name} gives the same updates at every size", off[name] < 1e-4)
    ok = np.isfinite(naive).all(axis=0) & (naive != 0).all(axis=0)
    agree = np.abs(naive[:, ok] / _updates(stable["LpProp, p = 100"], gradients)[:, ok] - 1)
    evidence.number(
        "largest relative difference of the plain power sum from LpProp where it survives",
        agree.max(initial=0.0),
    )
    evidence.limit(
        "only where the powers are formed: divided by the larger term first, p = 100 is as stable as p = ∞",
        off["LpProp, p = 100"] < 1e-4,
    )

    neuron = landscape("neuron")

    def paths(rule: Rule, **vary: Array) -> Array:
        trial = Trial(rule, neuron, STEPS, starts=neuron.starts[0], vary=vary, record=("path",))
        return trial.run().path[:, 0]

    goal = paths(use("MaxProp:notes", lr=0.01))
    apart = np.abs(paths(use("LpProp:notes", lr=0.01), p=POWERS) - goal).max(axis=(1, 2))
    for p in (2, 8, 32, 100, 1000):
        evidence.number(f"distance of LpProp's path from MaxProp's, p = {p}", apart[p == POWERS][0])
    evidence.check(
        "LpProp's path tends to MaxProp's as p grows", bool(np.all(np.diff(apart) < 0) and apart[-1] < 1e-4)
    )

    square = _circle(np.inf)
    gaps = np.array(
        [np.max(np.abs(np.linalg.norm(_circle(p), axis=1) - np.linalg.norm(square, axis=1))) for p in POWERS]
    )
    for p in (2, 8, 32, 1000):
        evidence.number(
            f"largest gap in radius between unit circle and square, p = {p}", gaps[p == POWERS][0]
        )
    limit = evidence.number(
        "gap times p at p = 1000, over $\\sqrt{2} \\ln 2$", gaps[-1] * 1000 / (2**0.5 * np.log(2))
    )
    evidence.check(
        "the circle tends to the square, the gap falling like 1/p",
        bool(np.all(np.diff(gaps) < 0)) and abs(limit - 1) < 0.01,
    )

    breaks = {k.__name__: np.array([_breaks(x, k) for x in BASES]) for k in (np.float32, np.float64)}
    circles = {p: _circle(p) for p in SHOWN}
    panels = [
        Chart(
            "Unit circles of Lᵖ",
            "x₁",
            "x₂",
            [Curve(c[:, 0], c[:, 1], f"p = {p:g}") for p, c in circles.items()]
            + [Curve(square[:, 0], square[:, 1], "p = ∞", "MaxProp")],
            equal=True,
        ),
        Chart(
            "Where |x|ᵖ breaks",
            "|x|",
            "first p at which |x|ᵖ is 0 or infinite",
            [Curve(BASES, b, n) for n, b in breaks.items()],
            log="xy",
        ),
        Chart(
            "Distance from the limit p = ∞",
            "p",
            "distance",
            [
                Curve(POWERS, apart, "LpProp's path from MaxProp's", "MaxProp"),
                Curve(POWERS, gaps, "circle from square"),
            ],
            log="xy",
        ),
    ]
    evidence.picture = Picture(
        panels,
        "Unit circles of growing p fill the square; powers of numbers far from 1 break at small p; LpProp tends to MaxProp.",
        ("MaxProp",),
    )
    evidence.reading = (
        "First: as p grows the unit circle fills the square. Second: the farther x is from 1, the sooner its power "
        "under- or overflows. Last: LpProp, which never forms such a power, tends to MaxProp."
    )
    return evidence
