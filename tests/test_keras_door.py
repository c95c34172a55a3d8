"""thalweg.keras: runs of real Keras optimizers that move over and back, on the backend of KERAS_BACKEND."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from .paths.worlds import KERAS, _keras, _wide

keras = _keras()  # chooses the backend, and a folder of its own

import thalweg as tw  # noqa: E402
from thalweg.keras import from_keras, to_keras  # noqa: E402
from thalweg.rules import movable  # noqa: E402

from .strategies import RULES  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
LEAVING: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "clipvalue": 0.5}),
    "Nesterov": ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
    "Adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "RMSprop": ("RMSprop", {"learning_rate": 0.003}),
    "RMSprop, all": ("RMSprop", {"learning_rate": 0.003, "momentum": 0.5, "centered": True}),
    "Adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "Adam": ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.01}),
    "AMSGrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True, "global_clipnorm": 0.5}),
    "AdamW": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    "Adamax": ("Adamax", {"learning_rate": 0.01}),
    "Nadam": ("Nadam", {"learning_rate": 0.01}),
    "Lion": ("Lion", {"learning_rate": 1e-3}),
}
FAST = ("RMSprop, all", "AMSGrad")


class Training:
    """A small Keras model in float64, its data, its loss and gradients."""

    def __init__(self) -> None:
        keras.utils.set_random_seed(0)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((64, 8))
        self.x = keras.ops.convert_to_tensor(x)
        self.y = keras.ops.convert_to_tensor(
            np.sin(x.sum(1, keepdims=True)) + 0.1 * rng.standard_normal((64, 1))
        )
        layers = [
            keras.layers.Dense(16, activation="tanh", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
        self.model = keras.Sequential(layers)
        self.model.build((64, 8))
        self.variables = self.model.trainable_variables
        self.compiled: Any = None

    def gradients(self) -> tuple[float, list[Any]]:
        """The loss and the gradients in the variables' order."""
        if keras.backend.backend() == "torch":
            self.model.zero_grad()
            loss = keras.ops.mean((self.model(self.x) - self.y) ** 2)
            loss.backward()
            return loss.item(), [v.value.grad for v in self.variables]
        if self.compiled is None:
            import jax

            def loss_of(values: Any) -> Any:
                made, _ = self.model.stateless_call(values, [], self.x)
                return keras.ops.mean((made - self.y) ** 2)

            self.compiled = jax.jit(jax.value_and_grad(loss_of))
        value, made = self.compiled([v.value for v in self.variables])
        return float(value), list(made)


@pytest.fixture(autouse=True)
def wide() -> Any:
    floatx, threads = keras.config.floatx(), torch.get_num_threads()
    keras.config.set_floatx("float64")
    torch.set_num_threads(1)
    with _wide("float64"):
        yield
    torch.set_num_threads(threads)
    keras.config.set_floatx(floatx)


def numbers(tensors: Any) -> list[Any]:
    return [np.array(keras.ops.convert_to_numpy(t)) for t in tensors]


def train(kind: str, arguments: dict[str, Any], switched: bool, spared: bool = False) -> list[float]:
    """150 losses; ``switched`` at steps 50 and 100."""
    run = Training()
    theirs: Any = getattr(keras.optimizers, kind)(**arguments)
    if spared:
        theirs.exclude_from_weight_decay(var_list=run.variables[1::2])
    theirs.build(run.variables)
    ours: Any = None
    told = []
    for k in range(150):
        if switched and k == 50:
            ours = from_keras(theirs)
            theirs = None
        if switched and k == 100:
            theirs = to_keras(ours, run.variables)
            assert type(theirs).__name__ == kind and int(theirs.iterations) == 100
            assert all(theirs.get_config()[n] == v for n, v in arguments.items())
            ours = None
        loss, g = run.gradients()
        told.append(loss)
        if ours is None:
            theirs.apply(g, run.variables)
        else:
            ours.step(numbers(g))
            for v, w in zip(run.variables, ours.params, strict=True):
                v.assign(w)
    return told


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in LEAVING]
)
def test_a_run_that_moves_over_and_back_goes_on(name: str) -> None:
    """Switched at steps 50 and 100 of a real training, its losses are those of an unswitched run."""
    kind, arguments = LEAVING[name]
    wanted = train(kind, arguments, switched=False)
    assert wanted[-1] < wanted[0]
    assert train(kind, arguments, switched=True) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_variables_left_out_of_weight_decay_stay_out() -> None:
    for kind in ("AdamW", "SGD"):
        arguments = {"learning_rate": 0.01, "weight_decay": 0.5}
        wanted = train(kind, arguments, switched=False, spared=True)
        assert wanted != pytest.approx(train(kind, arguments, switched=False), rel=1e-5)
        assert train(kind, arguments, switched=True, spared=True) == pytest.approx(wanted, rel=1e-5)


