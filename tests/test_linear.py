"""Linear models: the compiled pass equals dense steps, losses equal their sources, state goes on."""

import json
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import thalweg as tw
from thalweg.core.gain import lacks_gain
from thalweg.engines.cpu import csr, linear
from thalweg.engines.ops import vectorised
from thalweg.errors import FileError, HyperparameterError, ProblemError
from thalweg.linear import Model, Settings, against_constant, loss, losses, race

from .strategies import FEW, RULES, first_of

ROWS, FEATURES = 120, 24


def data(seed=0, rows=ROWS, features=FEATURES, density=0.1, classes=2):
    rng = np.random.default_rng(seed)
    x = csr_array(random_array((rows, features), density=density, rng=rng, format="csr"))
    x.sort_indices()
    scores = x @ rng.normal(size=(features, classes)) + 0.1 * rng.normal(size=(rows, classes))
    return x, scores.argmax(axis=1), rng.permutation(rows)


def dense(rule, settings, x, y, order, outputs, slopes):
    """The same model by ``rule.on`` on dense gradients, one row a step; weights, intercepts, their sum."""
    w, b = np.zeros((x.shape[1], outputs)), np.zeros(outputs)
    own, penalty = rule, {}
    if (settings.l1 or settings.l2) and rule.parts.cumulates:
        own = rule.penalised(settings.l1, settings.l2)
    elif settings.l1 or settings.l2:
        penalty = {"weight_decay": settings.l2, "decay": "proximal", "l1_decay": settings.l1}
    weights = own.on(w, engine="plain", **penalty)
    free = {"weight_decay": 0.0} if penalty else {}  # penalties take the place of a rule's own decay
    intercepts = rule.on(b, engine="plain", **free)
    total = np.zeros_like(w)
    full = x.toarray()
    begun = settings.average or 0
    for step, i in enumerate(order):
        slope = slopes(full[i] @ w + b, y[i])
        weights.step(np.outer(full[i], slope))
        intercepts.step(slope)
        total += w * (step >= begun)
    return w, b, total / (len(order) - begun)


def logistic(z, y):
    return -y / (1 + np.exp(y * z))


def compare(rule, close=1e-10, **chosen):
    settings = Settings(rule=rule, dtype="float64", **chosen)
    x, y, order = data()
    model = Model(settings, FEATURES, np.array([0, 1]))
    targets = model.encode(y)
    model.learn(x, targets, order=order)
    w, b, mean = dense(rule, settings, x, targets, order, 1, logistic)
    np.testing.assert_allclose(model._pass.arrays["w"][-1], b, rtol=close, atol=close)
    model._pass.catch_up()
    np.testing.assert_allclose(model._pass.arrays["w"][:-1], w, rtol=close, atol=close * abs(w).max())
    if settings.average is not None:
        np.testing.assert_allclose(model.solution[0], mean, rtol=close, atol=close * abs(mean).max())
    return model, w


# Passes take seconds to compile: those of conformance/test_sklearn.py, and one whose weights move without a gradient.
@first_of(RULES, (*FEW, "Adagrad", "Momentum"))
def test_a_pass_equals_dense_steps(name):
    rule = getattr(tw, name)().replace(lr=0.05)
    compare(rule, l2=0.0 if lacks_gain(rule.parts) else 0.3)


PENALTIES = [
    {"l1": 0.02},
    {"l1": 0.02, "l2": 0.3},
    {"average": 0},
    {"average": 40, "l2": 0.3},
    {"average": 0, "l1": 0.02, "l2": 0.3},
]
NOW = ("l1-l2", "average", "average-l2")  # of Adagrad; the rest of the table is slow

# A sum of squares, an average, and averages that the clock corrects.
some = first_of(("Adagrad", "RMSprop", "Adam"), ("Adagrad",))


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        pytest.param(
            name, chosen, id=f"{name}-{key}", marks=[pytest.mark.slow] * (name != "Adagrad" or key not in NOW)
        )
        for name in RULES
        for chosen in PENALTIES
        for key in ["-".join(chosen)]
    ],
)
def test_penalties_and_averages_equal_dense_steps(name, chosen):
    rule = getattr(tw, name)().replace(lr=0.05)
    own = {n: v for n, v in chosen.items() if n == "average" or not lacks_gain(rule.parts)}
    model, w = compare(rule, **own)
    if "l1" in chosen and name == "Adagrad":
        assert np.any(w == 0)
        assert np.array_equal(w == 0, model._pass.arrays["w"][:-1] == 0)


