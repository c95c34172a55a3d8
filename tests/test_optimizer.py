"""Laws of ``rule.on(params).step(grads)``: what moves, by how much, and where it lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import StateError
from thalweg.rules import shipped

from .strategies import RULES, every_rule_in_time

Array = np.ndarray[Any, Any]
every_rule = pytest.mark.parametrize("kind", shipped().values(), ids=lambda k: k.__name__)
DTYPES = (np.float16, np.float32, np.float64)


def noise(seed: int, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Reproducible gradients or weights, contiguous, away from zero."""
    x = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(x + 0.25 * np.sign(x)).astype(dtype)


def same(a: Any, b: Any) -> None:
    """Equal in shape, dtype and every bit."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype
    assert a.tobytes("C") == b.tobytes("C"), f"{a} is not {b}"


def lone(
    rule: tw.Rule, start: Array, gradients: Sequence[Array], **given: Any
) -> tuple[Array, dict[str, Array]]:
    """The plain way: one contiguous array, a new contiguous gradient object each step."""
    w = np.array(start, order="C", copy=True)
    opt = rule.on(w, **given)
    for g in gradients:
        opt.step(np.array(g, order="C", copy=True))
    return w, opt.state


# --- in place, nested, None -------------------------------------------------------------------------


@every_rule
def test_steps_change_the_very_arrays(kind: type[tw.Rule]) -> None:
    """A step writes into the user's memory and nowhere else; it returns nothing."""
    base = np.full((4, 5), 7.0)
    w = base[1:3]
    opt = kind().on(w)
    assert opt.step(np.ones((2, 5))) is None
    assert opt.params is w and w.base is base
    assert (base[1:3] != 7.0).all()
    assert (base[[0, 3]] == 7.0).all()


@every_rule
def test_strided_neighbours_stay(kind: type[tw.Rule]) -> None:
    """What lies between the entries of a view is not touched."""
    base = np.full(12, 7.0)
    kind().on(base[1::3]).step(np.ones(4))
    moved = np.zeros(12, bool)
    moved[1::3] = True
    assert ((base != 7.0) == moved).all()


@every_rule
def test_nested_parameters_go_as_lone_ones(kind: type[tw.Rule]) -> None:
    """Lists, tuples and dicts only arrange: each leaf goes its own way, bit for bit."""
    shapes = [(3,), (2, 2), (), (4, 1)]
    start = [noise(i, s) for i, s in enumerate(shapes)]
    gradients = [[noise(10 * t + i, s) for i, s in enumerate(shapes)] for t in range(1, 5)]
    a, b, c, d = (x.copy() for x in start)
    opt = kind().on({"first": [a, (b, c)], "second": {"deep": d}})
    for ga, gb, gc, gd in gradients:
        opt.step({"second": {"deep": gd}, "first": (ga, [gb, gc])})  # any key order, list for tuple
    for i, moved in enumerate((a, b, c, d)):
        same(moved, lone(kind(), start[i], [g[i] for g in gradients])[0])
    assert opt.t == 4
    for shown in opt.state.values():
        assert isinstance(shown["first"], list) and isinstance(shown["first"][1], tuple)
        assert shown["second"]["deep"].shape == (4, 1)


@every_rule
def test_none_leaves_a_parameter_alone(kind: type[tw.Rule]) -> None:
    """None leaves that parameter, its states and its own t as they were; the others go on."""
    start = [noise(0, (3,)), noise(1, (2, 2)), noise(2, (4,))]
    pattern = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 0), (1, 1, 0), (1, 1, 0)]
    ws = [x.copy() for x in start]
    opt = kind().on(ws)
    seen: list[list[Array]] = [[], [], []]
    for t, given_now in enumerate(pattern):
        gs = [
            noise(100 * t + i, w.shape) if take else None
            for i, (w, take) in enumerate(zip(ws, given_now, strict=True))
        ]
        for i, g in enumerate(gs):
            if g is not None:
                seen[i].append(g)
        opt.step(gs)
    for i in range(3):
        alone, states = lone(kind(), start[i], seen[i])
        same(ws[i], alone)
        for n, s in states.items():
            same(opt.state[n][i], s)
    assert opt.t == [4, 4, 0]
    same(ws[2], start[2])


@every_rule
def test_a_lone_none_is_no_step(kind: type[tw.Rule]) -> None:
    """For a lone array None is a step not taken."""
    start, gs = noise(0, (3,)), [noise(t, (3,)) for t in range(1, 4)]
    w = start.copy()
    opt = kind().on(w)
    for g in (None, gs[0], None, gs[1], gs[1], None, gs[2]):
        opt.step(g)
    assert opt.t == 4
    same(w, lone(kind(), start, [gs[0], gs[1], gs[1], gs[2]])[0])


def test_none_then_again() -> None:
    """A gradient that comes back after None counts from the parameter's own t (Adam's correction)."""
    w = [np.zeros(2), np.zeros(2)]
    opt = tw.Adam(lr=1e-3, eps=0.0).on(w)
    g = np.ones(2)
    opt.step([g, None])
    opt.step([g, g])
    np.testing.assert_allclose(w[0], -2e-3, rtol=1e-9)
    np.testing.assert_allclose(w[1], -1e-3, rtol=1e-9)
    assert opt.t == [2, 1]


def test_none_after_a_gradient_in_another_order() -> None:
    """A gradient that had to be rearranged is not used again when None follows it."""
    w = [np.zeros((2, 3)), np.zeros(2)]
    opt = tw.SGD(lr=1.0).on(w)
    opt.step([np.ones((2, 3), order="F"), np.ones(2)])
    opt.step([None, np.ones(2)])
    assert (w[0] == -1).all() and (w[1] == -2).all() and opt.t == [1, 2]


def test_one_gradient_object_for_two_parameters() -> None:
    """The same gradient array may serve two parameters."""
    w, g = [np.zeros(3), np.ones(3)], np.array([1.0, -2.0, 3.0])
    opt = tw.SGD(lr=0.5).on(w)
    opt.step([g, g])
    opt.step([g, g])
    same(w[0], -g)
    same(w[1], 1 - g)


