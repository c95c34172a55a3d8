"""The curvature of a loss where an optimizer of torch stands: products of its Hessian, by differentiating twice.

Of the training nothing changes: gradients, buffers of the model and random numbers are afterwards what they were.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..core.line import short
from ..core.pieces import own
from ..engines.memory import Array
from ..errors import GradientError, StateError
from ..optimizer.observing import Curvature, Stretch
from .formulas import Formula, count, formula
from .rates import rates

Tensor = torch.Tensor
REMEDY = (
    "it must return the loss of a forward pass, without backward(), of operations that can be differentiated twice"
    " (attention: torch.nn.attention.sdpa_kernel(SDPBackend.MATH))"
)


@contextmanager
def curvature(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module | None, closure: Callable[[], Any]
) -> Iterator[Curvature]:
    """Give products with the Hessian of the loss that ``closure`` returns, over all parameters that have taken a step.

    model: whose buffers are put back afterwards. Raises StateError where the rates of a step cannot be told, for
    complex parameters and such as are spread over processes; GradientError for what is no loss.
    """
    told = rates(optimizer)
    params = list(told)
    if any(hasattr(p, "to_local") for p in params):
        raise StateError("sharpness: parameters are spread over processes: it is not told there")
    if any(p.is_complex() for p in params):
        raise StateError("sharpness: complex parameters are not differentiated twice")
    stretches = _stretches(optimizer, told)
    with _unchanged(params, model):
        with torch.enable_grad():
            slopes = _slopes(closure, params)
        product = _Product(params, slopes, stretches)
        yield Curvature(product, _joined([told[p] for p in params]), stretches)


@contextmanager
def _unchanged(params: list[Tensor], model: torch.nn.Module | None) -> Iterator[None]:
    """Put gradients, buffers and random numbers back when the block ends."""
    buffers = [] if model is None else [(b, b.detach().clone()) for b in model.buffers()]
    devices = {p.device for p in params if p.device.type == "cuda"}
    gradients = [p.grad for p in params]
    for p in params:
        p.grad = None
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for p, gradient in zip(params, gradients, strict=True):
            p.grad = gradient
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


def _slopes(closure: Callable[[], Any], params: list[Tensor]) -> list[Tensor | None]:
    """Return the gradient of the loss as tensors that can be differentiated again; None where it does not depend."""
    loss = closure()
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or loss.is_complex():
        kind = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else short(loss)
        raise GradientError(
            f"sharpness: closure must return the loss, a tensor of one real number, got {kind}"
        )
    if not loss.requires_grad:
        raise GradientError("sharpness: the loss that closure returned does not depend on any parameter")
    trainable = [p for p in params if p.requires_grad]
    try:
        slopes = torch.autograd.grad(loss.reshape(()), trainable, create_graph=True, allow_unused=True)
    except RuntimeError as error:
        raise GradientError(f"sharpness: closure: {_first_line(error)}; {REMEDY}") from None
    given = dict(zip(map(id, trainable), slopes, strict=True))
    return [given.get(id(p)) for p in params]


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(". ")


class _Product:
    """The Hessian of what the optimizer minimises times a direction, (d,) → (d,) float64.

    Decay that is added to gradients belongs to it; where gradients are ascended its sign is turned.
    """

    def __init__(
        self, params: list[Tensor], slopes: list[Tensor | None], stretches: tuple[Stretch, ...]
    ) -> None:
        curved = [(p, g) for p, g in zip(params, slopes, strict=True) if g is not None and g.requires_grad]
        self._slopes, self._of = [g for _, g in curved], [p for p, _ in curved]
        self._params = params
        signs = [-1.0 if s.started.options.maximize else 1.0 for s in stretches]
        decays = [
            s.started.values[own("weight_decay")] if s.started.options.coupled else 0.0 for s in stretches
        ]
        lengths = [s.length for s in stretches]
        self._sign, self._decay = np.repeat(signs, lengths), np.repeat(decays, lengths)

    def __call__(self, direction: Array) -> Array:
        ends = np.cumsum([p.numel() for p in self._params])[:-1]
        parts = dict(zip(map(id, self._params), np.split(direction, ends), strict=True))
        along = [torch.as_tensor(parts[id(p)], dtype=p.dtype).to(p.device).view_as(p) for p in self._of]
        products: list[Any] = [None] * len(along)
        if along:
            try:
                products = list(
                    torch.autograd.grad(self._slopes, self._of, along, retain_graph=True, allow_unused=True)
                )
            except RuntimeError as error:
                raise GradientError(f"sharpness: closure: {_first_line(error)}; {REMEDY}") from None
        curved = dict(zip(map(id, self._of), products, strict=True))
        each = [curved.get(id(p)) for p in self._params]
        whole = _joined(
            [torch.zeros_like(p) if x is None else x for p, x in zip(self._params, each, strict=True)]
        )
        total: Array = self._sign * whole + self._decay * direction
        return total


def _joined(tensors: list[Tensor]) -> Array:
    """Return tensors one behind the other as float64, (d,)."""
    flat: Array = torch.cat([x.detach().reshape(-1).double().cpu() for x in tensors]).numpy()
    return flat


def _stretches(optimizer: torch.optim.Optimizer, told: dict[Tensor, Tensor]) -> tuple[Stretch, ...]:
    """Return what moves each parameter, in the order of the rates."""
    by_param: dict[int, Stretch] = {}
    for group in optimizer.param_groups:
        known = formula(optimizer, group)
        assert isinstance(known, Formula)  # or there were no rates
        for p in group["params"]:
            t = max(1, count(optimizer.state.get(p, {})))
            by_param[id(p)] = Stretch(known.started, t, p.numel())
    return tuple(by_param[id(p)] for p in told)
