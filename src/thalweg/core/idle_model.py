"""How a rule coasts: what can be foreseen of k steps with g = 0.

A coordinate that a sparse gradient does not touch takes a step with g = 0 all the same. ``idle`` is a
rule's closed form of k such steps. Where none exists, ``IdleModel`` says what is known of them:

    k idle steps after s, a state is              idle_states(state, k)
    idle step s + k moves w by                    -a p / (b y + e),   (p, y, e) = move_terms(states at s),
                                                  (a, b) = move_scale(k), with the scalars of step s + k
    each move is smaller than the one before by   shrink

so that over k steps w moves by -p/y sum_i (-e/y)^i A_i with A_i = sum_j a_j / b_j^(i+1): the sums A_i
belong to a row, not to a coordinate. Cut off after n terms, the error is at most (e/y)^n A_n p/y.
"""

from collections.abc import Mapping
from typing import NamedTuple

from .formula import Function


class IdleModel(NamedTuple):
    """What a rule file knows of idle steps beyond ``idle``; see the module.

    shrink: of hyperparameters, a bound on the ratio of two idle steps' moves. idle_states: ``(*states, k, /,
    *hyperparameters)``, the states after k steps but for those in ``products``. products: a coordinate's
    value (w or a state) → the scalar of ``step`` that multiplies it at every idle step. move_terms and move_scale:
    as above, move_scale with scalars of ``step``; both hold only where the lines in ``zero`` are 0.
    """

    shrink: Function
    idle_states: Function
    products: Mapping[str, str] = {}
    move_terms: Function | None = None
    move_scale: Function | None = None
    zero: tuple[str, ...] = ()
