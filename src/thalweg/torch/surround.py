"""What torch puts around a step, where it does something: hooks, and a label for profilers.

torch wraps ``step`` of every optimizer in a ``record_function``, which takes as long as the rest of a small step even
while nobody profiles. A step of ours goes through torch's own wrapper where there are hooks, where this thread is
profiled, and while ``torch.compile`` traces it; else it is called by itself.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch.optim import optimizer

Step = TypeVar("Step", bound=Callable[..., Any])
_NEEDED = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")


def where_it_is_seen(step: Step) -> Step:
    """Return a step with torch's wrapper around it where that does something; in a torch without these names, the step.

    A class's ``step`` that has the attribute ``hooked`` is not wrapped by torch again.
    """
    if not (
        hasattr(torch.optim.Optimizer, "profile_hook_step") and all(hasattr(optimizer, n) for n in _NEEDED)
    ):
        return step  # pragma: no cover - a later torch
    surrounded = torch.optim.Optimizer.profile_hook_step(step)
    before, after = (getattr(optimizer, n) for n in _NEEDED)
    profiled, compiling = torch._C._autograd._profiler_enabled, torch.compiler.is_compiling

    @wraps(step)
    def called(self: Any, *given: Any, **named: Any) -> Any:
        if (
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or before
            or after
            or profiled()
            or compiling()
        ):
            return surrounded(self, *given, **named)
        return step(self, *given, **named)

    called.hooked = True  # type: ignore[attr-defined]
    return called  # type: ignore[return-value]