# --- layouts and dtypes -----------------------------------------------------------------------------


def _strided(x: Array) -> Array:
    room = np.full(tuple(3 * n for n in x.shape), 9, x.dtype)
    view = room[tuple(slice(1, None, 3) for _ in x.shape)]
    view[...] = x
    return view


def _reversed(x: Array) -> Array:
    return np.ascontiguousarray(x[::-1])[::-1]


def _transposed(x: Array) -> Array:
    return np.ascontiguousarray(x.T).T


def _block(x: Array) -> Array:
    room = np.full((x.shape[0] + 2, x.shape[1] + 3), 9, x.dtype)
    room[1:-1, 2:-1] = x
    return room[1:-1, 2:-1]


def _permuted(x: Array) -> Array:
    """Three axes in an order that is neither C nor Fortran."""
    return np.ascontiguousarray(x.reshape(2, 3, 2).transpose(1, 0, 2)).transpose(1, 0, 2)


def _column(x: Array) -> Array:
    """A strided vector with a new axis: no entry shares memory with another."""
    return _strided(x.reshape(-1))[:, None]


LAYOUTS: dict[str, tuple[tuple[int, ...], Callable[[Array], Array]]] = {
    "fortran": ((3, 4), lambda x: np.array(x, order="F")),
    "transposed": ((3, 4), _transposed),
    "strided": ((3, 4), _strided),
    "reversed": ((5,), _reversed),
    "block": ((3, 4), _block),
    "permuted": ((2, 3, 2), _permuted),
    "column": ((6, 1), _column),
    "zero-d": ((), lambda x: x.copy()),
    "zero-d view": ((), lambda x: np.array([8, x, 8], x.dtype)[1:2].reshape(())),
    "empty": ((0, 3), lambda x: x.copy()),
    "one": ((1, 1), lambda x: x.copy()),
}
layouts = pytest.mark.parametrize("layout", LAYOUTS)


@every_rule
@layouts
def test_any_layout_goes_the_same_way(kind: type[tw.Rule], layout: str) -> None:
    """Views, orders and shapes give the bits that the plain contiguous array gives."""
    shape, lay = LAYOUTS[layout]
    start = noise(0, shape)
    gradients = [noise(t, shape) for t in range(1, 5)]
    w = lay(start)
    opt = kind().on(w)
    for g in gradients:
        opt.step(g)
    path, states = lone(kind(), start, gradients)
    same(w, path)
    for n, s in states.items():
        same(opt.state[n], s)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@every_rule_in_time
def test_any_dtype_in_any_layout(name: str, dtype: Any) -> None:
    """All float widths, mixed in one structure and laid out differently, go as they go alone."""
    start, gs = noise(0, (3, 4), dtype), [noise(t, (3, 4), dtype) for t in range(1, 4)]
    kind = RULES[name]
    rule = kind(lr=0.1)  # a step that float16 sees
    path, _ = lone(rule, start, gs)
    assert path.dtype == dtype and (path != start).any()
    for lay in (_transposed, _strided, _block):
        w, other = lay(start), noise(5, (2,))
        opt = rule.on([w, other])
        for g in gs:
            opt.step([lay(g), noise(6, (2,))])
        same(w, path)


@every_rule
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("layout", ["fortran", "strided", "block", "transposed"])
def test_gradients_in_another_order(kind: type[tw.Rule], order: Any, layout: str) -> None:
    """A gradient's memory order is no business of the parameter's; nor is being read-only."""
    shape, lay = LAYOUTS[layout]
    start, gs = noise(0, shape), [noise(t, shape) for t in range(1, 4)]
    w = np.array(start, order=order)
    opt = kind().on(w)
    for g in gs:
        given_now = lay(g)
        given_now.flags.writeable = False
        opt.step(given_now)
    assert opt.t == 3
    same(w, lone(kind(), start, gs)[0])


@layouts
def test_weights_changed_between_steps(layout: str) -> None:
    """The user may write into the weights; the next step starts from what stands there."""
    shape, lay = LAYOUTS[layout]
    w, plain = lay(noise(0, shape)), noise(0, shape)
    opt, twin = tw.Adam(lr=0.1).on(w), tw.Adam(lr=0.1).on(plain)
    for t in range(1, 4):
        opt.step(noise(t, shape))
        twin.step(noise(t, shape))
        w[...] = w * 0.5
        plain[...] = plain * 0.5
    same(w, plain)


def test_neighbours_in_memory_are_no_overlap() -> None:
    """Parameters and gradients that lie side by side in one buffer share nothing."""
    room = np.zeros(9)
    a, g, b = room[:3], room[3:6], room[6:]
    g[...] = [1.0, 2.0, 3.0]
    one, two = tw.SGD(lr=1.0).on([a, b]), tw.SGD(lr=1.0).on(room[:3])
    one.step([g, g])
    two.step(g)
    same(room, np.array([-2.0, -4.0, -6.0, 1.0, 2.0, 3.0, -1.0, -2.0, -3.0]))


def test_broadcast_unaligned_and_scalar_gradients() -> None:
    """Gradients that are broadcast, unaligned or NumPy scalars have the values that they show."""
    w = np.zeros((2, 3))
    tw.SGD(lr=1.0).on(w).step(np.broadcast_to(np.array([1.0, 2.0, 3.0]), (2, 3)))
    same(w, -np.array([[1.0, 2.0, 3.0]] * 2))
    raw = np.zeros(8 * 40 + 1, np.uint8)
    g = raw[1:].view(np.float64)
    g[:] = np.arange(40)
    v = np.zeros(40)
    tw.SGD(lr=1.0).on(v).step(g)
    same(v, 0.0 - np.arange(40.0))
    z = np.array(1.0)
    opt = tw.SGD(lr=1.0).on(z)
    opt.step(np.float64(0.25))
    opt.step(np.array(0.25))
    assert z[()] == 0.5


