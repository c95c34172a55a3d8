"""Linear models from files larger than memory: ``fit`` trains one and writes it, ``predict`` applies it."""

from .fit import Progress, Report, fit
from .predict import Predicted, predict
from .trained import Trained

__all__ = ["Predicted", "Progress", "Report", "Trained", "fit", "predict"]
