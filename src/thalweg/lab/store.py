"""Trials kept in one SQLite file, a row each: what was run once is not run again, whatever killed whom.

Who runs a trial claims it first, and commits what it gave: the worker, or this process for compiled ones, several in one
transaction. A claim holds while its process is alive; where that cannot be told, until its lease ends. So several
processes may share a store, and one that was killed leaves nothing that the next has to wait for. Nothing is ever pickled.
"""

import io
import json
import os
import socket
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..core.line import short
from ..errors import FileError, HyperparameterError
from ..files import named_path, require_writable
from .trial import Runs

VERSION = (
    1  # of the file: raised where this library could not read an older one's, or an older one this one's
)
MARK = 0x7477_6C67  # by which SQLite's file is known as ours
_HEAD = struct.Struct(">60xi4xI")  # of SQLite's file format: the version at 60, the mark at 68
TOGETHER = 0.2  # seconds of work that are committed at once
MARGIN = 60.0  # seconds beyond a trial's limit after which a claim's process is taken for dead
WAIT = 60.0  # seconds for which another process's transaction is waited for

# key: what decides the numbers (lab/trial_key.py). claim: of the process that runs it now; lease: until when it holds where
# that cannot be seen, in seconds since 1970. attempts: how often it was claimed. limited: the seconds after which it was
# ended, NULL for one that ran to its end. record: what it gave, NULL until then.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS trials"
    " (key TEXT PRIMARY KEY, claim TEXT, lease REAL, attempts INTEGER NOT NULL, limited REAL, record BLOB)",
    "CREATE TABLE IF NOT EXISTS results (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


class StoreError(FileError):
    """A store that cannot be written any more: what it holds is kept."""


@dataclass(frozen=True)
class Busy:
    """A trial that another process is at."""


@dataclass(frozen=True)
class Unsaved:
    """What a trial gave and could not be written. reason: one line."""

    runs: Runs
    reason: str


Task: TypeAlias = tuple[int, str, Callable[[], Runs]]  # number, key, and what gives it
Outcome: TypeAlias = Runs | Busy | Unsaved


