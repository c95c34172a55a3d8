"""What the labels decide: the task, the loss and the classes."""

import numpy as np

from ..engines.memory import Array
from ..errors import ProblemError
from ..linear import Model
from ..linear.losses import MULTINOMIAL, NUMBER
from ..reading import Block
from ..reading.kinds import CLASSES, are_classes, label_text
from .settings import FitSettings

LEAST_IN_ORDER = 30  # rows from which their order is spoken of
RUNS = 0.5  # of the differences between neighbours that rows in no order have


def decide(
    settings: FitSettings, labels: Array, names: list[str] | None = None, known: Array | None = None
) -> tuple[str, Array | None, str]:
    """Loss, classes (None: numbers are learnt) and a sentence on why, from the labels of the first rows.

    names: the texts that labels 0, 1, ... stand for, where they are texts. known: numbers that the first rows have as
    labels beside these, where more of them were looked at. The sentence is empty where the settings say it all. Raises ProblemError where there is one class only.
    """
    if names is not None:
        return _of_texts(settings, names)
    seen = labels if known is None else np.concatenate([known, labels])
    kinds = np.unique(seen) if settings.classes is None else np.array(settings.classes)
    whole = bool(np.all(kinds == np.round(kinds)))
    why = ""
    task = settings.task
    if settings.loss is not None:
        task = "regression" if settings.loss in NUMBER else "classification"
    if task == "auto":
        few = settings.classes is not None or are_classes(kinds)
        task = "classification" if few else "regression"
        many = len(kinds) > CLASSES
        what = "labels are numbers of many values" if many else f"labels are {_listed(kinds)}"
        other = "regression" if few else "classification"
        why = f"{what}: {task}; if that is wrong, give --task {other}"
    if task == "regression":
        return settings.loss or "squared_error", None, why
    if len(kinds) < 2:
        raise ProblemError(
            f"all {len(labels)} labels of the first rows are {label_text(kinds[0])}: nothing to tell apart; if others come later, name them all (--classes 0,1)"
        )
    classes = kinds.astype(np.int64) if whole else kinds
    return settings.loss or ("log_loss" if len(kinds) == 2 else MULTINOMIAL), classes, why


def _of_texts(settings: FitSettings, names: list[str]) -> tuple[str, Array, str]:
    if settings.task == "regression" or settings.loss in NUMBER:
        raise ProblemError(
            f"the target holds texts ({', '.join(names[:8])}), which are classes: no regression"
        )
    if len(names) < 2:
        raise ProblemError(
            f"all labels of the first rows are {', '.join(names) or 'missing'}: nothing to tell apart; if others come later, name them all (--classes)"
        )
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    why = f"labels are {shown}: classification" if settings.task == "auto" and settings.loss is None else ""
    loss = settings.loss or ("log_loss" if len(names) == 2 else MULTINOMIAL)
    return loss, np.arange(len(names)), why


def require_known(model: Model, block: Block) -> None:
    """Raise ProblemError for a label that is none of the model's classes."""
    if model.classes is None:
        return
    known = np.isin(block.labels, model.classes)
    if not known.all():
        k = int(np.argmin(known))
        raise ProblemError(
            f"row {block.row + k + 1}: label {label_text(block.labels[k])} is none of {_listed(model.classes)}, which the first rows have; name them all (--classes)"
        )


def come_in_runs(labels: Array, classes: Array | None) -> bool:
    """Whether equal classes, or near numbers, stand together more than rows in no order have them.

    Of rows in no order, neighbours are of different classes as often as any two rows, and the mean square of the
    difference between neighbours is twice the variance (von Neumann, Ann. Math. Statist. 12 (1941), 367-395).
    """
    count = len(labels)
    if count < LEAST_IN_ORDER:
        return False
    if classes is None:
        variance = float(np.var(labels))
        return variance > 0 and float(np.mean(np.diff(labels) ** 2)) < RUNS * 2 * variance
    shares = np.unique(labels, return_counts=True)[1] / count
    return float(np.mean(labels[1:] != labels[:-1])) < RUNS * float(1 - shares @ shares)


def _listed(values: Array) -> str:
    """Labels in words: 0, 1 and 2."""
    *others, last = map(label_text, values)
    return f"{', '.join(others)} and {last}" if others else last
