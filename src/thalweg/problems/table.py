"""A user's own table as a problem: CSV, TSV, Parquet or SVMlight with a target column.

Numbers are standardised, texts become one indicator column per category, and a linear model is
fitted: softmax or logistic regression where the target is a class, least squares where it is a
quantity. What was done to the columns is said in the problem's ``text``.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError, ProblemError, nearest
from .base import Array, Rows, require
from .data import Labels, held_out, standardise
from .linear import LeastSquares, LinearModel, LogisticRegression, SoftmaxRegression

Task: TypeAlias = Literal["classification", "regression"]
Texts: TypeAlias = list[str | None]  # None is a missing value
Column: TypeAlias = Array | Texts  # nan is a missing value

TARGETS = ("target", "label", "y", "class")
MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "?"),
)
MIN_ROWS = 8
MAX_CATEGORIES = 50
MAX_INTEGER_CLASSES = 20

KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".svm": "SVMlight",
    ".svmlight": "SVMlight",
    ".libsvm": "SVMlight",
}
# How files that are not text give themselves away.
MAGIC = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or Excel",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf(?:inity)?|nan)"
SVM_LINE = re.compile(rf"\s*(?:{NUMBER}(?:\s+qid:\d+)?(?:\s+\d+:{NUMBER})*)?\s*(?:#.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class _Table:
    """Named columns, the file they came from, and where in it a row stands ("line 7")."""

    path: str
    columns: dict[str, Column]
    rows: int
    where: Callable[[int], str]


def read(
    path: str | os.PathLike[str],
    target: str | None = None,
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
) -> LinearModel:
    """The table in ``path`` as a problem; the kind of file is told by its extension.

    ``target`` names the column to predict: by default the one called target, label, y or class
    if there is exactly one, else the last. ``task`` is "classification" or "regression"; by
    default texts and at most 20 different integers are classes. ``drop`` lists columns to leave
    out. A quarter of the rows is held out, the same ones at each call.

    Raises FileError for a file that cannot be read or is not what its name says, ProblemError
    for data that cannot be learnt from.
    """
    path = os.fspath(path)
    kind = _kind(path)
    if task not in (None, "classification", "regression"):
        raise ProblemError(f"task: got {task!r}, allowed: 'classification', 'regression' or None")
    if kind == "SVMlight":
        if target is not None or drop:
            raise ProblemError(
                f"{path!r}: SVMlight has no column names, and its target is the first number of "
                "each line; leave out target and drop"
            )
        return _sparse(path, task)
    if kind == "Parquet":
        table = _parquet(path, drop)
    else:
        table = _delimited(path, "\t" if kind == "TSV" else ",", drop)
    return _dense(table, target, task)


# --- files -------------------------------------------------------------------------------------


def _kind(path: str) -> str:
    """The kind of file by extension, once it is certain that there is such a file."""
    try:
        if os.path.isdir(path):
            raise FileError(f"{path!r} is a directory; give a file ({', '.join(KINDS)})")
        with open(path, "rb") as file:
            head, size = file.read(4096), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise FileError(f"{path!r}: no such file{_sibling(path)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"{path!r} cannot be read: {reason}") from None
    suffix = Path(path).suffix.lower()
    kind = KINDS.get(suffix)
    if kind is None:
        raise FileError(f"{path!r}: extension {suffix!r} is not known; allowed: {', '.join(KINDS)}")
    if size == 0:
        raise FileError(f"{path!r} is empty; {kind} data is needed")
    found = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
    if kind == "Parquet":
        if found != "Parquet":
            raise FileError(
                f"{path!r} is not a Parquet file, which starts with 'PAR1'; this one starts with "
                f"{head[:4]!r}; give it the extension of what it is"
            )
    elif found or b"\0" in head:
        raise FileError(
            f"{path!r} is not {kind} text: it is {found or 'binary'} data; "
            "write it as UTF-8 text or give it the extension of what it is"
        )
    return kind


def _sibling(path: str) -> str:
    """A hint at a file of a similar name in the same directory."""
    folder, name = os.path.split(path)
    try:
        close = get_close_matches(name, os.listdir(folder or "."), n=1, cutoff=0.8)
    except OSError:
        return f"; nor is there a directory {folder!r}"
    return f"; did you mean {os.path.join(folder, close[0])!r}?" if close else ""


def _text(path: str, kind: str) -> str:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"{path!r} line {line}: byte {data[error.start]:#04x} is not UTF-8; save the {kind} file as UTF-8"
        ) from None


def _delimited(path: str, delimiter: str, drop: Sequence[str]) -> _Table:
    kind = "TSV" if delimiter == "\t" else "CSV"
    text = _text(path, kind)
    first = text.lstrip().partition("\n")[0]
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"  # what spreadsheets write where the comma is the decimal point
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[int] = []
    header: list[str] | None = None
    body: list[list[str]] = []
    try:
        for row in reader:
            if not row or row == [""] or (len(row) == 1 and not row[0].strip()):
                continue
            if header is None:
                header = [name.strip() for name in row]
            elif len(row) != len(header):
                raise FileError(
                    f"{path!r} line {reader.line_num}: {len(row)} cells, but the header has "
                    f"{len(header)}; correct the line, or quote cells that hold {delimiter!r}"
                )
            else:
                body.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise FileError(
            f"{path!r} line {reader.line_num}: not valid {kind}: {error}; check the quotes"
        ) from None
    if header is None:
        raise FileError(f"{path!r} holds only blank lines; {kind} data is needed")
    if all(_number(name) is not None for name in header):
        raise FileError(f"{path!r}: the first line holds only numbers; add a line of column names above it")
    _check_names(path, header)
    _check_rows(path, len(body))

    def where(row: int) -> str:
        return f"line {lines[row]}"

    kept = _kept(path, header, drop)
    cells = dict(zip(header, zip(*body, strict=True), strict=True))
    columns = {name: _typed(path, name, cells[name], where) for name in kept}
    return _Table(path, columns, len(body), where)


def _parquet(path: str, drop: Sequence[str]) -> _Table:
    arrow = require("pyarrow", "pyarrow", f"reading {path!r}")
    parquet = require("pyarrow.parquet", "pyarrow", f"reading {path!r}")
    try:
        # Opened here, so that the path is never taken for a data set of several files.
        with open(path, "rb") as file:
            data = parquet.read_table(file)
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path!r} is not a readable Parquet file: {reason}; write it again") from None
    names: list[str] = data.column_names
    _check_names(path, names)
    _check_rows(path, data.num_rows)
    columns = {name: _from_arrow(arrow, path, name, data.column(name)) for name in _kept(path, names, drop)}
    return _Table(path, columns, data.num_rows, lambda row: f"row {row + 1}")


def _from_arrow(arrow: Any, path: str, name: str, column: Any) -> Column:
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if types.is_boolean(kind):
        column = column.cast(arrow.int8())
    elif types.is_string(kind) or types.is_large_string(kind):
        return [None if text is None or text in MISSING else text for text in column.to_pylist()]
    elif not (
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)
    ):
        raise ProblemError(
            f"{path!r} column {name!r}: type {kind} cannot be learnt from; allowed: numbers, "
            f"booleans, texts; convert it or leave it out with drop=[{name!r}]"
        )
    # safe=False: integers beyond 2^53 are rounded rather than refused.
    numbers = column.cast(arrow.float64(), safe=False).to_numpy()
    return np.array(numbers, dtype=np.float64)


def _check_names(path: str, names: Sequence[str]) -> None:
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ProblemError(f"{path!r}: {times} columns are called {name!r}; rename them")


def _check_rows(path: str, rows: int) -> None:
    if rows < MIN_ROWS:
        what = "no rows of data" if rows == 0 else f"{rows} row{'s' * (rows > 1)}"
        raise ProblemError(f"{path!r} holds {what}; at least {MIN_ROWS} rows are needed")


def _kept(path: str, names: Sequence[str], drop: Sequence[str]) -> list[str]:
    drop = [drop] if isinstance(drop, str) else drop
    for name in drop:
        if name not in names:
            raise ProblemError(f"{path!r}: drop: no column {name!r}; {_nearest(name, names)}")
    return [name for name in names if name not in drop]


def _nearest(name: str, names: Sequence[str]) -> str:
    """As errors.nearest, but of a wide table only the names that come close."""
    if len(names) > 20:
        return nearest(name, get_close_matches(name, names, n=5, cutoff=0.4) or names[:5])
    return nearest(name, names)


# --- columns -----------------------------------------------------------------------------------


def _number(cell: str) -> float | None:
    """The number in a cell; None where there is none (float() alone would take 1_000)."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _typed(path: str, name: str, cells: Sequence[str], where: Callable[[int], str]) -> Column:
    """Cells as numbers if they all are, as texts if most are not; between, an error."""
    try:
        if not any("_" in cell for cell in cells):
            return np.array([float(cell) for cell in cells])  # most columns: no cell is empty
    except ValueError:
        pass
    texts: Texts = [None if (cell := raw.strip()) in MISSING else cell for raw in cells]
    values = [None if text is None else _number(text) for text in texts]
    given = len(texts) - texts.count(None)
    numeric = len(values) - values.count(None)
    if numeric == given:
        return np.array([np.nan if value is None else value for value in values])
    pairs = zip(texts, values, strict=True)
    row, bad = next((i, text) for i, (text, value) in enumerate(pairs) if text is not None and value is None)
    if numeric > given / 2:
        raise ProblemError(
            f"{path!r} {where(row)}, column {name!r}: got {short(bad)}, but most of the column is "
            f"numbers; correct it, empty the cell, or leave the column out with drop=[{name!r}]"
        )
    if all(text is None or DECIMAL_COMMA.fullmatch(text) for text in texts):
        raise ProblemError(
            f"{path!r} {where(row)}, column {name!r}: got {short(bad)}, a number with a decimal "
            "comma; write decimal points"
        )
    return texts