@pytest.mark.parametrize("name", ["Adagrad", pytest.param("SGD", marks=pytest.mark.slow)])
def test_averages_beside_l1_and_schedules_are_those_of_a_plain_loop(name):
    """Row by row in Python, from the papers alone: nothing of it is a rule's formula."""
    lr, l1, l2, begun = tw.cosine(0.3, steps=150), 0.01, 0.2, 30
    rule = tw.SGD(lr=lr) if name == "SGD" else tw.Adagrad(lr=lr, eps=0.1, eps_root=0.0, s=0.0)
    x, y, order = data()
    model = Model(
        Settings(rule=rule, dtype="float64", l1=l1, l2=l2, average=begun), FEATURES, np.array([0, 1])
    )
    assert "replay of every step" in model.plan
    targets = model.encode(y)
    model.learn(x, targets, order=order)
    w, squares, total, bias = np.zeros(FEATURES), np.zeros(FEATURES), np.zeros(FEATURES), np.zeros(2)
    for step, i in enumerate(order):
        row = x[[i]].toarray()[0]
        slope = logistic(row @ w + bias[0], targets[i])
        squares += (row * slope) ** 2
        bias[1] += slope**2
        rate = own = lr(step)
        if name == "Adagrad":
            rate, own = rate / (np.sqrt(squares) + 0.1), own / (np.sqrt(bias[1]) + 0.1)
        w -= rate * row * slope
        w = np.sign(w) * np.maximum(np.abs(w) - rate * l1, 0) / (1 + rate * l2)
        bias[0] -= own * slope
        total += w * (step >= begun)
    np.testing.assert_allclose(model.solution[0][:, 0], total / (len(order) - begun), rtol=1e-9, atol=1e-12)
    assert np.any(w == 0) and np.any(w != 0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "penalties", [{"l1": 1e-4}, {"l2": 1e-4}, {"l1": 1e-4, "l2": 0.3}], ids=lambda p: "-".join(p)
)
@pytest.mark.parametrize("name", ["Adagrad", "SGD"])
def test_a_rows_features_catch_up_together_to_the_bits_of_each_alone(name, penalties, dtype, monkeypatch):
    """With gaps from none to a thousand steps, so that some are beyond the series and some are not."""
    rng = np.random.default_rng(0)
    features = 3000
    at = np.unique(np.sort(np.exp(rng.random((4000, 12)) * np.log(features - 1)).astype(int)), axis=1)
    x = csr_array(
        (np.ones(at.size), (np.repeat(np.arange(len(at)), at.shape[1]), at.ravel())),
        shape=(len(at), features),
    )
    x.sum_duplicates()
    y = rng.integers(0, 2, len(at))
    seen = []
    for together in (True, False):
        linear._kernel.cache_clear()
        if not together:
            monkeypatch.setattr(linear.PassText, "abreast", False)
        rule = getattr(tw, name)(lr=0.3)
        model = Model(Settings(rule=rule, dtype=dtype, **penalties), features, np.array([0, 1]))
        for rows in np.array_split(np.arange(len(at)), 3):
            model.learn(x, model.encode(y), order=rows)
        seen.append(model.solution[0].tobytes())
    linear._kernel.cache_clear()
    assert seen[0] == seen[1]


@some
def test_counting_anew_and_schedules_change_nothing(name, monkeypatch):
    monkeypatch.setattr(linear, "LOG", 7)
    compare(getattr(tw, name)(lr=tw.cosine(0.05, steps=100)), l2=0.3, l1=0.02)


