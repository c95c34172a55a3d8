"""Linear models on sparse rows, trained by any rule, one row a step."""

from ..engines.linear import Rows, look, rows_of
from .losses import loss
from .model import DEFAULT, Model, Settings

__all__ = ["DEFAULT", "Model", "Rows", "Settings", "look", "loss", "rows_of"]
