"""What scikit-learn's tests assert of SGDClassifier and SGDRegressor, asserted of our estimators.

``DIFFERENCES`` are all that is not so; ``docs/sklearn.md`` shows them.
"""

import inspect
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, SGDClassifier, SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import thalweg as tw
from thalweg.core.gain import lacks_gain
from thalweg.core.rule import Rule
from thalweg.linear.losses import EITHER, MARGIN
from thalweg.rules import resolved
from thalweg.sklearn import LinearClassifier, LinearRegressor

from ..strategies import RULES, every_rule, few_rules_in_time, first_of

DIFFERENCES: dict[str, str] = {
    "`loss`": '`"log_loss"` unless you say otherwise, since it gives probabilities; no `"perceptron"`, which stops at the first line that separates; the regressor also has `"poisson"` and `"quantile"`',
    "`rule`": "any rule, its class or its name; `None` is `Adagrad(eps=2)`",
    "`learning_rate`": '`"auto"` (a race), a number, a schedule, or `None`: the lr of a rule such as `tw.RMSprop(lr=0.01)`, and a race for a class, a name without arguments, or no rule; `"optimal"`, `"invscaling"`, `"adaptive"`, `"pa1"`, `"pa2"` belong to SGD and are errors',
    "`eta0`, `power_t`": "no parameters: the rate and its schedule are the rule's, as in `rule=tw.SGD(lr=tw.inverse_sqrt(0.01))`",
    "`multi_class`": '`"auto"`: one softmax over all classes for `log_loss`, one class against the rest for other losses',
    "`n_jobs`": "no parameter: one compiled pass learns all classes",
    "`alpha`": "0 unless you say otherwise, since an adaptive rule that passes a few times over the data seldom needs it; the penalty is taken in the rule's own metric, by a proximal step after the rule's",
    "`max_iter`": "`None`: 3 passes; for up to 40,000 rows, as many as held-out rows ask for",
    "`tol`": "`None`: all passes are made, unless `early_stopping` is on",
    "`early_stopping`": "the loss of the held-out rows decides, not their score",
    "`fit(X, y, sample_weight)`": "in the order of scikit-learn's other estimators, with `coef_init` and `intercept_init` behind",
    '`penalty="l1"`': "a soft threshold after every row, which leaves few weights at exactly 0; theirs keeps account of what is left to pull (Tsuruoka, Tsujii & Ananiadou); `rule=tw.FTRL` sums the penalty up, and finds the zeros",
    "`quantile`": "of the regressor's loss of that name",
    "`class_weight`": "multiplies a row's loss for every class; theirs leaves the rest unweighted where one class is learnt against it",
    "`coef_`, `intercept_`": "are read, and set by `coef_init` and `intercept_init` alone, since the rule's states go with them",
    "`t_`": "the steps done, from 0; theirs begins at 1",
    "`sparsify`, `densify`": "no methods: `partial_fit` needs the weights as they are; `scipy.sparse.csr_array(model.coef_)` is the sparse form",
    "`loss_functions`": "no attribute; `thalweg.linear.loss` gives a loss by its name",
    "intercept of sparse rows": "is learnt at the full rate; theirs at a hundredth of it",
    "`scale`": "`None`: columns are learnt as they are; `\"auto\"` learns them, and a regressor's numbers, over their deviations, and `coef_` is in the data's units",
    "columns whose sizes differ by more than 10³": "warn, a `ConvergenceWarning`, where `scale` is `None`",
    "a model worse than a constant": "warns, a `ConvergenceWarning`",
    "slopes beyond 10¹²": "are taken as they are, and a loss that is not finite any more is an error; theirs cuts the slopes",
}

ESTIMATORS = {"classifier": (LinearClassifier, SGDClassifier), "regressor": (LinearRegressor, SGDRegressor)}
both = pytest.mark.parametrize("kind", ESTIMATORS)


@both
def test_every_parameter_is_theirs_or_a_difference(kind: str) -> None:
    """A parameter has the same name and default, or stands among the differences."""
    ours, theirs = (inspect.signature(e).parameters for e in ESTIMATORS[kind])
    other = {n for n in {*ours, *theirs} if n not in ours or n not in theirs}
    other |= {n for n in ours if n in theirs and ours[n].default != theirs[n].default}
    told = " ".join(DIFFERENCES)
    assert [n for n in sorted(other) if f"`{n}`" not in told] == []
    assert {"rule", "alpha", "eta0"} <= other


