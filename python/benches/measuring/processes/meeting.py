"""Waiting until each process of a pool has answered, or a new one in the place of a killed one."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Set
from time import perf_counter

from dask._task_spec import Task

from measuring.processes.pools import Pool
from measuring.processes.probes import who

PATIENCE = 120.0
"""Seconds after which a process that does not answer is an error."""
PAUSE = 0.001
TASKS_A_WORKER = 12
"""So many that each worker gets some, also where tasks are handed out by the half dozen."""

_numbers = itertools.count()


def answering(pool: Pool, workers: int) -> set[int]:
    """The processes that answer a handful of tasks."""
    number = next(_numbers)
    keys = [("who", number, i) for i in range(TASKS_A_WORKER * workers)]
    return set(pool.get({key: Task(key, who, PAUSE) for key in keys}, keys))


def meet(pool: Pool, workers: int) -> set[int]:
    """The processes of a pool, once each of them has answered."""
    seen: set[int] = set()
    deadline = perf_counter() + PATIENCE
    while len(seen) < workers:
        seen |= answering(pool, workers)
        if os.getpid() in seen:
            raise AssertionError(f"{pool.name} runs tasks in the process that asks for them")
        _check(deadline, pool)
    return seen


def replace(pool: Pool, workers: int, met: Set[int]) -> float:
    """Kills one of the processes; seconds until a new one has answered."""
    os.kill(min(met), signal.SIGKILL)
    start = perf_counter()
    while True:
        try:
            if answering(pool, workers) - met:
                return perf_counter() - start
        except Exception:
            # What a scheduler raises when a process is gone differs from one to the other.
            pool.mend()
        _check(start + PATIENCE, pool)


def _check(deadline: float, pool: Pool) -> None:
    if perf_counter() > deadline:
        raise TimeoutError(f"{pool.name}: a process has not answered for {PATIENCE:g} s")
