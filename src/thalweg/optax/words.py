"""What is asked of a transformation in Optax's words, beside a rule's own lines."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ..core.line import short
from ..core.rule import Rule
from ..errors import HyperparameterError
from .leaf import DType

_HERE = {"accumulator_dtype": "mu_dtype", "weight_decay_mask": "mask"}


def demand_words(rule: Rule, given: Mapping[str, object], decay: object) -> None:
    """HyperparameterError, with the remedy, for a name of Optax's that is no line of the rule and has another place.

    given: hyperparameters by name. decay: the kind of weight decay, where Optax's RMSprop has its beta.
    """
    kind = type(rule)
    row = kind.parts.dialects.get("optax")
    if row is not None and "decay" in row.names and not isinstance(decay, str | None):
        line = row.names["decay"]
        raise HyperparameterError(
            f"transformation: decay must be 'coupled' or 'decoupled', got {short(decay)}; Optax's decay is"
            f" {line} here: pass {line}="
        )
    for n in given:
        if n in kind.parts.lines:
            continue
        if n == "hyperparameters":
            raise HyperparameterError(
                f"transformation: {kind.__name__} has no hyperparameter 'hyperparameters': name what is injected:"
                " optax.inject_hyperparams(lambda lr: transformation(rule, lr=lr))(lr=...)"
            )
        if n in _HERE:
            raise HyperparameterError(f"transformation: {n} is {_HERE[n]} here: pass {_HERE[n]}=")
        if row is not None and n not in row.names and n in {*row.options, *row.switches}:
            raise HyperparameterError(
                f"transformation: {n} picks the rule: pass {kind.__name__}.like('optax', {n}=...) as rule"
            )


def averages_dtype(rule: Rule, mu_dtype: DTypeLike | None) -> dict[str, DType]:
    """Return the dtype of each state that averages or sums gradients (of unit g, with a sign); none where it is None.

    Raises HyperparameterError for a dtype that is not a real floating one, and a rule without such states.
    """
    if mu_dtype is None:
        return {}
    try:
        dtype = jax.dtypes.canonicalize_dtype(mu_dtype)
    except TypeError:
        dtype = jnp.dtype(bool)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise HyperparameterError(
            f"transformation: mu_dtype must be a real floating dtype such as jnp.bfloat16, got {short(mu_dtype)}"
        )
    lines = rule.parts.lines
    averages = [n for n in rule.parts.states if lines[n].unit == "g" and lines[n].low < 0]
    if not averages:
        raise HyperparameterError(
            f"transformation: mu_dtype is of averages of gradients, and {type(rule).__name__} keeps none"
        )
    return dict.fromkeys(averages, dtype)
