"""From a formula to source text: Python, LaTeX, and the loops of compiled kernels."""
