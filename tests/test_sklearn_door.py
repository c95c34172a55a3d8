"""The scikit-learn door: its own checks, its tools, its names, and what bad input says."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import thalweg as tw
from thalweg.sklearn import LinearClassifier, LinearRegressor

WEIGHTS = "a weight of 2 is one step with twice the gradient, not two steps, as in SGDClassifier"
EXPECTED = {f"check_sample_weight_equivalence_on_{kind}_data": WEIGHTS for kind in ("dense", "sparse")}


worse_than_constant = pytest.mark.filterwarnings(
    "ignore:.*one constant:sklearn.exceptions.ConvergenceWarning"
)


def expected(estimator):
    return EXPECTED


@pytest.mark.slow
@worse_than_constant  # the checks' labels are often noise
@parametrize_with_checks(
    [f(scale=scale) for f in (LinearClassifier, LinearRegressor) for scale in (None, "auto")],
    expected_failed_checks=expected,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@worse_than_constant
@parametrize_with_checks(
    [LinearClassifier(max_iter=30, learning_rate=1.0), LinearRegressor(max_iter=30, learning_rate=1.0)],
    expected_failed_checks=expected,
)
def test_scikit_learns_checks_without_a_race(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def cancer():
    data = load_breast_cancer()
    return StandardScaler().fit_transform(data.data), data.target


def quick(**more):
    return LinearClassifier(max_iter=3, learning_rate=0.1, random_state=0, **more)


def test_the_same_seed_gives_the_same_model(cancer):
    x, y = cancer
    one, two = (LinearClassifier(random_state=3).fit(x, y) for _ in range(2))
    assert np.array_equal(one.coef_, two.coef_)
    assert one.score(x, y) > 0.95
    assert one.rule_ == two.rule_
    assert one.t_ == one.n_iter_ * len(y)


def test_shapes_are_scikit_learns(cancer):
    x, y = cancer
    two = quick().fit(x, y)
    assert two.coef_.shape == (1, 30)
    assert two.intercept_.shape == (1,)
    assert two.decision_function(x).shape == (len(y),)
    x, y = load_iris(return_X_y=True)
    three = quick().fit(x, y)
    assert three.coef_.shape == (3, 4)
    assert three.intercept_.shape == (3,)
    assert three.predict_proba(x).shape == (150, 3)
    x, y = make_regression(200, 6, random_state=0)
    number = LinearRegressor(random_state=0).fit(x, y)
    assert number.coef_.shape == (6,)
    assert number.intercept_.shape == (1,)
    assert number.score(x, y) > 0.9


@worse_than_constant
def test_a_rules_lines_are_parameters(cancer):
    model = LinearClassifier(rule=tw.RMSprop())
    assert model.get_params()["rule__lr"] == tw.RMSprop().lr
    assert model.set_params(rule__lr=0.5, alpha=0.1).rule == tw.RMSprop(lr=0.5)
    assert clone(model).rule == model.rule
    x, y = cancer
    search = GridSearchCV(
        quick(rule=tw.SGD()).set_params(learning_rate=None), {"rule__lr": [1e-9, 0.1]}, cv=2
    )
    assert search.fit(x, y).best_params_ == {"rule__lr": 0.1}
    assert search.best_estimator_.rule_ == tw.SGD(lr=0.1)
    with pytest.raises(ValueError, match="unknown hyperparameter"):
        model.set_params(rule__leaning=1)


def test_texts_in_a_pipeline():
    texts = ["good fine film", "bad poor film", "fine good play", "poor bad play"] * 10
    labels = ["yes", "no", "yes", "no"] * 10
    model = make_pipeline(HashingVectorizer(n_features=2**12), LinearClassifier(random_state=0))
    assert model.fit(texts, labels).predict(["good play"]) == ["yes"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on_alike(cancer, copied):
    x, y = cancer
    model = quick(rule=tw.Adam(), alpha=0.01).fit(x, y)
    other = copied(model)
    for m in (model, other):
        m.partial_fit(x, y)
    assert np.array_equal(model.coef_, other.coef_)


def test_joblib(cancer, tmp_path):
    x, y = cancer
    model = quick().fit(x, y)
    joblib.dump(model, tmp_path / "model")
    assert np.array_equal(joblib.load(tmp_path / "model").predict(x), model.predict(x))


def test_sparse_equals_dense(cancer):
    x, y = cancer
    x = np.where(np.abs(x) > 1, x, 0)
    dense, sparse, other = (
        quick(rule=tw.Adam(), alpha=0.1).fit(f(x), y) for f in (np.array, csr_array, coo_array)
    )
    np.testing.assert_allclose(dense.coef_, sparse.coef_, rtol=1e-9, atol=1e-12)
    assert np.array_equal(sparse.coef_, other.coef_)


def test_unsorted_and_duplicate_columns_are_summed_in_a_copy():
    x = csr_array(
        (np.array([1.0, 2.0, 3.0, 4.0]), np.array([2, 0, 1, 1]), np.array([0, 2, 2, 4])), shape=(3, 3)
    )
    y = np.array([0, 1, 1])
    model = quick().fit(x, y)
    clean = csr_array(x.toarray())
    assert np.array_equal(model.coef_, quick().fit(clean, y).coef_)
    assert x.indices.tolist() == [2, 0, 1, 1]


def test_stopping_and_warm_starts(cancer):
    x, y = cancer
    assert quick(early_stopping=True).set_params(max_iter=500, n_iter_no_change=2).fit(x, y).n_iter_ < 500
    assert quick(tol=1e-2).set_params(max_iter=500).fit(x, y).n_iter_ < 500
    model = quick(warm_start=True).fit(x, y)
    before = model.model_.loss_of(x, model.model_.encode(y))
    model.fit(x, y)
    assert model.model_.loss_of(x, model.model_.encode(y)) < before


def test_class_weights_are_sample_weights(cancer):
    x, y = cancer
    by_class = quick(class_weight={0: 3.0, 1: 0.5}).fit(x, y)
    by_row = quick().fit(x, y, sample_weight=np.where(y == 0, 3.0, 0.5))
    assert np.array_equal(by_class.coef_, by_row.coef_)
    assert not np.array_equal(by_class.coef_, quick().fit(x, y).coef_)
    assert np.isfinite(quick(class_weight="balanced").fit(x, y).coef_).all()


def test_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    counts = rng.poisson(np.exp(x @ [0.5, -0.3, 0.1] + 0.2))
    poisson = LinearRegressor("poisson", random_state=0).fit(x, counts)
    np.testing.assert_allclose(poisson.coef_, [0.5, -0.3, 0.1], atol=0.1)
    assert (poisson.predict(x) > 0).all()
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=2000)
    high = LinearRegressor("quantile", quantile=0.9, random_state=0).fit(x, y)
    assert abs(np.mean(y < high.predict(x)) - 0.9) < 0.05
    with pytest.raises(ValueError, match="0 or more"):
        LinearRegressor("poisson").fit(x, y)


BAD = {
    "loss": ({"loss": "log"}, "did you mean 'log_loss'"),
    "penalty": ({"penalty": "l3"}, "penalty must be one of"),
    "alpha": ({"alpha": -1.0}, "alpha must be a number"),
    "rule": ({"rule": 3}, "rule: must be a rule"),
    "name": ({"rule": "Adamm"}, "rule: unknown method 'Adamm': did you mean 'Adam'"),
    "max_iter": ({"max_iter": 0}, "max_iter must be a whole number"),
    "learning_rate": ({"learning_rate": "fast"}, "learning_rate must be a number"),
    "multi_class": ({"multi_class": "multinomial", "loss": "hinge"}, "goes with loss='log_loss'"),
    "average": ({"average": -1}, "average must be"),
    "scale": ({"scale": "standard"}, "scale must be None or 'auto', got 'standard'"),
    "no gain": ({"rule": tw.Lion, "alpha": 0.1}, "Lion has no gain"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case, cancer):
    x, y = cancer
    chosen, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        quick().set_params(**chosen).fit(x, y)


def test_bad_data(cancer):
    x, y = cancer
    model = quick().partial_fit(x, y, classes=[0, 1])
    before = model.coef_.copy()
    for attempt, words in (
        (lambda: model.partial_fit(x, y + 1), "not one of the classes"),
        (lambda: model.partial_fit(x, y, classes=[0, 1, 2]), "differ from"),
        (lambda: model.partial_fit(x[:, :5], y), "features"),
        (lambda: model.predict(x[:, :5]), "features"),
        (lambda: model.partial_fit(np.full_like(x, np.nan), y), "NaN"),
        (lambda: quick().partial_fit(x, y), "needs classes="),
        (lambda: quick(class_weight="balanced").partial_fit(x, y, classes=[0, 1]), "balanced"),
        (lambda: quick().fit(x, np.zeros(len(y))), "one class"),
        (lambda: quick().fit(x, y, sample_weight=-np.ones(len(y))), "Negative"),
        (lambda: quick(rule=tw.SGD()).set_params(learning_rate=1e9).fit(x * 1e300, y), "finite"),
    ):
        with pytest.raises(ValueError, match=words):
            attempt()
    assert np.array_equal(model.coef_, before)
    outside = csr_array((np.ones(2), np.array([0, 1]), np.array([0, 1, 2])), shape=(2, 2))
    outside.indices[1] = 7
    with pytest.raises(ValueError, match=r"X\[1\] has a column outside"):
        quick().fit(outside, [0, 1])
    with pytest.raises(AttributeError, match="predict_proba"):
        quick(loss="hinge").fit(x, y).predict_proba(x)


@worse_than_constant
def test_empty_rows_step_the_intercept():
    x = csr_array((6, 4))
    model = quick().fit(x, [0, 1, 1, 1, 1, 1])
    assert not model.coef_.any()
    assert model.intercept_[0] > 0


def test_a_fit_that_is_refused_leaves_the_model():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    model = quick().fit(x, y)
    before = model.predict_proba(x)
    for change, given in (
        ({}, (x[:, :3], np.zeros(len(y)))),
        ({"loss": "hing"}, (x[:, :3], y)),
        ({"class_weight": {0: -1, 1: 1}}, (x, y)),
        ({"class_weight": {0: float("nan")}}, (x, y)),
        ({"rule": tw.SGD(), "learning_rate": 1e9}, (x * 1e300, y)),
        ({"rule": tw.Lion, "learning_rate": 2.0, "alpha": 1.0}, (x, y)),
    ):
        old = model.get_params(deep=False)
        with pytest.raises(ValueError, match=r"loss|one class|class_weight\[0\]|lr|gain"):
            model.set_params(**change).fit(*given)
        model.set_params(**old)
        assert np.array_equal(model.predict_proba(x), before)


@pytest.mark.parametrize("scale", [1e-9, 1e9, 1e12])
def test_targets_of_any_unit(scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    y = x @ [1.0, 2.0, 3.0] * scale
    assert LinearRegressor(random_state=0).fit(x, y).score(x, y) > 0.99


# Blocks, and rows that weigh nothing.


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_first_block_of_few_rows_does_not_spoil_the_rate(size):
    """It is chosen again when more have come: the score is that of least squares, as SGDRegressor's is."""
    bunch = load_diabetes()
    x = (bunch.data - bunch.data.mean(axis=0)) / bunch.data.std(axis=0)
    order = np.random.default_rng(0).permutation(len(x))
    model = LinearRegressor(random_state=0)
    block = np.empty((0, 10))
    for _ in range(4):
        for start, end in [(0, size), *((a, a + 50) for a in range(size, len(x), 50))]:
            block = x[order[start:end]].copy()
            model.partial_fit(block, bunch.target[order[start:end]])
            block[:] = np.nan  # the caller's own, to be used again
    assert model.score(x, bunch.target) > 0.50
    assert model.t_ == 4 * len(x)


