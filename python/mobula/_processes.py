"""How worker processes are started, what they are told first, and how what they print is shown."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence

__all__ = ["PARENT", "command", "environment", "greeting", "show", "warn"]

#: The variable of the environment that tells a worker process whose it is. When it has begun, its parent may
#: have died already.
PARENT = "MOBULA_PARENT"

#: Each process computes with one thread: there are as many of them as cores.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

#: A process that makes arrays all day keeps the memory of the last ones for the next ones, up to so many
#: bytes: getting it from the system page by page takes longer than most that is done with it. (For glibc.)
_MEMORY = (("MALLOC_MMAP_THRESHOLD_", 32 << 20), ("MALLOC_TRIM_THRESHOLD_", 64 << 20))


def command() -> list[str]:
    """The command that starts a worker process: this Python, with the same options."""
    import subprocess

    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *options, "-m", "mobula._child"]


def environment() -> list[tuple[str, str]]:
    """What is set in the environment of a worker process, beside what this one has."""
    settings = [(name, "1") for name in _ONE_THREAD if name not in os.environ]
    settings += [(name, str(size)) for name, size in _MEMORY if name not in os.environ]
    # The package is found where it was found here, before the process was told anything.
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inherited = os.environ.get("PYTHONPATH")
    path = package if not inherited else os.pathsep.join([inherited, package])
    return [
        *settings,
        (PARENT, str(os.getpid())),
        ("PYTHONPATH", path),
        ("PYTHONUNBUFFERED", ""),
    ]


def greeting(*, preimport: Sequence[str], readonly: bool) -> bytes:
    """What a worker process is told first."""
    return pickle.dumps(
        {
            "path": list(sys.path),
            "argv": list(getattr(sys, "argv", [])),
            "directory": _directory(),
            "preimport": list(preimport),
            "readonly": readonly,
        }
    )


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # It was removed.
        return None


def warn(line: str) -> None:
    """Show something that the user should know."""
    if sys.stderr is not None:
        sys.stderr.write(f"mobula: {line}\n")
        sys.stderr.flush()


def show(process: int, key: str | None, is_error: bool, line: str) -> None:
    """Show a line that a worker process has written."""
    stream = sys.stderr if is_error else sys.stdout
    if stream is not None:
        stream.write(f"({key or 'worker process'} {process}) {line}\n")
        stream.flush()
