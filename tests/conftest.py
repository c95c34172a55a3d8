"""Kernels of the test run are kept in one folder of its own, so that nothing depends on the user's."""

import os
import tempfile

HOME = os.path.join(tempfile.gettempdir(), f"thalweg-tests-{os.getuid()}")
os.environ.setdefault("THALWEG_CACHE", HOME)
os.environ.setdefault("TRITON_CACHE_DIR", os.path.join(HOME, "triton"))
