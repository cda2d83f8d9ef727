"""What is compared: schedulers whose tasks run in processes, and the ones that stand beside them.

A subject is started and warmed before anything is measured. It is closed when its rows are done, so
that it disturbs no others.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import dask
import dask.local
import dask.multiprocessing
import dask.threaded

import mobula
import mobula.dask
from measuring.runs import Get
from measuring.subjects import MOBULA, SYNC, THREADS


class Subject:
    """A scheduler without processes: nothing to start, nothing to close."""

    def __init__(self, name: str, description: str, get: Get) -> None:
        self.name = name
        self.description = description
        self.get = get

    def missing(self) -> str | None:
        """Why it cannot be measured here."""
        return None

    def start(self, _workers: int) -> None:
        """Starts its processes; they need not have begun when this returns."""

    def mend(self) -> None:
        """What a user has to do after a process was killed and a call has failed."""

    def close(self) -> None:
        """Ends its processes."""

    def chosen(self) -> AbstractContextManager[Any]:
        """A context in which `compute()` runs here."""
        return dask.config.set(scheduler=self.get)


class Pool(Subject):
    """A subject with worker processes."""

    module: ClassVar[str]
    """What must be installed."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, description, self._get)

    def missing(self) -> str | None:
        """Most are packages that may not be installed."""
        found = importlib.util.find_spec(self.module) is not None
        return None if found else f"there is no module `{self.module}`"

    def _get(self, tasks: Any, keys: Any, **keywords: Any) -> Any:
        raise NotImplementedError


class MobulaProcesses(Pool):
    """Mobula with worker processes."""

    module = "mobula._child"

    def start(self, workers: int) -> None:
        """Sets up the cluster; it is closed with all that is Mobula's."""
        mobula.init(workers="processes", num_workers=workers)

    def close(self) -> None:
        """Ends the cluster."""
        mobula.shutdown()

    def _get(self, tasks: Any, keys: Any, **keywords: Any) -> Any:
        return mobula.dask.get(tasks, keys, **{**keywords, "workers": "processes"})


class DaskProcesses(Pool):
    """Dask's processes. Without a pool it would start some for each `get`, so it gets one."""

    module = "dask.multiprocessing"
    pool: ProcessPoolExecutor
    workers: int

    def start(self, workers: int) -> None:
        """Makes the pool as Dask itself does."""
        # As Dask has it: texts are to have the same hash in all processes.
        os.environ.setdefault("PYTHONHASHSEED", "6640")
        self.workers = workers
        self.pool = ProcessPoolExecutor(
            workers,
            mp_context=dask.multiprocessing.get_context(),
            initializer=dask.multiprocessing.initialize_worker_process,
        )

    def mend(self) -> None:
        """A pool that lost a process is broken for good."""
        self.close()
        self.start(self.workers)

    def close(self) -> None:
        """Ends the pool."""
        self.pool.shutdown()

    def _get(self, tasks: Any, keys: Any, **keywords: Any) -> Any:
        return dask.multiprocessing.get(tasks, keys, pool=self.pool, **keywords)


class Distributed(Pool):
    """A cluster of the package distributed, on this machine."""

    module = "distributed"
    cluster: Any
    client: Any

    def start(self, workers: int) -> None:
        """Starts the cluster; it listens on the loopback device only."""
        from distributed import Client, LocalCluster

        self.cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.ERROR,
        )
        self.client = Client(self.cluster, set_as_default=False)

    def close(self) -> None:
        """Ends the cluster."""
        self.client.close()
        self.cluster.close()

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Dataframes look for a client, to shuffle by way of its workers."""
        with self.client.as_current(), dask.config.set(scheduler=self.get):
            yield

    def _get(self, tasks: Any, keys: Any, **keywords: Any) -> Any:
        return self.client.get(tasks, keys, **keywords)


class Ray(Pool):
    """Dask on Ray, on a Ray of this machine's own. It listens on all devices: so it is made."""

    module = "ray"

    def start(self, workers: int) -> None:
        """Starts Ray."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )

    def close(self) -> None:
        """Ends Ray."""
        import ray

        ray.shutdown()

    def chosen(self) -> AbstractContextManager[Any]:
        """As `enable_dask_on_ray` does, by the name that the setting has in this Dask."""
        return dask.config.set({"scheduler": self.get, "dataframe.shuffle.method": "tasks"})

    def _get(self, tasks: Any, keys: Any, **keywords: Any) -> Any:
        from ray.util.dask import ray_dask_get

        return ray_dask_get(tasks, keys, **keywords)


def _mobula_threads(tasks: Any, keys: Any, **keywords: Any) -> Any:
    return mobula.dask.get(tasks, keys, **{**keywords, "workers": "threads"})


MOBULA_PROCESSES = "mobula_processes"
DASK_PROCESSES = "dask_processes"
DISTRIBUTED = "distributed"
RAY = "ray"

SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject(SYNC, "`dask.local.get_sync`", dask.local.get_sync),
        Subject(THREADS, "`dask.threaded.get`, with as many threads as cores", dask.threaded.get),
        Subject(MOBULA, '`mobula.dask.get(..., workers="threads")`', _mobula_threads),
        MobulaProcesses(MOBULA_PROCESSES, '`mobula.dask.get(..., workers="processes")`'),
        DaskProcesses(DASK_PROCESSES, "`dask.multiprocessing.get(..., pool=...)`"),
        Distributed(
            DISTRIBUTED, "`Client.get` of a `LocalCluster` of processes with a thread each"
        ),
        Ray(RAY, "`ray.util.dask.ray_dask_get` on a local Ray"),
    )
}
POOLS = tuple(name for name, subject in SUBJECTS.items() if isinstance(subject, Pool))
