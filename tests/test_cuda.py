"""The Triton kernels without a GPU: compiled for sm_90 and read, and run by Triton's interpreter.

What needs a GPU stands at the end and is skipped where there is none.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import thalweg as tw
import thalweg.torch
from thalweg.core import clock as scalars
from thalweg.core import update as compose
from thalweg.core.started import Started
from thalweg.core.step_options import BARE, StepOptions
from thalweg.core.update import Update
from thalweg.engines import cuda
from thalweg.errors import HyperparameterError
from thalweg.torch import device, groups, parts
from thalweg.torch import optimizer as door

from .strategies import FORMS, RULES, every_rule, form

triton = pytest.importorskip("triton", reason="Triton is not installed: pip install 'thalweg[cuda]'")

SHAPES = [(5, 7), (), (0,), (1031,), (1024,), (3,)]  # less than a block, whole blocks, and both
SOME = ["Adam", "RMSpropCentredMomentum", "Adadelta", "MaxProp"]  # of each kind of formula one
POWER = tw.LpProp(p=3.0)  # the only formula here with a function of libm


# Compiled for sm_90, with no GPU.


def updates() -> dict[Update, str]:
    """Every update that some rule in some dialect has, and what it is called."""
    made: dict[Update, str] = {}
    for name, dialect in FORMS:
        rule = form(name, dialect)
        made.setdefault(compose.update(rule, BARE, scalars.known(rule)), f"{name} {dialect}".strip())
    return made


UPDATES = updates()


def bare(name: str) -> Update:
    rule = RULES[name]()
    return compose.update(rule, BARE, scalars.known(rule))


def compiled(text: str, **options: Any) -> Any:
    """What Triton makes of a printed kernel for sm_90: its PTX, which its ptxas has taken."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = cuda.kernel(text)
    kinds = {"table": "*i64", "scalars": "*fp64", "steps": "*i64", "given": "*fp64", "to": "*i64"}
    counts = {"count": "i32", "depth": "i32"}
    signature = {n: {**kinds, **counts}.get(n, "i64") for n in function.arg_names}
    source = ASTSource(fn=function, signature=signature, constexprs={})
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={**cuda.OPTIONS, **options})
    assert made.asm["cubin"]
    return made


def arithmetic(ptx: str) -> Counter[str]:
    """The floating-point instructions of a kernel, without loads, stores, moves and comparisons."""
    found = re.findall(
        r"^\s*(?:@\S+\s+)?((?:\w+\.)+(?:f16|f16x2|bf16|bf16x2|f32|f64)(?:\.\w+)?)\s", ptx, re.M
    )
    return Counter(x for x in found if x.partition(".")[0] not in ("ld", "st", "mov", "setp", "selp"))


EXACT = re.compile(
    r"(add|sub|mul|div|sqrt)\.rn\.(f32|f64)"  # IEEE, rounded to nearest
    r"|(abs|neg)\.(f32|f64)"
    r"|cvt\.(f32\.f16|f32\.bf16|rn\.b?f16(x2)?\.f32|rn\.f32\.f64)"  # storage, and scalars
)


def inexact(ptx: str) -> set[str]:
    """The instructions that IEEE would not have: fused, approximate, flushing."""
    return {x for x in arithmetic(ptx) if not EXACT.fullmatch(x)}


@pytest.mark.parametrize("update", UPDATES, ids=UPDATES.values())
def test_every_update_compiles_to_ieee_arithmetic(update: Update) -> None:
    ptx = compiled(cuda.source(update, "float32")).asm["ptx"]
    assert inexact(ptx) == set()
    assert not re.search(r"\.(approx|full|ftz)\b|\b(fma|mad)\.\w*\.?f(32|64)", ptx)
    assert "ld.global.v4.b32" in ptx and "st.global.v4.b32" in ptx  # whole blocks move in vectors


@pytest.mark.slow
@pytest.mark.parametrize("update", UPDATES, ids=UPDATES.values())
def test_every_update_compiles_in_float64(update: Update) -> None:
    assert inexact(compiled(cuda.source(update, "float64")).asm["ptx"]) == set()


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", SOME)
def test_16_bit_storage_compiles(name: str, stored: str) -> None:
    made = arithmetic(compiled(cuda.source(bare(name), stored)).asm["ptx"])
    assert {x for x in made if not EXACT.fullmatch(x)} == set()
    assert {"float16": "cvt.f32.f16", "bfloat16": "cvt.f32.bf16"}[stored] in made


