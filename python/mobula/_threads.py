"""Threads that wait for something each: as many as there is to wait for at once, and used again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic

__all__ = ["Threads"]

Job = Callable[[], None]


class Threads:
    """Does jobs that may wait for each other, so none of them ever waits for a thread.

    The threads do not hold up the end of the process. A job must not raise.
    """

    #: So many threads stay when there is nothing to do.
    MOST_IDLE = 16

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        #: How many threads have nothing to do, less the jobs that they will find.
        self._idle = 0
        #: Replaced by `end`: threads of an earlier one end when they are done.
        self._era = object()

    def do(self, job: Job) -> None:
        """Have a job done; never waits for it, or for another one."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                self._jobs.put(job)
                return
            # In a list, as a thread keeps its arguments to the end.
            arguments = [job], self._era
            thread = threading.Thread(
                target=self._work, args=arguments, name=self._name, daemon=True
            )
            self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            with self._lock:
                self._threads.discard(thread)
            raise

    def _work(self, first: list[Job], era: object) -> None:
        job: Job | None = first.pop()
        while job is not None:
            job()
            job = None
            with self._lock:
                if self._era is not era or self._idle >= self.MOST_IDLE:
                    break
                self._idle += 1
            job = self._jobs.get()
        with self._lock:
            self._threads.discard(threading.current_thread())

    def end(self, timeout: float) -> None:
        """End the threads that have nothing to do, and wait so long for the others to get there.

        What is asked for later starts new ones.
        """
        with self._lock:
            for _ in range(self._idle):
                self._jobs.put(None)
            self._idle = 0
            self._era = object()
            self._threads, threads = set(), self._threads
        until = monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(until - monotonic(), 0))

    def __len__(self) -> int:
        """How many threads there are."""
        return len(self._threads)
