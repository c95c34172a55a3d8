"""Kernels of the test run are kept in one folder of its own, so that nothing depends on the user's."""

import os
import tempfile

os.environ.setdefault("THALWEG_CACHE", os.path.join(tempfile.gettempdir(), f"thalweg-tests-{os.getuid()}"))
