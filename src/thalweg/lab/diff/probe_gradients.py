"""Gradients that bring out where two updates differ: seven kinds, fixed, the same in every run.

smooth    two waves of size 1
zeros     smooth with zeros: the first three, every fourth, and thirty in a row
flips     the sign changes at every step, the size grows slowly
fading    smooth, shrinking from 1 to 1e-12 in 300 steps: past every epsilon
tiny      smooth times 1e-20
huge      smooth times 1e15
mixed     sizes from 1e-20 to 1e15, and zeros, in turn
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
STEPS = 300
COPIES = 16  # coordinates of a kind, no two alike: libraries have other code for short arrays


def kinds(steps: int = STEPS) -> dict[str, Array]:
    """The gradients of each kind, (steps, 16) float64; a longer run begins as a shorter one does."""
    t = np.arange(steps)[:, None]
    phase = np.linspace(0.0, 3.0, COPIES)
    smooth = np.sin(0.05 * t + phase) + 0.3 * np.cos(0.311 * t * (1 + phase))
    sizes = np.array([1.0, 1e-20, 0.0, 1e15, -1.0, 1e-3, -1e15, 1e4])[(t + np.arange(COPIES)) % 8]
    return {
        "smooth": smooth,
        "zeros": np.where((t < 3) | (t % 4 == 0) | (t // 30 % 4 == 2), 0.0, smooth),
        "flips": np.where(t % 2, 1.0, -1.0) * (0.5 + 0.01 * t + 0.1 * phase),
        "fading": smooth * 10.0 ** (-0.04 * t),
        "tiny": 1e-20 * smooth,
        "huge": 1e15 * smooth,
        "mixed": sizes * (1.0 + 0.1 * smooth),
    }


def starts(count: int) -> Array:
    """1.5, 0, -0.3, ...: from 0 a path is nothing but updates."""
    return np.resize(np.array([1.5, 0.0, -0.3]), count)
