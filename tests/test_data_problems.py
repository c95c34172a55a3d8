"""The data problems: gradients, pairing, sparse = dense, tables and their errors, accuracy."""

import copy
import datetime
import gzip
import pickle
import threading

import numpy as np
import pytest
import sklearn.linear_model
from scipy.sparse import csr_array

from thalweg.errors import FileError, ProblemError
from thalweg.lab.race_options import RaceOptions
from thalweg.problems import problem as named
from thalweg.problems.base import Problem, pack, unpack
from thalweg.problems.breast_cancer import breast_cancer
from thalweg.problems.data import held_out, standardise
from thalweg.problems.digits import digits, digits_network
from thalweg.problems.linear import LeastSquares, LogisticRegression, SoftmaxRegression
from thalweg.problems.table import read
from thalweg.problems.table.columns import features_of
from thalweg.problems.table.files import read_table

ABOUT = {"name": "n", "title": "t", "text": "x."}


def linear(kind, sparse=False, l2=0.0, n=57, d=7):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.5)
    X_test = rng.standard_normal((11, d))
    if sparse:
        X, X_test = csr_array(X), csr_array(X_test)
    about = ABOUT | {"l2": l2}
    if kind is SoftmaxRegression:
        return kind(X, rng.integers(0, 4, n), X_test, rng.integers(0, 4, 11), classes=4, **about)
    if kind is LogisticRegression:
        return kind(X, rng.integers(0, 2, n), X_test, rng.integers(0, 2, 11), **about)
    return kind(X, rng.standard_normal(n), X_test, rng.standard_normal(11), **about)


LINEAR = [SoftmaxRegression, LogisticRegression, LeastSquares]
MAKERS = {
    **{
        f"{kind.__name__}-{'sparse' if sparse else 'dense'}-{l2}": (
            lambda kind=kind, sparse=sparse, l2=l2: linear(kind, sparse, l2)
        )
        for kind in LINEAR
        for sparse in (False, True)
        for l2 in (0.0, 0.3)
    },
    "digits": digits,
    "digits-network": digits_network,
    "breast-cancer": breast_cancer,
}


@pytest.fixture(params=MAKERS)
def problem(request):
    return MAKERS[request.param]()