def test_every_row_of_keras_can_be_moved() -> None:
    shipped = {
        n: rule for n, rule in movable("keras").items() if rule is RULES.get(n)
    }  # not other tests' own
    assert set(shipped) == {n for n, r in RULES.items() if "keras" in r.parts.dialects} == set(KERAS)
    for name, rule in shipped.items():
        row, (kind, states) = rule.parts.dialects["keras"], KERAS[name]
        assert row.optimizers == (kind,) and {*row.states} == {*RULES[name].parts.states} == {*states}


def test_what_moves_is_copied() -> None:
    run = Training()
    theirs = keras.optimizers.Adam(learning_rate=0.1)
    theirs.build(run.variables)
    theirs.apply(run.gradients()[1], run.variables)
    before = numbers(run.variables), numbers(theirs._momentums)
    ours = from_keras(theirs, lr=tw.cosine(0.1, steps=9))
    assert ours.t == 1 and ours.rule.values["lr"] == tw.cosine(0.1, steps=9)
    ours.step([np.ones_like(w) for w in ours.params])
    assert all(np.array_equal(a, b) for a, b in zip(before[0], numbers(run.variables), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(before[1], numbers(theirs._momentums), strict=True))
    back = to_keras(ours, run.variables, learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 9))
    ours.step([np.ones_like(w) for w in ours.params])
    assert int(back.iterations) == 2
    assert not np.array_equal(numbers(run.variables)[0], ours.params[0])


def built(kind: str, **arguments: Any) -> Any:
    made = getattr(keras.optimizers, kind)(**arguments)
    made.build([keras.Variable(np.ones(3))])
    return made


def test_where_two_worlds_cannot_agree_it_says_so() -> None:
    variable = keras.Variable(np.ones(3))
    plan = keras.optimizers.schedules.CosineDecay(0.1, 9)

    def on(rule: Any, **settings: Any) -> Callable[[], Any]:
        return lambda: to_keras(rule.on([np.zeros(3)], **settings), [variable])

    keras_sgd = tw.SGD.like("keras")
    bound = keras.Variable(np.ones(3))
    bound.constraint = keras.constraints.NonNeg()
    held = keras.optimizers.SGD()
    held.build([bound])
    found: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: from_keras("adam"), TypeError, "one of keras.optimizers' SGD, Adagrad"),
        (lambda: from_keras(built("Ftrl")), TypeError, "one of keras.optimizers'"),
        (lambda: from_keras(keras.optimizers.Adam()), ValueError, "is not built"),
        (lambda: from_keras(built("Adam", use_ema=True)), ValueError, "use_ema=True has no counterpart"),
        (lambda: from_keras(built("Adam", clipnorm=1.0)), ValueError, "clipnorm=1.0 has no counterpart"),
        (lambda: from_keras(built("AdamW", amsgrad=True)), ValueError, "no rule for AdamW with amsgrad"),
        (lambda: from_keras(built("Adam", learning_rate=plan)), ValueError, "from_keras\\(optimizer, lr="),
        (lambda: from_keras(held), ValueError, "the constraint of"),
        (on(tw.Adam()), ValueError, "eps of 1e-08 is added after v is corrected, which is 3.16e-10"),
        (on(tw.RMSprop()), ValueError, "Keras has no eps, which is 1e-08 here"),
        (on(tw.Momentum()), ValueError, "Keras has no Momentum"),
        (on(keras_sgd, weight_decay=0.1), ValueError, "no coupled weight decay"),
        (on(keras_sgd, maximize=True), ValueError, "maximize=True has no counterpart"),
        (on(keras_sgd, groups={"0": {"lr": 0.1}}), ValueError, "differ in more than"),
        (on(tw.SGD(lr=tw.cosine(0.1, steps=9))), ValueError, "hand over Keras's own"),
        (lambda: to_keras(keras_sgd.on([np.zeros(4)]), [variable]), ValueError, r"shapes \[\(4,\)\], got"),
    ]  # fmt: skip
    for call, kind, words in found:
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert np.array_equal(numbers([variable])[0], np.ones(3))