@every_rule
@pytest.mark.parametrize("layout", ["contiguous", "fortran", "strided"])
def test_same_object_mutated_or_new_objects(kind: type[tw.Rule], layout: str) -> None:
    """A buffer that is refilled each step, new objects, and both in turn give one path."""
    start, gs = noise(0, (3, 4)), [noise(t, (3, 4)) for t in range(1, 7)]
    lay = (lambda x: x.copy()) if layout == "contiguous" else LAYOUTS[layout][1]
    refilled, mixed = start.copy(), start.copy()
    buffer, both = lay(gs[0]), lay(gs[0])
    one, two = kind().on(refilled), kind().on([mixed])
    for t, g in enumerate(gs):
        buffer[...] = g
        one.step(buffer)
        both[...] = g
        two.step([both if t % 3 else g.copy()])
    path, _ = lone(kind(), start, gs)
    same(refilled, path)
    same(mixed, path)


# --- settings, against a loop written by hand ---------------------------------------------------------


def sgd(w: Array, g: Array, s: dict[str, Any], t: int, lr: float) -> Array:
    return w - lr * g


def momentum(w: Array, g: Array, s: dict[str, Any], t: int, lr: float) -> Array:
    s["m"] = 0.9 * s.get("m", 0.0) + g
    return w - lr * s["m"]


def adagrad(w: Array, g: Array, s: dict[str, Any], t: int, lr: float) -> Array:
    s["s"] = s.get("s", 0.0) + g**2
    return w - lr * g / (np.sqrt(s["s"]) + 1e-10)


def rmsprop(w: Array, g: Array, s: dict[str, Any], t: int, lr: float) -> Array:
    s["v"] = 0.99 * s.get("v", 0.0) + 0.01 * g**2
    return w - lr * g / (np.sqrt(s["v"]) + 1e-8)


def adadelta(w: Array, g: Array, s: dict[str, Any], t: int, lr: float) -> Array:
    s["v"] = 0.9 * s.get("v", 0.0) + 0.1 * g**2
    d = np.sqrt(s.get("u", 0.0) + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
    s["u"] = 0.9 * s.get("u", 0.0) + 0.1 * d**2
    return w - lr * d


def adam(w: Array, g: Array, s: dict[str, Any], t: int, lr: float) -> Array:
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g**2
    return w - lr * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


Step = Callable[[Array, Array, dict[str, Any], int, float], Array]
HAND: dict[str, Step] = {
    "SGD": sgd,
    "Momentum": momentum,
    "Adagrad": adagrad,
    "RMSprop": rmsprop,
    "Adadelta": adadelta,
    "Adam": adam,
}


@dataclass
class Own:
    """How one parameter is treated; a group changes it."""

    step: Step
    lr: float | Callable[[int], float] = 0.1
    weight_decay: float = 0.0
    decay: str = "coupled"
    clip_value: float | None = None
    maximize: bool = False
    s: dict[str, Any] = field(default_factory=dict)
    t: int = 0
    sum: Array | None = None


@dataclass
class Hand:
    """The loop by hand, in float64 on whole arrays; the order is that of the design."""

    ws: list[Array]
    own: list[Own]
    clip_norm: float | None = None
    accumulate: int = 1
    average: float | str | None = None
    calls: int = 0

    def __post_init__(self) -> None:
        self.ws = [w.astype(np.float64) for w in self.ws]
        self.averages = [w.copy() for w in self.ws]

    def step(self, gs: Sequence[Array | None]) -> None:
        for g, o in zip(gs, self.own, strict=True):
            if g is not None:
                o.sum = g if o.sum is None else o.sum + g
        self.calls += 1
        if self.calls == self.accumulate:
            self.finish()

    def finish(self) -> None:
        due = {i: o.sum / self.calls for i, o in enumerate(self.own) if o.sum is not None}
        self.calls = 0
        for o in self.own:
            o.sum = None
        if self.clip_norm is not None and due:
            norm = np.sqrt(sum(float((g * g).sum()) for g in due.values()))
            if norm > self.clip_norm:
                due = {i: g * (self.clip_norm / norm) for i, g in due.items()}
        for i, g in due.items():
            o, w = self.own[i], self.ws[i]
            o.t += 1
            lr = o.lr(o.t - 1) if callable(o.lr) else o.lr
            if o.maximize:
                g = -g
            if o.decay == "coupled":
                g = g + o.weight_decay * w
            if o.clip_value is not None:
                g = np.clip(g, -o.clip_value, o.clip_value)
            if o.decay == "decoupled":
                w = w * (1 - lr * o.weight_decay)
            w = self.ws[i] = o.step(w, g, o.s, o.t, lr)
            take = 1 / o.t if self.average == "polyak" else 1 - float(self.average or 0)
            self.averages[i] = self.averages[i] + take * (w - self.averages[i])


SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "coupled": {"weight_decay": 0.3},
    "decoupled": {"weight_decay": 0.3, "decay": "decoupled"},
    "clip_value": {"clip_value": 0.4},
    "clip_norm": {"clip_norm": 0.7},
    "loose clip_norm": {"clip_norm": 1e6},
    "maximize": {"maximize": True},
    "accumulate": {"accumulate": 3},
    "polyak": {"average": "polyak"},
    "moving average": {"average": 0.9},
    "coupled, then clipped by value": {"weight_decay": 2.0, "clip_value": 0.5},
    "clipped by norm, then decayed": {"weight_decay": 2.0, "clip_norm": 0.5},
    "ascent with decay": {"weight_decay": 0.5, "maximize": True},
    "ascent with decoupled decay": {"weight_decay": 0.5, "maximize": True, "decay": "decoupled"},
    "norm of the mean": {"accumulate": 2, "clip_norm": 0.8},
    "all coupled": {
        "weight_decay": 0.3,
        "clip_value": 0.4,
        "clip_norm": 2.0,
        "maximize": True,
        "accumulate": 2,
        "average": 0.8,
    },
    "all decoupled": {
        "weight_decay": 0.3,
        "decay": "decoupled",
        "clip_value": 0.4,
        "clip_norm": 2.0,
        "accumulate": 2,
        "average": "polyak",
    },
}
PER_PARAMETER = ("weight_decay", "decay", "clip_value", "maximize")
SHAPES = [(3,), (2, 2)]