def _finite(table: _Table, name: str, values: Array) -> None:
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        row = int(infinite[0])
        raise ProblemError(
            f"{table.path!r} {table.where(row)}, column {name!r}: got {values[row]}, a finite "
            "number is needed; correct it or empty the cell"
        )


def _features(table: _Table, target: str, train: Rows) -> tuple[Array, list[str]]:
    """The (n, d) inputs of all columns but the target, and notes on what was done."""
    names = [name for name in table.columns if name != target]
    numeric: list[Array] = []
    indicators: list[Array] = []
    imputed: list[str] = []
    blank: list[str] = []
    encoded: list[str] = []
    numeric_names: list[str] = []
    for name in names:
        column = table.columns[name]
        if isinstance(column, list):
            indicators.append(_indicators(table, name, column, train))
            encoded.append(name)
            if None in column:
                blank.append(name)
            continue
        _finite(table, name, column)
        missing = np.isnan(column)
        if missing.any():
            known = column[train][~missing[train]]
            column = np.where(missing, _mean(known), column)
            imputed.append(name)
        numeric.append(column)
        numeric_names.append(name)
    notes: list[str] = []
    parts: list[Array] = []
    if numeric:
        scaled, constant = standardise(np.column_stack(numeric), train)
        parts.append(scaled)
        notes.append("numbers standardised with the training part's mean and deviation")
        if constant.any():
            flat = [name for name, c in zip(numeric_names, constant, strict=True) if c]
            notes.append(f"constant and therefore 0: {_listed(flat)}")
    if encoded:
        notes.append(f"one indicator per category: {_listed(encoded)}")
    if imputed:
        notes.append(f"missing values set to the mean: {_listed(imputed)}")
    if blank:
        notes.append(f"missing categories left without indicator: {_listed(blank)}")
    return np.hstack([*parts, *indicators]), notes


