r"""On the badly scaled quadratic $H_\beta$ gradient descent contracts the slowest mode by $1 - \beta^{2(n-1)}$,
AdaGrad by about $1 - \beta^{n-1}$: it needs $(1/\beta)^{n-1}$ times fewer steps.

Source: [@darve] (“about 1,000” for $n = 4$, $\beta = 0.1$; “close to 30k” for $n = 100$, $\beta = 0.9$,
where $(1/\beta)^{n-1}$ is 33,884; eigenvectors near the identity, $\lambda_i \propto \beta^{2(i-1)}$;
$\varepsilon = 10^{-7}$ inside the root).
Formula: H_\beta = D_\beta H D_\beta, \quad [D_\beta]_{ii} = \beta^{i-1}, \qquad \frac{\text{steps of
gradient descent}}{\text{steps of AdaGrad}} \approx \left(\frac{1}{\beta}\right)^{n-1}
Measured: The spectra of $H_\beta$ and of the scaled matrix; steps until the distance to the minimum, in two
norms, or $f$ has fallen to $0.1 \ldots 10^{-6}$ of its start: of gradient descent from the spectrum in
closed form (checked by 12 million steps at $n = 4$), of AdaGrad by running it, with $\varepsilon = 10^{-7}$
and without $\varepsilon$. Both at the best of as many rates, equally far apart; gradient descent's end at
$1.999/\lambda_1$, and with $\alpha = 1/\lambda_1$ too. A tolerance not met counts as a gain of 0.
Refuted by: A gain from the spectra more than 2 % from 1,000, 15 % from 30,000, or 2 % from
$(1/\beta)^{n-1}$; a power of $\beta$ a tenth off in the eigenvalues or the slowest modes; an $|U_{ii}|$
below 0.9; a gain of no more than $(1/\beta)^{n-1}$ in steps to a thousandth of $\|x\|_2$ or $\max |xᵢ|$
against $\alpha = 1/\lambda_1$, from ones or a normal start, or of $\|x\|_2$ with both rates tuned.
"""

from functools import cache

import numpy as np

from ...core.rule import Rule
from ...problems.compiled import CompiledProblem
from ...problems.least_squares import scaled
from ...problems.quadratic import quadratic
from ..evidence import Evidence, use
from ..formatting import plain as written
from ..pictures.panels import Array, Chart, Curve, Picture
from ..search import grid
from ..theory import Darve, darve, descent_steps
from ..theory.scaling import Norm
from ..trial import Trial

CHAPTER = "Theory"
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-6)
MAIN = 1e-3  # the tolerance of the checks
LARGEST = 1.999  # of gradient descent's rates, in 1/λ₁: the steepest mode is stable below 2
NORMS: tuple[Norm, ...] = ("2", "max", "f")
NAMES = {"2": "‖x‖₂", "max": "max |xᵢ|", "f": "f"}
SIZES = {  # n → β, darve's gain, how near it is meant, steps, records every, AdaGrad's rates
    4: (0.1, 1000.0, 0.02, 20_000, 1, grid(0.03, 30, 25)),
    100: (0.9, 30_000.0, 0.15, 30_000, 20, grid(0.3, 1000, 8)),
}


