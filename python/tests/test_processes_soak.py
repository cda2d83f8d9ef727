"""Run after run in worker processes that die now and then: all values are right, and nothing grows.

``MOBULA_SOAK_RUNS`` says how many runs; ``make soak`` makes two thousand.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
from operator import add

import numpy as np
import psutil
import pytest
from process_workers import cluster, get, until, worker_pids

import mobula
from mobula import _requests
from mobula.exceptions import TaskTimeoutError

RUNS = int(os.environ.get("MOBULA_SOAK_RUNS", "300"))
#: Of so many runs one loses a process, as a rule.
RARELY = 20
SIZE = 40_000

pytestmark = [
    pytest.mark.timeout(60 + RUNS // 4),
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
]


@mobula.remote
class Counter:
    def __init__(self):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count


def make(number):
    return np.full(SIZE, number)


def halves(array):
    return (half for half in (array[: SIZE // 2], array[SIZE // 2 :]))


def total(generator):
    return sum(int(half.sum()) for half in generator)


def ask(counter):
    return mobula.get(counter.add.remote(1)) > 0


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(pid, value):
    """End the process, if it is this one."""
    if pid == os.getpid():
        die()
    return value


def fail_beside():
    raise LookupError("as it should")


def leave_a_program_behind(victim):
    """Start a program, and end this process once."""
    if victim == os.getpid():
        subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
        die()


def spin():
    while True:
        pass


def break_off(number, kind, victim):
    """Run a graph that does not come to its end, or hardly; arrays are under way when it breaks off."""
    graph = {("array", n): (make, number + n) for n in range(6)}
    graph |= {("half", n): (add, ("array", n), 1) for n in range(6)}
    if kind == "fails":
        graph["bad"] = (fail_beside,)
        with pytest.raises(LookupError, match="as it should"):
            get(graph, ["bad", *graph])
    elif kind == "limit":
        graph["bad"] = (spin,)
        with pytest.raises(TaskTimeoutError):
            get(graph, ["bad", *graph], time_limit=0.3)
    else:
        graph["bad"] = (leave_a_program_behind, victim)
        get(graph, ["bad", *graph])


def graph_of(number, victim, counter):
    """A graph with values of all kinds, and what it must come to."""
    graph = {
        "large": (make, number),
        "a": (add, "large", 1),
        "b": (add, "large", 2),
        "c": (add, "a", "b"),
        "halves": (halves, "c"),
        "total": (total, "halves"),
        "asks": (ask, counter),
    }
    graph |= {("small", n): (die_once, victim, n) for n in range(20)}
    graph["sum"] = (sum, [key for key in graph if key[0] == "small"])
    return graph, (SIZE * (2 * number + 3), True, 190)


def memory_of(pid):
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.NoSuchProcess:
        return 0


class State:
    """What this process and its workers hold."""

    def __init__(self):
        # What is over is forgotten when there is something new to do, and then in the time that it takes.
        graph = {("x", number): (abs, number) for number in range(50)}
        get(graph, list(graph))
        gc.collect()
        pids = [os.getpid(), *worker_pids()]
        self.files = len(os.listdir("/proc/self/fd"))
        self.children = psutil.Process().children(recursive=True)
        self.lent = _requests.number_of_lent()
        self.threads = len(os.listdir("/proc/self/task"))
        self.python_threads = threading.active_count()
        self.memory = psutil.Process().memory_info().rss
        self.memory_of_workers = sum(map(memory_of, worker_pids()))
        self.most_files = max(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)

    def is_as_before(self, before):
        """Tell whether there is no more than before, but for what comes and goes."""
        return (
            self.files <= before.files + 5
            and len(self.children) <= len(before.children)
            and self.lent <= before.lent
            and self.threads <= before.threads + 4
            and self.python_threads <= before.python_threads + 4
            and self.memory <= before.memory + (40 << 20)
            # A new process has less than one that has done something.
            and self.memory_of_workers <= before.memory_of_workers + (80 << 20)
            and self.most_files <= 1000
        )


def test_run_after_run_with_processes_that_die_is_right_and_nothing_grows():
    chance = random.Random(5)
    with cluster(num_workers=2):
        counter = Counter.remote()

        def run(number):
            pids = worker_pids()
            victim = chance.choice(pids) if pids and chance.randrange(RARELY) == 0 else 0
            if victim and chance.random() < 0.3:
                # Whatever it is doing; it may be idle.
                os.kill(victim, signal.SIGKILL)
                victim = 0
            if number % 5 == 0:
                kind = "limit" if number % 100 == 0 else "program" if number % 50 == 0 else "fails"
                break_off(number, kind, chance.choice(worker_pids() or [0]))
            graph, expected = graph_of(number, victim, counter)
            assert get(graph, ["total", "asks", "sum"]) == expected

        for number in range(RUNS // 3):
            run(number)
        before = State()
        for number in range(RUNS // 3, RUNS):
            run(number)
        states = []

        def is_as_before():
            states.append(State())
            return states[-1].is_as_before(before)

        try:
            until(is_as_before, seconds=20)
        except AssertionError:
            pytest.fail(f"{vars(states[-1])} instead of {vars(before)}")
        pids = worker_pids()
    assert not any(map(psutil.pid_exists, pids))
