"""Linear models on sparse rows, trained by any rule, one row a step."""

from ..engines.cpu.csr import Rows, look, rows_of
from ..scaling import ColumnMap, in_scale, in_units, measure, root_mean_squares
from .baseline import Against, against_constant
from .losses import loss
from .model import DEFAULT, Model, Settings, slow_replay
from .race import race

__all__ = [
    "DEFAULT",
    "Against",
    "ColumnMap",
    "Model",
    "Rows",
    "Settings",
    "against_constant",
    "in_scale",
    "in_units",
    "look",
    "loss",
    "measure",
    "race",
    "root_mean_squares",
    "rows_of",
    "slow_replay",
]