def experiment() -> Evidence:
    evidence = Evidence()
    shown = {}
    for n, (beta, _, _, steps, every, rates) in SIZES.items():
        theory = _theory(n)
        stated = theory.gain_estimate
        _spectra(evidence, theory, n)
        p = quadratic(n, beta) if n == 4 else scaled(n, beta)
        start = np.ones(n)
        plain = {(q, t): _descent(theory, start, t, q) for q in NORMS for t in TOLERANCES}
        tuned = _tuned(theory, start)
        for (q, t), darves in plain.items():
            if q != "max" or t == MAIN:
                evidence.number(f"steps of SGD to {written(t)} of {NAMES[q]}, α = 1/λ₁, n = {n}", darves)
        evidence.number(f"steps of SGD to {MAIN:g} of {NAMES['2']}, best rate, n = {n}", tuned)
        for epsilon in (0.0, 1e-7):
            path, loss = _run(use("Adagrad:darve", eps=epsilon), p, start, rates, steps, every)
            gains = {}
            for q, t in plain:
                hit = _hits(_sizes(path, loss, q), t) * every
                gains[q, t] = plain[q, t] / hit.min()  # 0 where it was not met
                if q != "max" or t == MAIN:
                    text = f"steps of Adagrad to {written(t)} of {NAMES[q]}, ε = {written(epsilon)}, best rate, n = {n}"
                    evidence.number(text, hit.min())
            lr = float(rates[int(np.argmin(_hits(_sizes(path, loss, "2"), MAIN)))])
            evidence.number(f"best rate of Adagrad, ε = {written(epsilon)}, n = {n}", lr)
            shown[n, epsilon] = (
                np.arange(path.shape[1]) * every,
                _sizes(path, loss, "2")[list(rates).index(lr)],
            )
            for q in ("2", "max"):
                gain = evidence.number(
                    f"gain in steps to {MAIN:g} of {NAMES[q]}, ε = {written(epsilon)}, n = {n}",
                    gains[q, MAIN],
                )
                evidence.check(
                    f"the gain in steps to {MAIN:g} of {NAMES[q]} is more than {stated:,.0f}, ε = {written(epsilon)}, n = {n}",
                    gain > stated,
                )
            both = evidence.number(
                f"gain in steps to {MAIN:g} of ‖x‖₂, both at their best rates, ε = {written(epsilon)}, n = {n}",
                gains["2", MAIN] * tuned / plain["2", MAIN],
            )
            evidence.check(
                f"it is more than {stated:,.0f} with both tuned, ε = {written(epsilon)}, n = {n}",
                both > stated,
            )
            over_all = [g for (q, _), g in gains.items() if q != "f"]
            worst = evidence.number(
                f"smallest gain over norms of x and tolerances, ε = {written(epsilon)}, n = {n}",
                min(over_all),
            )
            evidence.number(
                f"of {len(over_all)} norms and tolerances, not met in {steps:,} steps (gain 0), ε = {written(epsilon)}, n = {n}",
                over_all.count(0.0),
            )
            if epsilon == 0:
                evidence.limit(
                    f"as a lower bound: without ε the gain is more than ten times as high, n = {n}",
                    worst > 10 * stated,
                )
                missed = gains["f", MAIN] < stated
                evidence.limit(
                    f"for the distance, not for f, whose first thousandth the steep modes decide, n = {n}",
                    missed,
                )
    _elsewhere(evidence)
    _run_of_descent(evidence, shown)
    _one(evidence)
    evidence.picture = _picture(shown)
    evidence.reading = (
        "First two: AdaGrad leaves the plateau thousands of times sooner than gradient descent, and sooner than the thin line of "
        "the analysis, which holds $s \\propto \\beta^{2i}$. Last: the eigenvalues fall like $\\beta^{2(i-1)}$; AdaGrad's scaling leaves $\\beta^{i-1}$."
    )
    return evidence


@cache
def _theory(n: int) -> Darve:
    return darve(n, SIZES[n][0])