def by_hand(name: str, given_settings: dict[str, Any], ws: list[Array], lr: Any = 0.1) -> Hand:
    each = {n: v for n, v in given_settings.items() if n in PER_PARAMETER}
    rest = {n: v for n, v in given_settings.items() if n not in PER_PARAMETER}
    return Hand(ws, [Own(HAND[name], lr, **each) for _ in ws], **rest)


def close(got: Any, wanted: Any, rtol: float = 1e-11) -> None:
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-13)


def agree(opt: Any, hand: Hand, ws: list[Array], steps: Sequence[Sequence[Array | None]]) -> None:
    """Both take the steps; weights and averages agree after each."""
    for gs in steps:
        opt.step([None if g is None else g.copy() for g in gs])
        hand.step(gs)
        agree_now(opt, hand, ws)


def agree_now(opt: Any, hand: Hand, ws: list[Array]) -> None:
    for i, w in enumerate(ws):
        close(w, hand.ws[i])
        if hand.average is not None:
            close(opt.average[i], hand.averages[i])


ALL = ("all coupled", "all decoupled")
CASES = [  # compiled with all at once now, with each alone in the slow suite
    *(("plain", n, s) for n in HAND for s in SETTINGS),
    *(pytest.param("cpu", "Adam", s, marks=[pytest.mark.slow] * (s not in ALL)) for s in SETTINGS),
]


@pytest.mark.parametrize(("engine", "name", "setting"), CASES)
def test_settings_against_the_loop_by_hand(engine: str, name: str, setting: str) -> None:
    """Each setting alone, and all at once in their order, do what a hand-written loop does."""
    given_settings = SETTINGS[setting]
    ws = [noise(i, s) for i, s in enumerate(SHAPES)]
    hand = by_hand(name, given_settings, ws)
    opt = shipped()[name](lr=0.1).on(ws, engine=engine, **given_settings)
    agree(opt, hand, ws, [[noise(10 * t + i, s) for i, s in enumerate(SHAPES)] for t in range(1, 8)])


@pytest.mark.parametrize("layout", ["fortran", "strided"])
@pytest.mark.parametrize("setting", ALL)
def test_settings_on_views(layout: str, setting: str) -> None:
    """All settings at once on Fortran-ordered and strided parameters, average included."""
    shape, lay = LAYOUTS[layout]
    ws = [lay(noise(0, shape)), noise(1, (3,))]
    hand = by_hand("Adam", SETTINGS[setting], ws)
    opt = tw.Adam(lr=0.1).on(ws, **SETTINGS[setting])
    agree(opt, hand, ws, [[noise(10 * t, shape), noise(10 * t + 1, (3,))] for t in range(1, 6)])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_any_settings_and_any_gaps(data: st.DataObject) -> None:
    """Any mix of settings, groups and missing gradients agrees with the loop by hand."""
    some = st.sampled_from
    name = data.draw(some(list(HAND)), "rule")
    everywhere = {
        "clip_norm": data.draw(some([None, 0.5, 3.0]), "clip_norm"),
        "accumulate": data.draw(some([1, 1, 2, 3]), "accumulate"),
        "average": data.draw(some([None, 0.7, "polyak"]), "average"),
    }
    drawn = st.fixed_dictionaries(
        {
            "weight_decay": some([0.0, 0.5]),
            "decay": some(["coupled", "decoupled"]),
            "clip_value": some([None, 0.3]),
            "maximize": st.booleans(),
        }
    )
    first, second = data.draw(drawn, "all"), data.draw(drawn, "group")
    lr = data.draw(some([0.1, 0.02]), "lr")
    ws = [noise(i, (2,)) for i in range(3)]
    hand = Hand(
        ws,
        [Own(HAND[name], 0.1, **first), Own(HAND[name], lr, **second), Own(HAND[name], 0.1, **first)],
        **everywhere,
    )
    opt = shipped()[name](lr=0.1).on(
        ws, engine="plain", groups={"1": {"lr": lr, **second}}, **first, **everywhere
    )
    pattern = data.draw(st.lists(st.tuples(*[st.booleans()] * 3), min_size=3, max_size=9), "given")
    agree(
        opt,
        hand,
        ws,
        [
            [noise(10 * t + i, (2,)) if here else None for i, here in enumerate(row)]
            for t, row in enumerate(pattern, 1)
        ],
    )
    if hand.calls and data.draw(st.booleans(), "finish"):
        opt.finish()
        hand.finish()
        agree_now(opt, hand, ws)
        agree(opt, hand, ws, [[noise(7, (2,)), None, None]] * 3)
    times = [o.t for o in hand.own]
    assert opt.t == (times[0] if len(set(times)) == 1 else times)