@both
def test_every_method_is_theirs_or_a_difference(kind: str) -> None:
    """A public method takes the same arguments, or stands among the differences."""
    ours, theirs = ESTIMATORS[kind]
    names = [n for n in dir(theirs) if not n.startswith("_")]
    missing = [n for n in names if not hasattr(ours, n)]
    assert set(missing) == {"densify", "loss_functions", "sparsify"}
    for n in ("fit", "partial_fit"):
        mine, other = (list(inspect.signature(getattr(e, n)).parameters) for e in (ours, theirs))
        assert set(mine) == set(other)
        assert (mine == other) is (n == "partial_fit")


# Laws on every rule: sparse rows in float64 with decay, which other tests compile as well.

rng = np.random.default_rng(0)
X = csr_array(np.where(rng.random((60, 8)) < 0.3, rng.normal(size=(60, 8)), 0.0))
Y = (X @ rng.normal(size=8) > 0).astype(int)


def classifier(name: str, lr: float = 0.01, **more: Any) -> LinearClassifier:
    rule = RULES[name]().replace(lr=lr)
    alpha = 0.0 if "weight_decay" in rule.values or lacks_gain(rule.parts) else 0.3
    return LinearClassifier(**({"rule": rule, "alpha": alpha, "max_iter": 2, "shuffle": False} | more))