def _spectra(evidence: Evidence, theory: Darve, n: int) -> None:
    i = np.arange(n)
    slope = np.polyfit(i * np.log(theory.beta), np.log(theory.eigenvalues), 1)[0]
    evidence.number(f"power of β by which λᵢ falls from i to i + 1, n = {n}", slope)
    evidence.check(
        f"it is 2 to a tenth, so $\\lambda_i \\propto \\beta^{{2(i-1)}}$, n = {n}", abs(slope / 2 - 1) < 0.1
    )
    evidence.number(f"smallest |Uᵢᵢ|, n = {n}", float(theory.alignment.min()))
    evidence.check(f"eigenvectors are near the identity, n = {n}", float(theory.alignment.min()) > 0.9)
    for text, value, power in (
        ("gradient descent", theory.ratio, 2 * (n - 1)),
        ("AdaGrad, $s \\propto \\beta^{2i}$", theory.preconditioned_ratio, n - 1),
    ):
        evidence.number(f"share of the slowest mode lost in a step, {text}, n = {n}", value)
        ours = evidence.number(
            f"that share as a power of β, {text}, n = {n}", np.log(value) / np.log(theory.beta)
        )
        evidence.check(f"that power is {power} to a tenth, {text}, n = {n}", abs(ours / power - 1) < 0.1)
    _, stated, within, *_ = SIZES[n]
    gain = evidence.number(f"gain from the spectra, n = {n}", theory.gain, stated, within)
    exact = evidence.number(f"$(1/\\beta)^{{n-1}}$, n = {n}", theory.gain_estimate)
    evidence.check(
        f"the gain from the spectra is $(1/\\beta)^{{n-1}}$ to 2 %, n = {n}", abs(gain / exact - 1) < 0.02
    )


def _descent(theory: Darve, start: Array, tolerance: float, norm: Norm, rate: float | None = None) -> float:
    """Steps of gradient descent in closed form, with darve's α = 1/λ₁ unless a rate is given."""
    return descent_steps(theory.eigenvalues, theory.vectors, start, tolerance, norm, rate)


def _tuned(theory: Darve, start: Array) -> float:
    """Steps of gradient descent to MAIN of ‖x‖₂ at the best of as many rates as AdaGrad's, as far apart."""
    rates = SIZES[len(start)][-1]
    multiples = LARGEST * rates / rates[-1]
    return min(_descent(theory, start, MAIN, "2", m / theory.eigenvalues[0]) for m in multiples)


def _run(
    rule: Rule, p: CompiledProblem, start: Array, rates: Array, steps: int, every: int
) -> tuple[Array, Array]:
    """Paths (rates, records, n) and losses (rates, records)."""
    runs = Trial(rule, p, steps, starts=start, vary={"lr": rates}, every=every, record=("path", "loss")).run()
    return runs.path[:, 0], runs.loss[:, 0]


def _sizes(path: Array, loss: Array, norm: Norm) -> Array:
    """What is left of the start's distance, or f: (C, R)."""
    with np.errstate(all="ignore"):  # a run that diverges
        kinds = {"2": np.linalg.norm(path, axis=2), "max": np.abs(path).max(axis=2), "f": loss}
        left: Array = kinds[norm] / kinds[norm][:, :1]
    return left


def _hits(left: Array, tolerance: float) -> Array:
    """The first record at or below the tolerance, inf where there is none: (C,)."""
    hit = left <= tolerance
    return np.where(hit.any(axis=1), hit.argmax(axis=1), np.inf)