class Store:
    """A store's file, open in this process; values of it travel to other processes as the path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], subject: str, fresh: bool = False) -> "Store":
        """Return the store at a path, made if there is none. subject: what it is about, in words.

        fresh: without what it holds. Raises FileError, and leaves the file as it is, where it is another's, a newer
        version's, or about something else.
        """
        target = named_path(path)
        if target.exists():
            _require_ours(target)
        else:
            require_writable(target)
        store = cls(target)
        try:
            store._begin(subject, fresh)
        except BaseException:
            store.close()
            raise
        return store

    def _begin(self, subject: str, fresh: bool) -> None:
        """Make the file's tables where there are none, or anew. FileError where it is about something else."""
        with self._written(create=True) as db:
            known = None
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone():
                known = db.execute("SELECT value FROM about WHERE name = 'subject'").fetchone()
            if known is not None and known[0] != subject and not fresh:
                raise FileError(
                    f"{self.path}: holds trials of {known[0]}, not of {subject}; name another file (--out, --store),"
                    " or start it anew (--fresh)"
                )
            if known is None or fresh:
                db.execute(f"PRAGMA application_id = {MARK}")
                db.execute(f"PRAGMA user_version = {VERSION}")
                for statement in _TABLES:
                    db.execute(statement)
                for table in ("trials", "results", "about"):
                    db.execute(f"DELETE FROM {table}")
                db.execute("INSERT INTO about VALUES ('subject', ?)", (subject,))

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        return Store, (self.path.resolve(),)

    def close(self) -> None:
        """Close the file in this process; the next call opens it again."""
        if self._connection is not None:
            # Who has not read since others wrote would leave their log beside it.
            with suppress(sqlite3.Error):
                self._connection.execute("SELECT 1 FROM about").fetchone()
            self._connection.close()
            self._connection = None

    # What is done already.

    def finished(self, keys: Sequence[str], limit: float) -> dict[str, Runs]:
        """Return what those of the trials gave that are done. limit: seconds of a trial, within which one ended counts."""
        found = {}
        with self._read() as db:
            for key in keys:
                row = db.execute("SELECT record, limited FROM trials WHERE key = ?", (key,)).fetchone()
                if row is not None and _counts(row[0], row[1], limit):
                    found[key] = decoded(row[0])
        return found

    def through(self, tasks: Sequence[Task], limit: float) -> Iterator[Sequence[tuple[int, Outcome]]]:
        """Yield tasks' numbers with what they gave: run here and committed, or known. limit: seconds of a trial.

        Others' trials are ``Busy``. What cannot be written is ``Unsaved``.
        """
        states = self.claim([key for _, key, _ in tasks], limit)
        known = [(i, state) for (i, _, _), state in zip(tasks, states, strict=True) if state is not None]
        if known:
            yield known
        unsaved: list[tuple[int, str, Runs]] = []
        begin = time.monotonic()
        mine = [task for task, state in zip(tasks, states, strict=True) if state is None]
        for n, (i, key, give) in enumerate(mine):
            unsaved.append((i, key, give()))
            if time.monotonic() - begin > TOGETHER or n == len(mine) - 1:
                yield self._kept(unsaved)
                unsaved, begin = [], time.monotonic()

    def _kept(self, results: Sequence[tuple[int, str, Runs]]) -> list[tuple[int, Outcome]]:
        try:
            self.commit([(key, runs, None) for _, key, runs in results])
        except StoreError as error:
            return [(i, Unsaved(runs, str(error))) for i, _, runs in results]
        return [(i, runs) for i, _, runs in results]

    def commit(self, results: Sequence[tuple[str, Runs, float | None]]) -> None:
        """Write what trials gave, in one transaction: keys, runs, and the limit at which one was ended. Raises FileError.

        What is there already stays.
        """
        rows = [(key, limited, encoded(runs)) for key, runs, limited in results]
        with self._written() as db:
            db.executemany(
                "INSERT INTO trials (key, attempts, limited, record) VALUES (?, 1, ?, ?) ON CONFLICT (key) DO UPDATE"
                " SET claim = NULL, lease = NULL, limited = excluded.limited, record = excluded.record"
                " WHERE record IS NULL OR limited IS NOT NULL",
                rows,
            )

    def claim(self, keys: Sequence[str], limit: float) -> list[Runs | Busy | None]:
        """Claim trials for this process: what they gave where they are done, ``Busy`` where another is at them, else None."""
        states: list[Runs | Busy | None] = []
        me = _me()
        with self._written(
            durable=False
        ) as db:  # a claim that power failure undoes is its process's, which is gone too
            for key in keys:
                row = db.execute(
                    "SELECT record, limited, claim, lease FROM trials WHERE key = ?", (key,)
                ).fetchone()
                if row is not None and _counts(row[0], row[1], limit):
                    states.append(decoded(row[0]))
                elif row is not None and row[2] not in (None, me) and _holds(row[2], row[3]):
                    states.append(Busy())
                else:
                    states.append(None)
                    db.execute(
                        "INSERT INTO trials (key, claim, lease, attempts) VALUES (?, ?, ?, 1)"
                        " ON CONFLICT (key) DO UPDATE SET claim = excluded.claim, lease = excluded.lease,"
                        " attempts = attempts + 1",
                        (key, me, time.time() + limit * len(keys) + MARGIN),
                    )
        return states

    # What a race came to.

    def put(self, name: str, value: object) -> None:
        """Keep plain data under a name, in place of what was kept there. Raises FileError."""
        with self._written() as db:
            db.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (name, json.dumps(value)))

    def results(self) -> dict[str, Any]:
        """Return what was kept, by its names in order."""
        with self._read() as db:
            rows = db.execute("SELECT name, value FROM results ORDER BY name").fetchall()
        return {name: json.loads(value) for name, value in rows}

    # The file.

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Transactions are begun here; a generator may be closed by another thread than it was begun in.
            self._connection = sqlite3.connect(
                self.path, timeout=WAIT, isolation_level=None, check_same_thread=False
            )
        return self._connection

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """The file, to be read; FileError."""
        try:
            yield self._open()
        except sqlite3.Error as error:
            raise FileError(f"{self.path}: cannot be read ({error})") from None

    @contextmanager
    def _written(self, durable: bool = True, create: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction, which is undone where anything is raised; FileError.

        durable: it outlives a power failure. create: the file may be new, and its head is written to it at once.
        """
        try:
            db = self._open()
            if not create:
                db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self.close()
            raise StoreError(
                f"{self.path}: cannot be written ({error}); what it holds is kept: run the same again when it can be written"
            ) from None


def existing(path: str | os.PathLike[str]) -> Store:
    """Return a store that is there already, to be read; FileError."""
    target = named_path(path)
    if not target.exists():
        raise FileError(
            f"{target}: no such store; a race keeps one beside its report, race.db beside race.html"
        )
    _require_ours(target)
    return Store(target)


def require_store(store: object, depends: Sequence[object]) -> None:
    """HyperparameterError for files that decide what a store holds, where there is none."""
    if depends and store is None:
        raise HyperparameterError(
            f"depends: got {short(depends[0])}, which decides what a store holds, and none is kept: name a store, or leave it out"
        )


def _require_ours(path: Path) -> None:
    """FileError unless a file is a store of a version that is known; the file is only read."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD.size)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        return
    version, mark = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
    if not head.startswith(b"SQLite format 3\0") or mark != MARK:
        raise FileError(f"{path}: is no store of trials; name another file (--out, --store)")
    if version > VERSION:
        raise FileError(
            f"{path}: was written by a newer thalweg (version {version} of the file, {VERSION} is known here); upgrade, or name another file"
        )


def _counts(record: bytes | None, limited: float | None, limit: float) -> bool:
    """Whether a trial is done: one that was ended counts where it would be ended again."""
    return record is not None and (limited is None or limited >= limit)


# Who is at a trial.


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_born(os.getpid())}"


