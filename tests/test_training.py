"""Training loops as problems: PyTorch's, JAX's and NumPy's, with rules and optimizers from elsewhere."""

import copy
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch.nn import functional as F

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError, ProblemError
from thalweg.lab.entrants import entrant
from thalweg.lab.performing import Performer
from thalweg.lab.rehearsal import rehearse, usual
from thalweg.lab.training_run import Trained, run
from thalweg.lab.trial import Trial
from thalweg.problems import Source, TrainingProblem, make

TRUE = torch.linspace(-1, 1, 12).reshape(4, 3)


def batches(seed: int, steps: int = 100) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    drawn = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(16, 4, generator=drawn)
        yield x, (x @ TRUE).argmax(1)


def net(seed: int) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))


def loop(optimizer: Any, seed: int) -> Iterator[float]:
    """A classifier of a few weights."""
    model = net(seed)
    opt = optimizer(model.parameters())
    for x, y in batches(seed):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        yield loss.item()


def jax_loop(optimizer: Any, seed: int) -> Iterator[float]:
    key, at = jax.random.split(jax.random.key(seed))
    w = jax.random.normal(at, (3,))
    tx = optimizer.optax
    state = tx.init(w)

    @jax.jit
    def step(w: Any, state: Any, x: Any) -> Any:
        loss, g = jax.value_and_grad(lambda w: jnp.mean((x @ w - x.sum(1)) ** 2))(w)
        updates, state = tx.update(g, state, w)
        return optax.apply_updates(w, updates), state, loss

    for k in range(60):
        w, state, loss = step(w, state, jax.random.normal(jax.random.fold_in(key, k), (8, 3)))
        yield loss.item()


def numpy_loop(optimizer: Any, seed: int) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(3)
    opt = optimizer(w)
    for _ in range(60):
        yield float(w @ w)
        opt.step(2 * w)


def losses(train: Callable[..., Any], named: Any, steps: int = 100, **options: Any) -> np.ndarray[Any, Any]:
    """A run's losses; it must not fail."""
    one = run(TrainingProblem(train), entrant(named).runs, 0, steps, options)
    assert one.reason == ""
    return one.series["loss"][1]


def reason(train: Callable[..., Any], named: Any = "SGD", measure: str = "loss") -> str:
    """Why a run failed."""
    said = run(TrainingProblem(train, measure), entrant(named).runs, 0, 50).reason
    assert said
    assert "\n" not in said
    return said


# Every framework's door, and what stands beside it.


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("AdamW", "torch.optim.AdamW"),
        ("RMSprop:torch", "torch.optim.RMSprop"),
        ("Adamax(lr=0.002)", "torch.optim.Adamax"),
        ("SGD(lr=0.001)", "torch.optim.SGD"),
    ],
)
def test_a_rule_trains_as_torchs_own_optimizer(ours: str, theirs: str) -> None:
    a, b = losses(loop, ours), losses(loop, theirs)
    assert len(a) == 100
    assert a[-1] != a[0]
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_loop_of_jax_takes_a_transformation() -> None:
    a, b = losses(jax_loop, "Adam(lr=0.1)"), losses(jax_loop, "optax.adam(learning_rate=0.1)")
    assert a[-1] < 0.1 * a[0]
    np.testing.assert_allclose(a, b, rtol=1e-3)  # float32; later chaos parts any two


def test_a_loop_of_arrays_takes_an_optimizer_of_ours() -> None:
    a = losses(numpy_loop, "SGD(lr=0.1)")
    np.testing.assert_allclose(a, a[0] * 0.64 ** np.arange(60), rtol=1e-9)


def test_groups_multiply_the_tuned_rate_and_keep_their_own_decay() -> None:
    seen: list[Any] = []

    def groups(optimizer: Any, seed: int) -> Iterator[float]:
        model = net(seed)
        opt = optimizer(
            [
                {"params": model[0].parameters(), "lr": 0.1},
                {"params": model[2].parameters(), "weight_decay": 0.0},
                {"params": [torch.nn.Parameter(torch.ones(2))]},
            ]
        )
        seen.append([(g["lr"], g["weight_decay"]) for g in opt.param_groups])
        yield 1.0

    for named in ("AdamW(lr=0.5, weight_decay=0.25)", "torch.optim.AdamW(lr=0.5, weight_decay=0.25)"):
        losses(groups, named)
    losses(groups, "SGD(lr=0.5)", weight_decay=0.25)
    assert seen == [[(0.05, 0.25), (0.5, 0.0), (0.5, 0.25)]] * 3


