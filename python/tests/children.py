"""A worker process for tests: calls that are made in it, and what it asks of its parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future
from functools import partial

import mobula.dask
from mobula import _messages, _requests

__all__ = ["Child", "until"]


def until(condition):
    """Wait for something that comes about by itself."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class Child:
    """The only worker process of a cluster, as long as this is a context."""

    def __init__(self):
        #: The operations of all questions, in order.
        self.asked = []

    def call(self, function, *arguments):
        """Call a function in the process, as the task of a run, and wait for its result."""
        graph = {"task": (partial(function, *arguments),)}
        return mobula.dask.get(graph, "task", workers="processes", num_workers=1)

    def begin(self, function, *arguments):
        """Have the process call a function; answers a future."""
        future = Future()

        def call():
            try:
                future.set_result(self.call(function, *arguments))
            except BaseException as raised:
                future.set_exception(raised)

        threading.Thread(target=call).start()
        return future

    @property
    def pid(self):
        return self.call(os.getpid)

    def signal(self, pid, number=signal.SIGKILL):
        os.kill(pid, number)

    def __enter__(self):
        handle = _requests.handle

        def listen(payload, answer, process):
            self.asked.append(_messages.Question.from_bytes(payload).operation)
            handle(payload, answer, process)

        self._handle, _requests.handle = handle, listen
        return self

    def __exit__(self, *_):
        _requests.handle = self._handle
