"""What is measured in processes of its own: peaks of memory, the start of something.

A child is the same program with the command ``child``; it prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def ask(program: Path, *arguments: str) -> dict[str, float]:
    """What a fresh process of the program answers."""
    return read(output(command(program, *arguments)))


def command(program: Path, *arguments: str) -> list[str]:
    """How such a process is started."""
    return [sys.executable, str(program), "child", *arguments]


def output(started: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(started, check=True, stdout=subprocess.PIPE, text=True).stdout


def read(printed: str) -> dict[str, float]:
    """The answer in what a child has printed; what other libraries print comes before it."""
    answer: dict[str, float] = json.loads(printed.splitlines()[-1])
    return answer


def answer(known: Mapping[str, Callable[..., Mapping[str, float]]], arguments: list[str]) -> None:
    """The child's side: measures what the arguments say."""
    name, *others = arguments
    if name not in known:
        raise SystemExit(f"no such child: {name}")
    print(json.dumps(known[name](*others)), flush=True)


def peak_mib() -> float:
    """The most memory that this process has used so far.

    Linux tells it of this program alone. `ru_maxrss`, which stands in elsewhere, begins there
    with what the parent used when it started this process.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(kib) / 1024
    except (OSError, StopIteration):
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
