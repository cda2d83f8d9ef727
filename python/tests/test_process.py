"""Interrupts, forks and the end of the process, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks are of POSIX")


def start(program):
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process, code=0):
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
        pytest.fail(f"the process hangs: {err}")
    assert process.returncode == code, err
    return out


INTERRUPTED = """
import time, mobula.dask
def slow(number):
    print("running", flush=True)
    BODY
graph = {f"x{number}": (slow, number) for number in range(3000)}
try:
    mobula.dask.get(graph, list(graph))
except KeyboardInterrupt:
    print("interrupted", mobula.dask.get({"x": (len, "abc")}, "x"))
"""


@posix
@pytest.mark.parametrize("body", ["time.sleep(0.05)", "sum(range(300_000))"])
def test_an_interrupt_ends_the_run_and_leaves_everything_usable(body):
    process = start(INTERRUPTED.replace("BODY", body))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out = finish(process)
    assert "interrupted 3" in out
    # All tasks would take more than half a minute.
    assert time.monotonic() - began < 15


@posix
def test_a_child_process_starts_workers_of_its_own():
    program = """
import os, mobula.dask
graph = {"x": (len, "abc")}
assert mobula.dask.get(graph, "x") == 3
child = os.fork()
if child == 0:
    os._exit(mobula.dask.get(graph, "x") + 4)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert mobula.dask.get(graph, "x") == 3
"""
    finish(start(program))


@posix
def test_a_fork_in_the_middle_of_a_run():
    program = """
import os, threading, mobula.dask
started, go_on = threading.Event(), threading.Event()
def slow():
    started.set()
    assert go_on.wait(60)
    return 5
caller = threading.Thread(target=lambda: mobula.dask.get({"x": (slow,)}, "x"))
caller.start()
assert started.wait(60)
child = os.fork()
if child == 0:
    os._exit(mobula.dask.get({"x": (len, "abc")}, "x"))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
go_on.set()
caller.join()
"""
    finish(start(program))


def test_the_interpreter_ends_in_the_middle_of_a_run():
    program = """
import threading, time, mobula.dask
started = threading.Event()
def slow(number):
    started.set()
    time.sleep(0.01)
graph = {f"x{number}": (slow, number) for number in range(100_000)}
def call():
    try:
        mobula.dask.get(graph, list(graph))
    except Exception as error:
        print(type(error).__name__, flush=True)
threading.Thread(target=call, daemon=True).start()
assert started.wait(60)
"""
    finish(start(program))


def test_the_interpreter_ends_while_values_are_persisted():
    program = """
import dask, threading, mobula.dask
started = threading.Event()
def make(number):
    started.set()
    return bytearray(1 << 20)
kept = dask.persist(*[dask.delayed(make)(number) for number in range(500)], scheduler="mobula")
assert started.wait(60)
"""
    finish(start(program))


def test_importing_changes_nothing_but_the_name():
    program = """
import dask, dask.base
config = repr(dask.config.config)
names = set(dask.base.named_schedulers)
import mobula, mobula.dask
assert repr(dask.config.config) == config
assert set(dask.base.named_schedulers) - names == {"mobula"}
assert dask.base.get_scheduler() is None
assert not mobula.is_initialized()
"""
    finish(start(program))


@posix
def test_a_debugger_works_in_a_task():
    program = """
import mobula.dask
def task():
    value = 41
    breakpoint()
    return value + 1
print(mobula.dask.get_sync({"x": (task,)}, "x"))
"""
    process = subprocess.run(
        [sys.executable, "-c", program],
        input="p value * 2\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONBREAKPOINT": "pdb.set_trace"},
    )
    assert process.returncode == 0, process.stderr
    assert "82" in process.stdout
    assert process.stdout.strip().endswith("42")


@posix
def test_forks_while_other_threads_compute():
    program = """
import os, threading, mobula, mobula.dask
stop = threading.Event()
def compute():
    while not stop.is_set():
        assert mobula.dask.get({"x": (len, "abc")}, "x") == 3
        assert mobula.get(mobula.put(1)) == 1
threads = [threading.Thread(target=compute) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(30):
    child = os.fork()
    if child == 0:
        os._exit(mobula.dask.get({"x": (len, "abc")}, "x"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
stop.set()
for thread in threads:
    thread.join()
"""
    finish(start(program))


@posix
def test_a_child_does_not_wait_for_what_its_parent_makes():
    program = """
import dask, os, threading, mobula.dask
from mobula.exceptions import ClusterClosedError
go_on = threading.Event()
(pending,) = mobula.dask.persist(dask.delayed(go_on.wait)(60))
(ready,) = mobula.dask.persist(dask.delayed(len)("abc"))
assert ready.compute(scheduler="mobula") == 3
child = os.fork()
if child == 0:
    try:
        pending.compute(scheduler="mobula")
    except ClusterClosedError as error:
        assert "made in its parent" in str(error)
        os._exit(ready.compute(scheduler="mobula"))
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
go_on.set()
assert pending.compute(scheduler="mobula")
"""
    finish(start(program))
