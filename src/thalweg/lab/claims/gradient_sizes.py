r"""On the badly scaled quadratic $H_\beta$ the gradient's components have the sizes $|[H_\beta X]_i| \approx
\beta^{i-1} \|X\|$.

Source: [@darve] (the estimate that leads to AdaGrad, and $s_i \propto \beta^{2i}$ that follows from it).
Formula: [H_\beta X]_i = \beta^{i-1} \sum_{j=1}^{n} H_{ij}\, \beta^{j-1} X_j \approx \beta^{i-1} \|X\|
Measured: The exponent, fitted to the medians over 20 matrices and normal $X$, for $(n, \beta) = (4, 0.1),
(10, 0.5), (100, 0.9)$, over all $i$ and over the second half, where the estimate should be best; the factor
in front; the same for AdaGrad's $\sqrt{s_i}$ after 100 steps; for an $H$ without couplings; and along a run
of gradient descent.
Refuted by: An exponent that is not nearer to 1 than to 2, gradient descent's, where $i$ is large, or an
AdaGrad whose $\sqrt{s_i}$ does not follow it.
"""

import numpy as np

from ...problems.least_squares import scaled
from ...problems.quadratic import matrix, of
from ..evidence import Evidence, use
from ..pictures.panels import Array, Chart, Curve, Picture
from ..record import record
from ..trial import Trial

CHAPTER = "Theory"
SIZES = ((4, 0.1), (10, 0.5), (100, 0.9))
MATRICES, POINTS = 20, 200
SHOWN = (0, 100, 10_000, 300_000)  # steps of gradient descent


def experiment() -> Evidence:
    evidence = Evidence()
    for n, beta in SIZES:
        ratio = _ratios(n, beta)
        whole, tail = (
            _exponent(np.median(ratio, axis=1), beta),
            _exponent(np.median(ratio, axis=1), beta, n // 2),
        )
        front = ratio / beta ** np.arange(n)[:, None]
        evidence.number(f"exponent over all i, n = {n}", whole)
        evidence.number(f"exponent over the second half, n = {n}", tail)
        evidence.number(f"$|[HX]_i|$ over $\\beta^{{i-1}} \\|X\\|$, median, n = {n}", float(np.median(front)))
        for q in (10, 90):
            evidence.number(
                f"$|[HX]_i|$ over $\\beta^{{i-1}} \\|X\\|$, {q} % quantile, n = {n}",
                float(np.percentile(front, q)),
            )
        evidence.check(f"the exponent is 1 to a quarter over the second half, n = {n}", abs(tail - 1) < 0.25)
        if n == 100:
            evidence.limit(
                "in proportion only: for n = 100 the median is less than a tenth of $\\beta^{i-1} \\|X\\|$, since ‖D X‖ counts, not ‖X‖",
                float(np.median(front)) < 0.1,
            )
    plain = _exponent(np.median(_ratios(10, 0.5, condition=1.0), axis=1), 0.5)
    evidence.number("exponent for H = I, n = 10", plain)
    evidence.limit(
        "only where H couples the coordinates: for H = I it is $\\beta^{2(i-1)}$", abs(plain - 2) < 0.1
    )
    evidence.limit(
        "for i large: over all i the exponent is above 1.1, since the diagonal's share falls like $\\beta^{2(i-1)}$",
        _exponent(np.median(_ratios(10, 0.5), axis=1), 0.5) > 1.1,
    )
    roots = []
    for seed in range(MATRICES):
        p = scaled(10, 0.5, seed=seed)
        start = np.random.default_rng(seed).standard_normal(10)
        roots.append(
            np.sqrt(record(use("Adagrad:darve", lr=0.1, eps=0.0), p, 100, start=start).states["s"][-1])
        )
    grown = evidence.number(
        "exponent of Adagrad's $\\sqrt{s_i}$ over the second half, n = 10",
        _exponent(np.median(roots, axis=0), 0.5, 5),
    )
    evidence.check("AdaGrad's $\\sqrt{s_i}$ has the exponent 1 to a quarter", abs(grown - 1) < 0.25)
    along = _descent()
    late = _exponent(along[-1], 0.5, 5)
    evidence.number(f"exponent after {SHOWN[-1]:,} steps of gradient descent, n = 10", late)
    evidence.limit("only early in a run: once the steep modes have converged the order is reversed", late < 0)
    evidence.picture = _picture(along)
    evidence.reading = (
        "First: the components fall like $\\beta^{i-1}$ once i is large, whatever balanced H is; without couplings they fall twice "
        "as fast. Last: along a run of gradient descent the large components go first; in the end the order is reversed."
    )
    return evidence


def _ratios(n: int, beta: float, condition: float = 2.0) -> Array:
    """|[H X]_i| / ‖X‖ over matrices and normal X: (n, MATRICES * POINTS)."""
    ratios = []
    for seed in range(MATRICES):
        x = np.random.default_rng(seed).standard_normal((n, POINTS))
        ratios.append(np.abs(matrix(n, beta, condition, seed) @ x) / np.linalg.norm(x, axis=0))
    return np.hstack(ratios)


def _exponent(sizes: Array, beta: float, first: int = 0) -> float:
    """The slope of log size against i log β, from coordinate ``first`` on."""
    i = np.arange(len(sizes))[first:]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(sizes[first:])
    return float(np.polyfit(i * np.log(beta), logs, 1)[0]) if np.isfinite(logs).all() else np.nan


def _descent() -> Array:
    """|[H x]_i| / ‖x‖ at SHOWN steps of gradient descent with lr = 1/λ₁, medians over matrices: (len(SHOWN), 10)."""
    sizes = []
    for seed in range(MATRICES):
        h = matrix(10, 0.5, seed=seed)
        start = np.random.default_rng(seed).standard_normal(10)
        rule, p = use("SGD", lr=1 / float(np.linalg.eigvalsh(h)[-1])), of(h, tuple(start))
        every = SHOWN[1]
        runs = Trial(rule, p, SHOWN[-1], starts=start, every=every, record=("path",)).run()
        x = runs.path[0, 0, [t // every for t in SHOWN]]
        sizes.append(np.abs(x @ h) / np.linalg.norm(x, axis=1)[:, None])
    medians: Array = np.median(sizes, axis=0)
    return medians


def _picture(along: Array) -> Picture:
    n, beta = 100, 0.9
    i = np.arange(1, n + 1)
    ratio = _ratios(n, beta)
    low, high = np.quantile(ratio, [0.1, 0.9], axis=1)
    ten = np.arange(1, 11)
    return Picture(
        [
            Chart(
                "Gradient components, n = 100, β = 0.9",
                "i",
                "|[H X]_i| / ‖X‖",
                [
                    Curve(i, np.median(ratio, axis=1), "condition of H 2", band=(low, high)),
                    Curve(i, np.median(_ratios(n, beta, 10.0), axis=1), "condition 10"),
                    Curve(i, np.median(_ratios(n, beta, 1.0), axis=1), "H = I"),
                    Curve(i, beta ** (i - 1.0), "βⁱ⁻¹", look="theory"),
                ],
                log="y",
            ),
            Chart(
                "Along gradient descent, n = 10, β = 0.5",
                "i",
                "|[H x]_i| / ‖x‖",
                [
                    Curve(ten, y, f"step {t:,}", "SGD", k % 3)
                    for k, (t, y) in enumerate(zip(SHOWN, along, strict=True))
                ]
                + [Curve(ten, 0.5 ** (ten - 1.0), "βⁱ⁻¹", look="theory")],
                log="y",
            ),
        ],
        "Sizes of the gradient's components against their number, at random points and along a run.",
        ("SGD",),
    )
