"""What the tests of worker processes have in common.

The functions are called by tasks in worker processes, which import this module. Nothing sleeps to wait: a
task and its test meet at a named pipe (`arrive`, `await_arrival`), and what the system does in its own time
is looked for again and again until it has come about (`until`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil

import mobula
import mobula.dask

__all__ = [
    "arrive",
    "await_arrival",
    "cluster",
    "finish",
    "get",
    "is_first_time",
    "kill_once",
    "pipe",
    "start",
    "until",
    "worker_pids",
]


def get(graph, keys, **settings):
    """The values of keys, made in worker processes."""
    return mobula.dask.get(graph, keys, workers="processes", **settings)


@contextlib.contextmanager
def cluster(num_workers=2, **settings):
    """Worker processes with these settings, as long as this is a context."""
    mobula.shutdown()
    mobula.init(workers="processes", num_workers=num_workers, **settings)
    until(lambda: len(worker_pids()) == num_workers)
    try:
        yield
    finally:
        mobula.shutdown()


def worker_pids(parent=None):
    """The process ids of the worker processes of this process, or of another one."""
    found = []
    for process in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and "mobula._child" in process.cmdline():
                found.append(process.pid)
    return sorted(found)


def is_gone(pid):
    """Tell whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(condition, seconds=30):
    """Wait for something that comes about by itself; answers how many seconds that took."""
    began = time.monotonic()
    while not (met := condition()):
        assert time.monotonic() - began < seconds, f"{condition} is still {met}"
        time.sleep(0.005)
    return time.monotonic() - began


def pipe(path):
    """A named pipe, at which a task and its test meet."""
    os.mkfifo(path)
    return str(path)


def arrive(path, word=""):
    """Wait for somebody who awaits this at the pipe, and hand him a word."""
    with open(path, "w") as file:
        file.write(str(word))


def await_arrival(path):
    """Wait for somebody to arrive at the pipe; answers his word."""
    with open(path) as file:
        return file.read()


def is_first_time(mark):
    """True for the first who asks, in whatever process, with this path."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def kill_once(mark, value=None):
    """End this process as if the system had, the first time; then answer the value."""
    if is_first_time(mark):
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def start(program, *arguments, **settings):
    """Begin to run a program, the text of a file of Python's."""
    tests = os.path.dirname(os.path.abspath(__file__))
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), tests]))
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **settings},
    )


def finish(process, code=0, timeout=60):
    """Wait for the end of a program; answers what it has written, output and errors."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        children = worker_pids(process.pid)
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs, with workers {children}:\n{out}\n{err}") from None
    assert process.returncode == code, err
    return out, err