def test_float32_is_close_and_catches_up_by_the_kernel_of_its_rows(monkeypatch):
    """Of whatever layout: another kernel would be seconds of compiling for the same numbers."""
    x, y, order = data()
    x = csr_array((x.data, x.indices.astype("int64"), x.indptr.astype("int64")), shape=x.shape)
    kernel, asked, solutions = linear._kernel, [], {}
    monkeypatch.setattr(linear, "_kernel", lambda *layout: asked.append(layout) or kernel(*layout))
    for dtype in ("float32", "float64"):
        model = Model(Settings(rule=tw.AMSGrad(lr=0.05), l2=0.3, dtype=dtype), FEATURES, np.array([0, 1]))
        model.learn(x if dtype == "float32" else csr_array(data()[0]), model.encode(y), order=order)
        assert model._pass._now > 0, "nothing is behind"
        solutions[dtype] = model.solution[0]
    np.testing.assert_allclose(solutions["float32"], solutions["float64"], rtol=1e-3, atol=1e-5)
    assert [layout[1:] for layout in asked] == [
        ("float32", "int64", "float64"),
        ("float64", "int32", "float64"),
    ]


@pytest.mark.parametrize("kind", ["multinomial", "log_loss"])
def test_several_classes(kind):
    x, y, order = data(classes=4)

    def softmax(z, label):
        e = np.exp(z - z.max())
        p = e / e.sum()
        p[int(label)] -= 1
        return p

    def rest(z, label):
        return logistic(z, np.where(np.arange(4) == label, 1.0, -1.0))

    settings = Settings(loss=kind, rule=tw.RMSprop(lr=0.05), l2=0.3, dtype="float64")
    model = Model(settings, FEATURES, np.arange(4))
    model.learn(x, model.encode(y), order=order)
    slopes = softmax if kind == "multinomial" else rest
    w, b, _ = dense(settings.rule, settings, x, y, order, 4, slopes)
    np.testing.assert_allclose(model.solution[0], w, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.solution[1], b, rtol=1e-10, atol=1e-12)
    p = model.probabilities(model.scores(x))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    expected = -np.log(p[np.arange(ROWS), y]).mean()
    if kind == "multinomial":
        assert model.loss_of(x, model.encode(y)) == pytest.approx(expected)


@pytest.mark.parametrize("values", ["float32", "float64"])
@pytest.mark.parametrize("index", ["int32", "int64", "dense"])
@first_of(("SGD", "RMSprop"), ("SGD",))
def test_every_layout_gives_the_same(name, values, index):
    x, y, order = data()
    x = csr_array(x.astype(np.float32).astype(values))
    given = x.toarray() if index == "dense" else csr_array(x)
    if index != "dense":
        given.indices, given.indptr = x.indices.astype(index), x.indptr.astype(index)
    model = Model(Settings(rule=getattr(tw, name)(lr=0.05), dtype="float64"), FEATURES, np.array([0, 1]))
    model.learn(given, model.encode(y), order=order)
    other = Model(model.settings, FEATURES, np.array([0, 1]))
    other.learn(csr_array(x.astype(np.float64)), model.encode(y), order=order)
    np.testing.assert_allclose(model.solution[0], other.solution[0], rtol=1e-12, atol=1e-14)


def test_weights_multiply_the_loss():
    x, y, order = data()
    weights = np.random.default_rng(1).random(ROWS)
    settings = Settings(rule=tw.SGD(lr=0.05), dtype="float64")
    model = Model(settings, FEATURES, np.array([0, 1]))
    targets = model.encode(y)
    loss_sum, weight_sum = model.learn(x, targets, weights, order)
    by_row = {i: weights[i] for i in range(ROWS)}
    rows = iter(order)
    w, _, _ = dense(
        settings.rule, settings, x, targets, order, 1, lambda z, t: by_row[next(rows)] * logistic(z, t)
    )
    np.testing.assert_allclose(model.solution[0], w, rtol=1e-10, atol=1e-12)
    assert weight_sum == pytest.approx(weights.sum())
    assert 0 < loss_sum < 2 * weight_sum


