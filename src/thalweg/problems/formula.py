"""Problems written as formulas: of few parameters, so that whole runs are compiled."""

from collections.abc import Sequence
from math import cos, sin

import numpy as np

from ..core.formula import from_text
from ..core.objective import Objective
from ..engines.ops import vectorised
from ..errors import ProblemError
from .base import NOISE, Array, Outsider, Rows, numeric, shown, stream
from .compiled import CompiledProblem

DOMAIN = 10  # windows wide
CHUNK = 1 << 16  # points times rows that are evaluated at once
NOISE_ROWS = 512  # at least so many draws, in opposite pairs: their mean is exactly zero


class FormulaProblem(CompiledProblem):
    """An objective in formulas, with its starts, its minima and a window to show.

    ``starts`` are the usual ones, ``spread`` the standard deviation by which a seed moves the first
    of them, ``minima`` known minimisers, ``data`` (rows, columns) float64 for objectives with columns. Without a
    known ``minimum`` the domain is ``DOMAIN`` times the window. Raises ProblemError where these do not fit the objective.
    """

    loss_name = "f"
    objective: Objective

    def __init__(
        self,
        name: str,
        title: str,
        text: str,
        objective: Objective,
        *,
        starts: Sequence[Sequence[float]],
        spread: float,
        minima: Sequence[Sequence[float]] = (),
        minimum: float | None = None,
        window: tuple[tuple[float, float], tuple[float, float]] | None = None,
        data: Array | None = None,
    ) -> None:
        d = len(objective.parameters)
        for what, points in (("starts", starts), ("minima", minima)):
            if any(len(point) != d for point in points):
                raise ProblemError(
                    f"{name}: {what} must have {d} coordinates ({', '.join(objective.parameters)})"
                )
        if not starts:
            raise ProblemError(f"{name}: name at least one start")
        if window is not None and not (d == 2 and all(low < high for low, high in window)):
            raise ProblemError(f"{name}: window must be ((x low, x high), (y low, y high)), got {window}")
        self.name, self.title, self.text, self.objective = name, title, text, objective
        self.starts = [tuple(map(float, s)) for s in starts]
        self.spread, self.window, self.minimum, self.data = spread, window, minimum, data
        self.minima = [tuple(map(float, m)) for m in minima]
        if minimum is None and window is not None:  # nothing else would end a fall without a floor
            self.domain = [_widened(low, high) for low, high in window]
        self.rows = 0 if data is None else len(data)
        self.noisy = self.rows > 0

    def values(self, *coordinates: Array) -> Array:
        """The objective at many points at once; the arrays of coordinates broadcast."""
        mean = self.objective.mean_formula
        if mean is not None:
            return np.asarray(vectorised(mean)(*coordinates)[0] + 0 * sum(coordinates), dtype=float)
        assert self.data is not None
        evaluate = vectorised(self.objective.value_formula)
        points = [np.asarray(c, dtype=float)[..., None] for c in np.broadcast_arrays(*coordinates)]
        many = max(1, CHUNK // points[0].size)  # rows at once: arrays stay in the cache
        total: Array = np.zeros(points[0].shape[:-1])
        for k in range(0, self.rows, many):
            rows = self.data[k : k + many].T
            parts = evaluate(*points, *rows)[0]
            total = total + np.broadcast_to(parts, (*total.shape, rows.shape[1])).sum(axis=-1)
        return total / self.rows

    def loss(self, params: Array) -> float:  # type: ignore[override]
        """The objective over all rows at a point (d,)."""
        return float(self.values(*params))

    def gradient(self, params: Array, rows: Rows | None) -> Array:  # type: ignore[override]
        """The analytic gradient at a point (d,), mean over ``rows`` (None: all)."""
        evaluate = vectorised(self.objective.gradient_formula)
        if self.data is None:
            return np.array(evaluate(*params), dtype=float)
        data = self.data if rows is None else self.data[rows]
        parts = evaluate(*params, *data.T)
        return np.array([np.mean(np.broadcast_to(p, len(data))) for p in parts])

    def hessian(self, params: Array, rows: Rows | None = None) -> Array:
        """The Hessian at a point (d,), mean over ``rows`` (None: all): (d, d).

        ProblemError where the problem has no formula for it.
        """
        formula = self.objective.hessian_formula
        if formula is None:
            raise ProblemError(f"{self.name}: has no formula for its Hessian; hessian_product works without")
        upper = np.triu_indices(len(params))
        data = self.data if rows is None or self.data is None else self.data[rows]
        parts = vectorised(formula)(*params, *(() if data is None else data.T))
        made = np.zeros((len(params), len(params)))
        made[upper] = [np.mean(p) for p in parts]
        full: Array = made + np.triu(made, 1).T
        return full

    def hessian_product(self, params: Array, direction: Array, rows: Rows | None = None) -> Array:  # type: ignore[override]
        """The Hessian at a point times a direction (d,), exact where it has a formula."""
        if self.objective.hessian is None:
            return super().hessian_product(params, direction, rows)
        product: Array = self.hessian(params, rows) @ direction
        return product

    def grid(self, points: int = 121) -> tuple[Array, Array, Array] | None:
        """x (n,), y (n,) and f (n, n), rows along y, over the window; None unless 2-D."""
        if self.window is None:
            return None
        x, y = (np.linspace(lo, hi, points) for lo, hi in self.window)
        return x, y, self.values(*np.meshgrid(x, y))

    def transformed(
        self,
        *,
        rotate: float = 0.0,
        scale: float | Sequence[float] = 1.0,
        shift: float | Sequence[float] = 0.0,
        noise: float = 0.0,
    ) -> "FormulaProblem":
        """The same landscape elsewhere: a point q of the old one lies at ``rotate(scale * q) + shift``.

        rotate: degrees, counter-clockwise, in the planes of coordinates 1-2, 3-4, ... scale: positive,
        one number or one for each coordinate. shift: likewise, finite. noise: standard deviation of a
        normal noise added to each coordinate of the gradient (mini-batches average it); the noise is
        that of fixed rows which sum to zero, so that the objective itself stays what it was: 512 rows, or
        the landscape's own rows, each as often as makes 512 or more.
        Changes may follow one another; noise comes last, nothing is changed after it. Raises ProblemError.
        """
        d = len(self.starts[0])
        size, move = (_fitted(v, (), (1,), (d,)) for v in (scale, shift))
        angle, deviation = (float(_fitted(v, ())) for v in (rotate, noise))
        for name, value, good in (
            ("rotate", rotate, np.isfinite(angle)),
            ("scale", scale, np.all(np.isfinite(size) & (size > 0))),
            ("shift", shift, np.all(np.isfinite(move))),
            ("noise", noise, np.isfinite(deviation) and deviation >= 0),
        ):
            if not good:
                raise ProblemError(f"{self.name}: {name}={shown(value)}: {_ALLOWED[name].format(d=d)}")
        size, move = np.broadcast_to(size, d), np.broadcast_to(move, d)
        turn = np.eye(d)
        c, s = cos(np.radians(angle)), sin(np.radians(angle))
        for k in range(0, d - 1, 2):
            turn[k : k + 2, k : k + 2] = [[c, -s], [s, c]]
        back = np.diag(1 / size) @ turn.T  # old = back @ (new - shift)
        ahead = turn @ np.diag(size)

        def moved(points: Sequence[tuple[float, ...]]) -> Array:
            new: Array = np.asarray(points, dtype=float).reshape(-1, d) @ ahead.T + move
            return new

        window = self.window
        if window is not None:
            corners = moved([(x, y) for x in window[0] for y in window[1]])
            low, high = corners.min(axis=0), corners.max(axis=0)
            window = ((float(low[0]), float(high[0])), (float(low[1]), float(high[1])))
        what = [
            f"rotated by {angle:g}°" * bool(angle),
            f"scaled by {_shown(size)}" * bool(np.any(size != 1)),
            f"shifted by {_shown(move)}" * bool(np.any(move)),
            f"gradient noise {deviation:g}" * bool(deviation),
        ]
        changed = ", ".join(w for w in what if w)
        if not changed:
            return self
        if "n0" in self.objective.columns:
            raise ProblemError(f"{self.name}: noise comes last: give other changes before it or with it")
        data = _with_noise(self.data, deviation, d) if deviation else self.data
        made = FormulaProblem(
            self.name,
            f"{self.title}, {changed}",
            self.text,
            _transformed(self.objective, back, move, bool(deviation)),
            starts=[tuple(p) for p in moved(self.starts)],
            spread=self.spread * float(size.mean()),
            minima=[tuple(p) for p in moved(self.minima)] if self.minima else (),
            minimum=self.minimum,
            window=window,
            data=data,
        )
        made.steps, made.batch = self.steps, self.batch
        made.noisy = self.noisy or bool(deviation)
        return made

    def outsider(self) -> Outsider:
        """SciPy's L-BFGS-B from the first usual start."""
        from scipy.optimize import minimize

        found = minimize(
            self.loss, np.array(self.starts[0]), jac=lambda p: self.gradient(p, None), method="L-BFGS-B"
        )
        return Outsider("SciPy L-BFGS-B, full batch", float(found.fun), None)


def fixed(objective: Objective, **numbers: float) -> Objective:
    """The objective with some of its columns held at numbers: one formula, a family of landscapes."""
    parts = {"value": objective.value, "gradient": objective.gradient, "hessian": objective.hessian}
    known = {n: f for n, f in parts.items() if f is not None}
    parameters = ", ".join(objective.parameters)
    left = ", ".join(c for c in objective.columns if c not in numbers)
    call = ", ".join(repr(float(numbers[c])) if c in numbers else c for c in objective.columns)
    text = "\n\n".join(
        f"def {n}({parameters}, /{', ' * bool(left)}{left}):\n    return whole_{n}({parameters}, {call})\n"
        for n in known
    )
    made = from_text(text, "fixed", {f"whole_{n}": f for n, f in known.items()})
    return Objective(made["value"], made["gradient"], made.get("hessian"))


_ALLOWED = {
    "rotate": "an angle in degrees is needed",
    "scale": "a positive number is needed, or {d} of them",
    "shift": "a finite number is needed, or {d} of them",
    "noise": "a finite number >= 0 is needed",
}


def _fitted(value: object, *shapes: tuple[int, ...]) -> Array:
    """The number or numbers given; NaN where they have none of these shapes."""
    made = numeric(value)
    return made if made.shape in shapes else np.array(np.nan)


def _with_noise(data: Array | None, deviation: float, d: int) -> Array:
    """Every row equally often, and behind each a draw of the noise (d); the draws sum to zero."""
    rows = np.zeros((1, 0)) if data is None else data
    times = -(-NOISE_ROWS // len(rows))
    times += times * len(rows) % 2  # draws come in pairs
    rng = stream(0, NOISE)
    half = deviation * rng.standard_normal((times * len(rows) // 2, d))
    draws = np.concatenate([half, -half])
    if data is not None:  # which row gets which draw, and which the opposite one, is left to chance
        rng.shuffle(draws)
    return np.hstack([np.tile(rows, (times, 1)), draws])


def _widened(low: float, high: float) -> tuple[float, float]:
    """An interval ``DOMAIN`` times as wide, about the same centre."""
    centre, reach = (low + high) / 2, DOMAIN * (high - low) / 2
    return centre - reach, centre + reach


def _shown(values: Array) -> str:
    """One number, or all of them where they differ."""
    few = values[:1] if np.all(values == values[0]) else values
    return ", ".join(f"{v:g}" for v in few)


def _sum(terms: Sequence[tuple[float, str]]) -> str:
    """c1 * x1 + c2 * x2 + ... as source, without the terms that vanish."""
    return " + ".join(f"{float(c)!r} * {x}" if c != 1 else x for c, x in terms if c != 0) or "0.0"


def _transformed(objective: Objective, back: Array, move: Array, noisy: bool) -> Objective:
    """The objective at ``back @ (p - move)``; where ``noisy``, its rows also hold a slope to add."""
    d, columns = len(move), objective.columns
    p = objective.parameters
    n = [f"n{j}" for j in range(d)] if noisy else []
    head = [f"    m{j} = {p[j]} - {float(move[j])!r}" if move[j] else f"    m{j} = {p[j]}" for j in range(d)]
    head += [f"    q{i} = {_sum([(back[i, j], f'm{j}') for j in range(d)])}" for i in range(d)]
    old = [f"q{i}" for i in range(d)]
    slopes = [f"g{i}" for i in range(d)]
    upper = [(i, j) for i in range(d) for j in range(i, d)]
    tilt = "".join(f" + n{j} * m{j}" for j in range(d)) if noisy else ""

    def function(name: str, extra: Sequence[str], body: Sequence[str]) -> str:
        slash = ", ".join([*p, "/", *extra])
        return f"def {name}({slash}):\n" + "\n".join([*head, *body]) + "\n\n\n"

    call = ", ".join([*old, *columns])
    gradient = [f"    {', '.join(slopes)}{',' if d == 1 else ''} = old_gradient({call})"]
    gradient += [
        f"    r{j} = {_sum([(back[i, j], slopes[i]) for i in range(d)])}" + (f" + n{j}" if noisy else "")
        for j in range(d)
    ]
    gradient.append(f"    return {', '.join(f'r{j}' for j in range(d))}")
    text = function("value", [*columns, *n], [f"    return old_value({call}){tilt}"])
    text += function("gradient", [*columns, *n], gradient)
    functions = {"old_value": objective.value, "old_gradient": objective.gradient}
    if objective.hessian is not None:
        names = [f"h{i}_{j}" for i, j in upper]
        body = [f"    {', '.join(names)}{',' if d == 1 else ''} = old_hessian({call})"]
        for a, b in upper:
            terms = [
                (back[i, a] * back[j, b], f"h{min(i, j)}_{max(i, j)}") for i in range(d) for j in range(d)
            ]
            body.append(f"    k{a}_{b} = {_sum(terms)}")
        body.append(f"    return {', '.join(f'k{a}_{b}' for a, b in upper)}")
        text += function("hessian", [*columns, *n], body)
        functions["old_hessian"] = objective.hessian
    if objective.mean_formula is not None:  # the noise's rows sum to zero: it is as it was
        text += function("mean", [], [f"    return old_mean({', '.join(old)})"])
        functions["old_mean"] = objective.mean or objective.value
    made = from_text(text, "transformed", functions)
    return Objective(made["value"], made["gradient"], made.get("hessian"), made.get("mean"))