@every_rule
@pytest.mark.parametrize("setting", ["coupled", "decoupled", "clip_value", "maximize"])
def test_pieces_stand_around_every_rule(kind: type[tw.Rule], setting: str) -> None:
    """For any rule, a piece does what preparing g (or w) outside and stepping plainly does."""
    w = noise(0, (4,))
    outside = w.copy()
    asked = SETTINGS[setting] | ({"decay": setting} if "weight_decay" in SETTINGS[setting] else {})
    opt = kind().on(w, engine="plain", **asked)
    own = {"weight_decay": 0.0} if "weight_decay" in asked else {}  # what is given replaces the rule's own
    bare = kind().on(outside, engine="plain", **own)
    lr = kind().values["lr"]
    for t in range(1, 5):
        g = noise(t, (4,))
        opt.step(g.copy())
        if setting == "coupled":
            g = g + 0.3 * outside
        elif setting == "decoupled":
            outside *= 1 - lr * 0.3
        elif setting == "clip_value":
            g = np.clip(g, -0.4, 0.4)
        else:
            g = -g
        bare.step(g)
        close(w, outside)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("ours", "settings", "adam"),
    [
        ({}, {}, {"weight_decay": 1e-2, "decay": "decoupled"}),
        ({"weight_decay": 0.3}, {}, {"weight_decay": 0.3, "decay": "decoupled"}),
        ({}, {"weight_decay": 0.3}, {"weight_decay": 0.3, "decay": "decoupled"}),
        ({}, {"weight_decay": 0.3, "decay": "decoupled"}, {"weight_decay": 0.3, "decay": "decoupled"}),
        ({"weight_decay": 0.3}, {"decay": "coupled"}, {"weight_decay": 0.3, "decay": "coupled"}),
        ({}, {"weight_decay": 0.3, "decay": "coupled"}, {"weight_decay": 0.3, "decay": "coupled"}),
        ({}, {"weight_decay": 0}, {}),
        ({}, {"groups": {"": {"weight_decay": 0}}}, {}),
        ({}, {"groups": {"": {"decay": "coupled"}}}, {"weight_decay": 1e-2}),
        ({}, {"weight_decay": 0.1, "groups": {"": {"weight_decay": 0.3}}}, {"weight_decay": 0.3, "decay": "decoupled"}),
    ],
    ids=str,
)  # fmt: skip
def test_adamw_is_adam_with_decoupled_decay(
    ours: dict[str, Any], settings: dict[str, Any], adam: dict[str, Any], dtype: str
) -> None:
    """Bit for bit, with a schedule too; what `on` is given goes before the rule's own."""
    lr = tw.cosine(0.1, steps=8)
    w, v = noise(0, (5,), dtype), noise(0, (5,), dtype)
    opt, other = tw.AdamW(lr=lr, **ours).on(w, **settings), tw.Adam(lr=lr).on(v, **adam)
    for t in range(1, 6):
        g = noise(t, (5,), dtype)
        opt.step(g)
        other.step(g.copy())
        same(w, v)
    assert w.any()


def test_a_decay_of_its_own_is_each_groups_own() -> None:
    """Other groups' rules keep theirs; one given to `on` is everybody's."""
    start = noise(0, (3,))
    for settings_, head, rest in (({}, 1e-2, 0.0), ({"weight_decay": 0.5}, 0.5, 0.5)):
        w = {"head": start.copy(), "rest": start.copy()}
        opt = tw.SGD(lr=0.1).on(w, groups={"head": tw.AdamW(lr=0.1)}, **settings_)
        opt.step({"head": np.zeros(3), "rest": np.zeros(3)})
        close(w["head"], start * (1 - 0.1 * head))
        close(w["rest"], start * (1 - 0.1 * rest))


def test_norm_clipping_is_over_all_parameters_and_groups() -> None:
    """One norm over every leaf of every group and dtype; the direction is kept."""
    w = {"a": np.zeros(2), "b": np.zeros(1, np.float32), "c": np.zeros(1)}
    opt = tw.SGD(lr=1.0).on(w, clip_norm=1.0, groups={"c": {"lr": 2.0}})
    opt.step({"a": np.array([3.0, 0.0]), "b": np.array([4.0], np.float32), "c": np.array([12.0])})
    close(w["a"], [-3 / 13, 0])
    close(w["b"], [-4 / 13], rtol=1e-6)
    close(w["c"], [-24 / 13])


@pytest.mark.parametrize("size", [1e160, 1e200, 1e-170])
def test_norm_clipping_of_extreme_gradients(size: float) -> None:
    """A finite gradient whose square is not: still clipped to the bound, direction kept."""
    w = np.zeros(2)
    bound = 1.0 if size > 1 else size
    tw.SGD(lr=1.0).on(w, clip_norm=bound).step(np.array([3.0, 4.0]) * size)
    close(w / bound, [-0.6, -0.8])


# --- groups -----------------------------------------------------------------------------------------


def _layers() -> dict[str, Any]:
    return {
        "first": {"weight": noise(0, (2, 2)), "bias": noise(1, (2,))},
        "last": {"weight": noise(2, (2, 2)), "bias": noise(3, (2,))},
    }


LEAVES = [("first", "weight"), ("first", "bias"), ("last", "weight"), ("last", "bias")]


def _in_groups(groups: dict[str, Any], own: list[Own]) -> None:
    params = _layers()
    leaves = [params[a][b] for a, b in LEAVES]
    hand = Hand(leaves, own)
    opt = tw.Adam(lr=0.1).on(params, weight_decay=0.3, groups=groups)
    for t in range(1, 5):
        gs = [noise(10 * t + i, w.shape) for i, w in enumerate(leaves)]
        opt.step({"first": {"weight": gs[0], "bias": gs[1]}, "last": {"weight": gs[2], "bias": gs[3]}})
        hand.step(gs)
        for w, wanted in zip(leaves, hand.ws, strict=True):
            close(w, wanted)


def test_a_group_by_name() -> None:
    """A name stands for every parameter of that name, at any depth."""
    usual = {"step": adam, "weight_decay": 0.3}
    free = {"step": adam, "weight_decay": 0.0}
    _in_groups({"bias": {"weight_decay": 0}}, [Own(**usual), Own(**free), Own(**usual), Own(**free)])


def test_a_group_by_path() -> None:
    """A path stands for that parameter alone, or for all below it."""

    def usual() -> Own:
        return Own(adam, weight_decay=0.3)

    _in_groups({"last.bias": {"weight_decay": 0}}, [usual(), usual(), usual(), Own(adam)])
    _in_groups({"last": {"weight_decay": 0}}, [usual(), usual(), Own(adam), Own(adam)])


