"""The CPU engine: kernels printed from formulas, compiled by Numba, kept as object code, run by many threads."""
