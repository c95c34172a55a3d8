"""Linear models on sparse rows, trained by any rule, one row a step."""

from ..engines.cpu.csr import Rows, look, rows_of
from .losses import loss
from .model import DEFAULT, Model, Settings
from .race import race

__all__ = ["DEFAULT", "Model", "Rows", "Settings", "look", "loss", "race", "rows_of"]
