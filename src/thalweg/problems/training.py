"""A user's training loop as a problem: a generator ``train(optimizer, seed)`` that yields its loss at every step.

    def train(optimizer, seed):
        torch.manual_seed(seed)
        model = Net()
        opt = optimizer(model.parameters())
        for x, y in batches(seed):
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad(); loss.backward(); opt.step()
            yield loss.item()                  # or {"loss": ..., "validation": ..., "accuracy": ...}

The loop keeps its parameters, gradients and batches to itself; what it is given, and how what it yields is read,
stands in ``lab/training_run.py``.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeGuard

from ..errors import ProblemError
from .base import Raced

Loop: TypeAlias = Callable[..., Iterator[Any]]

LOSS = "loss"
VALIDATION = "validation"  # settings are chosen by it where a loop yields it: lower is better
FORM = "def train(optimizer, seed): ... yield loss"
FIRST = ("optimizer", "opt")  # what the first argument of a training loop is called


def is_training(value: object) -> TypeGuard[Loop]:
    """Whether an object is meant as a training loop: a generator function, or a function of an optimizer."""
    if not callable(value):
        return False
    if any(map(inspect.isgeneratorfunction, (value, inspect.unwrap(value), type(value).__call__))):
        return True
    try:
        return next(iter(inspect.signature(value).parameters), "") in FIRST
    except (TypeError, ValueError):
        return False


class TrainingProblem(Raced):
    """A training loop, by itself; each run is fixed by an optimizer and a seed.

    train: a generator function of (optimizer, seed). measure: the name among what it yields that is compared, the
    mean over the last tenth of the yields, or the last where it is yielded rarely. maximize: more of it is better;
    its negative is what is compared then. Raises ProblemError for what is no such function.
    """

    steps = 1000
    batch = 0
    noisy = True  # the loss is that of a batch, as a rule
    height = 1.0  # a first loss may be near 0

    door = ""  # what the loop asks for: "PyTorch", "JAX" or "NumPy", once it has run

    def __init__(self, train: Loop, measure: str = LOSS, maximize: bool = False) -> None:
        self.name = getattr(train, "__name__", type(train).__name__)
        self.train, self.measure, self.maximize = train, measure, maximize
        try:
            parameters = list(inspect.signature(train).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        kinds = inspect.Parameter
        positional = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
        least = sum(p.default is kinds.empty for p in positional)
        most = 2 if any(p.kind is kinds.VAR_POSITIONAL for p in parameters) else len(positional)
        alone = [p.name for p in parameters if p.kind is kinds.KEYWORD_ONLY and p.default is kinds.empty]
        if not least <= 2 <= most or alone:
            takes = ", ".join([*(p.name for p in positional), *alone])
            raise ProblemError(
                f"{self.name}: a training loop takes two arguments, ({takes}) was given: {FORM}"
            )
        lines = (inspect.getdoc(train) or "").strip().splitlines() if inspect.isroutine(train) else []
        self.title = lines[0].rstrip(".") if lines else self.name
        self.loss_name = f"negative {measure}" if maximize else measure
        self.text = "A training loop."

    def ended(self, yields: int, steps: int) -> str:
        """What is said of a run that ended by itself."""
        return f"{self.name} ended after {yields:,} of {steps:,} yields"
