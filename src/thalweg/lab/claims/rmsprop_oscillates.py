r"""Near the minimum RMSProp's effective rate becomes constant, so that with a poor initial rate it oscillates
for ever.

Source: [@notes]; they offer “maybe” as the reason.
Formula: |w| = a, \quad |g| = \lambda a, \quad v = (\lambda a)^2 \quad \Rightarrow \quad |\Delta| = \eta =
2a, \qquad \frac{\eta}{\sqrt{v}} = \frac{2}{\lambda}
Measured: Where the oscillation ends, against a law that makes the “maybe” exact: a swing between $a$ and
$-a$ on curvature $\lambda$ has steps of $\eta$, so $a = \eta/2$ and the effective rate is $2/\lambda$. Runs
over learning rates, $\beta$ and curvatures, their last hundred steps; the largest eigenvalue of rate times
Hessian on four landscapes, which the law puts at 2; an $\varepsilon$ outside the root, which leaves $a =
\eta/2 - \varepsilon/\lambda$; and learning rates that decay.
Refuted by: A rate that goes on changing, a run that comes to rest although $\varepsilon$ is small, or a
swing that is not $\eta/2$.
"""

import numpy as np

from ...core.line import Scalar
from ...core.schedule import inverse_sqrt, inverse_time
from ...problems import landscape
from ...problems.quadratic import spectrum
from ..evidence import Evidence, use
from ..pictures.panels import Chart, Curve, Picture
from ..trial import Array, Trial

CHAPTER = "RMSProp"
LAMBDA = np.array([0.01, 1.0, 100.0])
LRS, BETAS, SLOW = (0.001, 0.01, 0.1), (0.5, 0.9, 0.99), 0.999
STEPS, LAST, START = 20_000, 100, (0.3, 0.7, 0.5)
EPS = 1e-300  # nothing beside any gradient


