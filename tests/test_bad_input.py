"""Bad input gets one clear error, and nothing of the user's has moved (promise 7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import thalweg as tw
from thalweg.core.rule import find
from thalweg.errors import (
    FileError,
    GradientError,
    HyperparameterError,
    NonFiniteError,
    ParameterError,
    StateError,
    ThalwegError,
    nearest,
)
from thalweg.files import Forms
from thalweg.lab.record import record
from thalweg.rules import shipped

every_rule = pytest.mark.parametrize("kind", shipped().values(), ids=lambda k: k.__name__)


def frozen(opt: Any) -> list[Any]:
    """All that a refused call must leave as it was, as bytes."""
    leaves: list[Any] = [opt.t, opt.skipped]

    def take(value: Any) -> None:
        if isinstance(value, dict):
            for v in value.values():
                take(v)
        elif isinstance(value, list | tuple):
            for v in value:
                take(v)
        else:
            leaves.append(None if value is None else value.tobytes())

    take(opt.params)
    take(opt.state)
    if opt.settings.average is not None:
        take(opt.average)
    return leaves


def clear(error: ThalwegError, words: tuple[str, ...]) -> None:
    """One line, not endless, with each of the words."""
    text = str(error)
    assert "\n" not in text and 0 < len(text) < 400, text
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"


def refused(kind: type[ThalwegError], action: Callable[[], object], *words: str) -> None:
    """The action raises exactly this error, clearly."""
    with pytest.raises(ThalwegError) as caught:
        action()
    assert type(caught.value) is kind
    clear(caught.value, words)


# --- parameters -------------------------------------------------------------------------------------


def _aligned_off() -> Any:
    return np.zeros(33, np.uint8)[1:].view(np.float64)


def _read_only() -> Any:
    x = np.zeros(3)
    x.flags.writeable = False
    return x


SQUARE = np.zeros((3, 3))
BAD_PARAMETERS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "int64": (lambda: np.arange(3), ("dtype", "int64", "float64")),
    "bool": (lambda: np.ones(3, bool), ("dtype", "bool", "float32")),
    "object": (lambda: np.array([1.0, None], object), ("dtype", "object", "float32")),
    "string": (lambda: np.array(["a"]), ("dtype", "<U1", "float32")),
    "complex": (lambda: np.ones(3, complex), ("dtype", "complex128", ".view(")),
    "long double": (lambda: np.ones(3, np.longdouble), ("dtype", str(np.dtype(np.longdouble)), "float64")),
    "structured": (lambda: np.ones(3, [("a", "f8")]), ("dtype", "'a'", "float64")),
    "big-endian": (lambda: np.ones(3, ">f8"), ("dtype", ">f8", "float64")),
    "unaligned": (_aligned_off, ("aligned", "copy")),
    "read-only": (_read_only, ("read-only", "copy")),
    "broadcast": (lambda: np.broadcast_to(1.0, (3, 2)), ("read-only", "copy")),
    "broadcast, writeable": (lambda: as_strided(np.zeros(1), (3,), (0,)), ("share memory", "copy")),
    "windows": (lambda: sliding_window_view(np.zeros(5), 2, writeable=True), ("share memory", "copy")),
    "windows along rows": (lambda: as_strided(np.zeros(9), (2, 2, 3), (24, 16, 8)), ("share memory", "copy")),
    "masked": (lambda: np.ma.ones(3), ("MaskedArray", "NumPy array")),
    "torch": (lambda: torch.ones(3), ("torch.Tensor", "cpu", "NumPy")),
    "torch elsewhere": (lambda: torch.ones(3, device="meta"), ("torch.Tensor", "meta", "NumPy")),
    "sparse": (lambda: scipy.sparse.eye_array(3).tocsr(), ("csr_array", "toarray")),
    "float": (lambda: 1.0, ("float", "NumPy array")),
    "NumPy scalar": (lambda: np.float64(1), ("float64", "NumPy array")),
    "None": (lambda: None, ("NoneType", "NumPy array")),
    "set": (lambda: {1, 2}, ("set", "NumPy array")),
    "text": (lambda: "abc", ("str", "NumPy array")),
    "the same array": (lambda: SQUARE, ("'deep.0'", "'other'", "share memory")),
    "its transpose": (lambda: SQUARE.T, ("'deep.0'", "'other'", "share memory")),
    "its row": (lambda: SQUARE[1], ("'deep.0'", "'other'", "share memory")),
    "its diagonal": (lambda: SQUARE.reshape(-1)[::4], ("'deep.0'", "'other'", "share memory")),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_parameters_that_cannot_be_trained(case: str) -> None:
    """Refused with the path, what was got and what is allowed; the others keep their bytes."""
    make, words = BAD_PARAMETERS[case]
    SQUARE[...] = 2.0
    refused(ParameterError, lambda: tw.Adam().on({"deep": [make()], "other": SQUARE}), "deep.0", *words)
    assert (SQUARE == 2.0).all()


@pytest.mark.parametrize(
    "case",
    [n for n in BAD_PARAMETERS if n not in ("the same array", "its transpose", "its row", "its diagonal")],
)
def test_a_lone_parameter_that_cannot_be_trained(case: str) -> None:
    """The same without a structure: the message names params."""
    make, words = BAD_PARAMETERS[case]
    refused(ParameterError, lambda: tw.SGD().on(make()), "params", *words)


@pytest.mark.parametrize("case", ["masked", "NumPy scalar"])
def test_remedies_fit(case: str) -> None:
    """What is already on the CPU is not told to be copied there with a method that it lacks."""
    make, _ = BAD_PARAMETERS[case]
    with pytest.raises(ParameterError) as caught:
        tw.SGD().on(make())
    assert ".numpy()" not in str(caught.value)


def test_windows_with_the_flags_of_overlap() -> None:
    """A view whose entries overlap is refused however NumPy flags it."""
    base = np.zeros(6)
    view = as_strided(base, (2, 3), (8, 8))
    refused(ParameterError, lambda: tw.SGD().on(view), "params", "share memory")


@pytest.mark.parametrize("params", [[], {}, (), {"a": [], "b": {}}], ids=str)
def test_no_parameter_at_all(params: Any) -> None:
    """An empty structure is an error."""
    refused(ParameterError, lambda: tw.SGD().on(params), "params", "no array")


def test_interleaved_views_are_no_overlap() -> None:
    """Columns of one matrix interleave but share nothing."""
    m = np.zeros((4, 3))
    columns = [m[:, i] for i in range(3)]
    opt = tw.SGD(lr=1.0).on(columns)
    opt.step([np.full(4, float(i)) for i in range(3)])
    assert (m == -np.arange(3.0)).all()


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("engine", ["cpu", "plain"])
def test_matrix_is_trained_or_refused(engine: Any) -> None:
    """np.matrix either goes as its array does, average included, or is refused; nothing between."""
    m = np.matrix(np.ones((2, 3)))
    g = np.arange(6.0).reshape(2, 3)
    try:
        opt = tw.Adam(lr=0.1).on(m, engine=engine, average=0.5)
    except ParameterError as error:
        clear(error, ("params", "matrix"))
        return
    a = np.ones((2, 3))
    twin = tw.Adam(lr=0.1).on(a, average=0.5)
    for _ in range(3):
        opt.step(np.matrix(g))
        twin.step(g)
    assert np.asarray(m).tobytes() == a.tobytes()
    assert np.asarray(opt.average).tobytes() == twin.average.tobytes()
    assert np.asarray(opt.state["v"]).tobytes() == twin.state["v"].tobytes()


# --- gradients --------------------------------------------------------------------------------------


def _params() -> dict[str, Any]:
    return {
        "net": [np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0], np.float32)],
        "scale": np.array(3.0),
        "part": np.arange(8.0)[::2],
        "square": np.asfortranarray(np.arange(9.0).reshape(3, 3)),
    }


def _gradients(seed: int = 0) -> dict[str, Any]:
    r = np.random.default_rng(seed)
    return {
        "net": [r.standard_normal((2, 3)), r.standard_normal(2).astype(np.float32)],
        "scale": r.standard_normal(()),
        "part": r.standard_normal(4),
        "square": r.standard_normal((3, 3)),
    }


def _with(place: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any], Any], Any]:
    def change(g: dict[str, Any], opt: Any) -> Any:
        at: Any = g
        for k in place[:-1]:
            at = at[k]
        at[place[-1]] = value(at[place[-1]], opt) if callable(value) else value
        return g

    return change


def _drop(g: dict[str, Any], opt: Any) -> Any:
    del g["scale"]
    return g


NET0, NET1, SCALE, PART = ("net", 0), ("net", 1), ("scale",), ("part",)
BAD_GRADIENTS: dict[str, tuple[Callable[[dict[str, Any], Any], Any], tuple[str, ...]]] = {
    "shape": (_with(NET0, np.zeros((3, 2))), ("net.0", "shape", "(2, 3)", "(3, 2)")),
    "flat": (_with(NET0, np.zeros(6)), ("net.0", "shape", "(2, 3)", "(6,)")),
    "one more axis": (_with(SCALE, np.zeros(1)), ("scale", "shape", "()", "(1,)")),
    "empty": (_with(PART, np.zeros(0)), ("part", "shape", "(4,)", "(0,)")),
    "wider": (_with(NET1, np.zeros(2)), ("net.1", "dtype", "float32", "float64")),
    "narrower": (_with(NET0, np.zeros((2, 3), np.float32)), ("net.0", "dtype", "float32", "float64")),
    "half": (_with(PART, np.zeros(4, np.float16)), ("part", "dtype", "float16", "float64")),
    "int": (_with(PART, np.zeros(4, np.int64)), ("part", "dtype", "int64", "float64")),
    "object": (_with(PART, np.zeros(4, object)), ("part", "dtype", "object", "float64")),
    "complex": (_with(PART, np.zeros(4, complex)), ("part", "dtype", "complex128", "float64")),
    "big-endian": (_with(PART, np.zeros(4, ">f8")), ("part", "dtype", ">f8", "float64")),
    "structured": (_with(PART, np.zeros(4, [("a", "f8")])), ("part", "dtype", "'a'", "float64")),
    "masked": (_with(PART, np.ma.ones(4)), ("part", "MaskedArray", "NumPy array", "float64")),
    "torch": (_with(PART, torch.ones(4)), ("part", "torch.Tensor", "cpu", "NumPy array")),
    "torch elsewhere": (_with(PART, torch.ones(4, device="meta")), ("part", "torch.Tensor", "meta")),
    "sparse": (_with(("square",), scipy.sparse.eye_array(4).tocsr()), ("square", "(3, 3)", "(4, 4)")),
    "rows of another width": (_with(("square",), tw.Rows([1], np.ones((1, 2)))), ("square", "(3,)", "(2,)")),
    "rows of its parameter": (
        _with(NET0, lambda g, opt: tw.Rows([0, 1], opt.params["net"][0])),
        ("net.0", "shares memory", "copy"),
    ),
    "list for an array": (_with(PART, [1.0] * 4), ("part", "list", "NumPy array")),
    "float for an array": (_with(SCALE, 1.0), ("scale", "float", "NumPy array")),
    "text": (_with(PART, "abc"), ("part", "str", "NumPy array")),
    "missing key": (_drop, ("gradients", "'scale'", "without", "None")),
    "unknown key": (_with(("weight",), np.zeros(2)), ("gradients", "'weight'", "unknown")),
    "short list": (_with(("net",), [np.zeros((2, 3))]), ("'net'", "list of 2", "1")),
    "long list": (_with(("net",), [None, None, None]), ("'net'", "list of 2", "3")),
    "dict for a list": (_with(("net",), {0: None, 1: None}), ("'net'", "list of 2", "dict")),
    "array for a list": (_with(("net",), np.zeros((2, 3))), ("'net'", "list of 2", "ndarray")),
    "list for the dict": (lambda g, opt: list(g.values()), ("gradients", "dict", "'net'", "list")),
    "nothing": (lambda g, opt: None, ("gradients", "dict", "NoneType")),
    "its parameter": (_with(NET0, lambda g, opt: opt.params["net"][0]), ("net.0", "shares memory", "copy")),
    "a view of its parameter": (
        _with(NET0, lambda g, opt: opt.params["net"][0][::-1, ::-1]),
        ("net.0", "shares memory", "copy"),
    ),
    "another parameter": (
        _with(PART, lambda g, opt: opt.params["net"][0].reshape(-1)[1:5]),
        ("part", "shares memory", "copy"),
    ),
    "its strided parameter": (
        _with(PART, lambda g, opt: opt.params["part"]),
        ("part", "shares memory", "copy"),
    ),
    "its transpose": (
        _with(("square",), lambda g, opt: opt.params["square"].T),
        ("square", "shares memory", "copy"),
    ),
    "a state": (_with(NET0, lambda g, opt: opt.state["m"]["net"][0]), ("net.0", "shares memory", "copy")),
    "the average": (_with(NET0, lambda g, opt: opt.average["net"][0]), ("net.0", "shares memory", "copy")),
}


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("case", BAD_GRADIENTS)
def test_gradients_that_do_not_fit(case: str, before: int) -> None:
    """Refused with the path; nothing has moved, and the next good step goes as if nothing had been."""
    change, words = BAD_GRADIENTS[case]
    opt, twin = tw.Adam(lr=0.1).on(_params(), average=0.9), tw.Adam(lr=0.1).on(_params(), average=0.9)
    for t in range(before):
        opt.step(_gradients(t))
        twin.step(_gradients(t))
    kept = frozen(opt)
    bad = change(_gradients(9), opt)
    for _ in range(2):
        refused(GradientError, lambda: opt.step(bad), *words)
        assert frozen(opt) == kept
    opt.step(_gradients(5))
    twin.step(_gradients(5))
    assert frozen(opt) == frozen(twin)


@every_rule
def test_a_lone_gradient_that_does_not_fit(kind: type[tw.Rule]) -> None:
    """For any rule, before and after the quick path is open."""
    w = np.arange(4.0)
    opt = kind().on(w)
    for t in range(3):
        kept = frozen(opt)
        for bad, words in (
            (np.zeros(3), ("shape", "(4,)", "(3,)")),
            (np.zeros(4, np.float32), ("dtype", "float64", "float32")),
            (w, ("shares memory",)),
            ([0.0] * 4, ("list",)),
            ([np.zeros(4)], ("list",)),
        ):
            refused(GradientError, lambda bad=bad: opt.step(bad), "gradient", *words)  # type: ignore[misc]
            assert frozen(opt) == kept
        opt.step(np.full(4, t + 1.0))


ILL: dict[str, tuple[float, str]] = {
    "nan": (np.nan, "nan"),
    "inf": (np.inf, "inf"),
    "-inf": (-np.inf, "-inf"),
    "too large": (-1e200, "-1e+200"),
}
PLACES: dict[str, tuple[tuple[Any, ...], tuple[int, ...], str]] = {
    "net.0": (NET0, (1, 2), "(1, 2)"),
    "scale": (SCALE, (), "()"),
    "part": (PART, (3,), "(3,)"),
    "square": (("square",), (2, 0), "(2, 0)"),
}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"average": 0.5, "weight_decay": 0.1},
    {"clip_norm": 1.0},
    {"accumulate": 2},
    {"groups": {"part": tw.RMSprop(lr=0.2)}},
    {"clip_value": 1.0},
    {"engine": "plain"},
]


CLIPPED = [x for x in SETTINGS if x.keys() & {"clip_norm", "clip_value"}]  # take every finite gradient


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("ill", "given"), [(n, x) for n in ILL for x in SETTINGS if n != "too large" or x not in CLIPPED], ids=str
)
def test_non_finite_gradients(ill: str, place: str, given: dict[str, Any]) -> None:
    """Path, index, value and remedy are named; nothing has moved; the next good step goes on."""
    value, told = ILL[ill]
    where, index, shown = PLACES[place]
    opt, twin = tw.Adam(lr=0.1).on(_params(), **given), tw.Adam(lr=0.1).on(_params(), **given)
    for t in range(3):
        kept = frozen(opt)
        bad = _gradients(20)
        at: Any = bad
        for k in where[:-1]:
            at = at[k]
        at[where[-1]] = np.asarray(at[where[-1]])
        at[where[-1]][index] = value
        refused(NonFiniteError, lambda bad=bad: opt.step(bad), place, told, shown, "on_nonfinite")
        assert frozen(opt) == kept
        opt.step(_gradients(t))
        twin.step(_gradients(t))
    assert frozen(opt) == frozen(twin)


@every_rule
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda d: d.__name__)
def test_too_large_for_the_states(kind: type[tw.Rule], dtype: Any) -> None:
    """The largest finite gradient is either taken with finite states or refused with the bound."""
    w = np.ones(3, dtype)
    opt = kind(lr=0.0).on(w)
    top = np.finfo(dtype).max
    g = np.array([0, top, -top], dtype)
    kept = frozen(opt)
    try:
        opt.step(g)
    except NonFiniteError as error:
        clear(error, ("gradient", "(1,)", "too large", "at most", kind.__name__))
        assert frozen(opt) == kept
        return
    assert np.isfinite(w).all()
    for s in opt.state.values():
        assert np.isfinite(s).all()


# --- hyperparameters and settings -------------------------------------------------------------------


LINES = [(kind, n, line) for kind in shipped().values() for n, line in kind.parts.lines.items()]


@pytest.mark.parametrize(
    ("kind", "name", "line"), LINES, ids=lambda x: getattr(x, "__name__", x if isinstance(x, str) else "")
)
def test_hyperparameters_out_of_range(kind: type[tw.Rule], name: str, line: Any) -> None:
    """Every line of every rule: what is out of its range, or no number, is refused by name."""
    below = line.low - 1.0 if np.isfinite(line.low) else -np.inf
    beyond = line.high + line.range.endswith("]")
    above = beyond if np.isfinite(beyond) else np.inf
    for value in (below, above, np.nan, np.inf, -np.inf, "0.1", None, True, 1j, [0.1], (0.1,), np.ones(2)):
        refused(HyperparameterError, lambda v=value: kind(**{name: v}), name, kind.__name__, line.range)


@pytest.mark.parametrize(
    "value",
    [np.ones((3, 3)), np.zeros(10_000), list(range(5000)), "x\ny", 10**400],
    ids=lambda v: str(type(v)),
)
def test_what_was_got_is_told_in_one_line(value: Any) -> None:
    """However large or odd the value, the message is one line of a readable length."""
    refused(HyperparameterError, lambda: tw.SGD(lr=value), "SGD", "lr", "[0, inf)")
    refused(
        HyperparameterError, lambda: tw.SGD().on(np.zeros(1), weight_decay=value), "weight_decay", "[0, inf)"
    )


def test_states_start_at_numbers() -> None:
    """A schedule is no start of a state."""
    refused(HyperparameterError, lambda: tw.Adagrad(s=tw.cosine(1.0, steps=2)), "Adagrad", "s", "number")


BAD_SETTINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "decay below 0": ({"weight_decay": -0.1}, ("weight_decay", "[0, inf)", "-0.1")),
    "decay nan": ({"weight_decay": np.nan}, ("weight_decay", "[0, inf)", "nan")),
    "decay None": ({"weight_decay": None}, ("weight_decay", "[0, inf)", "None")),
    "decay text": ({"weight_decay": "0.1"}, ("weight_decay", "[0, inf)", "'0.1'")),
    "decay scheduled": ({"weight_decay": tw.cosine(0.1, steps=3)}, ("weight_decay", "Cosine")),
    "kind of decay": ({"decay": "decoupld"}, ("decay", "'coupled', 'decoupled'", "'decoupld'")),
    "kind of decay None": ({"decay": None}, ("decay", "'coupled', 'decoupled'", "None")),
    "kind of decay array": ({"decay": np.ones(2)}, ("decay", "'coupled', 'decoupled'")),
    "clip_value 0": ({"clip_value": 0.0}, ("clip_value", "(0, inf)", "0.0")),
    "clip_value negative": ({"clip_value": -1}, ("clip_value", "(0, inf)", "-1")),
    "clip_value scheduled": ({"clip_value": tw.cosine(0.1, steps=3)}, ("clip_value", "Cosine")),
    "clip_norm 0": ({"clip_norm": 0}, ("clip_norm", "(0, inf)", "0")),
    "clip_norm inf": ({"clip_norm": np.inf}, ("clip_norm", "(0, inf)", "inf")),
    "clip_norm scheduled": ({"clip_norm": tw.cosine(0.1, steps=3)}, ("clip_norm", "Cosine")),
    "average 1": ({"average": 1.0}, ("average", "(0, 1)", "'polyak'", "1.0")),
    "average 0": ({"average": 0}, ("average", "(0, 1)", "'polyak'", "0")),
    "average name": ({"average": "ema"}, ("average", "(0, 1)", "'polyak'", "'ema'")),
    "average True": ({"average": True}, ("average", "(0, 1)", "'polyak'", "True")),
    "average array": ({"average": np.ones(2)}, ("average", "(0, 1)", "'polyak'")),
    "average nan": ({"average": np.nan}, ("average", "(0, 1)", "nan")),
    "accumulate 0": ({"accumulate": 0}, ("accumulate", "at least 1", "0")),
    "accumulate half": ({"accumulate": 1.5}, ("accumulate", "whole number", "1.5")),
    "accumulate True": ({"accumulate": True}, ("accumulate", "whole number", "True")),
    "maximize 1": ({"maximize": 1}, ("maximize", "True", "False", "1")),
    "maximize text": ({"maximize": "yes"}, ("maximize", "True", "False", "'yes'")),
    "rates text": ({"rates": "yes"}, ("rates", "None", "True", "'yes'")),
    "on_nonfinite": ({"on_nonfinite": "rise"}, ("on_nonfinite", "'raise', 'skip', 'propagate'", "'rise'")),
    "engine": ({"engine": "cuda"}, ("engine", "'cuda'", "cpu", "plain")),
    "engine None": ({"engine": None}, ("engine", "None", "cpu", "plain")),
    "groups list": ({"groups": ["bias"]}, ("groups", "list", "dict")),
    "groups text": ({"groups": "bias"}, ("groups", "str", "dict")),
    "group nobody": ({"groups": {"bais": {}}}, ("'bais'", "did you mean 'net.bias'", "net.weight")),
    "group number": ({"groups": {0: {"lr": 1.0}}}, ("group", "0", "weight")),
    "group class": ({"groups": {"bias": tw.Adam}}, ("'bias'", "rule", "dict", "Adam")),
    "group of what": ({"groups": {"bias": 0.1}}, ("'bias'", "rule", "dict", "float")),
    "group unknown": (
        {"groups": {"bias": {"weigth_decay": 0}}},
        ("'bias'", "'weigth_decay'", "did you mean 'weight_decay'"),
    ),
    "group key 1": ({"groups": {"bias": {1: 0}}}, ("'bias'", "1", "lr")),
    "group whole-run setting": ({"groups": {"bias": {"clip_norm": 1.0}}}, ("'bias'", "'clip_norm'")),
    "group lr": ({"groups": {"bias": {"lr": -1.0}}}, ("'bias'", "lr", "[0, inf)", "-1.0")),
    "group weight_decay": (
        {"groups": {"bias": {"weight_decay": -1.0}}},
        ("'bias'", "weight_decay", "[0, inf)", "-1.0"),
    ),
    "group rule": ({"groups": {"bias": {"rule": "Adam"}}}, ("'bias'", "rule", "'Adam'")),
    "two groups": ({"groups": {"bias": {"lr": 1.0}, "net": {"lr": 2.0}}}, ("'net.bias'", "'bias'", "'net'")),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_settings_out_of_range(case: str) -> None:
    """Every setting, wrong in every way, is refused by name with what is allowed."""
    given, words = BAD_SETTINGS[case]
    params = {"net": {"weight": np.ones((2, 2)), "bias": np.ones(2)}}

    def start_and_step() -> None:
        opt = tw.SGD().on(params, **given)
        opt.step({"net": {"weight": np.ones((2, 2)), "bias": np.ones(2)}})

    refused(HyperparameterError, start_and_step, *words)
    assert (params["net"]["weight"] == 1).all() and (params["net"]["bias"] == 1).all()


@pytest.mark.parametrize(
    "given",
    [
        {"weight_decay": np.float32(0.5)},
        {"clip_value": np.float32(0.5)},
        {"clip_norm": np.int64(2)},
        {"accumulate": np.int64(2)},
        {"average": np.float32(0.5)},
        {"maximize": np.True_},
    ],
    ids=str,
)
def test_numpy_numbers_are_numbers(given: dict[str, Any], tmp_path: Path) -> None:
    """A NumPy scalar does what its Python number does, saving included."""
    ((name, value),) = given.items()
    a, b = np.ones(3), np.ones(3)
    one, two = tw.Adam(lr=0.1).on(a, **given), tw.Adam(lr=0.1).on(b, **{name: value.item()})
    for t in range(1, 5):
        one.step(np.full(3, float(t)))
        two.step(np.full(3, float(t)))
    one.save(tmp_path / "run.tw")
    assert a.tobytes() == b.tobytes()


def test_numpy_numbers_in_schedules() -> None:
    """Schedules take NumPy's numbers as hyperparameters do."""
    assert tw.cosine(np.float32(0.5), steps=np.int64(3))(0) == 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tw.cosine(-1.0, steps=3), ("value", "-1.0")),
        (lambda: tw.cosine(1.0, steps=0), ("steps", "0")),
        (lambda: tw.cosine(np.nan, steps=3), ("value", "nan")),
        (lambda: tw.cosine("a", steps=3), ("value", "'a'")),
        (lambda: tw.cosine(1.0, steps=tw.constant(3.0)), ("steps", "Constant")),
        (lambda: tw.exponential(1.0, factor="2"), ("factor", "'2'")),
        (lambda: tw.warmup("a", steps=2), ("'a'",)),
        (lambda: tw.join(0.1, None, at=2), ("None",)),
    ],
)
def test_schedules_out_of_range(make: Callable[[], Any], words: tuple[str, ...]) -> None:
    """A schedule's own settings are checked as hyperparameters are."""
    refused(HyperparameterError, make, *words)


