"""PyTorch's door: any rule as a ``torch.optim.Optimizer``.

    import thalweg.torch
    opt = thalweg.torch.Optimizer(model.parameters(), tw.RMSprop.like("torch", lr=1e-3))

CPU tensors are updated in place by the compiled kernels, on the threads that torch already has; CUDA
tensors by Triton kernels where Triton is installed; tensors of other devices by torch operations. ``Optimizer.from_torch`` continues a run of
``torch.optim``, ``to_torch`` goes back.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(f"thalweg.torch needs PyTorch ({error}): pip install torch", name="torch") from None

from .average import AveragedModel
from .optimizer import Optimizer
from .rates import rates

__all__ = ["AveragedModel", "Optimizer", "rates"]
