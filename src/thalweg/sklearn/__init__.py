"""The scikit-learn door: linear models trained by any rule, on dense or sparse rows.

    LinearClassifier(rule=tw.Adam(), loss="log_loss").fit(X, y)

Names and meanings are those of SGDClassifier and SGDRegressor; what differs stands at each parameter.
Errors of the data and of parameters are ValueErrors, as scikit-learn's are.
"""

from .classifier import LinearClassifier
from .regressor import LinearRegressor

__all__ = ["LinearClassifier", "LinearRegressor"]
