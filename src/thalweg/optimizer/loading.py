"""A run that goes on where ``Optimizer.save`` stopped."""

import os

from ..archive import MISFITS
from ..core.rule import Optimizer, Params, Rule
from ..errors import ParameterError
from . import saving
from .optimizer import ArrayOptimizer
from .options import taking


def load(path: str | os.PathLike[str], params: Params, *, rule: Rule | type[Rule] | None = None) -> Optimizer:
    """Go on where ``Optimizer.save`` stopped, bit for bit.

    params: arrays nested, shaped and typed as those saved; they receive the saved weights. rule: a rule that takes
    the place of the one saved, as ``opt.rule = rule`` does, or its class, which a rule that is not thalweg's own
    needs; nothing is imported by name from a file. Raises FileError for the file, ParameterError for params,
    HyperparameterError where a rule is needed or does not fit the file's.
    """
    with saving.opened(path) as (run, file):
        places = saving.places(path, run, params)
        groups = saving.groups(path, run, rule)
        if isinstance(rule, Rule):
            groups = taking(groups, rule)
        try:
            opt = ArrayOptimizer(params, groups, [run.leaves[k].group for k in places], "cpu")
        except ParameterError:
            raise
        except MISFITS as error:
            raise saving.misfit(path, rule, error) from None
        opt.restore(run, file, places)
    return opt
