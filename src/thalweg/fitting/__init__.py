"""Linear models from files larger than memory: ``fit`` trains one and writes it, ``predict`` applies it."""

from .prediction import Predicted, predict
from .trained import Trained
from .training import Progress, Report, fit

__all__ = ["Predicted", "Progress", "Report", "Trained", "fit", "predict"]