@pytest.mark.filterwarnings("ignore:.*2 passes ended:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{}, {"average": True, "alpha": 0.1}, {"early_stopping": True}], ids=str)
def test_a_row_of_weight_0_is_no_row(cancer, settings):
    """Not in the race, the draws, a rule that moves without gradients, averages or counts."""
    x, y = cancer
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    kept = weights > 0
    for rule in (tw.Adagrad, tw.Adam(lr=1e-3)) if not settings else (tw.Adagrad(lr=0.1),):
        whole, part = (LinearClassifier(rule=rule, random_state=0, max_iter=2, **settings) for _ in range(2))
        whole.fit(x, y, weights)
        part.fit(x[kept], y[kept], weights[kept])
        assert whole.t_ == part.t_
        assert np.array_equal(whole.coef_, part.coef_) and np.array_equal(whole.intercept_, part.intercept_)
        if not whole.early_stopping:
            whole.partial_fit(x, y, sample_weight=weights)
            part.partial_fit(x[kept], y[kept], sample_weight=weights[kept])
        assert np.array_equal(whole.coef_, part.coef_)


@worse_than_constant  # which no model of one class can beat
def test_balanced_weights_count_the_rows_that_weigh(cancer):
    x, y = cancer
    weights = np.where((y == 0) & (np.arange(len(y)) % 3 > 0), 0.0, 1.0)
    kept = weights > 0
    whole, part = (quick(class_weight="balanced") for _ in range(2))
    assert np.array_equal(whole.fit(x, y, weights).coef_, part.fit(x[kept], y[kept], weights[kept]).coef_)
    without = quick(class_weight="balanced").fit(
        x, y, (y == 1).astype(float)
    )  # a class with no row that weighs
    assert np.isfinite(without.coef_).all()


# Units.

UNITS = 10.0 ** np.array([-6, 6, 0, 3, -3, 1, 2, -5, 4, 5])
AWAY = np.array([0, 1e3, 1e6, -10, 0, 1e5, 0, 1e6, 1, 0])  # of deviations
TOO_SHORT = pytest.mark.filterwarnings("ignore:.*passes ended:sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def diabetes():
    data = load_diabetes()
    return StandardScaler().fit_transform(data.data), data.target


def scaled(estimator=LinearRegressor, **more):
    return estimator(**{"scale": "auto", "max_iter": 3, "random_state": 0} | more)


@TOO_SHORT
@pytest.mark.parametrize(
    ("settings", "dtype"),
    [
        ({"alpha": 0.1}, np.float64),
        ({"alpha": 0.1, "fit_intercept": False}, np.float32),
        ({"alpha": 0.1, "tol": 1e-3, "max_iter": 10, "early_stopping": True}, np.float64),
        pytest.param({"loss": "huber", "epsilon": 50.0, "average": True}, np.float64, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_units_of_columns_and_numbers_do_not_matter(diabetes, settings, dtype):
    """The same predictions, by the same rate and passes; and the weights are those of the data's units."""
    x, y = diabetes
    near = 1e-6
    if dtype == np.float32:
        near, y = 1e-3, y - y.mean()
    away = AWAY if dtype == np.float64 else 0
    other = ((x + away) * UNITS).astype(dtype)
    inches = {"epsilon": settings["epsilon"] * 1e-5} if "epsilon" in settings else {}
    one = scaled(**settings).fit(x, y)
    two = scaled(**settings | inches).fit(other, y * 1e-5)
    assert (one.rule_, one.n_iter_) == (two.rule_, two.n_iter_)
    np.testing.assert_allclose(two.predict(other) * 1e5, one.predict(x), atol=near * y.std())
    assert two.coef_.dtype == two.intercept_.dtype == np.float64
    np.testing.assert_allclose(
        other.astype(float) @ two.coef_ + two.intercept_, two.predict(other), atol=1e-5 * near * y.std()
    )
    assert one.score(x, y) > 0.3


def test_units_of_classes_sparse_rows_and_blocks_do_not_matter():
    x, y = load_iris(return_X_y=True)
    units = 10.0 ** np.array([5, -4, 0, 2])
    there = np.random.default_rng(0).random(x.shape) < 0.7
    for f in (np.array, lambda x: csr_array(x * there)):
        one, two = (scaled(LinearClassifier) for _ in range(2))
        assert one.fit(f(x), y).score(f(x), y) > 0.6
        two.fit(f(x * units), y)
        np.testing.assert_allclose(two.predict_proba(f(x * units)), one.predict_proba(f(x)), atol=1e-9)
        np.testing.assert_allclose(two.coef_ * units, one.coef_, rtol=1e-6)
        one, two = (scaled(LinearClassifier, rule=tw.Adagrad(lr=0.5)) for _ in range(2))
        order = np.random.default_rng(0).permutation(len(y))
        for rows in np.split(order, [1, 4, 5, 50, 100]):
            one.partial_fit(f(x)[rows], y[rows], classes=[0, 1, 2])
            two.partial_fit(f(x * units)[rows], y[rows], classes=[0, 1, 2])
        np.testing.assert_allclose(two.predict_proba(f(x * units)), one.predict_proba(f(x)), atol=1e-9)
    first = csr_array(
        np.array([[1.0, 0.0], [2.0, 0.0]] * 600)
    )  # the second column is new after the first rows
    one, two = (scaled(LinearClassifier) for _ in range(2))
    for unit, model in ((1.0, one), (1e6, two)):
        model.partial_fit(first, [0, 1] * 600, classes=[0, 1])
        model.partial_fit(csr_array([[1.0, 3.0 * unit], [2.0, -2.0 * unit]]), [1, 0])
    np.testing.assert_allclose(two.coef_[0, 1] * 1e6, one.coef_[0, 1], rtol=1e-9)


def test_a_scaled_model_begins_at_weights_of_the_datas_units(diabetes):
    x, y = diabetes
    x = (x + AWAY) * UNITS
    model = scaled(rule=tw.Adagrad(lr=0.1)).fit(x, y)
    again = scaled(rule=tw.SGD(lr=1e-12), max_iter=1).fit(
        x[:300], y[:300], None, model.coef_, model.intercept_
    )
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-4)
    warm = clone(model).set_params(warm_start=True).fit(x, y)
    warm.set_params(rule=tw.SGD(lr=1e-12)).fit(x[100:], y[100:])  # of other means and deviations
    np.testing.assert_allclose(warm.predict(x), model.predict(x), atol=1e-4)
    for m in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(m.predict(x), model.predict(x))
        m.partial_fit(x, y)
        assert np.isfinite(m.coef_).all() and m.score(x, y) > 0.45
    np.testing.assert_allclose(model.predict(csr_array(x)), model.predict(x), atol=1e-4)
    with pytest.raises(ValueError, match="sparse rows cannot be"):
        model.partial_fit(csr_array(x), y)


def test_a_constant_column_of_any_size_changes_nothing():
    """A million beside columns of size 1 spoilt every step."""
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    whole = scaled(LinearClassifier).fit(np.column_stack([x, np.full(len(x), 1e6)]), y)
    assert np.allclose(whole.coef_[0, :-1], scaled(LinearClassifier).fit(x, y).coef_[0])


@worse_than_constant
@pytest.mark.parametrize("make", [np.array, csr_array], ids=["dense", "sparse"])
def test_columns_of_sizes_far_apart_are_told(cancer, make):
    """Once a fit, where nothing scales them; not for rare columns of ordinary size."""
    x, y = cancer[0].copy(), cancer[1]
    x[:, 3] *= 1e4
    said = (
        r"^Linear\w+: columns differ in size by more than 1000: column 3 is about \S+e\+04, column \d+ about"
    )
    for learn in (
        quick().fit,
        LinearRegressor(learning_rate=1e-9).fit,
        lambda x, y: quick().partial_fit(x, y, classes=[0, 1]),
    ):
        with pytest.warns(ConvergenceWarning, match=said) as told:
            learn(make(x), y)
        assert sum("size" in str(w.message) for w in told) == 1
        assert told[0].filename == __file__
    quick(scale="auto").fit(make(x), y)
    x[:, 3] = np.arange(len(y)) == 5
    quick().fit(make(x), y)
