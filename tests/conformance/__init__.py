"""Laws after what the test suites of PyTorch, Optax, SciPy and scikit-learn assert, on our doors to them."""
