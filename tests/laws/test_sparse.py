"""Promise 4: a sparse gradient's step equals the dense one, whatever rows were touched, and when."""

import tracemalloc
from typing import Any, Literal

import numpy as np
import pytest
import scipy.sparse as sp

import thalweg as tw
from thalweg.core.catch_up import plan
from thalweg.core.rule import Rule
from thalweg.core.step_options import StepOptions
from thalweg.engines.cpu.gather import Gatherer
from thalweg.engines.cpu.sparse import Table

from ..strategies import FEW, FORMS, RULES, first_of, form

ROWS, WIDTH = 24, 5
Array = np.ndarray[Any, Any]


class Pattern:
    """Rows touched at random, each with its own frequency: some at every other step, some never."""

    def __init__(self, steps: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        often = 10.0 ** rng.uniform(-3.5, -0.3, ROWS)
        often[0] = 0.0
        self.start = rng.standard_normal((ROWS, WIDTH))
        self.touched = [np.flatnonzero(rng.random(ROWS) < often) for _ in range(steps)]
        self.values = [0.3 * rng.standard_normal((len(rows), WIDTH)) for rows in self.touched]
        self.read = [rng.integers(0, ROWS, 2) for _ in range(steps)]


def run(
    rule: Rule,
    pattern: Pattern,
    dtype: Any,
    exact: Literal["value", "bits", "lazy", "dense"],
    **settings: Any,
) -> tuple[Array, list[Array]]:
    """The weights at the end, and what was read on the way."""
    w = pattern.start.astype(dtype)
    chosen = {"engine": "plain"} if exact == "dense" else {"exact": exact}
    opt = rule.on(w, **settings, **chosen)
    seen = []
    for rows, values, read in zip(pattern.touched, pattern.values, pattern.read, strict=True):
        if exact == "dense":
            g = np.zeros_like(w)
            g[rows] = values
            opt.step(g)
            seen.append(w[read])
        else:
            opt.step(tw.Rows(rows, values.astype(dtype)))
            seen.append(opt.read("", read))
    opt.flush()
    assert opt.stale == 0
    return w, seen


def scheduled(name: str, dialect: str, steps: int) -> Rule:
    rule = form(name, dialect)
    lr = rule.values["lr"]
    return rule.replace(lr=tw.cosine(lr, steps=steps))


def decay_of(rule: Rule) -> dict[str, Any]:
    if "weight_decay" in rule.hyperparameters:
        return {"weight_decay": 0.01}
    return {"weight_decay": 0.01, "decay": "decoupled"}


def check_value(rule: Rule, pattern: Pattern, **settings: Any) -> None:
    """As near to the path in float64 as the dense run in float32 is, at the end and at every read.

    Where all rows are touched often, both only differ by how steps happened to be rounded: hence a quarter.
    """
    single, single_seen = run(rule, pattern, np.float32, "dense", **settings)
    double, double_seen = run(rule, pattern, np.float64, "dense", **settings)
    ours, ours_seen = run(rule, pattern, np.float32, "value", **settings)
    ulp = float(np.spacing(np.abs(single).max()))
    assert error(ours, double) <= 1.25 * error(single, double) + ulp
    dense_worst = max(map(error, single_seen, double_seen))
    assert max(map(error, ours_seen, double_seen)) <= 1.25 * dense_worst + ulp


def error(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())


few_forms_in_time = pytest.mark.parametrize(
    ("name", "dialect"),
    [pytest.param(*f, marks=[pytest.mark.slow] * (f[0] not in FEW or f[1] != "")) for f in FORMS],
)


@few_forms_in_time
def test_value_is_no_farther_from_float64_than_the_dense_run(name: str, dialect: str) -> None:
    rule = scheduled(name, dialect, 300)
    check_value(rule, Pattern(300), rates=False, **decay_of(rule))


@first_of(
    [n for n, r in RULES.items() if r.parts.idle_model and r.parts.idle_model.move_terms],
    ("AMSGrad", "Momentum"),
)
def test_value_by_series(name: str) -> None:
    """Without schedule and decay, where the sums of a series are nothing but powers."""
    rule = form(name, "")
    settings = {"weight_decay": 0.0} if "weight_decay" in rule.hyperparameters else {}
    check_value(rule, Pattern(300, seed=1), rates=False, **settings)


@few_forms_in_time
def test_bits_are_those_of_the_dense_run(name: str, dialect: str) -> None:
    rule = scheduled(name, dialect, 300)
    dense, dense_seen = run(rule, Pattern(300), np.float32, "dense", rates=False, **decay_of(rule))
    ours, ours_seen = run(rule, Pattern(300), np.float32, "bits", rates=False, **decay_of(rule))
    np.testing.assert_array_equal(ours, dense)
    for a, b in zip(ours_seen, dense_seen, strict=True):
        np.testing.assert_array_equal(a, b)


GRADIENTS = {
    "rows": lambda g: tw.Rows(np.flatnonzero(g.any(axis=1)), g[g.any(axis=1)]),
    "doubled": lambda g: tw.Rows(np.repeat(np.arange(ROWS), 2), np.repeat(g / 2, 2, axis=0)),
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
    "dense": lambda g: g,
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"accumulate": 3},
        {"clip_norm": 0.5},
        {"weight_decay": 0.01},
        {"average": 0.99},
        {"maximize": True, "clip_value": 0.2},
    ],
    ids=str,
)
def test_every_kind_of_gradient_and_setting(order: Literal["C", "F"], settings: dict[str, Any]) -> None:
    """Kinds of gradients mixed from step to step, beside a dense parameter, with gaps: the dense bits."""
    rng = np.random.default_rng(3)
    table, bias = rng.standard_normal((ROWS, WIDTH)), rng.standard_normal(3)
    rule = tw.Adam(lr=tw.warmup(0.01, steps=20))
    ours, dense = ({"table": np.array(table, order=order), "bias": bias.copy()} for _ in range(2))
    opt, other = rule.on(ours, exact="bits", **settings), rule.on(dense, **settings)
    kinds = [*GRADIENTS.values()]
    rtol = 1e-11 if "clip_norm" in settings else 0.0  # a norm is summed in another order
    for t in range(60):
        g = rng.standard_normal((ROWS, WIDTH)) * (rng.random((ROWS, 1)) < 0.1)
        b = None if t % 7 == 3 else rng.standard_normal(3)
        given = None if t % 11 == 5 else g
        other.step({"table": given, "bias": b})
        made = None if given is None else kinds[rng.integers(len(kinds))](g)
        opt.step({"table": made, "bias": b})
        rows = rng.integers(0, ROWS, 3)
        np.testing.assert_allclose(opt.read("table", rows), dense["table"][rows], rtol=rtol, atol=0)
    for name, states in other.state.items():
        np.testing.assert_allclose(opt.state[name]["table"], states["table"], rtol=rtol, atol=0)
    np.testing.assert_allclose(opt.params["table"], dense["table"], rtol=rtol, atol=0)
    assert opt.stale == 0