def _mean(values: Array) -> float:
    """Mean that cannot overflow; 0 of nothing."""
    return float(np.sum(values / len(values))) if len(values) else 0.0


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _indicators(table: _Table, name: str, column: Texts, train: Rows) -> Array:
    """(n, categories) zeros and ones; the categories are those of the training part."""
    categories = sorted({column[row] or "" for row in train} - {""})
    if len(categories) > MAX_CATEGORIES:
        raise ProblemError(
            f"{table.path!r} column {name!r}: {len(categories)} different texts, such as "
            f"{short(categories[0])}; at most {MAX_CATEGORIES} categories are allowed; "
            f"leave the column out with drop=[{name!r}], or group its texts"
        )
    place = {category: i for i, category in enumerate(categories)}
    out = np.zeros((len(column), len(categories)))
    for row, text in enumerate(column):
        if text in place:
            out[row, place[text]] = 1.0
    return out


# --- targets and models ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Target:
    """What is predicted: labels (n,) and class names, or values (n,) and no names."""

    values: NDArray[Any]
    classes: list[str] | None


def _dense(table: _Table, target: str | None, task: Task | None) -> LinearModel:
    name, why = _target_name(table, target)
    if len(table.columns) < 2:
        raise ProblemError(
            f"{table.path!r}: no column is left beside the target {name!r}; "
            "at least one column to predict from is needed"
        )
    goal = _target(table, name, task)
    train, test = held_out(table.rows, goal.values if goal.classes else None)
    X, notes = _features(table, name, train)
    if X.shape[1] == 0 or not np.ptp(X[train], axis=0).any():
        raise ProblemError(
            f"{table.path!r}: every column beside the target {name!r} is constant or empty; "
            "at least one column that varies is needed"
        )
    about = f"column {name!r}{why}"
    return _model(table.path, X, goal, train, test, about, notes)


