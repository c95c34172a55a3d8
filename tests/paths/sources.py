"""The sources' own loops, re-typed as given: the notes' three and Darve's ``adagrad``.

The notes train a sigmoid neuron with two parameters on two points, sample by sample, under the
squared loss. The text does not print the points; docs/sources.md gives the course's usual ones.
Scan slips mended: ``cps`` for ``eps`` in do_adagrad; the line numbers and the stray repetition
of do_adam_sgd's last line (with ``m_hat`` for ``m_b_hat``) are dropped. ``grad_w_sgd`` and
``grad_b_sgd`` are the notes' per-sample gradients and thus equal ``grad_w`` and ``grad_b``. Added:
each loop returns the list of (w, b) after every sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

X = (0.5, 2.5)
Y = (0.2, 0.9)

Path = list[tuple[float, float]]


def f(w: float, b: float, x: float) -> float:
    """The neuron: 1 / (1 + exp(-(w x + b)))."""
    return float(1.0 / (1.0 + np.exp(-(w * x + b))))


def grad_w(w: float, b: float, x: float, y: float) -> float:
    """Notes: (f(x) - y) * f(x) * (1 - f(x)) * x."""
    fx = f(w, b, x)
    return (fx - y) * fx * (1 - fx) * x


def grad_b(w: float, b: float, x: float, y: float) -> float:
    """Notes: (f(x) - y) * f(x) * (1 - f(x))."""
    fx = f(w, b, x)
    return (fx - y) * fx * (1 - fx)


def do_adagrad(max_epochs: int) -> Path:
    path: Path = []
    w, b, eta = -2.0, -2.0, 0.1
    v_w, v_b, eps = 0.0, 0.0, 1e-8
    for _ in range(max_epochs):
        for x, y in zip(X, Y, strict=True):
            dw = grad_w(w, b, x, y)
            db = grad_b(w, b, x, y)

            v_w = v_w + dw**2
            v_b = v_b + db**2

            w = w - eta * dw / (float(np.sqrt(v_w)) + eps)
            b = b - eta * db / (float(np.sqrt(v_b)) + eps)
            path.append((w, b))
    return path


def do_rmsprop(max_epochs: int) -> Path:
    path: Path = []
    w, b, eta = -4.0, 4.0, 0.1
    beta = 0.5
    v_w, v_b, eps = 0.0, 0.0, 1e-4
    for _ in range(max_epochs):
        for x, y in zip(X, Y, strict=True):
            dw = grad_w(w, b, x, y)
            db = grad_b(w, b, x, y)

            v_w = beta * v_w + (1 - beta) * dw**2
            v_b = beta * v_b + (1 - beta) * db**2

            w = w - eta * dw / (float(np.sqrt(v_w)) + eps)
            b = b - eta * db / (float(np.sqrt(v_b)) + eps)
            path.append((w, b))
    return path


def do_adam_sgd(max_epochs: int) -> Path:
    path: Path = []
    w, b, eta = -4.0, -4.0, 0.1
    beta1, beta2 = 0.9, 0.999
    m_w, m_b, v_w, v_b = 0.0, 0.0, 0.0, 0.0
    for i in range(max_epochs):
        eps = 1e-10
        for x, y in zip(X, Y, strict=True):
            dw = grad_w(w, b, x, y)
            db = grad_b(w, b, x, y)

            m_w = beta1 * m_w + (1 - beta1) * dw
            m_b = beta1 * m_b + (1 - beta1) * db
            v_w = beta2 * v_w + (1 - beta2) * dw**2
            v_b = beta2 * v_b + (1 - beta2) * db**2

            m_w_hat = m_w / (1 - float(np.power(beta1, i + 1)))
            m_b_hat = m_b / (1 - float(np.power(beta1, i + 1)))
            v_w_hat = v_w / (1 - float(np.power(beta2, i + 1)))
            v_b_hat = v_b / (1 - float(np.power(beta2, i + 1)))

            w = w - eta * m_w_hat / (float(np.sqrt(v_w_hat)) + eps)
            b = b - eta * m_b_hat / (float(np.sqrt(v_b_hat)) + eps)
            path.append((w, b))
    return path


Floats = NDArray[np.float64]


def adagrad(W: Floats, s: Floats, g_sum: Floats, lr: float, batch_size: int) -> None:
    """Darve's function, in place on W and s, as a plain loop over the elements.

    g_sum is his W.grad: the gradient summed over the batch.
    """
    eps_stable = 1e-7
    for i in np.ndindex(W.shape):
        g = g_sum[i] / batch_size
        s[i] += g**2
        W[i] -= lr * g / np.sqrt(s[i] + eps_stable)