def test_a_group_by_the_path_of_a_deep_folder() -> None:
    """A path of several parts stands for all below it, and not for a name that only begins alike."""
    w = {"net": {"in": {"a": np.zeros(1), "b": np.zeros(1)}, "inner": np.zeros(1)}, "in": np.zeros(1)}
    opt = tw.SGD(lr=1.0).on(w, groups={"net.in": {"lr": 3.0}})
    g = np.ones(1)
    opt.step({"net": {"in": {"a": g, "b": g}, "inner": g}, "in": g})
    moved = [w["net"]["in"]["a"][0], w["net"]["in"]["b"][0], w["net"]["inner"][0], w["in"][0]]
    assert moved == [-3.0, -3.0, -1.0, -1.0]


def test_a_group_with_another_rule() -> None:
    """A rule as a group's value, or under "rule" beside other settings; the rest is inherited."""

    def usual() -> Own:
        return Own(adam, weight_decay=0.3)

    _in_groups(
        {"last": tw.Adagrad(lr=0.2)},
        [usual(), usual(), Own(adagrad, 0.2, weight_decay=0.3), Own(adagrad, 0.2, weight_decay=0.3)],
    )
    _in_groups(
        {"first": {"rule": tw.Adagrad(lr=0.2), "lr": 0.4, "clip_value": 0.1}},
        [Own(adagrad, 0.4, 0.3, clip_value=0.1), Own(adagrad, 0.4, 0.3, clip_value=0.1), usual(), usual()],
    )


def test_a_group_with_another_hyperparameter() -> None:
    """A group may change single hyperparameters, maximize and the kind of decay."""
    _in_groups(
        {"bias": {"lr": 0.5, "decay": "decoupled"}, "last.weight": {"maximize": True}},
        [
            Own(adam, weight_decay=0.3),
            Own(adam, 0.5, 0.3, "decoupled"),
            Own(adam, weight_decay=0.3, maximize=True),
            Own(adam, 0.5, 0.3, "decoupled"),
        ],
    )


def test_a_group_may_use_the_names_of_the_constructor() -> None:
    """What the rule's constructor takes (``eps=`` of Adadelta sets both) a group takes too."""
    w = {"a": np.zeros(2), "b": np.zeros(2)}
    opt = tw.Adadelta().on(w, groups={"a": {"eps": 1e-3}})
    g = np.array([1.0, -2.0])
    opt.step({"a": g, "b": g})
    alone = np.zeros(2)
    tw.Adadelta(eps=1e-3).on(alone).step(g)
    same(w["a"], alone)


def test_states_of_groups() -> None:
    """Each parameter shows the states of its own rule, None elsewhere."""
    w = {"a": np.zeros(2), "b": np.zeros(3)}
    opt = tw.Adam().on(w, groups={"b": tw.Adagrad()})
    opt.step({"a": np.ones(2), "b": np.ones(3)})
    assert set(opt.state) == {"m", "v", "s"}
    assert opt.state["s"]["a"] is None and opt.state["m"]["b"] is None
    same(opt.state["s"]["b"], np.ones(3))


# --- schedules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["none", "decoupled", "accumulate", "all decoupled"])
def test_schedules_are_called_with_the_steps_done(setting: str) -> None:
    """0 at the first step, and per parameter the number of its own steps."""
    plan = tw.warmup(tw.cosine(0.1, steps=6, end=0.01), steps=3)
    ws = [noise(i, s) for i, s in enumerate(SHAPES)]
    hand = by_hand("SGD", SETTINGS[setting], ws, lr=plan)
    opt = tw.SGD(lr=plan).on(ws, **SETTINGS[setting])
    gaps = [(1, 1), (1, 0), (1, 1), (0, 1), (1, 1), (1, 1), (1, 0), (1, 1)]
    agree(
        opt,
        hand,
        ws,
        [
            [
                noise(10 * t + i, s) if take else None
                for i, (s, take) in enumerate(zip(SHAPES, row, strict=True))
            ]
            for t, row in enumerate(gaps, 1)
        ],
    )


def test_a_schedule_by_hand() -> None:
    """The first steps of each schedule, from its formula."""
    w = np.zeros(1)
    opt = tw.SGD(lr=tw.step_decay(1.0, factor=0.5, every=2)).on(w)
    seen = []
    for _ in range(5):
        before = w.copy()
        opt.step(np.ones(1))
        seen.append(float((before - w)[0]))
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25]


@every_rule
def test_a_constant_schedule_is_the_constant(kind: type[tw.Rule]) -> None:
    """A schedule that does not move gives the path of its number."""
    start, gs = noise(0, (4,)), [noise(t, (4,)) for t in range(1, 5)]
    lr = kind().values["lr"]
    a = lone(kind(lr=tw.constant(lr)), start, gs)[0]
    same(a, lone(kind(lr=lr), start, gs)[0])


# --- rates, state, average --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["SGD", "Adagrad", "RMSprop", "Adadelta", "MaxProp", "LpProp", "RMSpropCentred"]
)
@pytest.mark.parametrize("layout", ["fortran", "strided", "zero-d", "block"])
def test_rates_are_what_the_step_did(name: str, layout: str) -> None:
    """rates() is -dw/g of the last step, shaped and nested as params."""
    shape, lay = LAYOUTS[layout]
    w = {"a": lay(noise(0, shape)), "b": noise(1, (3,))}
    opt = shipped()[name](lr=0.25).on(w)
    for t in range(1, 4):
        g = {"a": noise(10 * t, shape), "b": noise(10 * t + 1, (3,))}
        before = {n: x.copy() for n, x in w.items()}
        opt.step(g)
        rates = opt.rates()
        for n in w:
            assert rates[n].shape == w[n].shape
            np.testing.assert_allclose(rates[n], -(w[n] - before[n]) / g[n], rtol=1e-9)


def test_rates_with_all_pieces() -> None:
    """With decay and clipping around it, the factor is that on the gradient as it reached the rule."""
    w = noise(0, (3,))
    opt = tw.Adagrad(lr=0.1).on(w, weight_decay=0.5, clip_value=0.4, maximize=True)
    before, g = w.copy(), noise(1, (3,))
    opt.step(g)
    reached = np.clip(-g + 0.5 * before, -0.4, 0.4)
    np.testing.assert_allclose(opt.rates(), -(w - before) / reached, rtol=1e-9)