def _target_name(table: _Table, target: str | None) -> tuple[str, str]:
    """The target column and, if nobody named it, why it is this one."""
    names = list(table.columns)
    if target is not None:
        if target not in names:
            raise ProblemError(f"{table.path!r}: no target column {target!r}; {_nearest(target, names)}")
        return target, ""
    if not names:
        raise ProblemError(f"{table.path!r}: no columns are left; drop fewer")
    usual = [name for name in names if name.lower() in TARGETS]
    return (usual[0], "") if len(usual) == 1 else (names[-1], " (the last)")


def _target(table: _Table, name: str, task: Task | None) -> _Target:
    column = table.columns[name]
    where = f"{table.path!r} target column {name!r}"
    missing = _missing(column)
    if missing.any():
        first = table.where(int(np.argmax(missing)))
        count = int(missing.sum())
        raise ProblemError(
            f"{where}: {count} value{'s' * (count > 1)} missing, first at {first}; "
            "fill in or remove such rows"
        )
    if isinstance(column, list):
        if task == "regression":
            raise ProblemError(
                f"{where}: regression needs numbers, got {short(column[0])}; "
                "use task='classification' or another target"
            )
        return _classes(where, np.array(column))
    _finite(table, name, column)
    return _numeric_target(where, column, task)


def _missing(column: Column) -> NDArray[np.bool_]:
    if isinstance(column, list):
        return np.array([text is None for text in column])
    return np.isnan(column)


def _numeric_target(where: str, values: Array, task: Task | None) -> _Target:
    distinct = np.unique(values)
    if task is None:
        few = len(distinct) <= MAX_INTEGER_CLASSES and bool((distinct == np.rint(distinct)).all())
        task = "classification" if few else "regression"
    if task == "classification":
        return _classes(where, values)
    if len(distinct) == 1:
        raise ProblemError(f"{where}: every value is {distinct[0]:g}; regression needs values that differ")
    return _Target(values, None)


