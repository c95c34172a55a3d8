"""A function of the user's own is a problem: told by what it returns, raced from a file, harmless where it fails."""

import json
import math
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import MisplacedOptionError, ProblemError, UnknownProblemError
from thalweg.lab.trial import Trial
from thalweg.problems import FunctionProblem, Source, make, problem

START = [2.0, -3.0, 0.5]
CENTRE = np.array([1.0, 2.0, 3.0])


def bowl(x: Any) -> Any:
    """A bowl around a centre.

    With more to say.
    """
    return ((x - CENTRE) ** 2).sum()


def with_gradient(x: Any) -> Any:
    return ((x - CENTRE) ** 2).sum(), 2 * (x - CENTRE)


def single(x: Any) -> Any:
    return ((np.asarray(x, np.float32) - CENTRE.astype(np.float32)) ** 2).sum()


def by_torch(x: Any) -> Any:
    import torch

    return torch.square(x - torch.tensor(CENTRE)).sum()


def by_jax(x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.square(x - CENTRE).sum()


def branching(x: Any) -> Any:
    import jax.numpy as jnp

    far = jnp.square(x - CENTRE).sum()
    return far if far > 1e-9 else 0 * far


compiled = numba.njit(lambda x: ((x - 1.0) ** 2).sum())


@pytest.mark.parametrize(
    ("fun", "how", "digits"),
    [
        (bowl, "taken by differences", 1e-8),
        (with_gradient, "its own", 1e-14),
        (single, "taken by differences", 1e-3),
        (by_torch, "PyTorch's", 1e-14),
        (by_jax, "JAX's", 1e-5),
        (branching, "JAX's", 1e-5),
    ],
)
def test_its_gradient_is_right_however_it_is_had(fun: Any, how: str, digits: float) -> None:
    import torch  # noqa: F401  # as the file that holds such a function has

    p = FunctionProblem(fun, START)
    assert how in p.text
    x = p.start(3)
    np.testing.assert_allclose(p.gradient(x, None), 2 * (x - CENTRE), rtol=10 * digits, atol=10 * digits)
    assert p.loss(x) == pytest.approx(((x - CENTRE) ** 2).sum(), rel=max(digits, 1e-6))
    outsider = p.outsider()
    assert outsider is not None and outsider.loss < 1e-5


def test_what_numba_compiled_is_called_like_any_other() -> None:
    p = FunctionProblem(compiled, [3.0, 4.0])
    np.testing.assert_allclose(p.gradient(np.array([3.0, 4.0]), None), [4.0, 6.0], rtol=1e-8)


def test_starts_are_seeded() -> None:
    p = FunctionProblem(bowl, START)
    assert (p.title, p.name) == ("A bowl around a centre", "bowl")
    assert np.array_equal(p.start(1), p.start(1)) and not np.array_equal(p.start(1), p.start(2))
    assert np.abs(p.start(1) - START).max() < 2
    exact = FunctionProblem(bowl, lambda seed: np.array(START) + seed)
    assert exact.start(2).tolist() == [4.0, -1.0, 2.5]
    assert FunctionProblem(lambda x: x * x, 3.0).start(0).shape == (1,)


def noisy(x: Any, rng: Any) -> Any:
    return ((x - CENTRE + rng.standard_normal(3)) ** 2).sum()


def test_a_noisy_function_is_paired_by_seed() -> None:
    p = FunctionProblem(noisy, START)
    assert p.noisy and p.outsider() is None
    first, again, other = (list(p.batches(s, 0, 3)) for s in (1, 1, 2))
    x = p.start(0)
    slopes = [[p.gradient(x, rows) for rows in rows_of] for rows_of in (first, again, other)]
    np.testing.assert_array_equal(slopes[0], slopes[1])
    assert not np.array_equal(slopes[0], slopes[2]) and not np.array_equal(slopes[0][0], slopes[0][1])
    assert p.loss(x) == p.loss(x) == pytest.approx(((x - CENTRE) ** 2).sum() + 3, rel=0.3)


def logarithm(x: Any) -> float:
    return x[0] * math.log(x[0])


def test_what_it_raises_is_a_run_that_failed_with_its_reason() -> None:
    p = FunctionProblem(logarithm, [0.1])
    runs = Trial(tw.SGD(), p, 20, (0, 1), vary={"lr": np.array([0.01, 50.0])}).run()
    assert np.isfinite(runs.curves[0, :, -1]).all() and np.isinf(runs.curves[1, :, -1]).any()
    assert runs.failures == ("logarithm raised ValueError: math domain error",)
    assert Trial(tw.SGD(lr=0.01), p, 5).run().failures == ()


@pytest.mark.parametrize(
    ("fun", "start", "told"),
    [
        (
            bowl,
            None,
            "bowl: no start; give start= (--start 1,2), set bowl.start, or define start(seed) beside it",
        ),
        (bowl, ["a"], "bowl: its start must be finite numbers, (n,), got ['a']"),
        (bowl, [np.inf], "its start must be finite numbers"),
        (bowl, [], "its start must be finite numbers"),
        (
            lambda a, b, c: 0,
            START,
            "takes 3 arguments; f(x) or f(x, rng) is needed, where x is an array of all unknowns",
        ),
        (lambda a, b: a * a + b * b, START, "it is called as f(x, rng), with a numpy.random.Generator"),
        (lambda x: sys.exit(3), START, "raised SystemExit: 3"),
        (lambda x: math.nan, [2.0], "it is nan; runs must begin where"),
        (lambda x: (1.0, [math.nan] * 3), START, "its gradient is not finite; runs must begin where it is"),
        (lambda x: (1.0, np.ones(2)), START, "the gradient must be real and of shape (3,) as x, got float64"),
        (
            lambda x: x.sum() + random.random(),
            START,
            "when it is called again: it keeps something from call",
        ),
        (lambda x: "no", START, "must return one real number, got 'no'"),
        (lambda x: x, START, "must return one real number"),
        (lambda x: 1 / 0, START, "raised ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_function_is_said_in_one_line(fun: Any, start: Any, told: str) -> None:
    with pytest.raises(ProblemError) as raised:
        FunctionProblem(fun, start)
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_what_differences_and_the_first_calls_show_is_said() -> None:
    """A gradient of other values, and one that is nothing, are told with every answer; a right one needs no word."""
    wrong = FunctionProblem(lambda x: (bowl(x), -2 * (x - CENTRE)), START)
    assert "is not that of its values: in one direction" in wrong.caveat
    assert FunctionProblem(lambda x: (bowl(x), 2 * (x - CENTRE) * [1, 1, 0]), START).caveat
    assert FunctionProblem(lambda x: float(np.floor(x).sum()), START).caveat.endswith("no method moves.")
    assert not any(FunctionProblem(fun, START).caveat for fun in (bowl, with_gradient, single))
    assert "of 1 unknown, without noise; its gradient is taken by differences, in 3 calls." in (
        FunctionProblem(lambda x: x @ x, [1.0]).text
    )


def test_what_a_framework_cannot_differentiate_is_taken_by_differences() -> None:
    import torch

    def cut_off(x: Any) -> Any:
        return torch.square(torch.tensor(np.asarray(x)) - torch.tensor(CENTRE)).sum()

    p = FunctionProblem(cut_off, START)
    assert "taken by differences" in p.text
    assert np.allclose(p.gradient(np.array(START), None), 2 * (np.array(START) - CENTRE))


@pytest.mark.slow
def test_a_framework_that_f_imports_itself_is_known_from_the_first_call() -> None:
    code = (
        "from thalweg.problems import FunctionProblem\n"
        "def f(x):\n    import torch\n    return torch.square(torch.as_tensor(x)).sum()\n"
        "print(FunctionProblem(f, [1.0]).text)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "its gradient is PyTorch's" in done.stdout


def test_what_a_function_and_its_file_print_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "loud.py"
    file.write_text("print('imported')\ndef f(x):\n    print('called')\n    return x @ x\nf.start = [1.0]\n")
    tw.race(f"{file}:f", "SGD", trials=1, seeds=2, steps=2, workers=0)
    told = capsys.readouterr()
    assert not told.out and "imported" in told.err and "called" in told.err


def test_whole_numbers_of_any_size_are_values() -> None:
    p = FunctionProblem(lambda x: 10**30 + int(x[0]), [1.0])
    assert p.loss(np.array([3.0])) == 1e30
    assert FunctionProblem(lambda x: 10**400 if x[0] > 2 else 1, [1.0]).loss(np.array([3.0])) == np.inf


def test_what_a_name_in_a_file_may_be(tmp_path: Path) -> None:
    """A problem, a function, an object that is called, or what makes one; a start is for what has none of its own."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from thalweg.problems import FunctionProblem, TrainingProblem\n"
        "def f(x):\n    return x @ x\n"
        "class Bowl:\n    start = [1.0, 2.0]\n    def __call__(self, x):\n        return x @ x\n"
        "def ready():\n    return FunctionProblem(f, [1.0])\n"
        "def train(optimizer, seed):\n    yield 1.0\n"
        "def loop():\n    return TrainingProblem(train)\n"
        "def no():\n    return 3\n"
        "def bad():\n    raise ValueError('not today')\n"
        "three = 3\n"
    )
    for name, size in (("f", 3), ("Bowl", 3), ("ready", None)):
        if size is None:
            with pytest.raises(MisplacedOptionError, match=r"ready: start: only a function of yours takes"):
                problem(f"{file}:{name}", start=START)
        else:
            assert problem(f"{file}:{name}", start=START).start(0).shape == (size,)
    assert problem(f"{file}:Bowl").start(0).shape == (2,)
    with pytest.raises(MisplacedOptionError, match=r"loop: measure: only a training loop takes that"):
        make(Source(f"{file}:loop", measure="accuracy"))
    for name, told in (
        ("no", r"no\(\) is 3, no problem; a function f"),
        ("three", r"three is 3, no problem"),
        ("bad", r"bad\(\) raised ValueError: not today"),
    ):
        with pytest.raises(ProblemError, match=told):
            problem(f"{file}:{name}")


def test_a_function_in_a_file_is_raced(tmp_path: Path) -> None:
    """By its name, with a start from the command's or its own; the report's code runs it again."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n\ndef f(x):\n    return ((x - 1) ** 2).sum()\n\n"
        "def own(x):\n    return (x ** 4).sum()\n\nown.start = [1.0]\n\ndef no(): return 3\n"
    )
    assert problem(f"{file}:own").start(0).shape == (1,)
    with pytest.raises(ProblemError, match="no start"):
        problem(f"{file}:f")
    with pytest.raises(UnknownProblemError, match=r"did you mean 'f'|known:"):
        problem(f"{file}:ff")
    made = tw.race(f"{file}:f", ["SGD", "Adam"], start=[3.0, 4.0], trials=2, seeds=2, steps=20)
    assert made.data["settings"]["command"].startswith(f"thalweg race {file}:f --start 3.0,4.0")
    assert json.loads(made.json())["problem"] == "f"
    p = problem(f"{file}:f", start=[3.0, 4.0])
    assert p.source is not None and pickle.loads(pickle.dumps(p.source)) == p.source


def test_a_function_is_raced_by_itself() -> None:
    made = tw.race(bowl, ["SGD", "Adam"], start=START, trials=1, seeds=2, steps=10)
    assert made.data["problem"] == "bowl" and made.data["settings"]["command"] == ""
    assert len(made.data["methods"]) == 2


@pytest.mark.slow
def test_a_race_that_could_run_nothing_says_so(tmp_path: Path) -> None:
    """f is finite about its start and nowhere else: the report is written, the status is 1."""
    file = tmp_path / "cliff.py"
    file.write_text(
        "def f(x):\n    return x[0] if abs(x[0] - 0.5) < 1e-4 else float('nan')\n\ndef start(seed):\n    return [0.5]\n"
    )
    options = f"--methods SGD --trials 1 --seeds 2 --steps 5 --out {tmp_path / 'r.html'}"
    command = [sys.executable, "-m", "thalweg.cli", "race", f"{file}:f", *options.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "thalweg: every trial of every method diverged or failed" in done.stderr.splitlines()
    assert (tmp_path / "r.html").exists()


@pytest.mark.slow
def test_a_race_whose_fresh_runs_fail_says_so(tmp_path: Path) -> None:
    """Its trials were sound, and are not said to have failed."""
    file = tmp_path / "late.py"
    file.write_text(
        "import numpy as np\ndef train(optimizer, seed):\n    w = np.ones(2)\n    opt = optimizer(w)\n"
        "    for _ in range(5):\n        assert seed < 1000\n        opt.step(2 * w)\n        yield float(w @ w)\n"
    )
    options = f"--methods SGD,Adam --trials 2 --seeds 2 --no-store --out {tmp_path / 'r.html'}"
    command = [sys.executable, "-m", "thalweg.cli", "race", f"{file}:train", *options.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "thalweg: of every method half the runs on fresh seeds or more diverged or failed"
        in done.stderr.splitlines()
    )
    assert "0/2" in done.stdout and "failed" in done.stdout