def test_one_dimension_half_precision_and_views() -> None:
    rng = np.random.default_rng(0)
    for start in (np.zeros(40, np.float16), np.zeros(80)[::2], np.zeros((5, 4, 2), np.float32)):
        ours, dense = start, start.copy()
        opt, other = tw.RMSprop(lr=0.01).on(ours, exact="bits"), tw.RMSprop(lr=0.01).on(dense)
        for _ in range(30):
            g = np.where(rng.random(start.shape) < 0.1, rng.standard_normal(start.shape), 0).astype(
                start.dtype
            )
            rows = np.flatnonzero(g.reshape(len(g), -1).any(axis=1))
            opt.step(tw.Rows(rows, g[rows]))
            other.step(g)
        opt.flush()
        np.testing.assert_array_equal(ours, dense)


@pytest.mark.parametrize(
    "changes", [{"beta1": 0.95, "beta2": 0.85}, {"lr": 0.0}, {"eps": 0.0}, {"eps": 10.0}]
)
def test_where_a_series_does_not_hold(changes: dict[str, float]) -> None:
    """Moves that do not shrink, no moves, no epsilon, an epsilon above every gradient: replay."""
    check_value(tw.Adam(lr=0.01).replace(**changes), Pattern(400, seed=2), rates=False)


@pytest.mark.parametrize("lr", [tw.warmup(0.1, steps=200), tw.join(0.0, 0.1, at=150)], ids=str)
def test_schedules_that_grow(lr: tw.Schedule) -> None:
    check_value(tw.Adam(lr=lr), Pattern(400, seed=4), rates=False)


