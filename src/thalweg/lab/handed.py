"""What a training loop is handed as ``optimizer``: the entrant, in the way that its own framework asks for it.

``optimizer(model.parameters())`` is a ``torch.optim.Optimizer``, ``optimizer.optax`` a GradientTransformation, and
``optimizer(arrays)`` of NumPy arrays an ``Optimizer`` of ours. A rule goes through our door to that framework,
an optimizer from elsewhere through its own class or factory.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ..core.line import short
from ..core.rule import Rule
from .entrants import Foreign

TORCH, JAX, NUMPY = "PyTorch", "JAX", "NumPy"


class LoopError(Exception):
    """Why a training loop cannot go on, as a sentence whose subject is the loop's name."""


class Handed:
    """The optimizer of one run, called by the loop for each set of parameters that it trains.

    steps: how often the loop may yield, for schedules within it. door: what the loop asked for so far, "" for nothing.
    """

    def __init__(self, entrant: Rule | Foreign, steps: int, options: Mapping[str, Any]) -> None:
        self.steps = steps
        self.door = ""
        self._entrant, self._options = entrant, options

    def __call__(self, params: Any, *more: Any, **settings: Any) -> Any:
        """Return an optimizer of tensors or arrays; LoopError for what is neither, and for settings beside them.

        params: tensors, named tensors or groups of them, as torch's optimizers take them; a group's ``lr`` multiplies
        the tuned one. Or NumPy arrays in any nesting, which ``step`` moves in place.
        """
        if hasattr(params, "parameters") and callable(params.parameters):
            raise LoopError("gave a model to optimizer(...): its parameters are needed, model.parameters()")
        if more or settings:
            given = ", ".join([*map(short, more), *(f"{n}={short(v)}" for n, v in settings.items())])
            raise LoopError(
                f"gave {given} to optimizer(...) beside the parameters: settings are the race's to choose; leave them"
                " out (a parameter group may have an lr, which multiplies the tuned one, and a weight_decay)"
            )
        if not isinstance(params, Mapping) and not hasattr(params, "shape") and isinstance(params, Iterable):
            params = [_drawn(p) for p in params]
        kind = _framework(params)
        if kind == JAX:
            raise LoopError(
                "gave JAX arrays to optimizer(...): tx = optimizer.optax is the GradientTransformation"
            )
        self.door = kind
        return self._of_tensors(params) if kind == TORCH else self._of_arrays(params)

    @property
    def optax(self) -> Any:
        """The entrant as an Optax GradientTransformation; LoopError for one that is none."""
        self.door = JAX
        return _transformation(self._entrant, tuple(sorted(self._options.items())))

    def train(self) -> None:
        """Do nothing: for loops written for optimizers that have modes."""

    def eval(self) -> None:
        """Do nothing, likewise."""

    def _of_tensors(self, params: list[Any]) -> Any:
        import torch

        groups = [self._group(g) if isinstance(g, Mapping) else g for g in params]
        if isinstance(self._entrant, Rule):
            from ..torch import Optimizer

            made: Any = Optimizer(groups, self._entrant, **self._options)
        else:
            made = _around(self._entrant, self._options, groups)
            if not isinstance(made, torch.optim.Optimizer):
                raise LoopError(
                    f"hands over PyTorch's parameters, and {self._entrant.path} gives {short(made)},"
                    " no torch.optim.Optimizer"
                )
        add = made.add_param_group
        made.add_param_group = lambda group: add(self._group(group))  # a later group's lr multiplies likewise
        for mode in ("train", "eval"):
            if not hasattr(made, mode):
                setattr(made, mode, _nothing)
        return made

    def _group(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """A parameter group whose lr, a multiple of the tuned one, has become a rate."""
        if "lr" not in group:
            return dict(group)
        values = self._entrant.values
        factor = group["lr"]
        if "lr" not in values or isinstance(factor, bool) or not isinstance(factor, int | float):
            raise LoopError(
                f"has a group with lr={short(factor)}, a multiple of the tuned rate:"
                f" {'a number is needed' if 'lr' in values else f'{self._entrant!r} has none'}"
            )
        return {**group, "lr": values["lr"] * factor}

    def _of_arrays(self, params: Any) -> Any:
        if isinstance(self._entrant, Foreign):
            raise LoopError(
                f"hands over NumPy arrays, which {self._entrant.path} does not step; rules do, such as Adam"
            )
        return self._entrant.on(params, on_nonfinite="propagate", **self._options)


@lru_cache(maxsize=16)
def _transformation(entrant: Rule | Foreign, options: tuple[tuple[str, Any], ...]) -> Any:
    """An entrant as a GradientTransformation, the same object for equal settings.

    It keeps nothing of a run, and a step that takes it as a static argument is compiled once for all seeds.
    """
    import optax

    around = dict(options)
    clip = around.pop("clip_norm", None)
    if isinstance(entrant, Foreign):
        made = _around(entrant, around)
        if not (hasattr(made, "init") and hasattr(made, "update")):
            raise LoopError(
                f"takes optimizer.optax, and {entrant.path} gives {short(made)}, no GradientTransformation"
            )
    else:
        from ..optax import transformation

        made = transformation(entrant, **around)
    return made if clip is None else optax.chain(optax.clip_by_global_norm(clip), made)


def _nothing() -> None:
    """What an optimizer without modes does when it is told one."""


def _around(entrant: Foreign, options: Mapping[str, Any], *params: object) -> Any:
    """Call an optimizer's maker with what stands around it; LoopError for what it has no argument for."""
    for n in options:
        if n not in entrant.words:
            raise LoopError(f"is run with {n}, for which {entrant.path} has no argument")
    tuned = entrant.replace(**options)
    if not params and "lr" not in tuned.values:
        raise LoopError(
            f"is run with {entrant.path}, which has no rate of its own: {tuned.words['lr'][0]}= is needed"
        )
    maker = tuned.maker
    try:
        return maker(*params, **tuned.arguments)
    except TypeError as error:
        world = "PyTorch's parameters" if params else "its settings alone, as Optax has it"
        raise LoopError(f"makes {entrant.path} from {world}, which it does not take: {error}") from None


def _drawn(group: Any) -> Any:
    """A group whose parameters are a generator's, ``{"params": model.parameters()}``, with a list of them."""
    if isinstance(group, Mapping) and isinstance(group.get("params"), Iterator):
        return {**group, "params": list(group["params"])}
    return group


def _framework(params: object) -> str:
    """Whose arrays these are, by the first that is found; LoopError where there is none."""
    for leaf in _leaves(params):
        for name, kind, of in (
            ("torch", "Tensor", TORCH),
            ("jax", "Array", JAX),
            ("numpy", "ndarray", NUMPY),
        ):
            module = sys.modules.get(name)
            if module is not None and isinstance(leaf, getattr(module, kind)):
                return of
    keras = sys.modules.get("keras")
    if keras is not None and any(isinstance(leaf, keras.Variable) for leaf in _leaves(params)):
        raise LoopError(
            "gave Keras variables to optimizer(...): on Keras's PyTorch backend hand over model.parameters(), on its"
            " JAX backend take optimizer.optax"
        )
    raise LoopError(f"gave {short(params)} to optimizer(...): tensors or NumPy arrays are needed")


def _leaves(params: object) -> Iterable[object]:
    """What stands in nested containers."""
    if isinstance(params, Mapping | list | tuple):
        for inner in params.values() if isinstance(params, Mapping) else params:
            yield from _leaves(inner)
    else:
        yield params
