"""Kernels of the test run are kept in one folder of its own, so that nothing depends on the user's."""

import gc
import os
import signal
import tempfile

HOME = os.path.join(tempfile.gettempdir(), f"thalweg-tests-{os.getuid()}")
os.environ.setdefault("THALWEG_CACHE", HOME)
os.environ.setdefault("TRITON_CACHE_DIR", os.path.join(HOME, "triton"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a run in the background; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: walking it for garbage took a twentieth of the run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