def test_rates_need_a_step_and_room() -> None:
    """An error before the first step, where they are switched off, and for many weights."""
    opt = tw.Adagrad().on(np.zeros(3))
    with pytest.raises(StateError, match="no step"):
        opt.rates()
    opt.step(None)
    with pytest.raises(StateError, match="no step"):
        opt.rates()
    off = tw.Adagrad().on(np.zeros(3), rates=False)
    off.step(np.ones(3))
    with pytest.raises(StateError, match="rates=True"):
        off.rates()
    big = tw.Adagrad().on(np.zeros(65_537))
    big.step(np.ones(65_537))
    with pytest.raises(StateError, match="rates=True"):
        big.rates()
    kept = tw.Adagrad(lr=0.5, eps=0.0).on(np.zeros(65_537), rates=True)
    kept.step(np.full(65_537, 2.0))
    assert (kept.rates() == 0.25).all()


def test_rates_of_a_parameter_that_took_no_step() -> None:
    """A parameter without a step has no rate: not a number that never was."""
    opt = tw.Adagrad(lr=0.1).on([np.zeros(2), np.zeros(2)])
    opt.step([np.ones(2), None])
    shown = opt.rates()[1]
    assert shown is None or np.isnan(shown).all()


def test_keeping_rates_changes_nothing() -> None:
    """The same bits with and without rates."""
    gs = [noise(t, (5,)) for t in range(1, 4)]
    for kind in shipped().values():
        a = lone(kind(), noise(0, (5,)), gs, rates=False, engine="plain")[0]
        same(a, lone(kind(), noise(0, (5,)), gs, rates=True, engine="plain")[0])


@every_rule
def test_state_is_a_live_view(kind: type[tw.Rule]) -> None:
    """What state shows moves with the steps, starts at its line's value, and can be written."""
    names = [n for n, line in kind.parts.lines.items() if line.is_state]
    w = np.asfortranarray(noise(0, (2, 3)))
    opt = kind(**dict.fromkeys(names, 0.5)).on(w)
    shown = opt.state
    assert set(shown) == set(names)
    for n in names:
        assert shown[n].shape == (2, 3) and (shown[n] == 0.5).all()
    opt.step(noise(1, (2, 3)))
    for n in names:
        assert (shown[n] != 0.5).any()
        assert np.shares_memory(shown[n], opt.state[n])


def test_written_states_are_used() -> None:
    """A value written into a state is what the next step starts from."""
    w = np.asfortranarray(np.zeros((2, 2)))
    opt = tw.Momentum(lr=1.0, beta=0.5).on(w)
    opt.step(np.zeros((2, 2)))
    opt.state["m"][0, 1] = 4.0
    opt.step(np.zeros((2, 2)))
    same(np.ascontiguousarray(w), np.array([[0.0, -2.0], [0.0, 0.0]]))


def test_average_needs_the_setting() -> None:
    """No average is kept unless asked for."""
    with pytest.raises(StateError, match="average="):
        _ = tw.SGD().on(np.zeros(2)).average


@pytest.mark.parametrize("kept", ["polyak", 0.9])
def test_the_average_does_not_change_the_path(kept: Any) -> None:
    """Averages watch."""
    gs = [noise(t, (5,)) for t in range(1, 6)]
    a = lone(tw.Adam(), noise(0, (5,)), gs, average=kept)[0]
    same(a, lone(tw.Adam(), noise(0, (5,)), gs)[0])


# --- non-finite gradients ---------------------------------------------------------------------------


BAD = [np.nan, np.inf, -np.inf, 1e300]


@every_rule
@pytest.mark.parametrize("bad", BAD[:2])
def test_skip_leaves_the_step_out(kind: type[tw.Rule], bad: float) -> None:
    """Skipped steps are counted, and the path is that of the good gradients alone."""
    start, gs = noise(0, (3,)), [noise(t, (3,)) for t in range(1, 4)]
    w = start.copy()
    opt = kind().on(w, on_nonfinite="skip")
    ill = np.array([1.0, bad, 2.0])
    for g in (ill, gs[0], ill, ill.copy(), gs[1], gs[2]):
        opt.step(g)
    assert opt.skipped == 3 and opt.t == 3
    same(w, lone(kind(), start, gs)[0])


AROUND: list[dict[str, Any]] = [{}, {"clip_norm": 1.0}, {"accumulate": 2}, {"clip_value": 1.0}]
ILL = [
    (x, bad)
    for x in AROUND
    for bad in BAD
    if not (np.isfinite(bad) and x.keys() & {"clip_norm", "clip_value"})
]


@pytest.mark.parametrize(("given_settings", "bad"), ILL, ids=str)
def test_one_bad_leaf_stops_all(given_settings: dict[str, Any], bad: float) -> None:
    """With groups, dtypes and views, one bad entry keeps every parameter, state and count in place."""
    w = {"a": noise(0, (3,)), "b": noise(1, (4,), np.float32), "c": _strided(noise(2, (2, 2)))}
    twin = {n: x.copy() for n, x in w.items()}
    build: dict[str, Any] = {"on_nonfinite": "skip", "groups": {"c": tw.RMSprop()}, **given_settings}
    opt, plain = tw.Adam().on(w, **build), tw.Adam().on(twin, **build)
    for t in range(1, 5):
        g = {n: noise(10 * t + k, x.shape, x.dtype) for k, (n, x) in enumerate(w.items())}
        ill = {**g, "c": np.array([[1.0, 1.0], [1.0, bad]])}
        opt.step(ill)
        opt.step(g)
        plain.step(g)
        for n in w:
            same(w[n], twin[n])
    assert opt.skipped == 4 and opt.t == plain.t