@pytest.mark.parametrize("kind", ["multinomial", "log_loss"])
def test_a_weight_of_several_classes_is_a_rate(kind):
    """For SGD, twice the weight of every row is twice the lr."""
    x, y, order = data(classes=3)
    twice = Model(Settings(kind, tw.SGD(lr=0.05), dtype="float64"), FEATURES, np.arange(3))
    twice.learn(x, twice.encode(y), np.full(ROWS, 2.0), order)
    faster = Model(Settings(kind, tw.SGD(lr=0.1), dtype="float64"), FEATURES, np.arange(3))
    faster.learn(x, faster.encode(y), None, order)
    np.testing.assert_allclose(twice.solution[0], faster.solution[0], rtol=1e-12)


# Losses.

VALUES = {
    "huber": (0.7,),
    "epsilon_insensitive": (0.3,),
    "squared_epsilon_insensitive": (0.3,),
    "quantile": (0.2,),
}


@pytest.mark.parametrize("name", [*losses.MARGIN, *losses.NUMBER])
def test_slopes_are_derivatives(name):
    function = {**losses.MARGIN, **losses.NUMBER}[name]
    evaluate = vectorised(losses.formula(function))
    z = np.linspace(-3, 3, 241) + 1e-3  # off the kinks
    targets = (-1.0, 1.0) if name in losses.MARGIN else (0.0, 0.5, 2.0)
    for y in targets:
        above, below = (evaluate(z + h, y, *VALUES.get(name, ()))[0] for h in (1e-6, -1e-6))
        slope = evaluate(z, y, *VALUES.get(name, ()))[1] + 0 * z
        np.testing.assert_allclose(slope, (above - below) / 2e-6, rtol=1e-6, atol=1e-8)


def test_losses_are_scikit_learns():
    sgd = pytest.importorskip("sklearn.linear_model._sgd_fast")
    theirs = {
        "hinge": sgd.Hinge(1.0),
        "squared_hinge": sgd.SquaredHinge(1.0),
        "modified_huber": sgd.ModifiedHuber(),
        "epsilon_insensitive": sgd.EpsilonInsensitive(0.3),
        "squared_epsilon_insensitive": sgd.SquaredEpsilonInsensitive(0.3),
    }
    for name, other in theirs.items():
        evaluate = vectorised(losses.formula({**losses.MARGIN, **losses.NUMBER}[name]))
        for z in np.linspace(-2.5, 2.5, 31):
            for y in (-1.0, 1.0):
                made = evaluate(np.float64(z), y, *VALUES.get(name, ()))
                assert made[0] == pytest.approx(other.py_loss(z, y), abs=1e-14)
                assert made[1] == pytest.approx(other.py_dloss(z, y), abs=1e-14)
    link = pytest.importorskip("sklearn._loss.loss")
    z = np.linspace(-30, 30, 61) + 0.25
    y = np.ones_like(z)
    for name, other in (("poisson", link.HalfPoissonLoss()), ("quantile", link.PinballLoss(quantile=0.2))):
        value, slope = vectorised(losses.formula(losses.NUMBER[name]))(z, y, *VALUES.get(name, ()))
        np.testing.assert_allclose(value, other.loss(y, z), rtol=1e-12)
        np.testing.assert_allclose(slope, other.gradient(y, z), rtol=1e-12)
    value, slope = vectorised(losses.formula(losses.log_loss))(z, -1.0)
    np.testing.assert_allclose(value, np.logaddexp(0, z), rtol=1e-14)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-z)), rtol=1e-14)


# The best constant.


@pytest.mark.parametrize(
    ("name", "scale"),
    [*((n, 1.0) for n in losses.MARGIN), *((n, u) for n in losses.NUMBER for u in (1e-6, 1.0, 1e6))],
)
def test_the_best_constant_is_the_least_of_all(name, scale):
    rng = np.random.default_rng(0)
    numbers = scale * np.abs(rng.normal(3.0, 1.0, 80))
    targets = np.where(rng.random(80) < 0.3, 1.0, -1.0) if name in losses.MARGIN else numbers
    chosen = loss(name, epsilon=0.3 * scale, quantile=0.2)
    weights = rng.integers(0, 3, 80).astype(float)

    def mean(z):
        values = vectorised(losses.formula(chosen.formula))(z, targets, *chosen.values)[0]
        return values @ weights / weights.sum()

    got = against_constant(1.0, chosen, 1, targets, weights)
    assert got.zero == pytest.approx(mean(0.0))
    around = (
        np.log(scale) + np.linspace(-4, 4, 1001) if name == "poisson" else scale * np.linspace(-5, 5, 1001)
    )
    least = mean(around[:, None]).min()
    assert least - 1e-3 * abs(least) <= got.constant <= least + 1e-9 * abs(least)
    assert not got._replace(loss=got.constant).worse
    assert got._replace(loss=got.constant + 0.02 * max(abs(got.constant), got.zero - got.constant)).worse


