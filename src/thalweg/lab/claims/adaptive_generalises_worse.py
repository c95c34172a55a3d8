r"""On a problem that is built for it, adaptive methods find solutions that generalise worse than gradient
descent's, though both fit the training data.

Source: [@slides], after [@wilson]. The slides' text says “even when these solutions have better training
performance”, the caption of their figure “worse on both train and test”; that figure is about CIFAR-10,
which this construction does not reproduce: here all methods interpolate the training data.
Formula: w_{\text{plain}} = X^{\top} (X X^{\top})^{-1} y, \qquad w_{\text{adaptive}} \propto
\operatorname{sign}(X^{\top} y)
Measured: The error on new examples of what each method converges to from $w = 0$, for four sizes and shares
of positives; the training loss there; the interpolating solution of minimum norm in closed form against the
pseudo-inverse and against gradient descent's end. Then three dials: $\varepsilon$ against the size
$\tilde{g} = 1/n$ of a private feature's gradient, the batch size, the state's initial value (RMSProp with
$\beta = 0.999$ there: 0.9 forgets it).
Refuted by: An adaptive method that makes fewer errors, or a plain one that makes any.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ...core.rule import Rule
from ...core.schedule import cosine
from ...problems.wilson import Wilson, minimum_norm
from ..evidence import Evidence, use
from ..pictures.panels import Array, Chart, Curve, Picture
from ..search import grid
from ..trial import Trial

CHAPTER = "Limits"
PLACES = ((100, 0.6), (100, 0.55), (60, 0.75), (200, 0.6))
ADAPTIVE = {  # label → rule, settings, smallest rate, state
    "Adagrad": ("Adagrad:notes", {}, 0.1, "s"),
    "RMSprop": ("RMSprop:notes-code", {"beta": 0.9, "eps": 1e-8}, 1e-3, "v"),
    "Adam": ("Adam:slides", {}, 1e-3, "v"),
}
LONG = {"RMSprop": {"beta": 0.999}}  # with 0.9 the initial state is forgotten before the run has settled
PLAIN = {"SGD": "SGD", "Momentum": "Momentum:slides"}
N, P = PLACES[0]
EPSILONS, STATES = grid(0.01, 100, 17), np.append(0.0, grid(1e-6, 1, 13))  # times g̃; as they are
BATCHES, SEEDS = (1, 5, 10, 25, 50, 75, 100), 3
STOP, STEPS, EVERY = 1e-9, 4000, 200


def experiment() -> Evidence:
    evidence = Evidence()
    for n, p in PLACES:
        p_here = Wilson(n, p)
        where = f"n = {n}, p = {p:g}"
        for label, (name, settings, low, _) in ADAPTIVE.items():
            w, loss = _ends(
                use(name, **settings), p_here, {"lr": np.array([low]), "eps": np.array([1e-3 / n])}
            )
            error = evidence.number(f"error on new examples, {label}, {where}", p_here.metric(w[0]))
            evidence.check(
                f"{label}'s error is the share 1 - p of negatives, {where}", abs(error - (1 - p)) < 1e-9
            )
            evidence.check(
                f"{label} fits the training data and calls all positive, {where}",
                loss[0] < 1e-5 and error > 0,
            )
            even = np.allclose(np.abs(w[0]), 0.25, atol=0.02)
            evidence.check(f"{label} ends at w = ±1/4 in every weight, {where}", bool(even))
        for label, name in PLAIN.items():
            w, loss = _ends(use(name), p_here, {"lr": np.array([0.5])}, stop=1e-26)
            error = evidence.number(f"error on new examples, {label}, {where}", p_here.metric(w[0]))
            evidence.check(
                f"{label} fits the training data and makes no error, {where}", loss[0] < 1e-5 and error == 0
            )
            apart = np.abs(w[0] - p_here.least_norm()).max()
            evidence.check(f"{label} ends at the solution of minimum norm, {where}", apart < 1e-10)
        exact = np.linalg.pinv(p_here.inputs) @ p_here.targets
        gap = np.abs(exact - p_here.least_norm()).max()
        evidence.check(f"the closed form is the pseudo-inverse's solution, {where}", gap < 1e-10)
    for text, alphas in (("closed form here", minimum_norm), ("the often quoted α", _quoted)):
        evidence.number(
            f"residual of Wilson's system, {text}, n = 200", _residual(Wilson(200, 0.6), *alphas(120, 80))
        )
    problem = Wilson(N, P)
    dials = {"ε": _epsilon(problem), "batch": _batch(problem), "state": _state(problem)}
    for dial, values, unit in (("ε", EPSILONS, "g̃"), ("batch", np.array(BATCHES), ""), ("state", STATES, "")):
        for label, scores in dials[dial].items():
            good = values[scores < 0]
            edge = (good.max() if dial == "batch" else good.min()) if good.size else np.nan
            word = (
                "largest batch" if dial == "batch" else f"smallest {'ε' if dial == 'ε' else 'initial state'}"
            )
            evidence.number(f"{word} without error{', in ' + unit if unit else ''}, {label}", float(edge))
    evidence.limit(
        "only with ε below the gradients: with ε = 10 g̃ none errs", _all_right(dials["ε"], EPSILONS >= 10)
    )
    evidence.limit(
        "only with full or half batches: with 10 of 100 none errs",
        _all_right(dials["batch"], np.array(BATCHES) <= 10),
    )
    evidence.limit(
        "only from states near 0: from 0.1, a thousand times $\\tilde{g}^2$, none errs",
        _all_right(dials["state"], STATES >= 0.1),
    )
    evidence.picture = _picture(dials, problem)
    evidence.reading = (
        "Each panel turns one dial of the same runs. Where a curve is above 0 the method calls every new negative "
        f"positive and errs on 1 − p = {1 - P:g} of new examples; below 0 it makes no error, as gradient descent always."
    )
    return evidence


def _ends(
    rule: Rule,
    p: Wilson,
    vary: Mapping[str, Array],
    steps: int = STEPS,
    every: int = EVERY,
    batch: int = 0,
    seeds: Sequence[int] = (0,),
    stop: float = STOP,
) -> tuple[Array, Array]:
    """Weights (C, d) and training loss (C,) at the end of each run from w = 0, or once it interpolates."""
    trial = Trial(
        rule,
        p,
        steps,
        seeds,
        starts=p.starts[0],
        batch=batch,
        vary=vary,
        every=every,
        record=("loss", "path"),
        stop=stop,
    )
    runs = trial.run()
    last = np.minimum(runs.reached, runs.steps[-1]).astype(int) // every
    at = (*np.indices(last.shape), last)
    return runs.path[at].reshape(last.size, -1), runs.loss[at].ravel()


def _scores(p: Wilson, ends: tuple[Array, Array]) -> Array:
    """Scores of a new negative example, NaN where the run does not fit the training data."""
    return np.array([p.scores(w)[1] if loss < 1e-5 else np.nan for w, loss in zip(*ends, strict=True)])


def _epsilon(p: Wilson) -> dict[str, Array]:
    scores = {}
    eps = EPSILONS / N
    for label, (name, settings, low, _) in ADAPTIVE.items():
        vary = {"eps": eps, "lr": np.maximum(low, 0.3 * eps)}
        scores[label] = _scores(p, _ends(use(name, **settings), p, vary))
    return scores


def _state(p: Wilson) -> dict[str, Array]:
    scores = {}
    for label, (name, settings, low, state) in ADAPTIVE.items():
        vary = {state: STATES, "lr": np.maximum(low, 0.3 * np.sqrt(STATES))}
        scores[label] = _scores(p, _ends(use(name, **(settings | LONG.get(label, {}))), p, vary))
    return scores


def _batch(p: Wilson) -> dict[str, Array]:
    """Medians over shuffles; the rates of those that average fall to 0, so that they too settle."""
    scores = {}
    for label, (name, settings, low, _) in ADAPTIVE.items():
        medians = []
        for batch in BATCHES:
            steps = 20_000 // batch + 2000
            rule = use(name, **settings, lr=low if label == "Adagrad" else cosine(3 * low, steps=steps))
            medians.append(np.median(_scores(p, _ends(rule, p, {}, steps, steps // 20, batch, range(SEEDS)))))
        scores[label] = np.array(medians)
    return scores


def _all_right(scores: dict[str, Array], where: Array) -> bool:
    return all(bool(np.all(s[where] < 0)) for s in scores.values())


def _quoted(positives: int, negatives: int) -> tuple[float, float]:
    d = 9 * positives + 3 * negatives + 8 * positives * negatives + 3
    return (4 * negatives + 3) / d, -(4 * positives + 1) / d


def _residual(p: Wilson, plus: float, minus: float) -> float:
    alpha = np.where(p.targets > 0, plus, minus)
    return float(np.abs(p.inputs @ (p.inputs.T @ alpha) - p.targets).max())


def _picture(dials: dict[str, dict[str, Array]], p: Wilson) -> Picture:
    least = p.scores(p.least_norm())[1]
    levels = [(0.0, "above: an error"), (least, "SGD")]
    axes = {
        "ε": ("ε, full batch", "ε / g̃", EPSILONS),
        "batch": ("Batch size", "rows of 100", np.array(BATCHES)),
        "state": ("Initial state", "s₀ or v₀", STATES),
    }
    panels = []
    for dial, (title, x, values) in axes.items():
        shown = values > 0
        curves = [Curve(values[shown], s[shown], m, m) for m, s in dials[dial].items()]
        panels.append(Chart(title, x, "score of a new negative example", curves, log="x", levels=levels))
    return Picture(
        panels,
        "The score of new negative examples against ε, batch size and initial state for three adaptive methods.",
        ("Adagrad", "RMSprop", "Adam"),
    )
