"""Linear models from files larger than memory: ``fit`` trains one and writes it, ``predict`` applies it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .prediction import Predicted as Predicted
    from .prediction import predict as predict
    from .report import Progress as Progress
    from .report import Report as Report
    from .settings import FitSettings as FitSettings
    from .trained import Trained as Trained
    from .training import fit as fit

_WHERE = {  # imported when first asked for: the command line reads the settings for its help, without NumPy
    "FitSettings": "settings",
    "Predicted": "prediction",
    "Progress": "report",
    "Report": "report",
    "Trained": "trained",
    "fit": "training",
    "predict": "prediction",
}

__all__ = ["FitSettings", "Predicted", "Progress", "Report", "Trained", "fit", "predict"]


def __getattr__(name: str) -> Any:
    """The public name, from the module where it stands."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value
