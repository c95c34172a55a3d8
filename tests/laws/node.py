"""Printed JavaScript under Node: one process for a whole batch, numbers to and fro as float64 files."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from thalweg.printing.javascript import PRELUDE

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node, which only those who change the page have")

STAND_INS = {
    "exp": "1 + x * (1 + 0.5 * x)",
    "log": "x - 1 / (x + 3)",
    "expm1": "x * (1 + 0.5 * x)",
    "log1p": "x / (1 + 0.5 * x)",
    "cos": "1 - 0.5 * x * x",
    "sin": "x - 0.25 * x * x * x",
    "tanh": "x / (1 + x * x)",
    "power": "x * y + 0.25 * x - y",
}
"""In place of the functions of libm on both sides: what is printed around them is then compared to the last bit."""

_HEAD = """
'use strict';
const files = require('fs');
const numbers = (path) => {
  const bytes = files.readFileSync(path);
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
};
const given = numbers(process.argv[2]);
const results = [];
const keep = (values) => results.push(Float64Array.from(values));
"""
_TAIL = """
files.writeFileSync(process.argv[3], Buffer.concat(results.map((r) => Buffer.from(r.buffer))));
"""


def node(
    folder: Path, source: str, given: Sequence[float] | np.ndarray, prelude: str = PRELUDE
) -> np.ndarray:
    """Return what the source has kept with ``keep(values)``, (n,) float64; it reads ``given``."""
    assert NODE is not None
    script, inside, out = (folder / n for n in ("run.js", "given", "results"))
    script.write_text(_HEAD + prelude + source + _TAIL)
    inside.write_bytes(np.asarray(given, dtype=np.float64).tobytes())
    done = subprocess.run([NODE, script, inside, out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.fromfile(out)


def stand_in_prelude() -> str:
    """The prelude with the stand-ins."""
    functions = [
        f"const {n} = ({'x, y' if n == 'power' else 'x'}) => {body};" for n, body in STAND_INS.items()
    ]
    return "\n".join(["const {sqrt, abs} = Math; const floor = (x) => Math.floor(x) + 0;", *functions, ""])


def same_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays hold the same float64, zeros' signs told apart, NaN the same as NaN."""
    a, b = np.ascontiguousarray(a, dtype=np.float64), np.ascontiguousarray(b, dtype=np.float64)
    same: np.ndarray = (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))
    return same


def ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many representable numbers lie between two arrays' numbers."""

    def ordered(x: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(x, dtype=np.float64).view(np.int64)
        whole: np.ndarray = np.where(bits < 0, np.int64(-(2**63)) - bits, bits).astype(object)
        return whole

    distance = np.abs(ordered(a) - ordered(b)).astype(float)
    return np.where(same_bits(a, b), 0.0, distance)