def test_the_best_constant_of_several_classes():
    targets = np.repeat([0.0, 1.0, 2.0], [10, 30, 60])
    shares = np.array([0.1, 0.3, 0.6])
    got = against_constant(1.0, loss("multinomial"), 3, targets)
    assert got.constant == pytest.approx(-(shares * np.log(shares)).sum())
    assert got.zero == pytest.approx(np.log(3))
    rest = against_constant(1.0, loss("log_loss"), 3, targets)
    assert rest.constant == pytest.approx(got.constant - ((1 - shares) * np.log1p(-shares)).sum())
    for name in losses.MARGIN:
        each = sum(
            against_constant(1.0, loss(name), 1, np.where(targets == k, 1.0, -1.0)).constant for k in range(3)
        )
        assert against_constant(1.0, loss(name), 3, targets).constant == pytest.approx(each, rel=1e-4)
        assert against_constant(0.0, loss(name), 1, np.ones(5)).constant == pytest.approx(0.0, abs=1e-8)


# State.


@some
def test_goes_on_bit_for_bit(name):
    x, y, order = data(classes=3)
    settings = Settings("multinomial", getattr(tw, name)(lr=0.05), l2=0.1, average=5)
    whole = Model(settings, FEATURES, np.array(["a", "b", "c"]))
    targets = whole.encode(np.array(["a", "b", "c"])[y])
    whole.learn(x, targets, order=order[:50])
    head, arrays = json.loads(json.dumps(whole.head())), whole.arrays()
    other = Model.restore(head, arrays)
    for model in (whole, other):
        model.learn(x, targets, order=order[50:])
    assert whole.progress == other.progress
    assert whole.t == other.t == ROWS
    for n, a in whole.arrays().items():
        assert np.array_equal(a, other.arrays()[n])
    assert np.array_equal(whole.predict(x), other.predict(x))
    before = {n: a for n, a in arrays.items() if n != "_gain"}  # as a file of 0.1.0 has them
    assert np.array_equal(Model.restore(head, before).arrays()["w"], arrays["w"])
    with pytest.raises(FileError, match="newer"):
        Model.restore({**head, "format": 99}, arrays)
    with pytest.raises(FileError, match="fit together"):
        Model.restore(head, {n: a[:-1] for n, a in arrays.items()})
    with pytest.raises(FileError, match="fit together"):
        Model.restore({"format": 1}, arrays)


# The race, and bad input.


def test_a_race_finds_the_rate():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 5))
    y = (x @ np.arange(5) + rng.normal(size=600) > 0).astype(int)
    settings = Settings(rule=tw.SGD(lr=1e-6), dtype="float64")
    model = Model(settings, 5, np.array([0, 1]))
    chosen, passes = race(settings, 5, model.classes, x, model.encode(y), passes=None)
    assert chosen.rule.lr > 1e-3
    assert passes >= 1
    assert race(settings, 5, model.classes, x, model.encode(y), passes=None) == (chosen, passes)
    half = np.concatenate([np.ones(300), np.zeros(300)])
    alone = race(settings, 5, model.classes, x[:300], model.encode(y[:300]), np.ones(300), passes=None)
    assert race(settings, 5, model.classes, x, model.encode(y), half, passes=None) == alone
    scheduled = settings._replace(rule=tw.SGD(lr=tw.cosine(0.1, steps=10)))
    with pytest.raises(HyperparameterError, match="lr"):
        race(scheduled, 5, model.classes, x, model.encode(y))