@pytest.mark.slow
@pytest.mark.parametrize("around", [StepOptions(coupled=True, maximize=True), StepOptions(decoupled=True)])
@pytest.mark.parametrize("name", SOME)
def test_what_stands_around_compiles(name: str, around: StepOptions) -> None:
    update = compose.update(RULES[name](), around)
    assert inexact(compiled(cuda.source(update, "float32")).asm["ptx"]) == set()


def test_tritons_defaults_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above sees a fused multiply-add, an approximate quotient and root."""
    update = bare("Adam")
    assert "fma.rn.f32" in inexact(compiled(cuda.source(update, "float32"), enable_fp_fusion=True).asm["ptx"])
    careless = cuda.source(update, "float32").replace("sqrt_rn", "sqrt").replace("tl.div_rn", "tl.fdiv")
    assert {x.split(".")[0] for x in inexact(compiled(careless).asm["ptx"])} == {"sqrt", "div"}


def test_a_power_is_libdevices_in_float64() -> None:
    update = compose.update(POWER, BARE, scalars.known(POWER))
    text = cuda.source(update, "float32")
    assert "libdevice.pow" in text
    found = {x for x in inexact(compiled(text).asm["ptx"]) if not x.endswith("f64")}
    assert not {x for x in found if x.startswith(("fma", "div", "sqrt", "mul", "add"))}


def plan(rule: Any, **settings: Any) -> Started:
    opt = thalweg.torch.Optimizer([torch.nn.Parameter(torch.zeros(1))], rule, **settings)
    return groups.planned(opt._kinds, opt.param_groups[0])


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RAdam"])
def test_clocks_compile(name: str) -> None:
    clock, _ = plan(RULES[name](), weight_decay=0.1, decay="decoupled").traced()
    assert "expm1" in cuda.clock_source(clock)
    compiled(cuda.clock_source(clock), num_warps=1)


@pytest.mark.slow
def test_every_clock_compiles() -> None:
    clocks = {plan(form(n, d)).traced()[0] for n, d in FORMS}
    for clock in clocks:
        compiled(cuda.clock_source(clock), num_warps=1)
    assert len(clocks) > len(RULES) / 2


# Run on CPU tensors by Triton's interpreter.


def interpreted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy in place of libdevice's."""
    import triton.language as tl
    from triton.runtime.interpreter import TensorHandle

    def call(*given: Any) -> Any:
        made = np.asarray(function(*(x.handle.data for x in given)), dtype=np.float64)
        shaped = max(given, key=lambda x: x.handle.data.size)
        return tl.tensor(TensorHandle(made, tl.float64), shaped.type)

    return call


def forget() -> None:
    for known in (cuda.kernel, cuda._update, cuda._clock):
        known.cache_clear()


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CPU tensors go to the Triton kernels, which Triton interprets."""
    from triton.language.extra import libdevice

    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(cuda, "ARGUMENTS", 32)  # which it interprets one by one
    for n in ("expm1", "floor", "log"):
        monkeypatch.setattr(libdevice, n, interpreted(getattr(np, n)))
    monkeypatch.setattr(libdevice, "pow", interpreted(np.power))
    forget()
    with np.errstate(all="ignore"):
        yield
    forget()


def parameters(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    made = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(s, generator=made, dtype=torch.float64).to(dtype)) for s in SHAPES]


def run(
    engine: Any, rule: Any, dtype: torch.dtype, steps: int = 2, **settings: Any
) -> list[np.ndarray[Any, Any]]:
    """Weights, states and counts after some steps of an engine on CPU tensors."""
    params = parameters(dtype)
    opt = thalweg.torch.Optimizer(params, rule, **settings)
    made = torch.Generator().manual_seed(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "engine_of", lambda w: engine)
        for _ in range(steps):
            for p in params:
                g = torch.randn(p.shape, generator=made, dtype=torch.float64)
                g *= 2.0 ** torch.randint(-6, 6, p.shape, generator=made)
                g[torch.rand(p.shape, generator=made) < 0.2] = 0.0
                p.grad = g.to(dtype)
            opt.step()
    return [x.detach().numpy() for p in params for x in (p, *opt.state[p].values())]


def same(a: list[Any], b: list[Any]) -> bool:
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


@every_rule
def test_the_kernel_has_the_bits_of_the_compiled_loop(name: str, interpreter: None) -> None:
    assert same(run(parts.CUDA, RULES[name](), torch.float32), run(parts.CPU, RULES[name](), torch.float32))


@pytest.mark.slow
@every_rule
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_kernel_has_the_same_bits_in_other_dtypes(
    name: str, dtype: torch.dtype, interpreter: None
) -> None:
    """The interpreter rounds bfloat16's ties up; float16 it rounds as IEEE does."""
    rule = RULES[name]()
    assert same(run(parts.CUDA, rule, dtype, 3), run(parts.CPU, rule, dtype, 3))


