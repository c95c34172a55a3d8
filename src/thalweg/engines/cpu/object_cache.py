"""Object code on disk: compiled once, loaded by llvmlite alone.

A kernel is named by the hash of its source, of the versions that compile it and of the CPU, so a
stale one cannot be loaded. One process compiles under a file lock while others wait; the file is
written beside and renamed. The folder is used only if it belongs to this user and nobody else may
write to it; else kernels live in memory.
"""

import ctypes
import hashlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import EngineError

Compile = Callable[[], tuple[str, bytes]]
_MAGIC = b"thalweg object 2\n"
_DONTNEED = 4  # of madvise: pages of a file that nobody has changed are dropped
_lock = threading.RLock()
_loaded: dict[str, tuple[Any, int]] = {}
_lean = False  # whether libraries' code is given back after each kernel
compiled = 0  # how many kernels this process has compiled (tests and --version read it)


def _reset_after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


@lru_cache(maxsize=8)
def _folder(override: str | None, home: str) -> Path | None:
    if override:
        folder = Path(override)
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA", home)) / "thalweg" / "cache"
    elif sys.platform == "darwin":
        folder = Path(home) / "Library" / "Caches" / "thalweg"
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        folder = (Path(base) if os.path.isabs(base) else Path(home) / ".cache") / "thalweg"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid"):
            status = folder.stat()
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return None
        handle, probe = tempfile.mkstemp(dir=folder, prefix=".probe")
        os.close(handle)
        os.unlink(probe)
    except OSError:
        return None
    return folder


def folder() -> Path | None:
    """Where kernels are kept: ``THALWEG_CACHE``, else the user's cache folder; None: in memory."""
    return _folder(os.environ.get("THALWEG_CACHE"), os.path.expanduser("~"))


@lru_cache(maxsize=1)
def _target() -> tuple[Any, str]:
    """llvmlite's binding, ready, and what the CPU is called."""
    try:
        import llvmlite.binding as llvm
    except ImportError as error:  # pragma: no cover - llvmlite is a dependency
        raise EngineError(f"the cpu engine needs llvmlite, which failed to import: {error}") from None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    release = sys.modules["llvmlite"].__version__
    return llvm, f"llvmlite {release} {llvm.get_process_triple()} {llvm.get_host_cpu_name()} {features}"


def give_back() -> None:
    """Give the system back what this process holds and does not need: libraries' code, and free room of the heap.

    How much code was touched, 20 to 120 MB, depends on how the system cached the libraries' files, from which it reads
    again what is needed after all; the heap has up to 60 MB of room after the first rows were read and put together.
    From now on this is done before and after every kernel that this process loads, too. On Linux; elsewhere nothing
    happens.
    """
    global _lean
    _target()  # the loader, before its pages are given back
    _lean = True
    _release()


def _release() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
    with suppress(OSError, AttributeError), open("/proc/self/smaps") as maps:
        advise = ctypes.CDLL(None).madvise
        span = ""
        for line in maps:
            name, _, value = line.partition(" ")
            if "-" in name:
                span = name if ".so" in value and value.startswith("r-") else ""
            elif span and line.startswith("Anonymous:") and value.split()[0] == "0":  # all as in the file
                low, high = (int(x, 16) for x in span.split("-"))
                advise(ctypes.c_void_p(low), ctypes.c_size_t(high - low), _DONTNEED)


@lru_cache(maxsize=1)
def _numba() -> str:
    """Numba's version, read from its file: importing it, or asking for its metadata, costs far more."""
    from importlib.util import find_spec

    spec = find_spec("numba")
    for folder in spec.submodule_search_locations or [] if spec is not None else []:
        with suppress(OSError):
            return Path(folder, "_version.py").read_text()
    from importlib.metadata import version

    return version("numba")


@lru_cache(maxsize=1)
def _compiler() -> str:
    """The files whose options and intrinsics stand around every printed source, as a hash."""
    files = (Path(__file__).with_name(n) for n in ("compile.py", "intrinsics.py"))
    return hashlib.sha256(b"\0".join(f.read_bytes() for f in files)).hexdigest()