def experiment() -> Evidence:
    evidence = Evidence()
    bowl = spectrum(LAMBDA, None)

    def end(rule_name: str, lr: Array, **vary: Array) -> tuple[Array, Array]:
        """|x| and the rates over the last steps: (settings, LAST, 3)."""
        settings = {"lr": lr, **{n: np.broadcast_to(v, lr.shape) for n, v in vary.items()}}
        first = {n: float(v.flat[0]) for n, v in settings.items()}
        rule = use(rule_name, **first)
        runs = Trial(rule, bowl, STEPS, starts=START, vary=settings, record=("path", "rates")).run()
        return np.abs(runs.path[:, 0, -LAST:]), runs.rates[:, 0, -LAST:]

    lr, beta = (a.ravel() for a in np.meshgrid(LRS, BETAS))
    x, rate = end("RMSprop:slides", lr, beta=beta, eps_root=np.array(EPS))
    swing, sharp = x / (lr[:, None, None] / 2), rate * LAMBDA
    for words, values, law in (("swing over lr/2", swing, 1), ("curvature times effective rate", sharp, 2)):
        evidence.number(f"{words}, smallest of all", values.min())
        evidence.number(f"{words}, largest of all", values.max())
        evidence.check(f"{words} is {law}, every lr, β and curvature", np.allclose(values, law, rtol=1e-6))
    change = np.max(np.ptp(rate, axis=1) / rate.mean(axis=1))
    evidence.number("largest relative change of the rate in the last hundred steps", change)
    evidence.check("the rate has become constant", change < 1e-6)

    for name in ("neuron", "beale", "himmelblau", "quadratic"):
        on = landscape(name)
        near, rule = np.array(on.minima[0]) + 0.05, use("RMSprop:slides", lr=0.01, eps=EPS)
        swinging = Trial(rule, on, STEPS, starts=near, record=("path", "rates")).run()
        w, a = swinging.path[0, 0, -2:], swinging.rates[0, 0, -2:].mean(axis=0)
        hessian = np.array([on.hessian_product(w.mean(axis=0), e) for e in np.eye(w.shape[1])])
        top = float(np.max(np.abs(np.linalg.eigvals(a[:, None] * hessian))))
        evidence.number(f"largest eigenvalue of rate · Hessian at the end, {name}", top)
        evidence.check(f"it is 2 within 1 % on {name}", abs(top / 2 - 1) < 0.01)

    lr = np.full(6, 0.1)
    eps = 0.5 * lr * np.array([0.01, 0.1, 0.5, 0.9, 1.1, 2.0])  # in units of λ·lr/2 for λ = 1
    x, _ = end("RMSprop:notes-code", lr, beta=np.array(0.9), eps=eps)
    left = np.maximum(lr[:, None] / 2 - eps[:, None] / LAMBDA, 0.0)
    evidence.check(
        "an ε leaves the swing lr/2 - ε/λ, nothing where that is negative",
        np.allclose(x[:, -1], left, atol=1e-6),
    )
    evidence.number("last |x| for ε at 0.9 of λ·lr/2, over lr/2", x[3, -1, 1] / (lr[0] / 2))
    evidence.number("last |x| for ε at 1.1 of λ·lr/2, over lr/2", x[4, -1, 1] / (lr[0] / 2))
    evidence.limit(
        "only while ε is below λ·lr/2, the size of the gradient in the swing",
        bool(np.all(x[4:, -1, 1] < 1e-6)),
    )
    x, _ = end("RMSprop:slides", np.array(LRS), beta=np.array(SLOW), eps_root=np.array(EPS))
    rests = int(np.sum(x[:, -1] < 1e-300))
    evidence.number(f"runs of {x[:, -1].size} that underflow to rest at β = {SLOW:g}", rests)
    evidence.limit(
        f"only while the average forgets in time: at β = {SLOW:g} runs underflow to rest first", rests > 0
    )

    plans: dict[str, Scalar] = {
        "constant lr": 0.1,
        "lr/(1 + t/100)": inverse_time(0.1, decay=0.01),
        "lr over the root of 1 + t": inverse_sqrt(0.1),
    }
    runs = {}
    for words, plan in plans.items():
        rule = use("RMSprop:slides", lr=plan, beta=0.9, eps=EPS)
        path = Trial(rule, bowl, STEPS, starts=START, record=("path",)).run().path
        runs[words] = np.abs(path[0, 0, :, 1])
        evidence.number(f"last |x| over the first lr/2, {words}", runs[words][-1] / 0.05)
    decayed = max(float(r[-LAST:].max()) for r in list(runs.values())[1:])
    evidence.limit(
        "only while the learning rate is constant: decayed, the swing goes with it", decayed < 0.02 * 0.05
    )

    shown = use("RMSprop:slides", beta=0.9, eps=EPS)
    begun = Trial(shown, bowl, 2000, starts=START, vary={"lr": np.array(LRS)}, record=("path", "rates")).run()
    early = slice(0, 2001, 3)  # an odd stride, so that both ends of a swing are seen
    evidence.picture = Picture(
        [
            Chart(
                "Distance from the minimum, curvature 1",
                "step",
                "|x|",
                [
                    Curve(
                        begun.steps[early], np.abs(begun.path[k, 0, early, 1]), f"lr = {rate:g}", "RMSprop", k
                    )
                    for k, rate in enumerate(LRS)
                ],
                log="y",
                levels=[(rate / 2, "lr/2") for rate in LRS],
                y_range=(1e-4, 1),
            ),
            Chart(
                "Curvature times effective rate",
                "step",
                "λ · rate",
                [
                    Curve(begun.steps[early], begun.rates[k, 0, early, 1], f"lr = {rate:g}", "RMSprop", k)
                    for k, rate in enumerate(LRS)
                ],
                log="y",
                levels=[(2.0, "2")],
            ),
            Chart(
                "The same with a decaying lr",
                "step",
                "|x|",
                [
                    Curve(np.arange(1, STEPS + 1, 7), run[1::7], words, "RMSprop", k)
                    for k, (words, run) in enumerate(runs.items())
                ],
                log="xy",
                y_range=(1e-4, 1),
            ),
        ],
        "RMSprop's distance from the minimum ends at half the learning rate and its effective rate at 2 over the "
        "curvature; with a decaying rate the distance goes on falling.",
        ("RMSprop",),
    )
    evidence.reading = (
        "First two: every rate ends in a swing between lr/2 and -lr/2 with an effective rate of exactly 2/λ, the "
        "edge of stability; a small rate swings as long as a large one, only closer. Last: a decaying rate ends it."
    )
    return evidence