@pytest.mark.parametrize("named", ["SGD(lr=0.5)", "torch.optim.SGD(lr=0.5)"])
def test_a_group_that_is_added_later_multiplies_too(named: str) -> None:
    def groups(optimizer: Any, seed: int) -> Iterator[float]:
        model = net(seed)
        opt = optimizer(model[0].parameters())
        opt.add_param_group({"params": model[2].parameters(), "lr": 0.1})
        opt.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
        yield sum(g["lr"] for g in copy.deepcopy(opt).param_groups)

    assert losses(groups, named)[0] == 0.5 + 0.05 + 0.5


@pytest.mark.parametrize("named", ["SGD(lr=0.5)", "torch.optim.SGD(lr=0.5)"])
def test_groups_alone_may_hold_generators(named: str) -> None:
    """As PyTorch's own optimizers take them, ``[{"params": model.parameters()}]``."""

    def groups(optimizer: Any, seed: int) -> Iterator[float]:
        (group,) = optimizer([{"params": net(seed).parameters(), "lr": 0.5}]).param_groups
        yield len(group["params"]) + group["lr"]

    assert losses(groups, named)[0] == 4.25


def test_two_optimizers_a_scheduler_an_average_and_workers(tmp_path: Path) -> None:
    """A generative pair, a cosine over ``optimizer.steps``, an EMA that is validated, a DataLoader with a process."""

    def train(optimizer: Any, seed: int) -> Iterator[dict[str, float]]:
        one, other = net(seed), net(seed + 1)
        first, second = optimizer(one.parameters()), optimizer(other.named_parameters())
        optimizer.train()
        first.eval()
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(first, optimizer.steps)
        average = torch.optim.swa_utils.AveragedModel(
            one, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
        rows = torch.utils.data.TensorDataset(torch.cat([x for x, _ in batches(seed, 8)]))
        loader = torch.utils.data.DataLoader(rows, batch_size=16, shuffle=True, num_workers=1)
        for k, (x,) in enumerate(loader):
            y = (x @ TRUE).argmax(1)
            pair = F.cross_entropy(one(x), y), F.cross_entropy(other(x), y)
            for opt, loss in zip((first, second), pair, strict=True):
                opt.zero_grad()
                loss.backward()
                opt.step()
            cosine.step()
            average.update_parameters(one)
            values = {"loss": pair[0].item(), "second": pair[1].item(), "rate": cosine.get_last_lr()[0]}
            yield values if k != 3 else {**values, "validation": F.cross_entropy(average(x), y).item()}

    for named in ("Adam(lr=0.01)", "torch.optim.Adam(lr=0.01)"):
        one = run(TrainingProblem(train), entrant(named).runs, 0, 8)
        assert one.reason == ""
        assert one.yields == 8
        assert one.series["rate"][1][-1] == pytest.approx(0.0, abs=1e-12)
        at, (value,) = one.series["validation"]
        assert at.tolist() == [4]
        assert 0.5 < value < 2


# What a run is worth.


def test_a_run_is_worth_the_mean_over_its_last_tenth() -> None:
    values = np.random.default_rng(0).random(95)
    one = Trained(95, {"loss": (np.arange(1, 96), values)}, False, "", "NumPy", 0.0)
    worth = one.curve("loss", np.array([0, 1, 20, 21, 95, 200]))
    wanted = [
        values[0],
        values[0],
        values[18:20].mean(),
        values[18:21].mean(),
        values[85:].mean(),
        values[85:].mean(),
    ]
    np.testing.assert_allclose(worth, wanted)


def test_a_name_that_is_yielded_rarely_is_worth_its_last() -> None:
    rare = {"accuracy": (np.array([10, 20]), np.array([0.25, 0.5]))}
    one = Trained(25, rare, False, "", "NumPy", 0.0)
    worth = one.curve("accuracy", np.array([0, 9, 10, 19, 20, 25, 100]))
    np.testing.assert_array_equal(worth, [0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5])
    assert np.isnan(one.curve("other", np.array([0, 25]))).all()


def test_divergence_is_seen_at_once_and_the_loop_is_left() -> None:
    left = []

    def diverging(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(1))
        try:
            yield from (1.0, 900.0, [2000.0, float("nan"), float("inf"), float("-inf")][seed], 1.0)
        finally:
            left.append(seed)

    p = TrainingProblem(diverging)
    for seed in range(4):
        one = run(p, tw.SGD(), seed, 10)
        assert (one.diverged, one.yields, one.reason) == (True, 3, "")
    assert left == [0, 1, 2, 3]
    runs = Trial(tw.SGD(), p, 10, (0, 1), every=2, record=("loss", "validation", "ends")).run()
    assert runs.curves[0, :, 1].tolist() == [100.0 * 9, 900.0] and np.isinf(runs.curves[0, :, 2:]).all()
    assert np.isinf(runs.final("validation")).all() and np.isinf(runs.last).all()


@pytest.mark.parametrize("rarely", [False, True])
def test_more_is_better_where_it_is_said(rarely: bool) -> None:
    def scored(optimizer: Any, seed: int) -> Iterator[dict[str, float]]:
        w = np.array([1.0])
        opt = optimizer(w)
        for _ in range(20):
            opt.step(2 * w)
            opened = len(seen) % 10 == 9
            seen.append({"loss": w[0] ** 2, "score": 1 - w[0] ** 2, "validation": 7.0 + seed})
            yield seen[-1] if opened or not rarely else {"loss": w[0] ** 2}

    seen: list[Any] = []
    p = TrainingProblem(scored, "score", maximize=True)
    runs = Trial(
        tw.SGD(), p, 20, (0, 1), vary={"lr": np.array([0.01, 0.1])}, every=5, record=("loss", "validation")
    ).run()
    assert p.loss_name == "negative score"
    assert (runs.curves[1, :, -1] < runs.curves[0, :, -1]).all()
    assert (runs.curves <= 0).all()
    np.testing.assert_array_equal(runs.final("validation"), [[7.0, 8.0]] * 2)  # validation chooses


def test_numbers_of_any_library_are_taken() -> None:
    def mixed(optimizer: Any, seed: int) -> Iterator[Any]:
        optimizer(np.ones(1))
        yield from (1, np.float32(2), torch.tensor(3.0, requires_grad=True), jnp.float32(4), np.array([5.0]))

    assert losses(mixed, "SGD").tolist() == [1, 2, 3, 4, 5]


def test_random_numbers_are_those_of_the_seed_and_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    def drawing(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(1))
        print("the loop speaks")
        yield random.random() + np.random.random() + torch.rand(()).item()  # noqa: NPY002

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]  # noqa: NPY002
    p = TrainingProblem(drawing)
    a, b, c = (run(p, tw.SGD(), seed, 1).series["loss"][1][0] for seed in (3, 3, 4))
    assert a == b != c
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]  # noqa: NPY002
    assert before == after
    assert capsys.readouterr().out == ""


