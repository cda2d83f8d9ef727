"""What is compared: Dask's schedulers, Mobula's, and a plain loop over the tasks, the floor."""

from __future__ import annotations

from typing import Any

import dask.local
import dask.threaded

import mobula.dask
from measuring.runs import Get


def floor(tasks: dict[Any, Any], keys: list[Any], **_keywords: Any) -> tuple[Any, ...]:
    """Calls each task object in the order of the dict, which must be one in which that works."""
    values: dict[Any, Any] = {}
    for key, task in tasks.items():
        values[key] = task({name: values[name] for name in task.dependencies})
    return tuple(values[key] for key in keys)


FLOOR = "floor"
SYNC = "sync"
THREADS = "threads"
MOBULA = "mobula"
MOBULA_SYNC = "mobula_sync"

SCHEDULERS: dict[str, Get] = {
    SYNC: dask.local.get_sync,
    THREADS: dask.threaded.get,
    MOBULA: mobula.dask.get,
    MOBULA_SYNC: mobula.dask.get_sync,
}

DESCRIPTIONS = {
    FLOOR: "a plain loop that calls each task object in order, with a dict of its inputs",
    SYNC: "`dask.local.get_sync`",
    THREADS: "`dask.threaded.get`, with as many threads as there are cores",
    MOBULA: "`mobula.dask.get`, with as many workers as there are cores",
    MOBULA_SYNC: "`mobula.dask.get_sync`, in the calling thread",
}