def key(source: str) -> str:
    """The name of a kernel: a hash of all that its object code depends on."""
    parts = (source, _compiler(), _numba(), _target()[1])
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    """Hold a file lock; where the system has none, do without (the rename stays atomic)."""
    with open(path, "a+b") as handle:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield  # closing the file releases the lock


def _read(path: Path) -> tuple[str, bytes] | None:
    """The symbol and object code in a file; None if it is absent, cut short or altered."""
    try:
        blob = path.read_bytes()
    except OSError:
        return None
    if not blob.startswith(_MAGIC):
        return None
    head, _, code = blob[len(_MAGIC) :].partition(b"\n")
    try:
        header = json.loads(head)
        symbol, good = header["symbol"], header["sha256"] == _digest(header["symbol"], code)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (symbol, code) if good else None


def _digest(symbol: str, code: bytes) -> str:
    return hashlib.sha256(symbol.encode() + b"\n" + code).hexdigest()


def _write(path: Path, symbol: str, code: bytes) -> None:
    head = json.dumps({"symbol": symbol, "sha256": _digest(symbol, code)})
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".new")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + head.encode() + b"\n" + code)
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)


def _build(compile: Compile) -> tuple[str, bytes]:
    global compiled
    compiled += 1
    return compile()


def _obtain(name: str, compile: Compile) -> tuple[str, bytes]:
    home = folder()
    if home is None:
        return _build(compile)
    path = home / f"{name}.o"
    found = _read(path)
    if found is None:
        try:
            with _exclusively(home / f"{name}.lock"):
                found = _read(path)  # another process may have been faster
                if found is None:
                    found = _build(compile)
                    _write(path, *found)
            with suppress(OSError):
                os.unlink(home / f"{name}.lock")
        except OSError:
            found = found or _build(compile)
    return found


def load(source: str, compile: Compile) -> int:
    """The address of the kernel printed as ``source``, compiled by ``compile`` if nowhere found."""
    name = key(source)
    with _lock:
        if name not in _loaded:
            _load(name, *_obtain(name, compile))
        return _loaded[name][1]


def _load(name: str, symbol: str, code: bytes) -> None:
    if _lean:  # else what other libraries have touched since lies beside the loader's
        _release()
    llvm = _target()[0]
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol)
    if not address:
        raise EngineError(f"kernel {name} has no symbol {symbol}: clear {folder()}")
    _loaded[name] = (engine, address)
    if _lean:
        _release()


def loaded() -> list[str]:
    """The names of the kernels that this process has loaded."""
    return list(_loaded)


def load_kept(names: Iterable[str]) -> None:
    """Load kernels by name, as another process has left them on disk; those that are not there are passed over."""
    home = folder()
    with _lock:
        for name in names:
            if home is not None and name not in _loaded and (found := _read(home / f"{name}.o")) is not None:
                _load(name, *found)


def emit(module: str, symbol: str) -> tuple[str, bytes]:
    """A module in LLVM's language as object code for this CPU: what ``load``'s ``compile`` returns."""
    llvm = _target()[0]
    machine = llvm.Target.from_default_triple().create_target_machine(
        reloc="default", codemodel="jitdefault", jit=True
    )
    return symbol, machine.emit_object(llvm.parse_assembly(module))


# What Numba's calling convention puts before a kernel's own argument: where its result and its
# exception would go. Our kernels return 0, raise nothing and report in the job, so all share these.
_result, _exception = ctypes.c_int64(), ctypes.c_void_p()
CONVENTION = (ctypes.addressof(_result), ctypes.addressof(_exception))


def functions(address: int) -> tuple[Callable[..., int], Callable[..., int]]:
    """A kernel as a function of (result, exception, job) addresses: releasing the lock, and not."""
    kinds = (ctypes.c_void_p,) * 3
    return ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address), ctypes.PYFUNCTYPE(ctypes.c_int32, *kinds)(
        address
    )