def test_betas_on_a_schedule_replay() -> None:
    rule = tw.Adam(lr=0.01, beta1=tw.cosine(0.95, steps=300, end=0.85))
    opt = rule.on(np.zeros((4, 2)), rates=False)
    opt.step(tw.Rows([1], np.ones((1, 2))))
    assert "replay of every step" in opt.plan[""]
    check_value(rule, Pattern(300), rates=False)


def test_the_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is flushed when it is full, and nobody notices."""
    monkeypatch.setattr("thalweg.engines.cpu.sparse.LOG", 50)
    rule = scheduled("AMSGrad", "", 300)
    check_value(rule, Pattern(300), rates=False, **decay_of(rule))


def test_lazy_is_another_algorithm() -> None:
    pattern = Pattern(300)
    rule = tw.Adam(lr=0.01)
    dense, _ = run(rule, pattern, np.float64, "dense")
    lazy, _ = run(rule, pattern, np.float64, "lazy")
    value, _ = run(rule, pattern, np.float64, "value")
    assert error(lazy, dense) > 0.01
    assert error(value, dense) < 1e-12


def test_rates_and_states_are_those_of_the_dense_run() -> None:
    pattern = Pattern(120)
    made = {}
    for exact in ("dense", "bits"):
        w = pattern.start.copy()
        opt = tw.Adam(lr=0.01).on(w, **({} if exact == "dense" else {"exact": exact}))
        for rows, values in zip(pattern.touched, pattern.values, strict=True):
            g = np.zeros_like(w)
            g[rows] = values
            opt.step(g if exact == "dense" else tw.Rows(rows, values))
        made[exact] = opt.rates(), opt.state["v"]
    for a, b in zip(made["dense"], made["bits"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_resume_with_rows_behind(tmp_path: Any) -> None:
    pattern = Pattern(200)
    straight, broken = pattern.start.copy(), pattern.start.copy()
    one, two = tw.Adam().on(straight), tw.Adam().on(broken)
    for t, (rows, values) in enumerate(zip(pattern.touched, pattern.values, strict=True)):
        one.step(tw.Rows(rows, values))
        two.step(tw.Rows(rows, values))
        if t == 97:
            assert two.stale > 0
            one.flush()
            two.save(tmp_path / "run.tw")
            broken = np.zeros_like(broken)
            two = tw.load(tmp_path / "run.tw", broken)
    one.flush()
    two.flush()
    np.testing.assert_array_equal(broken, straight)


def test_untouched_rows_cost_nothing() -> None:
    """A table that is too large to be walked through at every step; its rows rest in zero."""
    w = np.zeros((2_000_000, 8), np.float32)
    opt = tw.Adam().on(w)
    for t in range(500):
        opt.step(tw.Rows([t % 7], np.ones((1, 8), np.float32)))
    assert opt.stale <= 7
    assert np.flatnonzero(w.any(axis=1)).tolist() == list(range(7))


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
def test_a_rule_that_rests_keeps_no_books_of_rows(name: str) -> None:
    """Nothing of a table's size, for coordinates in no order and several times neither; the step is the dense one."""
    rule, width = RULES[name](lr=0.5), 50
    rows, columns, values = [7, 2, 7, 0], [1, width - 1, 1, 5], np.float32([1.0, 2.0, 4.0, -1.0])
    for count in (8, 80_000):  # the first compiles
        w = np.zeros((count, width), np.float32)
        opt = rule.on(w, rates=False)
        tracemalloc.start()
        for _ in range(2):
            opt.step(sp.coo_array((values, (rows, columns)), shape=w.shape))
        opt.step(tw.Rows([3, 1], np.ones((2, width), np.float32)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < w.nbytes // 4
    dense = np.zeros((8, width), np.float32)
    other = rule.on(dense, engine="plain", rates=False)
    g = sp.coo_array((values, (rows, columns)), shape=dense.shape).toarray()
    for _ in range(2):
        other.step(g)
    g[:] = 0.0
    g[[3, 1]] = 1.0
    other.step(g)
    np.testing.assert_array_equal(w[:8], dense)
    assert not w[8:].any()
    assert opt.stale == 0 and opt.plan[""] == "nothing moves without a gradient"


@pytest.mark.parametrize("name", RULES)
def test_only_where_nothing_moves_are_no_books_kept(name: str) -> None:
    """By rule, and by what stands around it."""
    rule = RULES[name]()
    assert plan(rule, StepOptions(), "value", 24).still is (name in ("SGD", "Adagrad", "FTRL"))
    for option in ("coupled", "decoupled", "average", "polyak", "rates", "metric"):
        assert not plan(rule, StepOptions(**{option: True}), "value", 24).still
    assert not plan(rule, StepOptions(), "bits", 24).still


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_few_indices_of_many_rows_gather_as_all_do(dtype: str) -> None:
    """In the order in which they come, and at most a slot for each."""
    rng = np.random.default_rng(0)
    few, all_ = (Gatherer(dtype, 1 << 20, 3) for _ in range(2))
    all_.gather(np.arange(1 << 15)[::-1].copy(), np.ones((1 << 15, 3), dtype))
    for size in (2, 50, 300):
        rows = rng.integers(0, 1 << 20, size)
        rows[size // 2] = rows[0]
        values = rng.standard_normal((size, 3)).astype(dtype)
        for got, wanted in zip(few.gather(rows, values), all_.gather(rows, values), strict=True):
            np.testing.assert_array_equal(got, wanted)
        np.testing.assert_array_equal(few.distinct(rows), all_.distinct(rows))
    with pytest.raises(IndexError):
        few.distinct(np.array([5, 1 << 20, 2]))
    assert few._slots is None and all_._slots is not None


@pytest.mark.parametrize(
    ("gradient", "told"),
    [
        (lambda: tw.Rows([1, 24], np.zeros((2, 5))), r"row 24 \(entry 1\) lies outside \[0, 24\)"),
        (lambda: tw.Rows([-1], np.zeros((1, 5))), r"row -1 .* do not wrap"),
        (lambda: tw.Rows([1], np.zeros((1, 4))), r"each row must have shape \(5,\)"),
        (lambda: tw.Rows([1], np.zeros((1, 5), np.float32)), r"dtype must be float64"),
        (lambda: tw.Rows([0.5], np.zeros((1, 5))), r"whole numbers"),
        (lambda: tw.Rows([1, 2], np.zeros((1, 5))), r"one entry for each of the 2 indices"),
        (lambda: tw.Rows([3], np.full((1, 5), np.nan)), r"nan at \(3, 0\) is not finite"),
        (lambda: tw.Rows([3], np.full((1, 5), 1e200)), r"1e\+200 at \(3, 0\) is too large"),
        (lambda: sp.csr_array((ROWS, 4)), r"shape must be \(24, 5\)"),
        (lambda: sp.csr_array((ROWS, WIDTH), dtype=np.float32), r"dtype must be float64"),
        (lambda: damaged(), r"damaged sparse matrix \(indices must be < 5"),
    ],
)
def test_bad_input_moves_nothing(gradient: Any, told: str) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((ROWS, WIDTH))
    opt = tw.Adam().on(w)
    opt.step(tw.Rows([2], np.ones((1, 5))))
    before, t = opt.params.copy(), opt.t
    with pytest.raises(tw.errors.GradientError, match=told) as caught:
        opt.step(gradient())
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(opt.params, before)
    assert opt.t == t


def damaged() -> Any:
    matrix = sp.csr_array(np.eye(ROWS, WIDTH))
    matrix.indices[2] = 7
    return matrix


def test_read_says_what_is_wrong() -> None:
    opt = tw.Adam().on({"table": np.zeros((4, 2)), "bias": np.zeros(())})
    assert opt.read("table", 3).shape == (1, 2)
    with pytest.raises(tw.errors.ParameterError, match="did you mean 'table'"):
        opt.read("tabel", [0])
    with pytest.raises(tw.errors.GradientError, match="row 4"):
        opt.read("table", [4])
    with pytest.raises(tw.errors.GradientError, match="has no rows"):
        opt.read("bias", [0])
    with pytest.raises(tw.errors.HyperparameterError, match="exact must be one of 'value', 'bits', 'lazy'"):
        tw.Adam().on(np.zeros(2), exact="exactly")


def test_a_learning_rate_that_jumps_finds_moves_that_had_vanished() -> None:
    """What is left of a first move of 1e-8 after 250 steps still counts when lr is a hundred million times larger."""
    rule = tw.Adam(lr=tw.join(1e-8, 1.0, at=250))
    made = []
    for sparse in (False, True):
        w = np.zeros((3, 2), np.float32)
        opt = rule.on(w, rates=False)
        for t in range(400):
            g = np.full((3, 2), 0.5 * (t == 0), np.float32)
            opt.step(tw.Rows([0, 1, 2], g) if sparse and t == 0 else tw.Rows([], g[:0]) if sparse else g)
        opt.flush()
        made.append(w)
    np.testing.assert_allclose(made[1], made[0], rtol=1e-5)


def both(
    rule: Rule, start: Array, gradients: list[Array], to: Any, **settings: Any
) -> tuple[Any, Array, Array]:
    """Our optimizer at its end, its weights, and the dense run's; ``to``: an array → the gradient given."""
    ours, dense = start, start.copy()
    opt, other = rule.on(ours, exact="bits", **settings), rule.on(dense, **settings)
    for t, g in enumerate(gradients):
        opt.step(to(g, t))
        other.step(g)
    opt.flush()
    return opt, ours, dense


def as_rows(g: Array, t: int = 0) -> tw.Rows:
    rows = np.flatnonzero(g.any(axis=1))
    return tw.Rows(rows, g[rows])


def some(steps: int, shape: tuple[int, int] = (6, 2)) -> list[Array]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal(shape) * (rng.random((shape[0], 1)) < 0.3) for _ in range(steps)]


def test_a_dense_step_on_a_view_keeps_what_caught_up() -> None:
    view = np.zeros((6, 4))[:, ::2]
    _, ours, dense = both(
        tw.Adam(), view, some(20), lambda g, t: g if t % 5 == 4 else as_rows(g), rates=False
    )
    np.testing.assert_array_equal(ours, dense)


def test_what_a_caller_writes_into_a_view_stays() -> None:
    view = np.zeros((6, 4))[:, ::2]
    opt = tw.SGD(lr=1.0).on(view)
    opt.step(tw.Rows([1], np.ones((1, 2))))
    view[3] = 7.0
    opt.read("", [1])
    opt.flush()
    assert view[3].tolist() == [7.0, 7.0]


def test_accumulation_that_begins_dense_or_goes_on_from_a_file(tmp_path: Any) -> None:
    steps = some(8)
    _, ours, dense = both(
        tw.Adam(), np.zeros((6, 2)), steps, lambda g, t: as_rows(g) if t else g, accumulate=4, rates=False
    )
    np.testing.assert_array_equal(ours, dense)
    opt = tw.Adam().on(np.zeros((6, 2)), accumulate=4, exact="bits", rates=False)
    for g in steps[:2]:
        opt.step(as_rows(g))
    opt.save(tmp_path / "run.tw")
    resumed = np.zeros((6, 2))
    opt = tw.load(tmp_path / "run.tw", resumed)
    for g in steps[2:]:
        opt.step(as_rows(g))
    opt.flush()
    np.testing.assert_array_equal(resumed, dense)


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_rows_decay_once_the_learning_rate_is_not_zero(decay: Any) -> None:
    rule = tw.SGD(lr=tw.join(0.0, 0.1, at=1500))
    steps = [np.zeros((3, 1))] * 1510
    _, ours, dense = both(
        rule, np.ones((3, 1)), steps, lambda g, t: as_rows(g), weight_decay=0.1, decay=decay, rates=False
    )
    np.testing.assert_array_equal(ours, dense)
    assert dense.max() < 1


def test_averages_without_rates() -> None:
    opt, ours, dense = both(tw.Adam(), np.ones((6, 2)), some(20), as_rows, average=0.9, rates=False)
    np.testing.assert_array_equal(ours, dense)
    assert opt.average.shape == (6, 2)


def test_sums_beyond_float64_without_epsilon() -> None:
    """The ninth sum overflows, and eps = 0 satisfies any bound."""
    g = [np.ones((2, 1)), *[np.zeros((2, 1))] * 300]
    made = []
    for exact in ("value", "bits"):
        w = np.ones((2, 1))
        opt = tw.Adam(lr=0.01, beta1=0.1, beta2=0.02, eps=0.0).on(w, exact=exact, rates=False)  # type: ignore[arg-type]
        for x in g:
            opt.step(as_rows(x))
        opt.flush()
        made.append(w)
    np.testing.assert_allclose(made[0], made[1], rtol=1e-14)


def test_a_refused_step_leaves_nothing_unfollowed() -> None:
    made = []
    for refused in (False, True):
        params = {"a": np.zeros((3, 1)), "b": np.zeros(2)}
        opt = tw.Momentum(lr=0.1).on(params, rates=False, on_nonfinite="skip", exact="bits")
        opt.step({"a": np.ones((3, 1)), "b": np.array([np.nan, 0.0])})
        if refused:
            with pytest.raises(tw.errors.GradientError, match="shape"):
                opt.step({"a": tw.Rows([0], np.ones((1, 1))), "b": np.zeros(3)})
        same = {"a": np.ones((3, 1)), "b": np.zeros(2)}
        opt.step(same)
        for _ in range(20):
            opt.step({"a": tw.Rows([0], np.ones((1, 1))), "b": np.zeros(2)})
        opt.flush()
        made.append(params["a"])
    np.testing.assert_array_equal(made[1], made[0])


def test_threads_never_share_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row named twice in one reading is handed to the threads once."""
    handed = []

    def spied(self: Table, rows: Array | None = None) -> None:
        handed.append(rows)

    monkeypatch.setattr(Table, "catch_up", spied)
    opt = tw.Momentum().on(np.zeros((6, 2)))
    opt.step(tw.Rows([3], np.ones((1, 2))))
    assert opt.read("", [3, 5, 3]).shape == (3, 2)
    assert [sorted(rows) for rows in handed] == [[3, 5]]


class Falling(tw.Schedule):
    """Leaves its range after a hundred steps."""

    def __call__(self, step: int) -> float:
        return 0.1 - 0.001 * step


def test_a_schedule_for_few_steps() -> None:
    _, ours, dense = both(tw.Adam(lr=Falling()), np.zeros((6, 2)), some(20), as_rows, rates=False)
    np.testing.assert_array_equal(ours, dense)


def pointing_away() -> Any:
    matrix = sp.csr_array(np.eye(ROWS, WIDTH))
    matrix.indptr[3] = 50_000_000
    return matrix


def with_more_entries() -> Any:
    matrix = sp.lil_array((ROWS, WIDTH))
    matrix.data[1] = [1.0] * 100_000
    return matrix


def with_fewer_entries() -> Any:
    matrix = sp.coo_array(np.eye(ROWS, WIDTH))
    matrix.data = matrix.data[:2]
    return matrix


@pytest.mark.parametrize("made", [pointing_away, with_more_entries, with_fewer_entries])
def test_damaged_matrices_are_told(made: Any) -> None:
    w = np.zeros((ROWS, WIDTH))
    with pytest.raises(tw.errors.GradientError, match="damaged sparse matrix"):
        tw.SGD(lr=1.0).on(w).step(made())
    assert not w.any()


def test_a_gradient_that_lies_in_its_parameter() -> None:
    w = np.ones((4, 2))
    opt = tw.SGD(lr=1.0).on(w)
    with pytest.raises(tw.errors.GradientError, match="shares memory"):
        opt.step(tw.Rows([1, 2], w[:2]))
    assert (w == 1).all()


@pytest.mark.parametrize("decay", [3.0, 150.0], ids=["shrinks", "turns the sign"])
def test_decay_beyond_the_window_in_float64(decay: float) -> None:
    """Strong decay over gaps longer than a series' sums, and 1 - lr * decay below 0."""
    rule = tw.Adam(lr=0.01)
    made = []
    for exact in ("value", "bits"):
        w = np.ones((2, 1))
        opt = rule.on(w, exact=exact, rates=False, weight_decay=decay, decay="decoupled")  # type: ignore[arg-type]
        opt.step(tw.Rows([0], np.ones((1, 1))))
        for _ in range(700):
            opt.step(tw.Rows([], np.ones((0, 1))))
        opt.flush()
        made.append(w)
    np.testing.assert_allclose(made[0], made[1], rtol=1e-9, atol=0)


def test_indices_that_the_user_writes_over_between_gathered_gradients() -> None:
    w, index, values = np.zeros((10, 2)), np.array([1, 2]), np.ones((2, 2))
    opt = tw.SGD(lr=1.0).on(w, accumulate=2)
    opt.step(tw.Rows(index, values))
    index[:] = [5, 6]
    opt.step(tw.Rows(index, values))
    opt.flush()
    assert np.flatnonzero(w[:, 0]).tolist() == [1, 2, 5, 6]
    np.testing.assert_array_equal(w[[1, 2, 5, 6]], -0.5)


def test_a_table_without_columns() -> None:
    opt = tw.Adam().on(np.zeros((3, 0)))
    opt.step(tw.Rows([1, 1], np.zeros((2, 0))))
    assert opt.t == 1