def test_without_keras_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['keras'] = None\nimport thalweg as tw; tw.Adam()\nimport thalweg.keras"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install keras" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_on_jax() -> None:
    """In a process of its own: Keras chooses its backend once."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        pytest.skip("this is that process")  # it runs the other tests, and would start itself again
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "all or Nadam or copied", __file__],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fit_is_watched_through_a_callback() -> None:
    """Rates are those of Keras's own formula, of the step that was just taken; another step is as it was."""
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    with pytest.raises(tw.errors.HyperparameterError, match="is not built"):
        tw.watch(model.optimizer, out=None)
    model.optimizer.build(model.trainable_variables)
    x = np.linspace(-1, 1, 64).reshape(16, 4)
    with tw.watch(model.optimizer, 1, None) as seen:
        model.fit(x, x.sum(1), epochs=2, batch_size=4, verbose=0, callbacks=[seen.callback])
    table = {n: v.reshape(8, 4) for n, v in seen.columns().items()}
    assert table["step"][-1].tolist() == [8] * 4
    root = 0.01 * np.sqrt(1 - 0.999**8) / (1 - 0.9**8)
    for k, v in enumerate(model.optimizer._velocities):
        rates = np.sort((root / (np.sqrt(keras.ops.convert_to_numpy(v)) + 1e-7)).reshape(-1))
        assert table["rate"][-1, k] == pytest.approx(rates[round((rates.size - 1) / 2)], rel=1e-3)
    assert np.all(table["relative_update"][:, [0, 2]] > 0)
    assert any("Keras shows no gradients" in s for s in seen.sentences)
    with pytest.raises(tw.errors.StateError, match="within the with-block"):
        _ = seen.callback


def test_a_watched_fit_tells_its_loss_and_counts_all_steps() -> None:
    """Keras computes the loss; batches whose gradients are only gathered, or several at once, are no steps of one each."""
    x = np.linspace(-1, 1, 64).reshape(16, 4)

    def fit(optimizer: Any, **options: Any) -> Any:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        model.compile(optimizer, "mse", **options)
        model.optimizer.build(model.trainable_variables)
        with tw.watch(model.optimizer, 1, None) as seen:
            model.fit(x, x.sum(1), epochs=2, batch_size=2, verbose=0, callbacks=[seen.callback])
        return seen

    plain = fit(keras.optimizers.SGD(0.01))
    assert plain.seen.steps == 16 and np.all(plain.seen.looks.losses > 0)
    gathered = fit(keras.optimizers.SGD(0.01, gradient_accumulation_steps=4))
    assert gathered.seen.steps == 4
    assert not any("frozen" in s or "in place" in s for s in gathered.sentences)
    if keras.backend.backend() != "torch":  # which takes one at a time
        at_once = fit(keras.optimizers.SGD(0.01), steps_per_execution=4)
        assert any(s.startswith("Keras calls back once every 4 steps") for s in at_once.sentences)
    scaled = fit(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)))
    assert scaled.seen.method == "keras.optimizers.Adam" and np.all(np.isfinite(scaled.columns()["rate"]))
