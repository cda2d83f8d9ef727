"""What is measured in processes of its own: peaks of memory, the import, the largest graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dask

import mobula.dask
from measuring.children import ask, output, peak_mib
from measuring.graphs import MILLION
from measuring.rounds import seconds
from measuring.subjects import SCHEDULERS
from measuring.work import WORKS

FILE = Path(__file__).parents[2] / "overhead.py"


def peak_memory(work_name: str, scheduler: str, divisor: int) -> float:
    """Peak MiB of a process that computes a work once."""
    return ask(FILE, "peak", work_name, scheduler, str(divisor))["peak_mib"]


def million(quick: bool) -> dict[str, float]:
    """Seconds and memory of the largest graph."""
    return ask(FILE, "million", *(["--quick"] if quick else []))


def import_time() -> float:
    """Seconds that `import mobula.dask` takes after `import dask`."""
    code = (
        "import dask, time; start = time.perf_counter(); import mobula.dask; "
        "print(time.perf_counter() - start)"
    )
    return float(output([sys.executable, "-c", code]))


def _peak(name: str, scheduler: str, divisor: str) -> dict[str, float]:
    with dask.config.set(scheduler=SCHEDULERS[scheduler]):
        WORKS[name].build(int(divisor)).compute()
    return {"peak_mib": peak_mib()}


def _million(*options: str) -> dict[str, float]:
    graph = MILLION.build(MILLION.quick_size if "--quick" in options else MILLION.size)
    graph_mib = peak_mib()
    time, answer = seconds(lambda: mobula.dask.get(graph.tasks, graph.keys))
    if answer != graph.expected:
        raise AssertionError("a wrong answer for the largest graph")
    facts: dict[str, Any] = {"seconds": time, "tasks": len(graph.tasks)}
    return {**facts, "graph_mib": graph_mib, "peak_mib": peak_mib()}


CHILDREN = {"peak": _peak, "million": _million}