@pytest.mark.parametrize(
    "given", [{}, {"accumulate": 2}, {"weight_decay": 0.1, "decay": "decoupled"}], ids=str
)
def test_a_schedule_that_leaves_its_range(given: dict[str, Any]) -> None:
    """The step at which it does is refused, named by number, and moves nothing."""
    plan = tw.join(0.5, 2.0, at=2)  # beta is in [0, 1]
    w = [np.ones(3), np.ones(2)]
    opt = tw.Momentum(beta=plan).on(w, groups={"1": {"lr": 0.5}}, **given)
    calls = 2 * given.get("accumulate", 1) + given.get("accumulate", 1) - 1
    for _ in range(calls):
        opt.step([np.ones(3), np.ones(2)])
    kept = frozen(opt)
    for _ in range(2):
        refused(
            HyperparameterError,
            lambda: opt.step([np.ones(3), np.ones(2)]),
            "Momentum",
            "beta",
            "[0, 1]",
            "2.0",
            "after 2 steps",
        )
        assert frozen(opt) == kept


def test_a_refused_step_gathers_nothing() -> None:
    """A schedule that leaves its range as a window closes: what was gathered and counted stays as it was."""
    g = np.ones(2)
    w = [np.ones(2), np.ones(2)]
    opt = tw.Momentum(lr=1.0, beta=tw.join(0.5, 2.0, at=1)).on(w, accumulate=2)
    for given in (
        [g, None],
        [g, None],
        [g, None],
    ):  # the first has taken a step, and the second window has begun
        opt.step(given)
    refused(HyperparameterError, lambda: opt.step([g, g]), "beta", "[0, 1]")
    assert (w[1] == 1.0).all()
    opt.rule = opt.rule.replace(beta=0.5)
    opt.step([None, g])  # which closes the window: of the second parameter this one alone counts
    assert (w[1] == 0.5).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tw.Adam(learning_rate=0.1), ("Adam", "'learning_rate'", "lr")),  # type: ignore[call-arg]
        (lambda: tw.Adam(bta1=0.1), ("Adam", "'bta1'", "did you mean 'beta1'")),  # type: ignore[call-arg]
        (lambda: tw.SGD(0.1, 0.2), ("SGD", "1", "2")),  # type: ignore[call-arg]
        (lambda: tw.SGD(0.1, lr=0.2), ("SGD", "lr", "twice")),  # type: ignore[misc]
        (lambda: tw.Adam.like("tprch"), ("Adam", "'tprch'", "did you mean 'torch'", "keras")),
        (lambda: tw.Adam.like("Torch"), ("Adam", "'Torch'", "did you mean 'torch'")),
        (lambda: tw.Adam.like(3), ("Adam", "3", "torch")),  # type: ignore[arg-type]
        (lambda: tw.Adam.like(["torch"]), ("Adam", "['torch']")),  # type: ignore[arg-type]
        (lambda: tw.Adam.like("torch", beta=0.1), ("Adam", "'beta'", "betas")),
        (lambda: tw.Adam.like("torch", betas=(0.1,)), ("betas", "beta1", "beta2", "(0.1,)")),
        (lambda: tw.Adam.like("torch", betas=0.9), ("betas", "beta1", "beta2", "0.9")),
        (lambda: tw.Adam.like("torch", eps_root=1e-8), ("eps_root", "eps")),
        (lambda: tw.Adam.like("torch", weight_decay=0.1), ("weight_decay", "rule.on")),
        (lambda: tw.RMSprop.like("keras", epsilon=-1.0), ("RMSprop", "eps_root", "[0, inf)", "-1.0")),
        (lambda: tw.SGD().replace(lrr=1.0), ("SGD", "'lrr'", "did you mean 'lr'")),
    ],
)
def test_unknown_names_get_the_nearest(make: Callable[[], Any], words: tuple[str, ...]) -> None:
    """Methods, dialects, hyperparameters and settings: the wrong name, then the nearest right ones."""
    refused(HyperparameterError, make, *words)