# What goes wrong.


def test_what_a_loop_does_wrong_is_one_line() -> None:
    def raising(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(1))
        yield 1.0
        raise ValueError("no\nmore rows")

    def leaving(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(1))
        yield 1.0
        sys.exit(3)

    def yielding(value: object) -> Callable[..., Any]:
        def train(optimizer: Any, seed: int) -> Iterator[object]:
            optimizer(np.ones(1))
            yield value

        return train

    def ignoring(optimizer: Any, seed: int) -> Iterator[float]:
        yield 1.0

    def empty(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(1))
        yield from ()

    def silent(optimizer: Any, seed: int) -> None:
        optimizer(np.ones(1))

    def whole(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(net(seed))
        yield 1.0

    def jax_arrays(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer({"w": jnp.ones(2)})
        yield 1.0

    def setting(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer([np.ones(1)], lr=0.5)
        yield 1.0

    line = raising.__code__.co_firstlineno + 3
    assert reason(raising) == f"raising raised ValueError in line {line}: no more rows"
    assert "leaving raised SystemExit" in reason(leaving)
    assert (
        reason(yielding("low"))
        == "train yielded 'low' (yield 1): a number or {\"loss\": number, ...} is needed"
    )
    assert "yielded None (yield 1)" in reason(yielding(None))
    assert "yielded [1.0, 2.0] for 'loss'" in reason(yielding({"loss": [1.0, 2.0]}))
    assert "whose key is 3" in reason(yielding({3: 1.0}))
    assert "yields no 'loss', which is to be compared (measure): did you mean 'losses'" in reason(
        yielding({"losses": 1.0})
    )
    assert "yields no 'acc'" in reason(yielding({"loss": 1.0, "accuracy": 1.0}), measure="acc")
    assert "ignoring ignores the optimizer" in reason(ignoring)
    assert "empty ended without a yield" in reason(empty)
    assert "silent returned None" in reason(silent)
    assert "model.parameters()" in reason(whole)
    assert "tx = optimizer.optax" in reason(jax_arrays)
    assert "gave lr=0.5 to optimizer(...) beside the parameters: settings are the race's" in reason(setting)


def test_optimizers_in_loops_of_other_frameworks_fail_with_the_reason() -> None:
    assert "no GradientTransformation" in reason(jax_loop, "torch.optim.Adam") or "does not take" in reason(
        jax_loop, "torch.optim.Adam"
    )
    assert "which it does not take" in reason(loop, "optax.adam(learning_rate=0.1)")
    assert "NumPy arrays, which torch.optim.Adam does not step" in reason(numpy_loop, "torch.optim.Adam")
    assert "torch.optim.LBFGS needs a closure" in reason(loop, "torch.optim.LBFGS")
    assert "optax.adam, which has no rate of its own" in reason(jax_loop, "optax.adam")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def train(optimizer): yield 1.0", r"takes two arguments, \(optimizer\) was given"),
        ("def train(optimizer, seed, rows): yield 1.0", r"takes two arguments, \(optimizer, seed, rows\)"),
        ("def train(optimizer, *, seed): yield 1.0", "takes two arguments"),
        ("def trian(optimizer, seed): yield 1.0", "no problem or function 'train': did you mean 'trian'"),
        ("import sys; sys.exit(2)", "it exits: put what is to run alone under if __name__"),
        ("raise OSError('no data')", "OSError: no data"),
    ],
)
def test_a_file_that_has_no_training_loop_is_one_line(source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises((ProblemError, FileError), match=said):
        tw.race(f"{tmp_path / 'mine.py'}:train", ["SGD"], workers=0)


def test_a_file_is_run_without_our_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "script.py"
    file.write_text(
        "import argparse\nargparse.ArgumentParser().parse_args()\nassert __name__ != '__main__'\n"
        "def train(optimizer, seed, more=3):\n    yield 1.0\n"
    )
    monkeypatch.setattr(sys, "argv", ["thalweg", "race", "script.py:train"])
    assert isinstance(make(Source(f"{file}:train")), TrainingProblem)
    assert sys.argv[1] == "race"


def test_a_file_finds_what_stands_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a script does; also what its functions import when they are called."""
    (tmp_path / "beside_it.py").write_text("size = 3\n")
    (tmp_path / "called_later.py").write_text("half = 0.5\n")
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nfrom beside_it import size\n"
        "def train(optimizer, seed):\n"
        "    from called_later import half\n"
        "    optimizer(np.ones(size))\n"
        "    yield half\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    p = make(Source(f"{file}:train"))
    assert isinstance(p, TrainingProblem)
    assert run(p, tw.SGD(), 0, 1).series["loss"][1].tolist() == [0.5]


def test_what_a_worker_cannot_run_is_told(tmp_path: Path) -> None:
    """A FileError is an OSError, as a lost connection is: it was waited for."""
    with pytest.raises(FileError, match="no such file"):
        Performer(1, 30.0).within_limit("mine.py:train", make, Source(f"{tmp_path}/mine.py:train"))


# Before a race, and the race.


def test_a_loop_that_keeps_something_from_run_to_run_is_refused() -> None:
    kept = np.ones(2)

    def stateful(optimizer: Any, seed: int) -> Iterator[float]:
        opt = optimizer(kept)
        for _ in range(5):
            yield float(kept @ kept)
            opt.step(2 * kept)

    def unseeded(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(1))
        yield float(np.random.default_rng().random())

    for train in (stateful, unseeded):
        with pytest.raises(
            ProblemError, match=r"^\w+: the same trial, run twice, gave loss .*, then .*make everything"
        ):
            tw.race(train, ["SGD(lr=0.1)"], workers=0)


def test_a_rehearsal_tells_the_length_and_goes_past_what_fails() -> None:
    p = TrainingProblem(loop)
    closure, sgd, fast = (usual(entrant(n)) for n in ("torch.optim.LBFGS", "SGD", "SGD(lr=1e6)"))
    for steps, methods, length in ((1000, [closure, fast, sgd], 100), (30, [sgd], 30)):
        seen = rehearse([Trial(m, p, steps) for m in methods])
        assert (seen.steps, seen.door) == (length, "PyTorch")
        assert seen.text.endswith("It ends by itself after 100 yields.") == (steps > 100)
    with pytest.raises(ProblemError, match="needs a closure"):
        rehearse([Trial(closure, p, 10)])


@pytest.mark.parametrize(
    ("train", "methods", "built"),
    [
        (loop, ["AdamW", torch.optim.Adamax], "opt = "),
        pytest.param(jax_loop, ["Adam", "optax.adam"], "tx = ", marks=pytest.mark.slow),
        (numpy_loop, ["Adam", "SGD"], ".on(params)"),
    ],
    ids=["torch", "jax", "numpy"],
)
def test_a_race_of_a_training_loop(train: Callable[..., Any], methods: list[Any], built: str) -> None:
    race = tw.race(train, methods, trials=2, seeds=2, steps=20, workers=0)
    data = race.data
    assert data["settings"]["steps"] == 20
    assert data["settings"]["loss_name"] == "loss"
    assert ("torch" in data["versions"], "optax" in data["versions"]) == (train is loop, train is jax_loop)
    assert all(r["loss"]["median"] is not None for r in data["methods"])
    assert built in data["code"]
    compile(data["code"], "code", "exec")
    assert data["settings"]["command"] == ""  # no command line can name a function of this file's
    assert "A training loop of" in race.html()


def test_a_method_that_fails_before_its_first_yield_meets_no_target() -> None:
    """It has no start either, which would be infinitely high, and its target too; page and JSON are written."""

    def train(optimizer: Any, seed: int) -> Iterator[float]:
        w = np.full(2, 1.0 + seed % 3)
        opt = optimizer(w)
        if "SGD" in repr(opt):
            raise RuntimeError("not this one")
        for _ in range(40):
            yield float(w @ w)
            opt.step(2 * w)

    made = tw.race(train, ["SGD", "Adam"], trials=5, seeds=6, workers=0)
    fastest = next(a for a in made.data["answers"] if a["question"] == "fastest")
    assert fastest["values"]["SGD"] is None and fastest["leaders"] == ["Adam"]
    assert made.data["methods"][1]["steps_to_target"] is None
    assert made.html() and json.loads(made.json())["settings"]["target"] > 0


def test_elsewhere_needs_a_rate_of_its_own_where_none_is_tried() -> None:
    with pytest.raises(
        HyperparameterError, match=r"optax\.adam: has no rate of its own for trials=1; write one, optax"
    ):
        tw.race(jax_loop, ["optax.adam"], trials=1, workers=0)


@pytest.mark.parametrize("problem", ["digits", lambda x: float(x @ x)], ids=["digits", "function"])
def test_a_measure_is_of_training_loops(problem: Any) -> None:
    for given in ({"measure": "accuracy"}, {"maximize": True}):
        with pytest.raises(ProblemError, match=r"(measure|maximize): only a training loop takes that"):
            tw.race(problem, ["SGD"], start=[1.0], workers=0, **given)


@pytest.mark.slow
def test_a_file_is_raced_side_by_side_as_in_this_process(
    tmp_path: Path,
) -> None:
    """The bar: a loop in a file, rules, torch's own and one of the file's, in this process, on one worker and on two."""
    file = tmp_path / "train.py"
    file.write_text(
        "import torch\nfrom torch.nn import functional as F\n"
        "def train(optimizer, seed):\n"
        "    torch.manual_seed(seed)\n"
        "    model = torch.nn.Linear(4, 3)\n"
        "    rows = torch.utils.data.TensorDataset(torch.randn(64, 4))\n"
        "    loader = torch.utils.data.DataLoader(rows, 16, shuffle=True, num_workers=1)\n"
        "    opt = optimizer(model.parameters())\n"
        "    for (x,) in loader:\n"
        "        loss = F.cross_entropy(model(x), x[:, :3].argmax(1))\n"
        "        opt.zero_grad(); loss.backward(); opt.step()\n"
        "        yield loss.item()\n"
        "class Sgdish(torch.optim.SGD):\n"
        "    pass\n"
    )
    methods = ["Lion", "torch.optim.Adamax", f"{file}:Sgdish"]
    rows = []
    for workers in (0, 1, 2):
        race = tw.race(f"{file}:train", methods, trials=2, seeds=2, workers=workers)
        rows.append([{**r, "us_per_step": 0} for r in race.data["methods"]])
        assert race.data["settings"]["steps"] == 4
        assert "--methods" in race.data["settings"]["command"]
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.slow
def test_a_file_that_trains_when_it_is_imported_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def train(optimizer, seed): yield 1.0\nwhile True: pass\n")
    with pytest.raises(
        ProblemError, match=r"importing its file, which must not train .* took longer than 60 s"
    ):
        tw.race(f"{tmp_path / 'mine.py'}:train", ["SGD"], seconds=1)


def idle_loop(optimizer: Any, seed: int) -> Iterator[float]:
    """Sets the rate itself, as a scheduler of PyTorch's with a rate of its own does."""
    model = net(seed)
    opt = optimizer(model.parameters())
    for x, y in batches(seed, 20):
        for group in opt.param_groups:
            group["lr"] = 0.1
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        yield loss.item()


def test_a_rate_without_effect_is_told_and_forgives_nothing() -> None:
    made = tw.race(idle_loop, ["Adam", "SGD"], trials=3, seeds=2, workers=0)
    assert all(
        "no setting that was tried changed anything" in " ".join(r["notes"]) for r in made.data["methods"]
    )
    assert "forgiving" not in [a["question"] for a in made.data["answers"]]
    free = tw.race(numpy_loop, ["Adam", "SGD"], trials=3, seeds=2, workers=0)
    assert not any(r["notes"] for r in free.data["methods"])


def test_what_failed_did_not_diverge() -> None:
    def momentum_only(optimizer: Any, seed: int) -> Iterator[float]:
        for k, loss in enumerate(numpy_loop(optimizer, seed)):
            if k == 5 and seed >= 1000:
                raise RuntimeError("boo")
            yield loss

    made = tw.race(momentum_only, ["Adam", "SGD"], trials=2, seeds=2, workers=0)
    assert [r["fate"] for r in made.data["methods"]] == ["failed", "failed"]
    assert "failed" in repr(made) and "diverged" not in repr(made)
    wild = tw.race(numpy_loop, ["SGD(lr=5.0)", "Adam"], trials=1, seeds=2, workers=0)
    assert [r["fate"] for r in wild.data["methods"]] == ["", "diverged"]


def test_a_first_loss_that_is_no_number_is_the_loops_own_fault() -> None:
    def first(optimizer: Any, seed: int) -> Iterator[float]:
        optimizer(np.ones(3))
        yield float("nan")

    with pytest.raises(ProblemError, match=r"first yielded nan as its first loss, before any step"):
        tw.race(first, ["Adam", "SGD"], trials=2, seeds=2, workers=0)


@pytest.mark.parametrize(
    ("name", "told"), [("val_loss", True), ("eval_loss", True), ("validation", False), ("accuracy", False)]
)
def test_a_name_that_only_looks_like_validation_is_pointed_at(name: str, told: bool) -> None:
    def watched(optimizer: Any, seed: int) -> Iterator[Any]:
        for loss in numpy_loop(optimizer, seed):
            yield {"loss": loss, name: 2 * loss}

    said = tw.race(watched, ["Adam"], trials=2, seeds=2, workers=0).data["text"]
    assert (f"Settings are chosen by its loss, not by {name}" in said) == told