def _elsewhere(evidence: Evidence) -> None:
    """The gain in ‖x‖₂ from normal starts, without ε."""
    for n, (beta, _, _, steps, every, rates) in SIZES.items():
        theory = _theory(n)
        stated = theory.gain_estimate
        p = quadratic(n, beta) if n == 4 else scaled(n, beta)
        for seed in (1, 2):
            start = np.random.default_rng(seed).standard_normal(n)
            path, loss = _run(use("Adagrad:darve", eps=0.0), p, start, rates, steps // 2, every)
            hit = float(_hits(_sizes(path, loss, "2"), MAIN).min()) * every
            gain = evidence.number(
                f"gain in steps to {MAIN:g} of ‖x‖₂, normal start {seed}, n = {n}",
                _descent(theory, start, MAIN, "2") / hit,
            )
            evidence.check(
                f"the gain is more than {stated:,.0f} from normal start {seed}, n = {n}", gain > stated
            )


def _run_of_descent(evidence: Evidence, shown: dict[tuple[int, float], tuple[Array, Array]]) -> None:
    """Gradient descent at n = 4, step by step, against its closed form."""
    theory, every = _theory(4), 1000
    alpha = 1 / theory.eigenvalues[0]
    path, loss = _run(use("SGD"), quadratic(4, 0.1), np.ones(4), np.array([alpha]), 12_000_000, every)
    left = _sizes(path, loss, "2")
    shown[4, -1.0] = np.arange(left.shape[1]) * every, left[0]
    ran = evidence.number(
        "steps of SGD to 0.001 of ‖x‖₂, α = 1/λ₁, n = 4, run", float(_hits(left, MAIN)[0]) * every
    )
    predicted = _descent(theory, np.ones(4), MAIN, "2")
    evidence.check("the run agrees with the closed form to a thousandth", abs(ran / predicted - 1) < 1e-3)


def _one(evidence: Evidence) -> None:
    """AdaGrad with darve's ε at lr = 1, n = 100, as long as the predicted gain allows."""
    theory = _theory(100)
    allowed = int(_descent(theory, np.ones(100), MAIN, "2") / theory.gain_estimate)
    path, loss = _run(use("Adagrad:darve"), scaled(), np.ones(100), np.array([1.0]), allowed, allowed // 100)
    left = evidence.number(
        f"share of ‖x‖₂ left after {allowed:,} steps of Adagrad, lr = 1, ε = 10⁻⁷, n = 100",
        _sizes(path, loss, "2")[0, -1],
    )
    evidence.limit(
        "for n = 100 only without ε or with a rate well above 1: ε = 10⁻⁷ exceeds the squares of the small gradients, and at lr = 1 the gain is missed",
        left > MAIN,
    )


def _picture(shown: dict[tuple[int, float], tuple[Array, Array]]) -> Picture:
    panels = []
    for n, most in ((4, 1e8), (100, 1e11)):
        beta = SIZES[n][0]
        theory, x = _theory(n), np.ones(n)
        steps = np.geomspace(1, most, 240)
        modes = theory.vectors.T @ x
        logs = np.log1p(-np.minimum(theory.eigenvalues / theory.eigenvalues[0], 1 - 1e-16))
        descent = np.linalg.norm(modes * np.exp(np.outer(steps, logs)), axis=1) / np.linalg.norm(x)
        curves = []
        if n == 4:
            t, left = shown[4, -1.0]
            curves.append(Curve(t[1:], left[1:], "SGD, run", "SGD"))
        curves.append(Curve(steps, descent, "SGD, closed form", look="theory"))
        for epsilon, label in ((0.0, "Adagrad, ε = 0"), (1e-7, "Adagrad, ε = 10⁻⁷")):
            t, left = shown[n, epsilon]
            curves.append(Curve(t[1:], left[1:], label, "Adagrad", int(epsilon > 0)))
        curves.append(Curve(steps, np.exp(-steps * beta ** (n - 1)), "1 − βⁿ⁻¹", look="theory"))
        title = f"Distance, n = {n}, β = {beta:g}"
        panels.append(Chart(title, "step", "‖x‖ / ‖x₀‖", curves, log="xy", y_range=(1e-6, 2.0)))
    theory, i = _theory(100), np.arange(1, 101)
    panels.append(
        Chart(
            "Eigenvalues, n = 100, β = 0.9",
            "i",
            "λᵢ",
            [
                Curve(i, theory.eigenvalues, "of H_β", "SGD"),
                Curve(i, theory.preconditioned, "scaled by β¹⁻ⁱ", "Adagrad"),
                Curve(i, 0.9 ** (2 * (i - 1.0)), "β²⁽ⁱ⁻¹⁾", look="theory"),
                Curve(i, 0.9 ** (i - 1.0), "βⁱ⁻¹", look="theory"),
            ],
            log="y",
        )
    )
    return Picture(
        panels,
        "Distance against steps for gradient descent and Adagrad on H_β of two sizes, and the spectra behind it.",
        ("SGD", "Adagrad"),
    )
