"""What stands around the steps of all groups alike: an average of the weights, clipping by norm, rates that are kept."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.catch_up import EXACT
from ..core.line import short
from ..core.rule import Rule
from ..core.step_options import checked, switch
from ..errors import HyperparameterError

WHERE = "thalweg.torch.Optimizer"


class Options(NamedTuple):
    """As ``rule.on`` has them; ``rates`` only where it is asked for. Unlike a group's entries they stand for good."""

    average: float | str | None = None
    clip_norm: float | None = None
    rates: bool = False


NONE = Options()


def options(average: float | str | None, clip_norm: float | None, rates: bool, capturable: bool) -> Options:
    """Return the options as plain values; HyperparameterError for one out of its range, or that no graph can keep."""
    plain = checked(WHERE, {"average": average, "clip_norm": clip_norm})
    if capturable and clip_norm is not None:
        raise HyperparameterError(
            f"{WHERE}: capturable=True does not go with clip_norm={clip_norm!r}, which the host computes from all"
            " gradients: capture torch.nn.utils.clip_grad_norm_ before the step"
        )
    return Options(**plain, rates=bool(switch(WHERE, "rates", rates, (True, False))))


def require_settings(on_nonfinite: object, capturable: object, exact: object) -> None:
    """HyperparameterError for a value that there is not, or for values that do not go together."""
    if on_nonfinite not in ("propagate", "raise", "skip"):
        raise HyperparameterError(
            f"{WHERE}: on_nonfinite must be one of 'propagate', 'raise', 'skip'; got {short(on_nonfinite)}"
        )
    if capturable and on_nonfinite != "propagate":
        raise HyperparameterError(
            f"{WHERE}: capturable=True needs on_nonfinite='propagate': a captured graph"
            f" cannot look at its gradients and decide; got {on_nonfinite!r}"
        )
    if exact not in EXACT:
        raise HyperparameterError(
            f"{WHERE}: exact must be one of 'value', 'bits', 'lazy'; got {short(exact)}"
        )


def require_for_all(group: Mapping[str, Any], stands: Options) -> None:
    """HyperparameterError for a group that asks for an option of its own: one norm is taken of all gradients."""
    for n, value in stands._asdict().items():
        if n in group and group[n] != value:
            raise HyperparameterError(
                f"param_group: {n}={short(group[n])}: {n} is the same for all groups: give it to the optimizer"
            )


def warn_of_lost(stands: Options) -> None:
    """Warn of each option that a run leaves behind when it moves to torch, whose optimizers have neither."""
    remedies = {
        "average": "average them with torch.optim.swa_utils.AveragedModel, begun from opt.averaged(model)",
        "clip_norm": "call torch.nn.utils.clip_grad_norm_ before each step",
    }
    for n, remedy in remedies.items():
        value = getattr(stands, n)
        if value is not None:
            warnings.warn(f"to_torch: {n}={value!r} stays behind: {remedy}", stacklevel=3)


def as_rule(where: str, rule: object) -> Rule:
    """Return a rule, or the one that a class is without arguments; TypeError for anything else."""
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule:
        return rule()
    raise TypeError(f"{where}: rule must be a rule such as Adam(lr=1e-3), or its class, got {short(rule)}")