def test_a_race_holds_no_weights_of_features_that_no_row_has() -> None:
    """A text column has 2^18 features, of which few rows have a handful: a race of many classes took minutes."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200, 6))
    y = np.argmax(x[:, :3] + 0.5 * rng.standard_normal((200, 3)), axis=1)
    narrow = csr_array(x)
    places = np.array([3, 7, 4_000, 90_000, 250_001, 262_143], np.int32)
    wide = csr_array((narrow.data, places[narrow.indices], narrow.indptr), shape=(200, 1 << 18))
    settings, classes = Settings(loss="multinomial"), np.arange(3)
    expected = race(settings, 6, classes, narrow, y.astype(float), passes=1)
    tracemalloc.start()
    assert race(settings, 1 << 18, classes, wide, y.astype(float), passes=1) == expected
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_race_ends_where_lower_rates_learn_nothing() -> None:
    """Where rows tell nothing it went down to rates such as 1e-18, which is slow, and reads as an error."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    chosen, _ = race(Settings(loss="squared_error"), 2, None, x, y, passes=1)
    assert 1e-6 < chosen.rule.values["lr"] < 0.1


BAD = {
    "loss": (lambda: loss("log_los"), "did you mean 'log_loss'"),
    "no gain": (lambda: Model(Settings(rule=tw.Lion(), l2=0.1), 3, np.arange(2)), "Lion has no gain"),
    "twice": (lambda: Model(Settings(rule=tw.FTRL(l1=1.0), l1=0.1), 3, np.arange(2)), "of its own"),
    "l1": (lambda: Model(Settings(l1=-1.0), 3, np.arange(2)), "l1"),
    "rule": (lambda: Model(Settings(rule="Adam"), 3, np.arange(2)), "rule"),
    "classes": (lambda: Model(Settings(), 3), "needs classes"),
    "no classes": (lambda: Model(Settings(loss="poisson"), 3, np.arange(2)), "no classes"),
    "one class": (lambda: Model(Settings(), 3, np.arange(1)), "at least two"),
    "label": (lambda: Model(Settings(), 3, np.arange(2)).encode([0, 2]), r"y\[1\]"),
    "width": (lambda: Model(Settings(), 3, np.arange(2)).learn(np.ones((2, 4)), np.ones(2)), "4 features"),
    "targets": (
        lambda: Model(Settings(), 3, np.arange(2)).learn(np.ones((2, 3)), np.ones(3)),
        r"targets: shape \(3,\)",
    ),
    "weights": (
        lambda: Model(Settings(), 3, np.arange(2)).loss_of(np.ones((2, 3)), np.ones(2), np.zeros(2)),
        "all are 0",
    ),
    "order": (
        lambda: Model(Settings(), 3, np.arange(2)).learn(np.ones((2, 3)), np.ones(2), None, [2]),
        r"outside 0..1",
    ),
    "probabilities": (
        lambda: Model(Settings(loss="hinge"), 3, np.arange(2)).probabilities(np.ones(2)),
        "no probabilities",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    attempt, words = BAD[case]
    with pytest.raises((HyperparameterError, ProblemError), match=words):
        attempt()


def test_divergence_is_an_error():
    model = Model(Settings("squared_error", tw.SGD(lr=10.0), dtype="float64"), 3)
    with pytest.raises(ProblemError, match="not finite"):
        model.learn(np.full((500, 3), 10.0), np.ones(500))


def test_what_is_wrong_with_rows():
    x, _, _ = data()
    assert csr.look(csr.rows_of(x))[0] == csr.GOOD
    for change, expected in (
        (lambda a: a.indices.__setitem__(0, FEATURES), csr.OUTSIDE),
        (lambda a: a.indices.__setitem__(0, -1), csr.OUTSIDE),
        (lambda a: a.data.__setitem__(3, np.nan), csr.NONFINITE),
        (lambda a: a.indices.__setitem__(slice(None), 1), csr.UNSORTED),
    ):
        bad = x.copy()
        change(bad)
        assert csr.look(csr.rows_of(bad))[0] == expected