def test_unknown_methods_get_the_nearest() -> None:
    """A rule that does not exist is answered with one that does."""
    with pytest.raises(AttributeError, match="did you mean 'Adagrad'") as caught:
        tw.Adagradd  # type: ignore[attr-defined]  # noqa: B018
    assert "\n" not in str(caught.value)
    with pytest.raises(HyperparameterError, match="did you mean 'Adagrad'"):
        find("Adagradd")


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", None])
def test_threads_out_of_range(count: Any) -> None:
    """set_threads takes whole numbers from 1."""
    refused(HyperparameterError, lambda: tw.set_threads(count), "set_threads", "at least 1", repr(count))


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder, a missing folder, no path: FileError with the path; nothing is left behind."""
    opt = tw.SGD().on(np.zeros(2))
    refused(FileError, lambda: opt.save(tmp_path), str(tmp_path), "folder")
    refused(FileError, lambda: opt.save(tmp_path / "no" / "run.tw"), "run.tw", "does not exist")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [3, 1.5, True, "a\0b", ["x.html"]], ids=repr)
@pytest.mark.parametrize(
    "write",
    [
        lambda path: tw.race("beale", ["SGD"], out=path),
        lambda path: tw.study(["beale"], ["SGD"], json=path),
        lambda path: tw.diff("RMSprop", "Adam", out=path),
        lambda path: tw.show("beale", ["SGD"], out=path),
        lambda path: tw.show("beale", ["SGD"], table=path),
        lambda path: tw.explore("beale", ["SGD"], out=path),
        lambda path: tw.watch(tw.SGD().on(np.zeros(2)), out=path),
        lambda path: record(tw.SGD(), "beale", 2).save(path),
        lambda path: tw.claims("max-norm", json=path),
        lambda path: tw.claims("max-norm", out=path),
        lambda path: tw.race("beale", ["SGD"], figures=path),
        lambda path: tw.race("beale", ["SGD"], store=path),
        lambda path: tw.compare(path, path),
    ],
    ids=[
        "race",
        "study",
        "diff",
        "show",
        "table",
        "explore",
        "watch",
        "record",
        "claims",
        "page",
        "figures",
        "store",
        "compare",
    ],
)
def test_what_is_no_path_is_told_by_all_that_write(write: Callable[[Any], object], path: Any) -> None:
    """One line, before anything is run."""
    refused(FileError, lambda: write(path), "is no path")


def test_the_form_of_a_file_is_the_end_of_its_name(tmp_path: Path) -> None:
    """Of any case, and .htm is .html; what is of no form is told with all that there are."""
    forms = Forms("a race", (".html", ".json"))
    for name, form in {"a.html": ".html", "a.HTM": ".html", "a.b.Json": ".json"}.items():
        assert forms.of(str(tmp_path / name)) == (tmp_path / name, form)
    refused(FileError, lambda: forms.of(tmp_path / "a.txt"), "a race is saved as .html or .json, got '.txt'")
    refused(FileError, lambda: forms.of(tmp_path / "a"), "got 'no suffix'")
    refused(FileError, lambda: forms.of(tmp_path / "no" / "a.html"), "folder does not exist")
    assert list(tmp_path.iterdir()) == []


ASKED: dict[str, tuple[Callable[[Any], object], str]] = {
    "race": (lambda x: tw.race(x, "SGD"), "problem: a name"),
    "show": (lambda x: tw.show(x, "SGD"), "problem: a name"),
    "diff": (lambda x: tw.diff("RMSprop", "Adam", problem=x), "problem: a name"),
    "record": (lambda x: record(tw.SGD(), x, 2), "problem: a name"),
    "problem": (lambda x: tw.problems.problem(x), "problem: a name"),
    "landscape": (lambda x: tw.problems.landscape(x), "problem: a name"),
    "methods": (lambda x: tw.race("beale", [x]), "optimizer"),
    "show methods": (lambda x: tw.show("beale", [x]), "methods: a rule or its name"),
    "explore methods": (lambda x: tw.explore("beale", [x]), "methods: a rule or its name"),
    "one side": (lambda x: tw.diff(x, "Adam"), "a rule or its name"),
    "claims": (lambda x: tw.claims([x]), "claim"),
    "tune": (lambda x: tw.race("beale", "SGD", tune=x), "tune: "),
    "range": (lambda x: tw.race("beale", "SGD", range=x), "range: "),
    "one range": (lambda x: tw.race("beale", "SGD", range={"lr": x}), "range: "),
    "drop": (lambda x: tw.race("beale", "SGD", drop=x), "drop: "),
    "start": (lambda x: tw.race("beale", "SGD", start=x), "start: "),
    "reading": (lambda x: tw.race("beale", "SGD", reading=x), "reading: "),
}


@pytest.mark.parametrize("wrong", [3, 1.5, b"beale", [["beale"]]], ids=repr)
@pytest.mark.parametrize("what", ASKED)
def test_what_is_of_another_type_is_refused_by_the_lab(what: str, wrong: Any) -> None:
    """One line of what is needed, and what was got."""
    ask, words = ASKED[what]
    with pytest.raises(ThalwegError) as caught:
        ask(wrong)
    clear(caught.value, (words,))


@pytest.mark.parametrize("ask", [tw.race, tw.show, tw.explore], ids=lambda f: f.__name__)
@pytest.mark.parametrize("methods", [3, 1.5], ids=repr)
def test_methods_that_are_none_are_refused(ask: Callable[..., object], methods: Any) -> None:
    with pytest.raises(HyperparameterError, match="methods: rules or their names are needed, got"):
        ask("beale", methods)


def test_errors_are_in_the_tree_and_in_pythons() -> None:
    """Each error is a ThalwegError and the built-in kind that a reader expects."""
    assert issubclass(NonFiniteError, GradientError)
    for error, python in (
        (HyperparameterError, ValueError),
        (ParameterError, ValueError),
        (GradientError, ValueError),
        (StateError, RuntimeError),
        (FileError, OSError),
    ):
        assert issubclass(error, ThalwegError) and issubclass(error, python)


def test_of_many_names_some_are_told() -> None:
    """A package of hundreds of optimizers, a table of a thousand columns: the error stays a line that is read."""
    said = nearest("price", [f"column{k}" for k in range(1000)] + ["prise"])
    assert said.startswith("did you mean 'prise'? known: column0, ") and said.endswith(
        "column19, and 981 more"
    )
    assert nearest("x", "abc") == "known: a, b, c"
