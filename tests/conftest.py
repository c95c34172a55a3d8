"""Kernels of the test run are kept in one folder of its own, so that nothing depends on the user's."""

import gc
import os
import tempfile

os.environ.setdefault("THALWEG_CACHE", os.path.join(tempfile.gettempdir(), f"thalweg-tests-{os.getuid()}"))


def pytest_collection_finish() -> None:
    """What was imported and collected stays: walking it for garbage took a twentieth of the run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