def _classes(where: str, values: NDArray[Any]) -> _Target:
    distinct, labels = np.unique(values, return_inverse=True)
    names = [f"{v:g}" if isinstance(v, np.floating) else str(v) for v in distinct]
    if len(names) == 1:
        raise ProblemError(f"{where}: only one class, {short(names[0])}; at least two classes are needed")
    if len(names) > len(values) // 2:
        raise ProblemError(
            f"{where}: {len(names)} different values in {len(values)} rows are not classes, which "
            "need two rows each on average; choose another target, or task='regression' for numbers"
        )
    return _Target(labels.astype(np.int64), names)


def _model(
    path: str, X: Any, goal: _Target, train: Rows, test: Rows, about: str, notes: list[str]
) -> LinearModel:
    file = os.path.basename(path)
    d = X.shape[1]
    texts = [f"{X.shape[0]} rows of {file}, {d} input{'s' * (d > 1)}, target: {about}"]
    named: dict[str, Any] = {"name": file, "reference": "scikit-learn"}

    def described(model: str, loss: str) -> dict[str, Any]:
        what = "; ".join([*texts, *notes])
        return named | {
            "title": f"{file}, {model}",
            "text": f"{what}. {model.capitalize()}, {loss}; a fixed quarter of the rows held out.",
        }

    y = goal.values
    if goal.classes is not None:
        k = len(goal.classes)
        texts.append(f"{k} classes ({_listed(goal.classes)})")
        sets: tuple[Any, Labels, Any, Labels] = (X[train], y[train], X[test], y[test])
        if k == 2:
            return LogisticRegression(*sets, **described("logistic regression", "mean log-loss"))
        about_softmax = described("softmax regression", "mean cross-entropy")
        return SoftmaxRegression(*sets, classes=k, **about_softmax)
    scaled, constant = standardise(y[:, None], train)
    if constant.any():
        raise ProblemError(
            f"{path!r}: the target is the same in all training rows; more rows where it differs are needed"
        )
    values = scaled[:, 0]
    texts.append("target standardised")
    named |= described("least squares", "mean of half the squared residual")
    return LeastSquares(X[train], values[train], X[test], values[test], **named)


# --- SVMlight ----------------------------------------------------------------------------------


def _sparse(path: str, task: Task | None) -> LinearModel:
    datasets = require("sklearn.datasets", "scikit-learn", f"reading {path!r}")
    sparse = require("scipy.sparse", "scipy", f"reading {path!r}")
    try:
        X, y = datasets.load_svmlight_file(path)
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        raise FileError(_svm_error(path, error)) from None
    X = sparse.csr_array(X)
    _check_rows(path, X.shape[0])
    if X.shape[1] == 0 or X.nnz == 0:
        raise ProblemError(f"{path!r}: no line has an index:value pair; at least one is needed")
    if not np.isfinite(X.data).all() or not np.isfinite(y).all():
        raise ProblemError(
            f"{path!r}: holds nan or infinite values; finite numbers are needed; "
            "correct them or leave the pairs out"
        )
    goal = _numeric_target(f"{path!r} target", y, task)
    train, test = held_out(len(y), goal.values if goal.classes else None)
    # Shifting would fill the zeros in, so columns are only scaled, to magnitude 1.
    largest = abs(X[train]).max(axis=0).toarray().reshape(-1)
    largest[largest == 0] = 1.0
    X.data /= largest[X.indices]
    density = X.nnz / (X.shape[0] * X.shape[1])
    notes = [
        f"sparse, {100 * density:.3g} % of the entries not zero",
        "each input divided by its largest magnitude in the training part, not centred",
    ]
    return _model(path, X, goal, train, test, "the first number of each line", notes)


def _svm_error(path: str, error: Exception) -> str:
    """What is wrong with a file that scikit-learn refused, with the line if it can be told."""
    with open(path, encoding="latin-1") as file:
        for number, line in enumerate(file, 1):
            if not SVM_LINE.fullmatch(line.rstrip("\n")):
                return (
                    f"{path!r} line {number}: {short(line.rstrip())} is not SVMlight; allowed: "
                    "'target index:value index:value ...' with rising indices; correct the line"
                )
    reason = " ".join(str(error).split())
    return f"{path!r} is not valid SVMlight: {reason}; correct the file"