@pytest.mark.parametrize(
    "settings",
    [
        {"weight_decay": 0.1, "maximize": True},
        {"weight_decay": 0.1, "decay": "decoupled"},
        {"average": "polyak", "clip_norm": 1.0, "rates": True},
    ],
)
def test_what_stands_around_has_the_same_bits(settings: dict[str, Any], interpreter: None) -> None:
    rule = RULES["Adam"]()
    ours = run(parts.CUDA, rule, torch.float32, **settings)
    assert same(ours, run(parts.CPU, rule, torch.float32, **settings))


def test_a_power_has_the_same_bits(interpreter: None) -> None:
    """NumPy's pow and C's may differ by one in float64, which float32 hardly ever sees."""
    assert same(run(parts.CUDA, POWER, torch.float32), run(parts.CPU, POWER, torch.float32))


def test_the_order_of_memory_does_not_matter(interpreter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transposed, with gaps, complex, and off the 16-byte grid."""
    base = torch.randn(40, 33)
    views = [
        lambda: base.clone().t(),
        lambda: base.clone()[:, ::2],
        lambda: torch.complex(base, base.flip(0)),
        lambda: torch.cat([base.new_zeros(1), base.flatten()])[1:],
    ]
    for view in views:
        left = []
        for engine in (parts.CUDA, parts.CPU):
            monkeypatch.setattr(door, "engine_of", lambda w, engine=engine: engine)
            p = torch.nn.Parameter(view())
            opt = thalweg.torch.Optimizer([p], tw.Adam(lr=0.1))
            for _ in range(2):
                p.grad = (p.detach() * 0.5).clone()
                opt.step()
            left.append([p.detach(), *opt.state[p].values()])
        assert all(torch.equal(x, y) for x, y in zip(*left, strict=True))


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RAdam", "AdamW", "LpProp", "SGD"])
def test_the_clock_on_the_device_takes_the_same_path(name: str, interpreter: None) -> None:
    """The host's 1 - b**t cancels, -expm1(t log b) does not: they differ by some 1e-13."""
    rule, settings = RULES[name](), {"weight_decay": 0.01, "decay": "decoupled"}
    ours = run(parts.CUDA, rule, torch.float64, 3, capturable=True, **settings)
    for x, y in zip(ours, run(parts.CPU, rule, torch.float64, 3, **settings), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-11)
    ours = run(parts.CUDA, rule, torch.float32, 3, capturable=True, **settings)
    for x, y in zip(ours, run(parts.CPU, rule, torch.float32, 3, **settings), strict=True):
        np.testing.assert_allclose(x, y, rtol=3e-7)


def test_an_average_and_rates_can_be_captured(interpreter: None) -> None:
    """Polyak's mean, whose part of the newest weights the device computes from its count."""
    settings: dict[str, Any] = {"average": "polyak", "rates": True}
    ours = run(parts.CUDA, tw.Adam(), torch.float32, 3, capturable=True, **settings)
    for x, y in zip(ours, run(parts.CPU, tw.Adam(), torch.float32, 3, **settings), strict=True):
        np.testing.assert_allclose(x, y, rtol=3e-7)


def test_parameters_may_be_at_different_steps(interpreter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter that began later has its own scalars, also where the device counts."""
    left = []
    for engine, capturable in ((parts.CPU, False), (parts.CUDA, False), (parts.CUDA, True)):
        monkeypatch.setattr(door, "engine_of", lambda w, engine=engine: engine)
        params = [torch.nn.Parameter(torch.ones(3)) for _ in range(35)]
        opt = thalweg.torch.Optimizer(params, tw.Adam(lr=0.1), capturable=capturable)
        for t in range(3):
            for k, p in enumerate(params):
                p.grad = torch.full_like(p, 1.0 + t + k) if k % 3 <= t else None
            opt.step()
        left.append(torch.stack([p.detach() for p in params]))
        assert [int(opt.state[p]["step"]) for p in params[:3]] == [3, 2, 1]
    assert torch.equal(left[1], left[0])
    torch.testing.assert_close(left[2], left[0], rtol=3e-7, atol=0.0)


@pytest.mark.parametrize("shift", [0, 4])
def test_nothing_is_written_beside_a_tensor(
    shift: int, interpreter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window of 1500 in a larger array, which begins on a 16-byte address or does not."""
    monkeypatch.setattr(door, "engine_of", lambda w: parts.CUDA)
    whole = torch.zeros(4096)
    start = 1024 + shift // 4 + (-(whole.data_ptr() // 4) % 4)
    p = torch.nn.Parameter(whole[start : start + 1500])
    p.grad = torch.ones(4096)[1024:2524]
    thalweg.torch.Optimizer([p], tw.SGD(lr=1.0)).step()
    assert p.data_ptr() % 16 == shift
    assert whole.sum() == -1500 and torch.equal(p.detach(), -torch.ones(1500))


def test_only_tensors_on_16_byte_addresses_move_in_vectors() -> None:
    made = cuda.table([(1500, 64, 160), (5, 64, 164), (0, 0, 0)], [0, 1, 0])
    rows = np.reshape(made.words, (3, -1))
    assert rows.tolist() == [[0, 1500, 1500, 0, 64, 160], [2, 5, 0, 1, 64, 164], [3, 0, 0, 0, 0, 0]]
    assert (made.tensors, made.blocks) == (3, 3)


def test_lr_may_be_a_tensor_that_changes(interpreter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capturable step reads it where it lies; nothing asks the device for its value."""
    monkeypatch.setattr(door, "engine_of", lambda w: parts.CUDA)
    monkeypatch.setattr(door, "_on_cuda", lambda x: isinstance(x, torch.Tensor))
    p, lr = torch.nn.Parameter(torch.zeros(5)), torch.tensor(0.5)
    opt = thalweg.torch.Optimizer([p], tw.SGD(), capturable=True)
    opt.param_groups[0]["lr"] = lr
    monkeypatch.setattr(torch.Tensor, "item", None)
    for value in (0.5, 0.25):
        lr.fill_(value)
        p.grad = torch.ones(5)
        opt.step()
    assert torch.equal(p.detach(), torch.full((5,), -0.75))


# How kernels are launched: with a driver that compiles and launches nothing.


class Nothing:
    """A driver of an H100 that is not there."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What would have been launched."""
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    found: list[Any] = []
    real = JITFunction.run

    def run(self: Any, *given: Any, grid: Any, warmup: bool, **named: Any) -> None:
        found.append((grid, given, real(self, *given, grid=grid, warmup=True, **named)))

    monkeypatch.setattr(JITFunction, "run", run)
    monkeypatch.setattr(door, "engine_of", lambda w: parts.CUDA)
    monkeypatch.setattr(driver, "_active", Nothing())
    forget()
    yield found
    forget()


def test_a_step_is_one_launch(launched: list[Any]) -> None:
    """One kernel for any number of tensors and any sizes; the table is sent again only when it differs."""
    kernels, tables = set(), []
    for count in (1, 3, 16):
        params = [torch.nn.Parameter(torch.zeros(1000 * k + 16)) for k in range(count)]
        opt = thalweg.torch.Optimizer(params, tw.Adam())
        for _ in range(3):
            for p in params:
                p.grad = torch.ones_like(p) if p.grad is None else p.grad
            launched.clear()
            opt.step()
            ((grid, given, kernel),) = launched
            kernels.add(kernel.hash)
            tables.append(given[0])
            assert grid == (sum(-(-p.numel() // cuda.BLOCK) for p in params),)
        assert tables[-1] is tables[-2] is tables[-3]
        assert inexact(kernel.asm["ptx"]) == set()
    assert len(kernels) == 1


def test_a_capturable_step_sends_arguments_only(launched: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is copied from the host, nothing is kept: the kernels write what a step needs."""
    monkeypatch.setattr(device, "_kept", None)
    params = [torch.nn.Parameter(torch.zeros(100)) for _ in range(3)]
    opt = thalweg.torch.Optimizer(params, tw.Adam(), capturable=True)
    for p in params:
        p.grad = torch.ones_like(p)
    opt.step()
    wrote = [x for x in launched if len(x[1]) == 1 + cuda.ARGUMENTS]
    assert len(wrote) == len(launched) - 2
    assert wrote[1][1][1:4] == tuple(opt.state[p]["step"].data_ptr() for p in params)
    assert [int(opt.state[p]["step"]) for p in params] == [1, 1, 1]


# Bad input.


def test_capturable_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    opt = thalweg.torch.Optimizer([p], tw.Adam(), capturable=True)
    with pytest.raises(ValueError, match=r"needs CUDA tensors and Triton 3\.6 or later, got a tensor on cpu"):
        opt.step()
    with pytest.raises(HyperparameterError, match="capturable=True needs on_nonfinite='propagate'"):
        thalweg.torch.Optimizer([p], tw.Adam(), capturable=True, on_nonfinite="skip")
    monkeypatch.setattr(door, "engine_of", lambda w: parts.CUDA)
    opt = thalweg.torch.Optimizer([p], tw.Adam(lr=tw.cosine(1e-3, steps=10)), capturable=True)
    with pytest.raises(ValueError, match="cannot follow a schedule"):
        opt.step()
    monkeypatch.setattr(device, "capturing", lambda device: True)
    opt = thalweg.torch.Optimizer([p], tw.Adam())
    with pytest.raises(RuntimeError, match="take a step before capturing"):
        opt.step()
    opt.state[p] = {"step": torch.tensor(1.0), "m": torch.zeros(3), "v": torch.zeros(3)}
    with pytest.raises(RuntimeError, match="make the optimizer with capturable=True"):
        opt.step()
    assert torch.equal(p, torch.ones(3))


@pytest.mark.parametrize(("version", "good"), [("3.5.1", False), ("3.6.0", True), ("4.0.0+git1", True)])
def test_an_older_triton_is_left_alone(version: str, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would flush subnormals: CUDA tensors then go to torch operations."""
    monkeypatch.setattr(triton, "__version__", version)
    cuda.available.cache_clear()
    assert cuda.available() is good
    cuda.available.cache_clear()


# On a GPU.

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def on_gpu(rule: Any, dtype: torch.dtype, steps: int, where: str, **settings: Any) -> list[torch.Tensor]:
    params = [torch.nn.Parameter(p.detach().to(where)) for p in parameters(dtype)]
    opt = thalweg.torch.Optimizer(params, rule, **settings)
    made = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=made, dtype=torch.float64).to(dtype).to(where)
        opt.step()
    return [x.detach().cpu() for p in params for x in (p, *opt.state[p].values())]


@gpu
@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_gpu_is_within_one_ulp_of_the_formula(name: str, dtype: torch.dtype) -> None:
    """The compiled loop has the formula's bits."""
    for ours, theirs in zip(*(on_gpu(RULES[name](), dtype, 5, x) for x in ("cuda", "cpu")), strict=True):
        bound = torch.nextafter(theirs.abs(), torch.full_like(theirs, torch.inf)) - theirs.abs()
        assert bool(((ours - theirs).abs() <= bound).all())


@gpu
def test_a_captured_step_replays() -> None:
    p = torch.nn.Parameter(torch.zeros(5000, device="cuda"))
    lr = torch.tensor(1e-2, device="cuda")
    opt = thalweg.torch.Optimizer([p], tw.Adam(), capturable=True)
    opt.param_groups[0]["lr"] = lr
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            p.grad = p.detach() - 1
            opt.step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        p.grad = p.detach() - 1
        opt.step()
    for k in range(4):
        lr.fill_(1e-2 / (k + 1))
        graph.replay()
    q = torch.nn.Parameter(torch.zeros(5000))
    other = thalweg.torch.Optimizer([q], tw.Adam(lr=1e-2))
    for k in range(7):
        other.param_groups[0]["lr"] = torch.tensor(1e-2 / max(1, k - 2)).item()
        q.grad = q.detach() - 1
        other.step()
    assert int(opt.state[p]["step"]) == 7
    torch.testing.assert_close(p.detach().cpu(), q.detach(), rtol=1e-6, atol=1e-8)


@gpu
@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Adadelta"])
def test_a_step_is_as_fast_as_a_copy(name: str) -> None:
    """10^8 weights against a copy with the same traffic: at most 1.15 of its time."""
    from benchmarks.torch_door import beside_a_copy

    seconds = beside_a_copy(name, 25)
    assert seconds["ours"] <= 1.15 * seconds["copy"], seconds
