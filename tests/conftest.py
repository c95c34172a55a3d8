"""Kernels of the test run are kept in one folder of its own, so that nothing depends on the user's."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

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


@pytest.fixture
def one_thread_of_torch() -> Iterator[None]:
    """Torch on one thread, whose sums have one order."""
    import torch  # only a test that asks for it waits for that

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
