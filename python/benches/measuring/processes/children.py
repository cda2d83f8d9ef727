"""What is measured in processes of its own: a pool's start and repair, the memory of all of it."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from time import perf_counter

from measuring.children import ask, command
from measuring.processes import tree
from measuring.processes.meeting import meet, replace
from measuring.processes.pools import SUBJECTS, Pool, Subject
from measuring.processes.running import find_modules, running
from measuring.work import WORKS

FILE = Path(__file__).parents[2] / "processes.py"


def start(name: str, workers: int) -> float:
    """Seconds until each process of a new pool has answered."""
    return ask(FILE, "start", name, str(workers))["seconds"]


def replacement(name: str, workers: int) -> float:
    """Seconds until a new process answers in the place of one that was killed."""
    return ask(FILE, "replace", name, str(workers))["seconds"]


def peak_memory(work_name: str, name: str, workers: int, divisor: int) -> tree.Peak:
    """The peak of a process, with all that it starts, that computes a work once."""
    started = command(FILE, "compute", work_name, name, str(workers), str(divisor))
    return tree.watch(started)[0]


def _start(name: str, workers: str) -> dict[str, float]:
    pool = _pool(name)
    find_modules()
    importlib.import_module(pool.module)
    begin = perf_counter()
    try:
        pool.start(int(workers))
        meet(pool, int(workers))
        return {"seconds": perf_counter() - begin}
    finally:
        pool.close()


def _replace(name: str, workers: str) -> dict[str, float]:
    # What the death of a process makes schedulers say is no news here.
    warnings.simplefilter("ignore")
    with running([name], int(workers)):
        pool = _pool(name)
        return {"seconds": replace(pool, int(workers), meet(pool, int(workers)))}


def _compute(work_name: str, name: str, workers: str, divisor: str) -> dict[str, float]:
    with running([name], int(workers)) as subjects:
        subject: Subject = subjects[name]
        with subject.chosen():
            WORKS[work_name].build(int(divisor)).compute()
    return {}


def _pool(name: str) -> Pool:
    pool = SUBJECTS[name]
    if not isinstance(pool, Pool):
        raise SystemExit(f"{name} has no processes")
    return pool


CHILDREN = {"start": _start, "replace": _replace, "compute": _compute}
