"""How a parameter lies: its dtype, its order of memory, its local part, and its gradient laid out like it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

Tensor = torch.Tensor

# What a dtype is to the engine, and in what its states are kept.
KINDS = {
    torch.float16: ("float16", torch.float32),
    torch.bfloat16: ("bfloat16", torch.float32),
    torch.float32: ("float32", torch.float32),
    torch.float64: ("float64", torch.float64),
    torch.complex64: ("float32", torch.complex64),
    torch.complex128: ("float64", torch.complex128),
}


def require_trainable(k: int, p: Tensor, params: Sequence[Any]) -> None:
    """TypeError or ValueError for a tensor that no step could change."""
    if not isinstance(p, torch.Tensor):
        return  # torch says so itself
    if torch.nn.parameter.is_lazy(p):
        return  # of a lazy module: what it is, it becomes in the first forward pass, before it has a gradient
    if p.dtype not in KINDS:
        raise TypeError(f"params: tensor {k}: dtype must be {_dtypes()}; got {_name(p.dtype)}")
    if p.layout is not torch.strided:
        raise ValueError(f"params: tensor {k}: layout must be torch.strided, got {p.layout}")
    if any(p is (q[1] if isinstance(q, tuple) else q) for q in params[:k]):
        raise ValueError(f"params: tensor {k} is given twice")
    if shared(local(p)):
        raise ValueError(f"params: tensor {k}: its entries share memory (an expanded tensor); pass a copy")


def require_still_trainable(p: Tensor) -> None:
    """RuntimeError for a parameter that has become, since it was given, one that no step could change."""
    if p.dtype not in KINDS or p.layout is not torch.strided:
        raise RuntimeError(
            f"step: a parameter of shape {tuple(p.shape)} is {_name(p.dtype)}, {p.layout} by now: it must be"
            f" {_dtypes()}, torch.strided; nothing has moved"
        )


def _dtypes() -> str:
    return ", ".join(map(_name, KINDS))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def local(x: Tensor) -> Tensor:
    """The part of a DTensor that this process has; any other tensor as it is."""
    return x.to_local() if hasattr(x, "to_local") else x


def local_gradient(p: Tensor) -> Tensor:
    grad: Any = p.grad  # a DTensor where p is one
    if grad.layout is not torch.strided:  # of a parameter without entries
        grad = grad.to_dense()
    if hasattr(grad, "to_local") and hasattr(p, "placements") and grad.placements != p.placements:
        grad = grad.redistribute(placements=p.placements)
    g = local(grad)
    if g.is_conj() or g.is_neg():
        g = g.resolve_conj().resolve_neg()
    return g if g.dtype == p.dtype else g.to(p.dtype)


def laid_out(
    copies: list[tuple[Tensor, Tensor]],
    w: Tensor,
    g: Tensor,
    kept: list[Tensor],
    states: Sequence[str],
    state: dict[str, Any],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return weights, gradient and states in one order of memory without gaps; copies where they have some.

    ``copies`` gains each tensor whose copy must be written back after the step; in ``state`` a copy takes
    the place of a state that lay otherwise.
    """
    dense = w.is_contiguous() or torch.empty_like(w, device="meta").stride() == w.stride()
    if not dense or w.is_conj() or w.is_neg():  # or its memory holds the conjugate, or the negative
        if shared(w):
            raise RuntimeError(
                f"step: a parameter of shape {tuple(w.shape)} shares memory among its entries by now (an expanded"
                " tensor): give it a copy, p.data = p.data.clone()"
            )
        gapless = w.resolve_conj().resolve_neg().contiguous()
        copies.append((w, gapless))
        w = gapless
    layout, plain = w.stride(), w.is_contiguous()
    if g.stride() != layout and not (plain and g.is_contiguous()):
        g = torch.empty_like(w).copy_(g)
    wanted = KINDS[w.dtype][1]
    for k, x in enumerate(kept):
        otherwise = x.stride() != layout and not (plain and x.is_contiguous())
        if otherwise or x.dtype != wanted or x.is_conj() or x.is_neg():
            fresh = torch.empty_like(w, dtype=wanted).copy_(x)
            if x is state[states[k]]:
                state[states[k]] = fresh
            else:  # a local part: its memory stays where it is
                copies.append((x, fresh))
            kept[k] = fresh
    return w, g, kept


def shared(x: Tensor) -> bool:
    """Whether entries of a tensor lie at one place, so that it cannot be written to."""
    return any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape, strict=True))


def backed(x: Tensor) -> bool:
    """Whether a tensor without gaps has the memory of all its entries: its storage may have been resized."""
    return (x.storage_offset() + x.numel()) * x.element_size() <= x.untyped_storage().nbytes()


def apart(w: Tensor, g: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
    """Return the gradient, copied where it is the memory of what the step writes, exactly.

    Weights, gradient and states are without gaps. RuntimeError where two of them overlap otherwise, or where
    the memory of one has been given back: a kernel would read what it has already written, or what is not there.
    """
    tensors = {"its weights": w, "its gradient": g, **{f"state {n!r}": x for n, x in kept.items()}}
    spans = []
    for n, x in tensors.items():
        begin, size = x.data_ptr(), x.numel() * x.element_size()
        if not backed(x):
            raise RuntimeError(
                f"step: a parameter of shape {tuple(w.shape)}: more entries than memory in {n}: the storage was resized"
            )
        if size:
            spans.append((begin, begin + size, n))
    spans.sort()
    for (begin, end, n), (other, until, m) in pairwise(spans):
        if other >= end:
            continue
        if (begin, end) == (other, until) and "its gradient" in (n, m):
            g = g.clone()
        else:
            raise RuntimeError(
                f"step: a parameter of shape {tuple(w.shape)}: {n} and {m} overlap in memory: clone() one of them"
            )
    return g


def real(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x
