"""CUDA tensors on the Triton kernels: what goes to the device, and when.

A step launches one kernel for the tensors of a group and dtype. The table of their addresses, and the
scalars where the clock stands still, are kept on the device and sent anew only when they differ; no
launch waits for the device. A capturable step sends what it needs as arguments of a kernel, which a
CUDA graph keeps, and leaves the clock to the device.
"""

from collections.abc import Sequence
from functools import cache, lru_cache

import torch

from ..core import clock as scalars
from ..core.started import Started
from ..engines import cuda

Tensor = torch.Tensor
Rows = Sequence[Sequence[int]]  # for each tensor its size and the addresses of the update's arrays


@cache
def reached(device: torch.device) -> bool:
    """Whether the Triton kernels run there: an NVIDIA GPU of compute capability 8.0 or later, and Triton."""
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.get_device_capability(device) >= (8, 0)
        and cuda.available()
    )


def capturing(device: torch.device) -> bool:
    """Whether a CUDA graph is being captured."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def step(
    plan: Started,
    kind: str,
    tensors: Rows,
    rows: Sequence[tuple[float, ...]],
    which: Sequence[int],
    device: torch.device,
) -> None:
    """Update tensors at these addresses; tensor i with the scalars ``rows[which[i]]``."""
    where = cuda.table(tensors, which)
    values = cuda.bits([x for row in rows for x in row])
    with torch.cuda.device_of(_empty(0, device)):  # type: ignore[no-untyped-call]
        table, given = (_kept(words, device, _stream(device)) for words in (where.words, values))
        cuda.update(plan.update, kind, where, table, given.view(torch.float64))


def captured(
    plan: Started, kind: str, tensors: Rows, steps: Sequence[Tensor], lr: Tensor | None, device: torch.device
) -> None:
    """``step`` with the counts of steps done, and lr if it is a tensor, read on the device."""
    clock, values = plan.traced()
    with torch.cuda.device_of(_empty(0, device)):  # type: ignore[no-untyped-call]
        given = _written(cuda.bits(values), device).view(torch.float64)
        if lr is not None:
            given[clock.inputs.index("lr") - 1].copy_(lr.reshape(()))
        counts = _written([s.data_ptr() for s in steps], device)
        made = _empty(len(steps) * len(clock.outputs), device).view(torch.float64)
        cuda.clock(clock, counts, given, made, len(steps))
        where = cuda.table(tensors, range(len(steps)))
        cuda.update(plan.update, kind, where, _written(where.words, device), made)


def refuse_schedules(plan: Started) -> None:
    """ValueError for what only the host can follow."""
    if scalars.scheduled(plan.rule):
        raise ValueError(
            f"step: capturable=True cannot follow a schedule in {plan.rule!r}: a captured graph calls no Python;"
            " give lr as a CUDA tensor and change it in place, as torch's schedulers do"
        )


def _empty(words: int, device: torch.device) -> Tensor:
    return torch.empty(words, dtype=torch.int64, device=device)


def _stream(device: torch.device) -> int:
    return torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0


@lru_cache(maxsize=128)
def _kept(words: tuple[int, ...], device: torch.device, stream: int) -> Tensor:
    """Words on a device, by content; of one stream, since another would have to wait for the copy."""
    return torch.tensor(words, dtype=torch.int64).to(device, non_blocking=True)


def _written(words: Sequence[int], device: torch.device) -> Tensor:
    made = _empty(-(-len(words) // cuda.ARGUMENTS) * cuda.ARGUMENTS, device)
    cuda.write(made, words)
    return made
