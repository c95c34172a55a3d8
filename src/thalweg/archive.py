"""One file for a head of JSON and named arrays: a zip of .npy files, as ``numpy.savez`` writes it, without pickle.

Equal contents are equal bytes. Written beside and renamed.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from .errors import FileError
from .files import reason, write

Array = np.ndarray[Any, Any]


def save(path: str | os.PathLike[str], head: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write the head, which JSON can hold, and the arrays, none of them named "head". Raises FileError."""
    held = {"head": np.frombuffer(json.dumps(head).encode(), dtype=np.uint8), **arrays}

    def fill(file: IO[bytes]) -> None:
        # As numpy.savez does, which copies large arrays piece by piece.
        with zipfile.ZipFile(file, "w") as zipped:
            for name, given in held.items():
                array = np.asarray(given, order="C")
                with zipped.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_1_0(
                        entry, np.lib.format.header_data_from_array_1_0(array)
                    )
                    entry.write(array.reshape(-1).view(np.uint8).data)

    write(path, fill)


def load(
    path: str | os.PathLike[str], kind: str, format: int, *, unnamed: str = "another thing"
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The head and the arrays of a file whose head says that it is of a kind, and of a format up to this one.

    unnamed: what a file is whose head says nothing of its kind.
    Raises FileError: cannot be read, is damaged, is of another kind, is newer.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as zipped:
            arrays = {n: zipped[n] for n in zipped.files}
        head = json.loads(arrays.pop("head").tobytes())
        found, version = head.get("kind", unnamed), int(head["format"])
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({reason(error)})") from None
    except Exception:  # whatever zip, NumPy and JSON make of another file
        raise FileError(f"{path}: is no {kind}, or is cut short or damaged") from None
    if found != kind:
        raise FileError(f"{path}: holds {found}, not a {kind}")
    if version > format:
        raise FileError(
            f"{path}: format {version} is newer than this thalweg reads ({format}); update thalweg"
        )
    return head, arrays
