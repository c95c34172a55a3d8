"""A small deep network that fits a curve: full batch, smooth, with every part in float64.

    x (n, 1) → tanh(x W_1 + b_1) → ... → a W_L + b_L = z,   loss = mean over rows of (z − y)²

A task on which the edge of stability is shown: a tanh network on 20 points of a Chebyshev polynomial,
after Cohen et al., arXiv 2103.00065 (2021).
"""

from typing import cast

import numpy as np

from ..errors import ProblemError
from .base import START, Array, Grads, Params, Problem, Rows, need_integer, stream


class RegressionNetwork(Problem):
    """Mean squared error of a tanh network with any hidden layers on (n, d) inputs, (n, k) targets.

    Parameters: ``{"layer1": {"weight": (d, h1), "bias": (h1,)}, "layer2": ...}``; the last is linear.
    Raises ProblemError for layers without units, and for inputs and targets that do not fit together.
    """

    loss_name = "training loss"
    batch = 0
    noisy = True

    def __init__(
        self, name: str, title: str, text: str, inputs: Array, targets: Array, hidden: tuple[int, ...]
    ) -> None:
        if inputs.ndim != 2 or targets.ndim != 2 or len(inputs) != len(targets) or not len(inputs):
            raise ProblemError(
                f"{name}: inputs (n, d) and targets (n, k) are needed, got {inputs.shape} and {targets.shape}"
            )
        for i, width in enumerate(hidden, 1):
            need_integer(f"{name}: hidden layer {i}", width, 1)
        self.name, self.title, self.text = name, title, text
        self.inputs, self.targets = inputs, targets
        self.widths = (inputs.shape[1], *hidden, targets.shape[1])
        self.rows = len(inputs)

    def start(self, seed: int) -> dict[str, Params]:
        """Weights uniform within sqrt(6 / (inputs + outputs)) (Glorot), biases 0."""
        rng = stream(seed, START)
        made: dict[str, Params] = {}
        for i, (rows, columns) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            bound = np.sqrt(6.0 / (rows + columns))
            weight = rng.uniform(-bound, bound, (rows, columns))
            made[f"layer{i}"] = {"weight": weight, "bias": np.zeros(columns)}
        return made

    def _forward(self, params: Params, inputs: Array) -> tuple[list[dict[str, Array]], list[Array]]:
        """The layers' parameters, and their inputs with the output as last."""
        layers = list(cast(dict[str, dict[str, Array]], params).values())
        values = [inputs]
        for i, layer in enumerate(layers, 1):
            scores = values[-1] @ layer["weight"] + layer["bias"]
            values.append(np.tanh(scores) if i < len(layers) else scores)
        return layers, values

    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        inputs, targets = (
            (self.inputs, self.targets) if rows is None else (self.inputs[rows], self.targets[rows])
        )
        layers, values = self._forward(params, inputs)
        back = 2.0 / len(inputs) * (values[-1] - targets)
        found: list[Grads] = []
        for i in range(len(layers) - 1, -1, -1):
            found.append({"weight": values[i].T @ back, "bias": back.sum(axis=0)})
            if i:
                back = (back @ layers[i]["weight"].T) * (1.0 - values[i] * values[i])
        return dict(zip(cast(dict[str, Params], params), reversed(found), strict=True))

    def loss(self, params: Params) -> float:
        with np.errstate(all="ignore"):
            error = self._forward(params, self.inputs)[1][-1] - self.targets
            return float(np.sum(error * error)) / self.rows


def chebyshev(degree: int = 3, points: int = 20, hidden: tuple[int, ...] = (24, 24)) -> RegressionNetwork:
    """``points`` equally spaced points of the Chebyshev polynomial T_degree on [-1, 1]. Raises ProblemError."""
    need_integer("tanh-regression: degree", degree)
    need_integer("tanh-regression: points", points, 1)
    x = np.linspace(-1.0, 1.0, points)
    layers = "-".join(map(str, (1, *hidden, 1)))
    return RegressionNetwork(
        "tanh-regression",
        f"Tanh network {layers} on T{degree}",
        f"A {layers} tanh network fits {points} points of the Chebyshev polynomial of degree {degree}.",
        x[:, None],
        np.cos(degree * np.arccos(x))[:, None],
        hidden,
    )


PROBLEMS = {"tanh-regression": chebyshev}