@first_of(RULES, ("SGD", "Adagrad"))
def test_partial_fit_equals_fit(name: str) -> None:
    """As many calls of partial_fit as fit makes passes give the same weights, scores and count of steps."""
    whole, parts = classifier(name).fit(X, Y), classifier(name)
    for _ in range(2):
        parts.partial_fit(X, Y, classes=[0, 1])
    # To be read, absent features catch up, which rounds.
    np.testing.assert_allclose(whole.coef_, parts.coef_, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(whole.intercept_, parts.intercept_, rtol=1e-9)
    assert whole.t_ == parts.t_ == 120


@first_of(RULES, ("SGD", "Adagrad"))
def test_warm_starts_are_given_coefficients(name: str) -> None:
    """warm_start begins where the last fit ended: as coef_init and intercept_init do."""
    first = classifier(name).fit(X, Y)
    start = {"coef_init": first.coef_, "intercept_init": first.intercept_}
    given = classifier(name, max_iter=1).fit(X, Y, **start)
    warm = classifier(name, warm_start=True).fit(X, Y).set_params(max_iter=1).fit(X, Y)
    assert np.array_equal(given.coef_, warm.coef_) and np.array_equal(given.intercept_, warm.intercept_)
    assert given.t_ == warm.t_ == 60
    if name == "Rprop":
        return  # whose first steps are no shorter than its smallest size, with lr=0 too, as torch's
    start["coef_init"] = first.coef_.ravel()
    still = classifier(name, lr=0.0, max_iter=1).fit(X, Y, **start)
    assert np.array_equal(still.coef_, first.coef_) and np.array_equal(still.intercept_, first.intercept_)


@few_rules_in_time
def test_clones_learn_alike(name: str) -> None:
    """A clone of an estimator with other parameters is the estimator made with those."""
    changed = clone(classifier(name, average=True, max_iter=7)).set_params(average=False, max_iter=1)
    plain = classifier(name, max_iter=1)
    assert changed.get_params() == plain.get_params()
    assert np.array_equal(changed.fit(X, Y).coef_, plain.fit(X, Y).coef_)


@every_rule
def test_a_class_or_a_name_leaves_its_rate_open(name: str) -> None:
    """A rule given as a class or a bare name has its rate searched, and one given as a value keeps its own."""
    kind = RULES[name]
    for bare in (kind, name):
        assert resolved(bare) == (kind(), "lr" in kind().hyperparameters)
        assert clone(LinearClassifier(rule=bare)).get_params()["rule__lr"] == kind().values["lr"]
    assert resolved(kind(lr=0.3)) == resolved(f"{name}(lr=0.3)") == (kind(lr=0.3), False)
    assert resolved(kind)[0] != kind(lr=0.3)


def test_a_rate_that_is_open_is_searched() -> None:
    """fit searches the rate of a class or a name, and with learning_rate="auto" that of a value too."""

    def rate(rule: Any, learning_rate: Any = None) -> float:
        model = LinearClassifier(rule=rule, learning_rate=learning_rate, max_iter=3, random_state=0)
        return float(model.fit(X.toarray(), Y).rule_.lr)

    own = tw.Adagrad().lr
    assert rate(tw.Adagrad()) == own
    assert rate(tw.Adagrad) == rate("adagrad") == rate(tw.Adagrad(), "auto") != own


# Averages: kernels that test_linear.py compiles.


@first_of(("Adagrad", "RMSprop", "Adam"), ("Adagrad",))
@pytest.mark.parametrize("first", [1, 7, 60, True])
def test_averaging_begins_at_its_row(name: str, first: int | bool) -> None:
    """average=k is the mean of the weights after rows k to the last; before row k it is the weights themselves."""
    rule = RULES[name](lr=0.05)

    def mean(average: int | bool, rows: int) -> Any:
        model = LinearClassifier(rule=rule, average=average, max_iter=1, shuffle=False)
        model.partial_fit(X[:rows], Y[:rows], classes=[0, 1])
        return np.append(model.coef_, model.intercept_)

    before = int(first) - 1
    whole = 60 * mean(True, 60) - (before * mean(True, before) if before else 0.0)
    np.testing.assert_allclose(mean(first, 60), whole / (60 - before), rtol=1e-9, atol=1e-12)
    last = 60 * mean(True, 60) - 59 * mean(True, 59)
    np.testing.assert_allclose(mean(61, 60), last, rtol=1e-9, atol=1e-10)


def averaged_sgd(x: Any, y: Any, lr: float, alpha: float, first: int) -> Any:
    """Weights and intercept of SGD on squared errors, one row a step, averaged from step ``first`` on."""
    w, total = np.zeros(x.shape[1] + 1), np.zeros(x.shape[1] + 1)
    for t, (row, target) in enumerate(zip(x, y, strict=True), 1):
        slope = row @ w[:-1] + w[-1] - target
        w -= lr * slope * np.append(row, 1.0)
        w[:-1] /= 1 + lr * alpha
        total += w * (t >= first)
    return total / (len(y) - first + 1)


@pytest.mark.slow
@both
def test_averaged_sgd_is_as_computed_by_hand(kind: str) -> None:
    """The averaged weights are those of a loop in NumPy, for classes taken as -1 and +1 too."""
    x, y = X.toarray(), np.where(Y == 0, -1.0, 1.0)
    for first in (True, 8):
        model = ESTIMATORS[kind][0](
            "squared_error", rule=tw.SGD(lr=0.01), alpha=0.1, average=first, max_iter=1, shuffle=False
        ).fit(x, y)
        expected = averaged_sgd(x, y, 0.01, 0.1, int(first))
        np.testing.assert_allclose(np.append(model.coef_, model.intercept_), expected, rtol=1e-12, atol=1e-15)


# The same weights as theirs: SGD with a constant rate.

LOSSES = [
    ("regressor", "squared_error"),
    *(
        pytest.param(kind, loss, marks=pytest.mark.slow)
        for kind, losses in (("classifier", [*MARGIN, *EITHER]), ("regressor", EITHER[1:]))
        for loss in losses
    ),
]


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_sgd_gives_their_weights(kind: str, loss: str) -> None:
    """With SGD at their constant rate the weights are theirs for every loss; of sparse rows, but for the intercept.

    Their penalty takes w times 1 - lr alpha before a step, ours divides it by 1 + lr alpha after it.
    """
    ours, theirs = ESTIMATORS[kind]
    y = Y if kind == "classifier" else X @ np.arange(8.0) + 0.5
    given = {"max_iter": 3, "shuffle": False, "tol": None}
    for x, intercept, alpha in ((X.toarray(), True, 0.0), (X, False, 0.0), (X, False, 0.01)):
        chosen = given | {"fit_intercept": intercept, "alpha": alpha}
        mine = ours(loss, rule=tw.SGD(lr=0.02), **chosen).fit(x, y)
        other = theirs(loss, learning_rate="constant", eta0=0.02, **chosen).fit(x, y)
        close = {"rtol": 0.0, "atol": 0.1 * alpha} if alpha else {"rtol": 1e-9, "atol": 1e-12}
        np.testing.assert_allclose(mine.coef_, other.coef_, **close)
        np.testing.assert_allclose(mine.intercept_, other.intercept_, **close)
        assert mine.t_ == other.t_ - 1
        if not alpha:
            np.testing.assert_allclose(mine.predict(x), other.predict(x), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*one constant:sklearn.exceptions.ConvergenceWarning")
def test_what_is_said_of_their_weights() -> None:
    """Their intercept of sparse rows is slow, and their class weights leave the rest unweighted."""
    given = {"alpha": 0.0, "max_iter": 1, "shuffle": False, "tol": None}
    theirs = {"learning_rate": "constant", "eta0": 1e-6}
    ours = LinearRegressor(rule=tw.SGD(lr=1e-6), **given).fit(X, np.ones(60))
    other = SGDRegressor(**theirs, **given).fit(X, np.ones(60))
    np.testing.assert_allclose(other.intercept_ / ours.intercept_, 0.01, rtol=1e-3)
    y = np.arange(60) % 3
    weights = {0: 2.0, 1: 1.0, 2: 1.0}
    both = [
        LinearClassifier("squared_error", rule=tw.SGD(lr=1e-6), class_weight=weights, **given),
        SGDClassifier("squared_error", class_weight=weights, **theirs, **given),
    ]
    mine, other = (e.fit(X.toarray(), y).intercept_ / 1e-6 for e in both)
    np.testing.assert_allclose(mine, [2 * 20 - 40, 20 - 60, 20 - 60], atol=0.1)
    np.testing.assert_allclose(other, [2 * 20 - 40, 20 - 40, 20 - 40], atol=0.1)


# Arguments and warnings.


@pytest.fixture(scope="module")
def iris() -> tuple[Any, Any]:
    data = load_iris()
    return StandardScaler().fit_transform(data.data), data.target


def quick(kind: str, **more: Any) -> Any:
    return ESTIMATORS[kind][0](**({"learning_rate": 0.1, "max_iter": 3, "random_state": 0} | more))


@both
def test_a_limit_of_passes_warns(kind: str, iris: Any) -> None:
    """max_iter that ends before tol is met, or before held-out rows stop it, warns; without a stopping rule none does."""
    x, y = iris[0], (iris[1] == 0).astype(int)
    for stops in ({"tol": 1e-9}, {"early_stopping": True}, {"early_stopping": True, "tol": 1e-3}):
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            assert quick(kind, **stops).fit(x, y).n_iter_ == 3
    assert quick(kind).fit(x, y).n_iter_ == 3
    settled = quick(kind, tol=0.1, max_iter=100, n_iter_no_change=3).fit(x, y)
    assert 3 < settled.n_iter_ < 100


@both
def test_held_out_rows_are_not_learnt_from(kind: str) -> None:
    """early_stopping learns from the other rows alone, and in their order where shuffle is off."""
    x = X.toarray()
    seed = np.random.RandomState(0).randint(2**31)
    stratify = Y if kind == "classifier" else None
    train, _ = train_test_split(np.arange(60), test_size=0.4, random_state=seed, stratify=stratify)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        whole = quick(kind, early_stopping=True, validation_fraction=0.4, shuffle=False).fit(x, Y)
    part = quick(kind, shuffle=False).fit(x[np.sort(train)], Y[np.sort(train)])
    assert np.array_equal(whole.coef_, part.coef_) and whole.t_ == part.t_ == 3 * 36


@both
def test_a_stricter_tolerance_makes_no_fewer_passes(kind: str, iris: Any) -> None:
    """n_iter_ grows with n_iter_no_change, and with a smaller tol."""
    x, y = iris[0], (iris[1] == 0).astype(int)

    def passes(**more: Any) -> int:
        return int(quick(kind, max_iter=1000, **more).fit(x, y).n_iter_)

    counts = [passes(tol=1e-3, n_iter_no_change=n) for n in (2, 3, 10)]
    assert counts == sorted(counts) and counts[0] < counts[-1]
    assert passes(tol=0.1) < passes(tol=1e-3)


@both
def test_partial_fit_refuses_early_stopping(kind: str) -> None:
    """early_stopping in a first partial_fit is an error; one more pass after a fit is none."""
    model = quick(kind, early_stopping=True)
    with pytest.raises(ValueError, match="early_stopping=False"):
        model.partial_fit(X, Y)
    with pytest.warns(ConvergenceWarning):
        model.fit(X.toarray(), Y)
    assert model.partial_fit(X.toarray(), Y).t_ == 3 * 54 + 60
    fresh = quick(kind)
    more = {} if kind == "regressor" else {"classes": [0, 1]}
    assert fresh.partial_fit(X.toarray(), Y, **more).t_ == 60


@both
def test_l1_ratio_is_elastic_nets_alone(kind: str) -> None:
    """l1_ratio may be None where the penalty is not the elastic net, and changes nothing there."""
    x = X.toarray()
    free, given = (quick(kind, alpha=0.01, l1_ratio=r).fit(x, Y) for r in (None, 0.7))
    assert np.array_equal(free.coef_, given.coef_)
    with pytest.raises(ValueError, match="needs l1_ratio"):
        quick(kind, penalty="elasticnet", l1_ratio=None).fit(x, Y)
    with pytest.raises(ValueError, match="l1_ratio must be a number"):
        quick(kind, l1_ratio=1.5).fit(x, Y)


@pytest.mark.parametrize("start", [{"coef_init": np.zeros(3)}, {"intercept_init": np.zeros(3)}], ids=str)
@both
def test_a_start_of_another_shape_is_refused(kind: str, start: Any) -> None:
    """coef_init and intercept_init have the shapes of coef_ and intercept_; a number is an intercept."""
    x = X.toarray()
    with pytest.raises(ValueError, match=f"{next(iter(start))} has shape"):
        quick(kind).fit(x, Y, **start)
    with pytest.raises(ValueError, match="not finite"):
        quick(kind).fit(x, Y, coef_init=np.full(8, np.nan))
    at = quick(kind, learning_rate=0.0)
    with pytest.warns(ConvergenceWarning, match="gets 0 on"):
        at.fit(x, Y, intercept_init=2.0, sample_weight=np.where(Y, 1.0, 0.0))
    assert at.intercept_ == [2.0] and not at.coef_.any()


@both
def test_a_warm_start_of_another_shape_is_refused(kind: str) -> None:
    """warm_start on rows of another width is an error, not a start from 0."""
    model = quick(kind, warm_start=True).fit(X.toarray(), Y)
    with pytest.raises(ValueError, match="set warm_start=False"):
        model.fit(X.toarray()[:, :3], Y)
    assert model.coef_.size == 8


def test_several_classes_begin_at_given_coefficients(iris: Any) -> None:
    """coef_init of several classes has a row for each."""
    x, y = iris
    w, b = np.arange(12.0).reshape(3, 4), np.arange(3.0)
    model = quick("classifier", learning_rate=0.0, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="one constant"):
        model.fit(x, y, coef_init=w, intercept_init=b)
    assert np.array_equal(model.coef_, w) and np.array_equal(model.intercept_, b)
    with pytest.raises(ValueError, match="coef_init has shape"):
        model.fit(x, y, coef_init=w[:2])
    with pytest.raises(ValueError, match="intercept_init has shape"):
        model.fit(x, y, coef_init=w, intercept_init=b[:1])


@pytest.mark.parametrize(
    "loss",
    ["squared_error"]
    + [
        pytest.param(n, marks=pytest.mark.slow)
        for n in ("huber", "epsilon_insensitive", "squared_epsilon_insensitive")
    ],
)
def test_losses_of_numbers_tell_classes_apart(loss: str) -> None:
    """A loss of a number takes two classes as -1 and +1, and has no probabilities."""
    x, y = X.toarray(), Y
    model = quick("classifier", loss=loss).fit(x, np.array(["no", "yes"])[y])
    number = quick("regressor", loss=loss).fit(x, 2.0 * y - 1.0)
    assert np.array_equal(model.coef_[0], number.coef_)
    assert np.mean(model.predict(x) == np.array(["no", "yes"])[y]) > 0.8
    assert not hasattr(model, "predict_proba")
    for refused in ("poisson", "quantile", "perceptron"):
        with pytest.raises(ValueError, match="unknown loss"):
            quick("classifier", loss=refused).fit(x, y)


@pytest.mark.slow
def test_several_classes_by_a_loss_of_a_number(iris: Any) -> None:
    """One class against the rest by squared errors is a regressor for each."""
    x, y = iris
    model = quick("classifier", loss="squared_error", shuffle=False).fit(x, y)
    for k in range(3):
        one = quick("regressor", shuffle=False).fit(x, np.where(y == k, 1.0, -1.0))
        np.testing.assert_allclose(model.coef_[k], one.coef_, rtol=1e-12)


@both
def test_verbose_prints_a_line_a_pass(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """verbose=1 prints the loss after each pass, and verbose=0 nothing."""
    quick(kind).fit(X.toarray(), Y)
    assert capsys.readouterr().out == ""
    quick(kind, verbose=1).fit(X.toarray(), Y)
    assert capsys.readouterr().out.splitlines()[2].startswith(f"pass 3: {quick(kind).loss} ")


SCHEDULES = {"constant": "lr=eta0", "invscaling": "inverse_sqrt", "optimal": "'auto'", "adaptive": "'auto'"}


@pytest.mark.parametrize("schedule", [*SCHEDULES, "pa1", "fast"])
def test_a_schedule_of_theirs_is_refused_with_what_to_write(schedule: str) -> None:
    """Their names of schedules are errors that say what is written instead; a schedule itself is taken."""
    with pytest.raises(ValueError, match=f"learning_rate.*{SCHEDULES.get(schedule, 'a schedule')}"):
        quick("classifier", learning_rate=schedule).fit(X, Y)


def test_a_schedule_is_a_learning_rate() -> None:
    """learning_rate takes a schedule as rule(lr=) does."""
    lr = tw.inverse_sqrt(0.05)
    one = classifier("Adagrad", rule="Adagrad", learning_rate=lr).fit(X, Y)
    two = classifier("Adagrad", rule=tw.Adagrad(lr=lr)).fit(X, Y)
    assert one.rule_ == two.rule_ and np.array_equal(one.coef_, two.coef_)


# A model worse than a constant, and slow rules.


def unbalanced() -> tuple[Any, Any]:
    """Rows of two classes, one of which is rare, whose features are large."""
    x, y = make_classification(600, 20, weights=[0.94], flip_y=0.0, random_state=0)
    return 30.0 * x, y


def test_a_model_worse_than_a_constant_warns() -> None:
    """A rate that does not suit the data warns with the constant's loss and the remedy, which works."""
    x, y = unbalanced()
    share = y.mean()
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    model = LinearClassifier(learning_rate=100.0, random_state=0, max_iter=1)
    with pytest.warns(
        ConvergenceWarning, match=f"log_loss of .* gets {constant:.4g} .*learning_rate='auto'"
    ) as caught:
        model.fit(x, y)
    assert caught[0].filename == __file__
    searched = model.set_params(learning_rate="auto").fit(x, y)
    assert searched.model_.loss_of(x, searched.model_.encode(y)) < constant


def test_a_rule_without_a_closed_form_warns_on_wide_sparse_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that must replay every absent feature's steps says so where that takes most of the time."""
    from scipy.sparse import SparseEfficiencyWarning, eye_array

    from thalweg.linear import model as linear_model

    monkeypatch.setattr(linear_model, "MANY", 1e3)
    wide = csr_array(eye_array(60, format="csr"))

    def fit(rule: Rule) -> LinearClassifier:
        return LinearClassifier(rule=rule, max_iter=1, average=True).fit(wide, Y)

    fit(tw.Adagrad(lr=0.05))
    with pytest.warns(SparseEfficiencyWarning, match="replay of every step"):
        fit(tw.Adam(lr=0.05))
    with pytest.warns(SparseEfficiencyWarning, match="replay of every step") as caught:
        LinearClassifier(rule=tw.Adam(lr=0.05), average=True).partial_fit(wide, Y, classes=[0, 1])
    assert caught[0].filename == __file__


# Against coordinate descent.


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.01, 0.001])
@pytest.mark.parametrize("l1_ratio", [0.5, 0.8, 1.0])
def test_the_elastic_net_converges_to_coordinate_descent(alpha: float, l1_ratio: float) -> None:
    """SGD with a rate that falls ends at the minimum that coordinate descent finds."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(1000, 5))
    y = x @ draw.normal(size=5)
    expected = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=False).fit(x, y)
    sgd = LinearRegressor(
        penalty="elasticnet",
        alpha=alpha,
        l1_ratio=l1_ratio,
        rule=tw.SGD(lr=tw.cosine(0.01, steps=50_000)),
        fit_intercept=False,
        max_iter=50,
        random_state=0,
    ).fit(x, y)
    np.testing.assert_allclose(sgd.coef_, expected.coef_, atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("l1_ratio", "penalty"), [(1 - 1e-10, "l1"), (1e-10, "l2")])
def test_the_elastic_nets_ends_are_its_parts(l1_ratio: float, penalty: str) -> None:
    """An l1_ratio near 1 is the L1 penalty, one near 0 the L2 penalty."""
    x, y = make_classification(1000, 100, n_informative=20, random_state=1234)
    given = {"rule": tw.SGD(lr=0.01), "alpha": 0.001, "max_iter": 6, "random_state": 42}
    net = LinearClassifier(penalty="elasticnet", l1_ratio=l1_ratio, **given).fit(x, y)
    part = LinearClassifier(penalty=penalty, **given).fit(x, y)
    np.testing.assert_allclose(net.coef_, part.coef_, atol=1e-6)