def at_random(problem, seed, size=0.3):
    like = problem.start(0)
    rng = np.random.default_rng(seed)
    return unpack(size * rng.standard_normal(pack(like).size), like)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_gradient_is_central_difference(problem, seed):
    params = at_random(problem, seed)
    vector = pack(params)
    gradient = pack(problem.gradient(params, None))
    rng = np.random.default_rng(seed)
    for _ in range(8):  # directions, all coordinates at once
        way = rng.standard_normal(vector.size)
        way /= np.linalg.norm(way)
        h = 1e-4
        f = [problem.loss(unpack(vector + s * h * way, params)) for s in (1, -1, 2, -2)]
        slope = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h)
        assert slope == pytest.approx(gradient @ way, rel=1e-6, abs=1e-6 * np.abs(gradient).max())
    for i in rng.choice(vector.size, min(vector.size, 20), replace=False):
        step = np.zeros(vector.size)
        step[i] = 1e-5
        slope = (
            problem.loss(unpack(vector + step, params)) - problem.loss(unpack(vector - step, params))
        ) / 2e-5
        assert slope == pytest.approx(gradient[i], rel=1e-6, abs=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_epoch_of_batches_is_full_gradient(problem, batch):
    params = at_random(problem, 5)
    full = pack(problem.gradient(params, None))
    total, seen = np.zeros_like(full), []
    for rows in problem.batches(2, batch, -(-problem.rows // batch)):
        assert rows.dtype == np.int64
        total += pack(problem.gradient(params, rows)) * len(rows) / problem.rows
        seen.append(rows)
    assert sorted(np.concatenate(seen)) == list(range(problem.rows))
    np.testing.assert_allclose(total, full, rtol=1e-11, atol=1e-14)


def test_mini_batch_gradient_is_that_of_a_smaller_problem():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((40, 5)), rng.integers(0, 3, 40)
    rows = rng.permutation(40)[:9]
    big = SoftmaxRegression(X, y, X, y, classes=3, **ABOUT)
    small = SoftmaxRegression(X[rows], y[rows], X, y, classes=3, **ABOUT)
    params = at_random(big, 0)
    np.testing.assert_allclose(
        pack(big.gradient(params, rows)), pack(small.gradient(params, None)), rtol=1e-12
    )


@pytest.mark.parametrize("kind", LINEAR)
def test_sparse_equals_dense(kind):
    dense, sparse = linear(kind), linear(kind, sparse=True)
    params = at_random(dense, 0)
    for rows in (None, *dense.batches(0, 10, 12)):
        np.testing.assert_allclose(
            pack(dense.gradient(params, rows)), pack(sparse.gradient(params, rows)), rtol=1e-12
        )
    assert dense.loss(params) == pytest.approx(sparse.loss(params), rel=1e-13)
    assert dense.metric(params) == pytest.approx(sparse.metric(params), rel=1e-12)
    assert dense.outsider().loss == pytest.approx(sparse.outsider().loss, rel=1e-6, abs=1e-8)


def test_start_and_batches_are_fixed_by_the_seed(problem):
    one, two, other = problem.start(4), problem.start(4), problem.start(5)
    assert pack(one).dtype == np.float64
    np.testing.assert_array_equal(pack(one), pack(two))
    assert not np.array_equal(pack(one), pack(other))
    key = next(iter(one))
    assert one[key] is not two[key]
    again = copy.deepcopy(problem)
    for a, b in zip(problem.batches(4, 9, 30), again.batches(4, 9, 30), strict=True):
        np.testing.assert_array_equal(a, b)
    a, b = next(problem.batches(4, 9, 1)), next(problem.batches(5, 9, 1))
    assert not np.array_equal(a, b)
    # more steps only add steps
    np.testing.assert_array_equal(next(problem.batches(4, 9, 1000)), a)


class WithoutData(Problem):
    """A problem that answers nothing of its own: what is left is the base's."""

    start = gradient = loss = None


def test_a_problem_that_lacks_an_answer_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Problem()


def test_batches_of_all_rows(problem):
    assert list(problem.batches(0, 0, 3)) == [None] * 3
    assert list(problem.batches(0, problem.rows, 2)) == [None] * 2
    assert list(problem.batches(0, 8, 0)) == []
    assert len(list(problem.batches(0, problem.rows - 1, 3))[1]) == 1
    assert list(WithoutData().batches(0, 32, 2)) == [None] * 2


@pytest.mark.parametrize("bad", [dict(seed=-1), dict(batch=-1), dict(steps=-2), dict(batch=1.5)])
def test_batches_refuses(bad):
    with pytest.raises(ProblemError, match=next(iter(bad))):
        digits().batches(**({"seed": 0, "batch": 8, "steps": 1} | bad))
    with pytest.raises(ProblemError, match="seed"):
        digits().start(-1)


def test_parameters_are_not_touched_and_loss_is_mean(problem):
    params = at_random(problem, 1)
    before = pack(params)
    problem.gradient(params, None), problem.loss(params), problem.metric(params)
    np.testing.assert_array_equal(pack(params), before)
    assert problem.loss(params) == problem.loss(params)


def test_large_scores_are_stable():
    for kind in (SoftmaxRegression, LogisticRegression):
        problem = linear(kind)
        for size in (1e3, 1e6, 1e12):
            params = at_random(problem, 0, size)
            with np.errstate(all="raise", under="ignore"):
                gradient = pack(problem.gradient(params, None))
            assert np.isfinite(gradient).all() and np.isfinite(problem.loss(params))


def test_softmax_is_the_same_on_both_sides_of_the_guard():
    problem = linear(SoftmaxRegression)
    params = at_random(problem, 0)
    moved = {"weight": params["weight"], "bias": params["bias"] + 200.0}  # changes no softmax
    np.testing.assert_allclose(
        pack(problem.gradient(params, None)), pack(problem.gradient(moved, None)), rtol=1e-10
    )


def test_divergence_is_not_an_exception_nor_a_warning(problem, recwarn):
    params = unpack(np.full(pack(problem.start(0)).size, np.inf), problem.start(0))
    assert not np.isfinite(problem.loss(params))
    problem.metric(params)
    assert not recwarn


def test_problem_pickles_and_threads_do_not_meet(problem):
    params = at_random(problem, 0)
    rows = next(problem.batches(0, 16, 1))
    right = pack(problem.gradient(params, rows))
    other = pickle.loads(pickle.dumps(problem))
    np.testing.assert_array_equal(pack(other.gradient(params, rows)), right)
    wrong = []

    def work(seed):
        mine = at_random(problem, seed)
        expected = pack(copy.deepcopy(problem).gradient(mine, rows))
        for _ in range(200):
            if not np.array_equal(pack(problem.gradient(mine, rows)), expected):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not wrong


def test_sgd_learns_the_digits():
    problem = digits()
    params = problem.start(0)
    for rows in problem.batches(0, 32, 600):
        gradient = problem.gradient(params, rows)
        for key in params:
            params[key] -= gradient[key]
    assert problem.metric(params) >= 0.94


@pytest.mark.parametrize(
    "make",
    [digits, breast_cancer, pytest.param(digits_network, marks=pytest.mark.slow)],
    ids=lambda f: f.__name__,
)
def test_outsiders(make):
    problem = make()
    outsider = problem.outsider()
    assert outsider is problem.outsider()
    assert outsider.loss < 1e-3 and outsider.metric >= 0.94 and "L-BFGS-B" in outsider.name


def test_least_squares_outsider_is_the_minimum():
    problem = linear(LeastSquares)
    X, y = problem.training_inputs(), problem._truth
    A = np.hstack([X, np.ones((len(X), 1))])
    residual = A @ np.linalg.lstsq(A, y, rcond=None)[0] - y
    assert problem.outsider().loss == pytest.approx(0.5 * np.mean(residual**2), rel=1e-9)


def test_held_out():
    labels = np.array([0] * 20 + [1] * 9 + [2] * 2 + [3])
    train, test = held_out(len(labels), labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert set(labels[train]) == {0, 1, 2, 3} and (labels[test] == 0).sum() == 5
    np.testing.assert_array_equal(held_out(50)[1], held_out(50)[1])
    assert len(held_out(50)[1]) == 12


def test_standardise_uses_training_rows_only_and_survives_extremes():
    X = np.column_stack(
        [
            np.arange(12.0),
            np.full(12, 7.0),
            np.arange(12) * 1e300,
            np.arange(12) * 1e-310,
            1e9 + np.arange(12),
        ]
    )
    train = np.arange(8)
    out, constant = standardise(X, train)
    assert list(constant) == [False, True, False, False, False]
    assert np.isfinite(out).all() and (out[:, 1] == 0).all()
    keep = out[train][:, ~constant]
    np.testing.assert_allclose(keep.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(keep.std(axis=0), 1, rtol=1e-6)


# --- tables ------------------------------------------------------------------------------------


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def csv_text(rows=24, header="a,b,colour,target", line=None):
    line = line or (lambda i: f"{i * 0.5},{i % 3},{'red' if i % 4 else 'blue'},{i % 2}")
    return header + "\n" + "".join(line(i) + "\n" for i in range(rows))


def test_csv_binary_classification(tmp_path):
    problem = read(write(tmp_path, "t.csv", csv_text()))
    assert isinstance(problem, LogisticRegression) and problem.rows == 15
    assert problem.start(0)["weight"].shape == (4, 1)
    assert "column 'target';" in problem.text and "colour" in problem.text
    found = problem.outsider()
    theirs = sklearn.linear_model.LogisticRegression(C=1.0, max_iter=1000, tol=1e-10)
    theirs.fit(problem.training_inputs(), problem._truth)
    params = {"weight": theirs.coef_.T.copy(), "bias": theirs.intercept_}
    assert found.name == "SciPy L-BFGS-B" and found.loss == pytest.approx(problem.loss(params), rel=1e-8)
    assert found.metric == problem.metric(params)
    for name in ("name", "title", "text", "loss_name", "metric_name"):
        assert "\n" not in getattr(problem, name)


def test_the_target_is_named_unless_one_column_has_a_usual_name(tmp_path):
    line = lambda i: f"{i % 2},{i * 0.1},{(i + 1) // 2 % 2}"
    for header, told in (
        ("p,q,r", "none is called target, y, label or class; columns: 'p', 'q', 'r'$"),
        ("y,q,label", "y, label could be it; columns: 'y', 'q', 'label'$"),
    ):
        path = write(tmp_path, "t.csv", csv_text(header=header, line=line))
        with pytest.raises(ProblemError, match=rf"name the column to predict, target= \(--target\): {told}"):
            read(path)
    assert "'Label';" in read(write(tmp_path, "t.csv", csv_text(header="Label,q,r", line=line))).text
    assert "'q'" in read(tmp_path / "t.csv", "q").text


def test_columns_that_number_the_rows_are_left_out(tmp_path):
    """Wherever they stand, from 0 or from 1; not where they are all there is, nor in another order."""
    line = lambda i: f"{i % 5},{i},{i + 1},{i + 2},{i % 2}"
    problem = read(write(tmp_path, "t.csv", csv_text(40, "a,id,no,later,y", line)))
    assert "row numbers left out: id, no" in problem.text and "2 inputs" in problem.text
    problem = read(write(tmp_path, "t.csv", csv_text(40, "time,y", lambda i: f"{i},{i % 2}")))
    assert "row numbers" not in problem.text


@pytest.mark.parametrize("model", ["linear", "network"])
@pytest.mark.parametrize("target", ["price", "kind", "two"])
def test_a_table_is_trained_validated_and_tested(tmp_path, model, target):
    """Gradients are differences of the loss, its penalty included; validation has rows and no penalty of its own."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 120))
    line = lambda i: f"{a[i]},{b[i]},{a[i] + 0.1 * b[i]},{'uvw'[i % 3]},{int(a[i] > b[i])}"
    path = write(tmp_path, "t.csv", csv_text(120, "a,b,price,kind,two", line))
    problem = read(path, target, model=model)
    assert problem.rows == 72 and "an L2 penalty of 0.01" in problem.text
    assert problem.l2 == 1 / problem.rows and (problem.minimum is None) == (model == "network")
    params = at_random(problem, 0)
    gradient, way = pack(problem.gradient(params, None)), pack(at_random(problem, 1, 1.0))
    f = [problem.loss(unpack(pack(params) + s * 1e-5 * way, params)) for s in (1, -1)]
    assert (f[0] - f[1]) / 2e-5 == pytest.approx(gradient @ way, rel=1e-6)
    assert problem.validation_name == "validation loss"
    rows = len(problem._validation[1])
    assert rows == pytest.approx(24, abs=2) and problem.rows + 2 * rows == pytest.approx(120, abs=2)
    free = read(path, target, model=model, l2=0.0)
    assert free.validation(params) == problem.validation(params) < np.inf
    weights = pack(params)[pack(params) != 0]
    biases = free.loss(params) + 0.5 * problem.l2 * np.sum(weights**2)
    assert free.loss(params) < problem.loss(params) < biases
    assert problem.metric(params) is not None


def test_the_minimum_of_a_table_is_what_newton_finds(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((150, 3))
    y = (x @ [2.0, -1.0, 0.3] + rng.logistic(size=150) > 0).astype(int)
    text = csv_text(150, "a,b,c,y", lambda i: f"{x[i, 0]},{x[i, 1]},{x[i, 2]},{y[i]}")
    path = write(tmp_path, "t.csv", text)
    for l2 in (None, 0.0, 3.0):
        problem = read(path, l2=l2)
        inputs = np.hstack([problem.training_inputs(), np.ones((problem.rows, 1))])
        w, penalty = np.zeros(4), problem.l2 * np.array([1, 1, 1, 0.0])
        for _ in range(30):
            p = 1 / (1 + np.exp(-inputs @ w))
            slope = inputs.T @ (p - problem._truth) / problem.rows + penalty * w
            w -= np.linalg.solve((inputs.T * (p * (1 - p))) @ inputs / problem.rows + np.diag(penalty), slope)
        least = problem.loss({"weight": w[:3, None], "bias": w[3:]})
        assert problem.minimum == pytest.approx(least, rel=1e-13)
        assert problem.outsider().loss == pytest.approx(least, rel=1e-6)


SEPARABLE = {
    "wholly": (lambda i: f"{i % 9},{int(i % 9 > 4)}", True),
    "but for a tie": (lambda i: f"{i % 9},{int(i % 9 > 4 or i % 18 == 4)}", True),
    "not": (lambda i: f"{i % 9},{int(i % 9 > 4) if i % 7 else i % 2}", False),
    "one of three": (lambda i: f"{i % 9},{'a' if i % 9 > 4 else 'bc'[i * i % 5 % 2]}", True),
    "three mixed": (lambda i: f"{i % 9},{'abc'[i * i % 7 % 3]}", False),
}


@pytest.mark.parametrize("case", SEPARABLE)
def test_a_loss_without_a_minimum_is_told(tmp_path, case):
    line, separable = SEPARABLE[case]
    path = write(tmp_path, "t.csv", csv_text(120, "a,y", line))
    problem = read(path, l2=0)
    assert (problem.caveat == "Separable: the loss has no minimum.") == separable
    assert (problem.minimum is None) == separable
    assert read(path).minimum is not None  # the penalty gives it one


def test_softmax_text_classes_and_formats_agree(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = ["cat", "dog", "eel"]
    line = lambda i: f"{i % 7},{i * i % 11},{'' if i == 4 else i % 5},{kinds[i % 3]}"
    text = csv_text(60, "a,b,c,species", line)
    problems = [
        read(write(tmp_path, "t.csv", text), "species"),
        read(write(tmp_path, "t.tsv", text.replace(",", "\t")), "species"),
        read(write(tmp_path, "s.csv", text.replace(",", ";")), "species"),
        read(write(tmp_path, "b.csv", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()), "species"),
    ]
    rows = [row.split(",") for row in text.split()[1:]]
    for strings in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        pq.write_table(
            pa.table(
                {
                    "a": pa.array([int(r[0]) for r in rows], pa.int16()),
                    "b": pa.array([float(r[1]) for r in rows], pa.float32()),
                    "c": pa.array([int(r[2]) if r[2] else None for r in rows]),
                    "species": pa.array([r[3] for r in rows]).cast(strings),
                }
            ),
            tmp_path / "t.parquet",
        )
        problems.append(read(tmp_path / "t.parquet", "species"))
    params = at_random(problems[0], 0)
    for problem in problems:
        assert isinstance(problem, SoftmaxRegression)
        assert "3 classes (cat, dog, eel)" in problem.text
        assert "missing values set to the mean: c" in problem.text
        assert problem.loss(params) == problems[0].loss(params)
        assert problem.metric(params) == problems[0].metric(params)


def test_regression(tmp_path):
    line = lambda i: f"{i + 2},{i % 5},{3.5 * i - (i % 5) + 0.25}"
    path = write(tmp_path, "t.csv", csv_text(60, "a,b,price", line))
    problem = read(path, "price", l2=0)
    assert isinstance(problem, LeastSquares) and problem.metric_name == "test R^2"
    found = problem.outsider()
    assert found.loss < 1e-16 and found.metric == pytest.approx(1.0)
    assert problem.minimum < 1e-20
    problem = read(path, "price")
    ridge = sklearn.linear_model.Ridge(alpha=1.0).fit(problem.training_inputs(), problem._truth)
    theirs = problem.loss({"weight": ridge.coef_[:, None].copy(), "bias": np.atleast_1d(ridge.intercept_)})
    assert problem.outsider().loss == pytest.approx(problem.minimum, rel=1e-12)
    assert problem.minimum == pytest.approx(theirs, rel=1e-12)
    line = lambda i: f"{i},{i % 5}"
    path = write(tmp_path, "t.csv", csv_text(60, "a,stars", line))
    assert isinstance(read(path, "stars"), SoftmaxRegression)
    assert isinstance(read(path, "stars", task="regression"), LeastSquares)
    assert isinstance(read(path, "a", task="regression"), LeastSquares)


def test_constant_missing_and_dropped_columns(tmp_path):
    line = lambda i: f"{i + 3},5,{'' if i % 6 == 0 else 'xy'[i % 2]},id{i},{'?' if i == 1 else i},,{i % 2}"
    path = write(tmp_path, "t.csv", csv_text(80, "b,k,w,id,m,none,y", line))
    problem = read(path, drop=["id"])
    assert "constant and therefore 0: k, none" in problem.text
    assert "missing values set to the mean: m, none" in problem.text
    assert "missing categories left without indicator: w" in problem.text
    X = problem.training_inputs()
    assert (X[:, 1] == 0).all() and X.shape[1] == 6


def test_svmlight(tmp_path):
    line = lambda i: f"{1 if i % 2 else -1} {1 + i % 3}:{i * 0.5 + 1} {5 + i % 2}:2 # note"
    problem = read(write(tmp_path, "t.svm", csv_text(40, "# head", line)))
    assert isinstance(problem, LogisticRegression) and "sparse" in problem.text
    assert (
        problem._sparse is None and abs(problem.training_inputs()).max() == 1.0
    )  # so few inputs stand dense
    many = csv_text(300, "# head", lambda i: f"{1 if i % 2 else -1} {1 + i % 3}:2 {5 + i}:1")
    wide = read(write(tmp_path, "w.svm", many))
    assert wide._sparse is not None and abs(wide._sparse).max() == 1.0
    assert problem.outsider().metric == 1.0
    params = at_random(problem, 0)
    assert np.isfinite(pack(problem.gradient(params, next(problem.batches(0, 4, 1))))).all()


def test_two_reads_are_the_same(tmp_path):
    path = write(tmp_path, "t.csv", csv_text())
    params = at_random(read(path), 0)
    assert read(path).loss(params) == read(str(path)).loss(params)


FEW = "a,y\n1,0\n2,1\n3,0\n4,1\n5,0\n"
GOOD = csv_text()
TEXTS99 = csv_text(99, "id,a,y", lambda i: f"id{i:02},{i * 2},{i % 2}")
ERRORS = {
    # name: (file name, content, keyword arguments, error, words of the message)
    "empty": ("t.csv", "", {}, FileError, "is empty"),
    "blank": ("t.csv", "\n  \n", {}, FileError, "its first line names no columns"),
    "header only": ("t.csv", "a,b,y\n", {}, ProblemError, "no rows of data"),
    "no header": ("t.csv", "1,2,0\n" * 10, {}, FileError, "only numbers"),
    "ragged": (
        "t.csv",
        GOOD + "1,2\n",
        {},
        FileError,
        "row 25: 2 fields where the first line names 4; correct it, or race without such lines",
    ),
    "long row": ("t.csv", "a,y\n1,2\n1,2,3\n", {}, FileError, "row 2: 3 fields"),
    "open quote": ("t.csv", GOOD + '"1,2,3,4\n', {}, FileError, "row 25: a quoted field does not end"),
    "target absent": ("t.csv", GOOD, {"target": "colr"}, ProblemError, "did you mean 'colour'"),
    "few rows": ("t.csv", FEW, {}, ProblemError, "5 rows; at least 8"),
    "one row": ("t.csv", "a,y\n1,0\n", {}, ProblemError, "1 row; at least 8"),
    "one class": (
        "t.csv",
        csv_text(9, "a,y", lambda i: f"{i},1"),
        {},
        ProblemError,
        "only one class, '1'",
    ),
    "one text": (
        "t.csv",
        csv_text(9, "a,y", lambda i: f"{i},no"),
        {},
        ProblemError,
        "one class, 'no'",
    ),
    "constant": (
        "t.csv",
        csv_text(9, "a,y", lambda i: f"{i},1.5"),
        {},
        ProblemError,
        "every value is 1.5",
    ),
    "no features": (
        "t.csv",
        csv_text(9, "y", lambda i: f"{i % 2}"),
        {},
        ProblemError,
        "no column is left",
    ),
    "all dropped": ("t.csv", FEW * 2, {"drop": ["a", "y"]}, FileError, "no columns are left"),
    "constant features": (
        "t.csv",
        csv_text(9, "a,b,y", lambda i: f"1,x,{i % 2}"),
        {},
        ProblemError,
        "constant or empty",
    ),
    "unknown drop": (
        "t.csv",
        GOOD,
        {"drop": ["colur"]},
        ProblemError,
        "has no column 'colur': did you mean 'colour'",
    ),
    "bad penalty": ("t.csv", GOOD, {"l2": -1}, ProblemError, r"l2: got -1, a number in \[0, inf\)"),
    "bad model": (
        "t.csv",
        GOOD,
        {"model": "linera"},
        ProblemError,
        "model: got 'linera'; did you mean 'linear'",
    ),
    "network of sparse text": (
        "t.svm",
        "1 1:1\n0 1:2\n" * 9,
        {"model": "network"},
        ProblemError,
        "takes dense inputs",
    ),
    "bad task": ("t.csv", GOOD, {"task": "x"}, ProblemError, "allowed: 'classification'"),
    "same names": (
        "t.csv",
        csv_text(9, "a,a,y", lambda i: f"{i},1,{i % 2}"),
        {},
        FileError,
        "two columns are named 'a'",
    ),
    "infinite": ("t.csv", GOOD + "inf,1,red,0\n", {}, ProblemError, "row 25, column 'a': got inf"),
    "overflow": (
        "t.csv",
        GOOD + "-1e999,1,red,0\n",
        {},
        ProblemError,
        "row 25, column 'a': got -inf",
    ),
    "infinite target": (
        "t.csv",
        csv_text(9, "a,y", lambda i: f"{i},{'inf' if i == 4 else i + 0.5}"),
        {},
        ProblemError,
        "row 5, column 'y'",
    ),
    "categories": (
        "t.csv",
        TEXTS99,
        {},
        ProblemError,
        r"60 different texts.*at most 50.*drop=\['id'\]",
    ),
    "text target": ("t.csv", TEXTS99, {"target": "id"}, ProblemError, "99 different values"),
    "text regression": (
        "t.csv",
        GOOD,
        {"target": "colour", "task": "regression"},
        ProblemError,
        "regression needs numbers",
    ),
    "binary csv": ("t.csv", bytes(range(256)) * 9, {}, FileError, "binary data"),
    "parquet as csv": ("t.csv", b"PAR1xxxxPAR1", {}, FileError, "is Parquet data"),
    "csv as parquet": ("t.parquet", GOOD, {}, FileError, "is not a whole Parquet file"),
    "cut parquet": ("t.parquet", b"PAR1" + b"x" * 99, {}, FileError, "is not a whole Parquet file"),
    "empty parquet": ("t.parquet", b"", {}, FileError, "is empty"),
    "unknown extension": (
        "t.xlsx",
        b"PK\x03\x04",
        {},
        FileError,
        "cannot be read",
    ),
    "no extension": ("t", GOOD, {}, FileError, "tells its format"),
    "svm bad line": (
        "t.svm",
        "1 1:2\n0 2:3\nhello 1:2\n",
        {},
        FileError,
        "line 3: column 1: the label 'hello' is not a number; correct it, or race without",
    ),
    "svm no colon": ("t.svm", "1 1:2\n0 2\n", {}, FileError, "line 2"),
    "csv as svm": ("t.svm", GOOD, {}, FileError, "line 1"),
    "svm binary": ("t.svm", b"\0\1\2" * 9, {}, FileError, "binary"),
    "svm few": ("t.svm", "1 1:2\n0 2:3\n", {}, ProblemError, "2 rows"),
    "svm no pairs": ("t.svm", "1\n0\n" * 9, {}, ProblemError, "no line has a feature"),
    "svm nan": ("t.svm", "1 1:nan\n0 1:2\n" * 9, {}, FileError, "line 1: column 5: nan is not finite"),
    "svm inf": ("t.svm", "1 1:inf\n0 1:2\n" * 9, {}, FileError, "line 1: column 5: inf is not finite"),
    "svm target": ("t.svm", "1 1:1\n0 1:2\n" * 9, {"target": "y"}, ProblemError, "no column names"),
    "svm one class": ("t.svm", "1 1:1\n1 1:2\n" * 9, {}, ProblemError, "only one class"),
    "svm only comments": ("t.svm", "# hello\n", {}, ProblemError, "."),
}


@pytest.mark.parametrize("case", ERRORS)
def test_table_errors(tmp_path, case):
    name, content, arguments, error, words = ERRORS[case]
    path = write(tmp_path, name, content)
    with pytest.raises(error, match=words) as caught:
        read(path, **arguments)
    message = str(caught.value)
    print(message.replace(str(tmp_path), ""))
    assert "\n" not in message and len(message) < 400
    if case not in ("bad task", "bad penalty", "bad model"):
        assert name in message


def test_missing_files_and_directories(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / "no.csv")
    write(tmp_path, "table.csv", GOOD)
    with pytest.raises(FileError, match="did you mean .*table.csv"):
        read(tmp_path / "tabel.csv")
    with pytest.raises(FileError, match="nor is there a directory"):
        read(tmp_path / "no" / "no.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(FileError, match="is a directory"):
        read(tmp_path / "d.csv")
    with pytest.raises(FileError, match="cannot be read"):
        read("a\0b.csv")


def test_parquet_column_types(tmp_path):
    import datetime
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 24
    path = tmp_path / "t.parquet"
    columns = {
        "flag": [None if i == 0 else i % 3 == 0 for i in range(n)],
        "price": [Decimal(i) / 4 for i in range(n)],
        "nothing": pa.nulls(n),
        "big": [2**60 + i * 2**55 for i in range(n)],
        "y": [i % 2 == 0 for i in range(n)],
    }
    pq.write_table(pa.table(columns), path)
    problem = read(path)
    assert isinstance(problem, LogisticRegression)
    assert problem.start(0)["weight"].shape == (4, 1) and np.isfinite(problem.outsider().loss)
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(i) for i in range(n)]
    pq.write_table(pa.table(columns | {"day": days}), path)
    assert read(path, "y").start(0)["weight"].shape == (12, 1)  # a number of days; days of the week
    assert read(path, "y", drop="day").start(0)["weight"].shape == (4, 1)
    pq.write_table(pa.table(columns | {"pair": [[1, 2]] * n}), path)
    with pytest.raises(FileError, match="column 'pair' is of type list"):
        read(path)
    pq.write_table(pa.table({"a": [1.0] * 9 + [float("inf")], "y": [0, 1] * 5}), path)
    with pytest.raises(ProblemError, match="row 10, column 'a': got inf"):
        read(path)
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    with pytest.raises(ProblemError, match="no rows of data"):
        read(path)


READ = {
    "a bad cell": (GOOD + "abc,1,red,0\n", {}, "a: 1 cells that are no numbers are missing"),
    "decimal commas": (csv_text(line=lambda i: f"{i},5;{i % 2}", header="a;y"), {}, "2 classes"),
    "gzip": (gzip.compress(GOOD.encode()), {}, "4 inputs"),
    "utf-16": (GOOD.encode("utf-16"), {}, "4 inputs"),
    "latin-1": (GOOD.encode() + b"1,1,gr\xfcn,0\n", {}, "2 classes"),
    "no target": (GOOD + "1,1,red,\n", {}, "1 row without a target left out"),
    "row numbers": (
        csv_text(24, ",a,y", lambda i: f"{i},{i * 3 % 7},{i % 2}"),
        {},
        "row numbers left out: ''",
    ),
    "a name with a comma": (csv_text(header='"a, b",c,colour,y'), {"drop": ["a, b"]}, "2 classes"),
}


@pytest.mark.parametrize("case", READ)
def test_files_as_people_have_them(tmp_path, case):
    content, arguments, words = READ[case]
    problem = read(write(tmp_path, "t.csv", content), **arguments)
    assert words in problem.text and problem.rows in (14, 15)
    assert np.isfinite(pack(problem.gradient(problem.start(0), None))).all()


def test_sparse_indices_are_no_allocation(tmp_path):
    """The features that occur are the inputs, whatever their indices; Vowpal Wabbit's text is read too."""
    line = lambda i: f"{1 if i % 2 else -1} {'7:1 2000000000:2' if i % 2 else '3:1'}"
    problem = read(write(tmp_path, "t.svm", csv_text(40, "# head", line)))
    assert problem.start(0)["weight"].shape == (3, 1) and "3 inputs" in problem.text
    line = lambda i: f"{1 if i % 2 else -1} |n {'a b:2' if i % 2 else 'c'}"
    problem = read(write(tmp_path, "t.vw", csv_text(40, "1 | a", line)))
    assert problem.start(0)["weight"].shape == (4, 1)


def test_what_is_said_of_reading_reaches_the_reader(tmp_path):
    """The options of ``race`` for files are those that ``read`` takes, and the report's command repeats them."""
    from thalweg.cli import race as command
    from thalweg.lab.race import prepare, race
    from thalweg.problems.table.files import READING

    assert set(command.READING) == set(READING)
    rows = "".join(f"{'NA' if i == 3 else i * 7 % 11};{i % 5},5;{i % 2}\n" for i in range(40))
    path = write(tmp_path, "t.txt", "skip this\na;b;y\n" + rows + "1;2\n# remark\n")
    reading = {
        "format": "csv",
        "skip_lines": 1,
        "comment": "#",
        "decimal": ",",
        "na": ["7"],
        "on_bad_line": "skip",
    }
    problem = read(path, reading=reading)
    assert "bad lines skipped: 1 (row 41: 2 fields" in problem.text
    assert "missing values set to the mean: a" in problem.text and problem.start(0)["weight"].shape == (2, 1)
    result = race(path, ["SGD"], reading=reading, trials=1, seeds=1, steps=4)
    words = "--format csv --skip-lines 1 --comment '#' --decimal , --na 7 --on-bad-line skip"
    assert words in result.data["settings"]["command"]
    prepared = prepare(path, ["SGD"], RaceOptions(reading=reading))
    assert dict(prepared.source.reading)["na"] == ("7",)
    for odd, words in {
        "delimeter": "unknown 'delimeter'",
        "bits": "is a table: bits: not for that",
        "dates": "dates must be one of",
    }.items():
        with pytest.raises(ProblemError, match=words):
            read(path, reading=reading | {odd: "x"})
    vw = write(tmp_path, "t.vw", "".join(f"{i % 2} |a x{i % 3} |b y{i % 4}\n" for i in range(40)))
    assert read(vw, reading={"interactions": ["ab"]}).start(0)["weight"].shape == (19, 1)
    with pytest.raises(ProblemError, match="delimiter: not for that"):
        read(vw, reading={"delimiter": ","})
    with pytest.raises(ProblemError, match="na: only a table's file"):
        prepare("digits", ["SGD"], RaceOptions(reading={"na": "7"}))


def test_one_column_to_leave_out_needs_no_list(tmp_path):
    """Its letters are no columns."""
    path = write(tmp_path, "t.csv", csv_text(40, "ab,c,y", lambda i: f"{i * 7 % 11},{i % 5},{i % 3}.5"))
    for given in ("ab", ["ab"]):
        assert named(path, "y", drop=given).start(0)["weight"].shape == (1, 1)
        assert RaceOptions(target="y", drop=given).source(path).drop == ("ab",)


def test_products_of_columns_are_inputs_of_a_table(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal([[5.0], [-3.0]], size=(2, 60))
    words = [("u", "v", "w")[k % 3] for k in range(60)], [("p", "q")[k // 3 % 2] for k in range(60)]
    rows = zip(a.tolist(), b.tolist(), *words, ((a - 5) * (b + 3)).tolist(), strict=True)
    path = write(tmp_path, "t.csv", "a,b,s,t,y\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    table = read_table(path, (), {"interactions": ["a,b", "a,s", "s,t"]})
    train = np.arange(40)
    plain, _ = features_of(read_table(path, (), {}), "y", train)
    crossed, notes = features_of(table, "y", train)
    assert "products: a x b, a x s, s x t" in notes
    assert plain.shape[1] == 2 + 3 + 2 and crossed.shape[1] == plain.shape[1] + 1 + 3 + 6
    np.testing.assert_array_equal(crossed[:, : plain.shape[1]], plain)
    numbers, s, t, (ab, *rest) = plain[:, :2], plain[:, 2:5], plain[:, 5:7], crossed[:, plain.shape[1] :].T
    product = numbers[:, 0] * numbers[:, 1]
    np.testing.assert_allclose(ab, (product - product[:40].mean()) / product[:40].std(), atol=1e-12)
    np.testing.assert_array_equal(np.transpose(rest[:3]), numbers[:, :1] * s)
    np.testing.assert_array_equal(np.transpose(rest[3:]), np.repeat(s, 2, axis=1) * np.tile(t, 3))
    problem = read(path, target="y", reading={"interactions": "a,b"})
    assert problem.start(0)["weight"].shape == (8, 1) and "products: a x b" in problem.text
    for odd, words in {"a,y": "must name two columns", "s,s": "a text with itself"}.items():
        with pytest.raises(ProblemError, match=f"interactions: '{odd}':? {words}"):
            read(path, target="y", reading={"interactions": odd})


def test_parts_of_dates_are_categories(tmp_path):
    days = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=31 * i) for i in range(60)]
    lines = {"iso.csv": "%Y-%m-%d %H:%M", "other.csv": "%d.%m.%Y %H:%M"}
    made = []
    for name, way in lines.items():
        text = csv_text(60, "when,y", lambda i, way=way: f"{days[i].strftime(way)},{i % 7}")
        made.append(read(write(tmp_path, name, text), "y", task="regression"))
    assert "when.month, when.weekday, when.hour" in made[0].text and "when.year" not in made[0].text
    inputs = [problem.training_inputs() for problem in made]
    assert inputs[0].shape[1] > 1 + 3 + 7 + 12 and np.array_equal(*inputs)