def _born(pid: int) -> str:
    """When a process began, as the system counts it; "" where it does not tell, "gone" where there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "gone" if Path("/proc/self/stat").exists() else ""
    return "gone" if state in "ZX" else rest[18]


def _holds(claim: str, lease: float) -> bool:
    """Whether the process of a claim is at it: seen on this machine, where that can be, else until the lease ends."""
    host, pid, born = claim.rsplit(":", 2)
    if host == socket.gethostname() and born:
        return _born(int(pid)) == born
    return time.time() < lease


# Runs as bytes.


def encoded(runs: Runs) -> bytes:
    """Runs as a zip of arrays, as ``numpy.savez`` writes it, with what is no array as JSON under "head"."""
    arrays: dict[str, Any] = {}
    head: dict[str, Any] = {}
    for f in fields(runs):
        value = getattr(runs, f.name)
        if isinstance(value, Mapping):
            arrays |= {f"{f.name}.{n}": a for n, a in value.items()}
        elif isinstance(value, np.ndarray):
            arrays[f.name] = value
        else:
            head[f.name] = value
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def decoded(record: bytes) -> Runs:
    """The runs that were ``encoded``."""
    values: dict[str, Any] = {"records": {}}
    with np.load(io.BytesIO(record), allow_pickle=False) as arrays:
        for name, array in arrays.items():
            of, _, part = name.partition(".")
            if name == "head":
                plain = json.loads(array.tobytes())
                values |= {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
            elif part:
                values[of][part] = array
            else:
                values[of] = array
    return Runs(**values)
