"""Parts trained apart on a local Dask cluster and averaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError, ProblemError
from thalweg.fitting import Trained
from thalweg.linear import Model, Settings

from .test_fit import data, mixed, svmlight

distributed = pytest.importorskip("distributed")

from thalweg.fitting.cluster import Part, averaged, fit_on_cluster, with_sizes_in_common  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # what dask and its event loop warn of is theirs


@pytest.fixture
def client() -> Any:
    """Two workers in this process."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as made,
    ):
        yield made


def test_parts_are_averaged_by_rows_after_each_pass(tmp_path: Path, client: Any) -> None:
    x, y = data(600, 40)
    cuts = [slice(0, 400), slice(400, 600)]
    files = [svmlight(tmp_path / f"{k}.svm", x[c], y[c]) for k, c in enumerate(cuts)]
    rule = tw.Adam(lr=0.01)
    made = fit_on_cluster(files, tmp_path / "m.tw", client, rule=rule, passes=2, features=40, scale="none")
    assert made.rows == 600 and made.steps == 1200 and made.history[0]["rows"] == 600
    settings, classes = Settings(rule=rule), np.array([0, 1])
    start = Model(settings, 40, classes)
    for passed in range(2):
        arrays, t = {}, 0
        for share, c in zip((400 / 600, 200 / 600), cuts, strict=True):
            part = Model.restore(start.head(), start.arrays())
            part.learn(x[c].tocsr(), part.encode(y[c]), order=mixed(c.stop - c.start, passed))
            t = max(t, part.t)
            for n, a in part.arrays().items():
                arrays[n] = a if n == "classes" else arrays.get(n, 0) + share * a.astype(float)
        arrays = {n: a if n == "classes" else a.astype(np.float32) for n, a in arrays.items()}
        start = Model.restore(start.head() | {"t": t}, arrays)
    np.testing.assert_allclose(
        Trained.load(tmp_path / "m.tw").model.solution[0], start.solution[0], rtol=1e-4, atol=1e-6
    )


def test_rows_of_weight_0_weigh_nothing_in_the_mean() -> None:
    settings = Settings("squared_error", tw.SGD(lr=0.1))
    start = Model(settings, 1, None)
    start.learn(np.ones((3, 1)), np.ones(3))
    parts = []
    for target, weights in ((2.0, [1.0, 1.0, 0.0, 0.0]), (4.0, [0.0, 0.0, 0.0, 0.0]), (8.0, None)):
        model = Model.restore(start.head(), start.arrays())
        rows = 6 if weights is None else 4
        given = None if weights is None else np.array(weights)
        loss, weight = model.learn(np.ones((rows, 1)), np.full(rows, target), given)
        parts.append(Part(model.arrays(), model.t, rows, loss, weight, 0))
    mean = averaged(start, parts, settings.rule).arrays()["w"]
    np.testing.assert_allclose(mean, (2 * parts[0].arrays["w"] + 6 * parts[2].arrays["w"]) / 8, rtol=1e-6)
    with pytest.raises(ProblemError, match="no part holds rows"):
        averaged(start, parts[1:2], settings.rule)


def test_sizes_that_parts_noted_apart_become_the_first_ones() -> None:
    def part(sizes: list[float], w: list[float]) -> Part:
        arrays = {"w": np.array([*w, 9.0], np.float32)[:, None], "s": np.ones((4, 1), np.float32)}
        return Part(arrays, 1, 1, 0.0, 1.0, 0, np.array(sizes, np.float32))

    a, b = with_sizes_in_common([part([2, 0], [1, 0, 0]), part([2, 4, 3], [1, 8, 6])])
    assert a.sizes is not None and b.sizes is not None
    assert a.sizes.tolist() == b.sizes.tolist() == [2, 4, 3]
    c, d = with_sizes_in_common([part([2, 8, 3], [1, 2, 3]), part([2, 4], [1, 8, 0])])
    assert c.arrays["w"][:, 0].tolist() == [1, 2, 3, 9]
    assert d.arrays["w"][:, 0].tolist() == [1, 16, 0, 9]  # 8 for values over 4 is 16 for values over 8
    assert d.arrays["s"].tolist() == [[1]] * 4


@pytest.mark.parametrize("kind", ["svm", "csv"])
def test_units_do_not_matter_on_a_cluster(tmp_path: Path, client: Any, kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 3))
    y = x @ [1, -2, 0.5] + 0.1 * rng.standard_normal(400)
    seen = []
    for unit in (np.ones(3), np.array([1e6, 1e-6, 10])):
        files = []
        for k in range(2):
            path, rows = tmp_path / f"{k}.{kind}", slice(k, None, 2)
            if kind == "svm":
                svmlight(path, csr_array(x[rows] * unit), y[rows])
            else:
                table = np.c_[y, x * unit][rows]
                np.savetxt(path, table, "%.9g", ",", header="y,a,b,c", comments="")
            files.append(path)
        given: dict[str, Any] = {"features": 3} if kind == "svm" else {"target": "y"}
        fit_on_cluster(files, tmp_path / "m.tw", client, passes=3, task="regression", **given)
        weights, base = Trained.load(tmp_path / "m.tw").solution
        seen.append(weights[:3, 0] * unit)
        assert abs(base[0]) < 0.1
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-3)
    np.testing.assert_allclose(seen[0], [1, -2, 0.5], atol=0.1)


def test_what_a_cluster_refuses(tmp_path: Path, client: Any) -> None:
    train = svmlight(tmp_path / "a.svm", *data(100, 12))
    with pytest.raises(HyperparameterError, match="--features or --bits"):
        fit_on_cluster(train, tmp_path / "m.tw", client)
    with pytest.raises(HyperparameterError, match="holdout"):
        fit_on_cluster(train, tmp_path / "m.tw", client, bits=4, holdout=0.1)
    train.write_text(train.read_text() + "1 3:x\n")
    with pytest.raises(FileError, match="line 101"):
        fit_on_cluster(train, tmp_path / "m.tw", client, bits=4)


@pytest.mark.slow
def test_two_worker_processes_learn_as_well_as_one_process(tmp_path: Path) -> None:
    x, y = data(6000, 40)
    files = [svmlight(tmp_path / f"{k}.svm", x[k::4].tocsr(), y[k::4]) for k in range(4)]
    rule = tw.Adagrad(lr=0.1)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        told: list[str] = []
        made = fit_on_cluster(
            files, tmp_path / "m.tw", cluster.scheduler_address, rule=rule, passes=3, features=40, test=files[0], tell=told.append
        )  # fmt: skip
    assert "on 2 workers" in told[-1]
    assert made.test is not None and made.test["accuracy"] > 0.9
