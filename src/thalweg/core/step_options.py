"""Which pieces stand around a rule: the shape of a step, without a number in it."""

from typing import NamedTuple


class StepOptions(NamedTuple):
    """A field for each piece (see ``pieces``), true where it is there; ``rates`` keeps what the rule's rate gave."""

    accumulate: bool = False
    clip_norm: bool = False
    maximize: bool = False
    coupled: bool = False
    clip_value: bool = False
    decoupled: bool = False
    average: bool = False
    polyak: bool = False
    rates: bool = False
    truncate: bool = False
    total: bool = False


BARE = StepOptions()
