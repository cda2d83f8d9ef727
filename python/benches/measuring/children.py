"""What is measured in processes of its own: peaks of memory, the import, the largest graph.

A child is the same program with the command ``child``; it prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent.parent / "overhead.py"


def peak_memory(work_name: str, scheduler: str, divisor: int) -> float:
    """Peak MiB of a process that computes a work once."""
    return float(_child("peak", work_name, scheduler, str(divisor))["peak_mib"])


def million(quick: bool) -> dict[str, float]:
    """Seconds and memory of the largest graph."""
    return _child("million", *(["--quick"] if quick else []))


def import_time() -> float:
    """Seconds that `import mobula.dask` takes after `import dask`."""
    code = (
        "import dask, time; start = time.perf_counter(); import mobula.dask; "
        "print(time.perf_counter() - start)"
    )
    return float(_output([sys.executable, "-c", code]))


def _child(*arguments: str) -> dict[str, float]:
    answer: dict[str, float] = json.loads(
        _output([sys.executable, str(PROGRAM), "child", *arguments])
    )
    return answer


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def answer_child(arguments: list[str]) -> None:
    """The child's side: measures what the arguments say."""
    match arguments:
        case ["peak", name, scheduler, divisor]:
            answer = _peak(name, scheduler, int(divisor))
        case ["million", *options]:
            answer = _million(quick="--quick" in options)
        case _:
            raise SystemExit(f"no such child: {arguments}")
    print(json.dumps(answer))


def _peak(name: str, scheduler: str, divisor: int) -> dict[str, float]:
    import dask

    from measuring.subjects import SCHEDULERS
    from measuring.work import WORKS

    with dask.config.set(scheduler=SCHEDULERS[scheduler]):
        WORKS[name].build(divisor).compute()
    return {"peak_mib": peak_mib()}


def _million(quick: bool) -> dict[str, float]:
    import mobula.dask
    from measuring.graphs import MILLION
    from measuring.rounds import seconds

    graph = MILLION.build(MILLION.quick_size if quick else MILLION.size)
    graph_mib = peak_mib()
    time, answer = seconds(lambda: mobula.dask.get(graph.tasks, graph.keys))
    if answer != graph.expected:
        raise AssertionError("a wrong answer for the largest graph")
    facts: dict[str, Any] = {"seconds": time, "tasks": len(graph.tasks)}
    return {**facts, "graph_mib": graph_mib, "peak_mib": peak_mib()}


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
