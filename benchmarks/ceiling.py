"""The memory ceiling: a loop that reads and writes what a rule does, and only adds."""

import ast

from thalweg.core import clock as scalars
from thalweg.core import update as compose
from thalweg.core.formula import name as read
from thalweg.core.rule import Rule
from thalweg.core.step_options import StepOptions
from thalweg.core.update import Update


def bare(rule: Rule) -> Update:
    """The rule's traffic without its formula."""
    update = compose.update(rule, StepOptions(), scalars.known(rule))
    square = ast.BinOp(read("g"), ast.Mult(), read("g"))  # so that no state turns negative
    written = {n: ast.BinOp(read(n), ast.Add(), square) for n in update.written}
    return update._replace(
        scalars=(), body=(), written=written, power=1, clock=update.clock._replace(outputs=())
    )
