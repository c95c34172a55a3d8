"""The same trials on several workers, on a Dask cluster, through joblib: the same numbers."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import EngineError, HyperparameterError
from thalweg.lab.performing import Performer
from thalweg.lab.spread import JoblibBackend, chunks
from thalweg.lab.versions import of_machines

from .races import without_times
from .test_store import rows

LOOP = """
import time
import torch

def f(x):
    time.sleep(2e-4)
    return ((x - 1) ** 2).sum()

def train(optimizer, seed):
    model = torch.nn.Linear(4, 1)
    opt = optimizer(model.parameters())
    while True:
        x = torch.randn(16, 4)
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        time.sleep(2e-4)
        yield loss.item()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f", "train"])
def test_the_same_numbers_wherever_they_are_run(tmp_path: Path, name: str) -> None:
    """On 1 and 2 workers, through joblib, and on two of Dask's, one of which is killed on the way."""
    from dask.distributed import Client, LocalCluster

    file = tmp_path / "mine.py"
    file.write_text(LOOP)
    options: dict[str, Any] = {"methods": ["SGD", "Adam"], "trials": 4, "seeds": 6, "steps": 40}
    if name == "f":
        options["start"] = [3.0, 4.0]

    def raced(**where: Any) -> Any:
        return without_times(tw.race(f"{file}:{name}", **options, **where).json())

    alone = raced(workers=1)
    assert raced(workers=2) == alone
    assert raced(backend="threading", workers=2) == alone
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        assert raced(dask=client) == alone
        store = tmp_path / "dask.db"
        pid = next(iter(client.run(os.getpid).values()))

        def kill() -> None:
            while len(rows(store)) < 5:
                time.sleep(0.05)
            os.kill(pid, 9)

        killer = threading.Thread(target=kill)
        killer.start()
        assert raced(dask=client, store=store) == alone
        killer.join()
        assert pid not in client.run(os.getpid).values()


def test_chunks_hold_each_task_once() -> None:
    for count, workers in ((0, 2), (1, 4), (7, 2), (1000, 3)):
        parts = chunks(range(count), workers)
        assert [pair for part in parts for pair in part] == list(enumerate(range(count)))
        assert len(parts) >= min(count, 4 * workers)


def test_a_mixed_cluster_is_told_so() -> None:
    one = {"numpy": "2.1", "cpu": "A"}
    assert of_machines([one]) == one
    mixed = of_machines([one, {"numpy": "2.1", "cpu": "B"}])
    assert mixed["cpu"] == "A | B"
    assert mixed["cluster"] == "mixed (cpu): numbers may depend on who ran what"


@pytest.mark.parametrize(
    ("where", "error", "told"),
    [
        (
            {"dask": "local", "backend": "loky"},
            HyperparameterError,
            "--dask and --backend: give one of the two",
        ),
        ({"backend": "lokki"}, HyperparameterError, "--backend lokki: joblib has no such backend"),
        ({"backend": "ray"}, EngineError, "--backend ray: needs Ray, which is not installed"),
        ({"backend": "threading", "workers": 0}, HyperparameterError, "workers: 0 stays in this process"),
    ],
)
def test_places_that_are_none_are_refused(where: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error) as raised:
        Performer(**where)
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_a_backends_workers_stay_from_one_job_to_the_next() -> None:
    """joblib starts a pool for each call else; Ray takes seconds for that."""
    backend = JoblibBackend("multiprocessing", 2)
    try:
        first, second = (
            set(backend._parallel(backend._delayed(os.getpid)() for _ in range(8))) for _ in range(2)
        )
        assert os.getpid() not in first and first | second == first
    finally:
        backend._parallel.__exit__(None, None, None)