@pytest.mark.parametrize("ill", [0, 1, 2])
def test_one_bad_group_stops_all(ill: int) -> None:
    """Contiguous arrays in three groups and dtypes: a NaN in any of them moves none."""
    start = [noise(0, (3,)), noise(1, (4,), np.float32), noise(2, (2,))]
    ws = [x.copy() for x in start]
    opt = tw.Adam().on(ws, on_nonfinite="skip", groups={"2": tw.SGD(lr=1.0)})
    gs = [noise(5, x.shape, x.dtype) for x in start]
    gs[ill][1] = np.nan
    opt.step(gs)
    assert opt.skipped == 1 and opt.t == 0
    for w, x in zip(ws, start, strict=True):
        same(w, x)


def test_propagate_lets_them_through() -> None:
    """No check: NaN goes where the formula carries it, and nowhere else."""
    w = np.zeros(3)
    tw.SGD(lr=1.0).on(w, on_nonfinite="propagate").step(np.array([1.0, np.nan, -np.inf]))
    assert w[0] == -1 and np.isnan(w[1]) and w[2] == np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("how", ["raise", "skip"])
def test_gathered_gradients_do_not_overflow_unnoticed(dtype: Any, how: Any) -> None:
    """Finite gradients whose sum is not: refused, or left out, or averaged; never an infinite weight."""
    from thalweg.errors import NonFiniteError

    w = np.ones(2, dtype)
    opt = tw.SGD(lr=1.0).on(w, accumulate=2, on_nonfinite=how)
    big = np.full(2, np.finfo(dtype).max * 0.9, dtype)
    try:
        opt.step(big)
        opt.step(big.copy())
    except NonFiniteError:
        assert how == "raise"
    assert np.isfinite(w).all()


def test_accumulation_moves_nothing_between() -> None:
    """Only every n-th call moves w, states, average and t."""
    w = noise(0, (3,))
    opt = tw.Adam(lr=0.1).on(w, accumulate=3, average=0.5)
    before = w.copy()
    for call in range(1, 3):
        opt.step(noise(call, (3,)))
        same(w, before)
        assert opt.t == 0 and (opt.state["v"] == 0).all()
    opt.step(noise(3, (3,)))
    assert opt.t == 1 and (w != before).all()
    assert set(opt.state) == {"m", "v"}


def test_printing_says_what_it_is() -> None:
    """repr is one line with rule, sizes and t; a notebook shows a table."""
    opt = tw.Adam().on({"<a>": np.zeros(3)})
    opt.step({"<a>": np.ones(3)})
    text = repr(opt)
    assert "Adam(" in text and "3 weights" in text and "t=1" in text and "\n" not in text
    assert "&lt;a&gt;" in opt._repr_html_()


REPLACED: dict[str, tuple[Callable[[Any], object], str]] = {
    "an array": (lambda p: p.update(w=np.zeros(2)), "at 'w'"),
    "of a list": (lambda p: p["l"].__setitem__(1, np.zeros(1)), r"at 'l\.1'"),
    "a dict within": (lambda p: p.update(s={"a": np.ones(3)}), r"at 's\.a'"),
    "by what is equal": (lambda p: p.update(w=p["w"].copy()), "at 'w'"),
    "taken away": (lambda p: p.pop("w"), "at 'w'"),
    "taken off a list": (lambda p: p["l"].pop(), r"at 'l\.1'"),
    "exchanged": (lambda p: p["l"].reverse(), "than the arrays"),
}


@pytest.mark.parametrize(("change", "told"), REPLACED.values(), ids=REPLACED)
def test_an_array_that_was_replaced_is_noticed(change: Callable[[Any], object], told: str) -> None:
    """A step trains the arrays that the run was started with: others in their place would stay as they are."""
    params: dict[str, Any] = {"w": np.ones(2), "l": [np.ones(1), np.ones(1)], "s": {"a": np.ones(3)}}
    grads: dict[str, Any] = {"w": np.ones(2), "l": [np.ones(1), np.ones(1)], "s": {"a": np.ones(3)}}
    trained = params["w"]
    opt = tw.SGD(lr=0.5).on(params, engine="plain")
    opt.step(grads)
    change(params)
    with pytest.raises(StateError, match=rf"step: params hold other objects.*{told}.*write into the arrays"):
        opt.step(grads)
    assert opt.t == 1 and trained.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("given_settings", [{}, {"clip_norm": 1.0}], ids=str)
def test_an_array_that_is_read_only_now_is_noticed(
    nested: bool, layout: str, given_settings: dict[str, Any]
) -> None:
    """Nothing moves, neither in it nor in others; once it is writeable the run goes on."""
    w = np.ones(3) if layout == "contiguous" else np.ones(6)[::2]
    params, g = (
        ({"a": np.ones(2), "b": [w]}, {"a": np.ones(2), "b": [np.ones(3)]}) if nested else (w, np.ones(3))
    )
    opt = tw.SGD(lr=0.5).on(params, engine="plain", **given_settings)
    opt.step(g)
    before = w.copy()
    w.setflags(write=False)
    told = r"of 'b\.0' is read-only" if nested else "array is read-only"
    for _ in range(2):
        with pytest.raises(
            StateError, match=rf"^step: the {'array ' * nested}{told}.*setflags\(write=True\)"
        ):
            opt.step(g)
    same(w, before)
    assert opt.t == 1
    w.setflags(write=True)
    opt.step(g)
    assert opt.t == 2 and (w < before).all()


def test_rows_of_an_array_that_is_read_only_stay_behind() -> None:
    """Reading brings rows up to date, and would write."""
    w = np.ones((4, 1))
    opt = tw.Momentum(lr=0.5).on(w)
    for row in (0, 1):
        opt.step(tw.Rows([row], np.ones((1, 1))))
    before, stale = w.copy(), opt.stale
    w.setflags(write=False)
    for name, look in {"flush": opt.flush, "read": lambda: opt.read("", [0])}.items():
        with pytest.raises(StateError, match=f"^{name}: .*read-only"):
            look()
    same(w, before)
    assert opt.stale == stale > 0
