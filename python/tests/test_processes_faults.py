"""Worker processes that die in the middle of a task: what is done again, and what is told."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import psutil
import pytest
from process_workers import (
    arrive,
    await_arrival,
    cluster,
    get,
    is_first_time,
    is_gone,
    kill_once,
    pipe,
    until,
    worker_pids,
)

import mobula
from mobula import _requests
from mobula.exceptions import TaskTimeoutError, WorkerLostError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def workers():
    with cluster(num_workers=2):
        yield


def by_signal(number):
    print("last words")
    os.kill(os.getpid(), number)


def by_exit(code):
    os.write(1, b"last words")
    os._exit(code)


def by_segfault():
    ctypes.string_at(0)


def by_abort():
    os.abort()


@pytest.mark.parametrize(
    "fatal, says, shows",
    [
        (partial(by_signal, signal.SIGKILL), "was ended by signal 9 (SIGKILL)", "last words"),
        (partial(by_exit, 3), "ended with exit code 3", "last words"),
        (partial(by_exit, 0), "ended with exit code 0", "last words"),
        # Python says where it was.
        (by_segfault, "was ended by signal 11 (SIGSEGV)", "in by_segfault"),
        (by_abort, "was ended by signal 6 (SIGABRT)", "in by_abort"),
    ],
    ids=["killed", "exit-3", "exit-0", "segfault", "abort"],
)
def test_a_task_that_kills_its_process_is_tried_three_times_and_all_is_told(
    tmp_path, fatal, says, shows
):
    attempts = tmp_path / "attempts"

    def deadly():
        with open(attempts, "a") as file:
            file.write(f"{os.getpid()}\n")
        fatal()

    with pytest.raises(WorkerLostError) as raised:
        get({("deadly", 7): (deadly,), "next": (abs, ("deadly", 7))}, "next")
    text = str(raised.value)
    assert "('deadly', 7)" in text and says in text
    assert "3 attempts" in text
    assert re.search(r"peak memory [1-9]\d* MiB", text)
    assert shows in text
    pids = attempts.read_text().split()
    assert len(set(pids)) == len(pids) == 3
    assert pids[-1] in text


@pytest.mark.parametrize("fatal", [by_segfault, by_abort, partial(by_exit, 1)], ids=repr)
def test_a_task_that_kills_its_process_once_is_done_by_another(tmp_path, fatal):
    def deadly_once():
        if is_first_time(tmp_path / "mark"):
            fatal()
        return os.getpid()

    assert get({"x": (deadly_once,)}, "x") in worker_pids()


def test_a_process_that_dies_in_a_task_is_replaced_before_it_is_needed(tmp_path):
    # Whoever tries the task again: the worker whose process it was, or the other one.
    for number in range(12):
        graph = {("x", other): (time.sleep, 0.002) for other in range(30)}
        graph["deadly"] = (kill_once, str(tmp_path / str(number)))
        get(graph, list(graph))
        until(lambda: len(worker_pids()) == 2, seconds=5)


def test_tasks_of_others_are_not_lost_and_each_is_done_once_more_at_most(tmp_path):
    graph = {("x", number): (abs, -number) for number in range(400)}
    graph["deadly"] = (kill_once, tmp_path / "mark", 5)
    graph["all"] = (sum, ["deadly", *graph])
    assert get(graph, "all") == 400 * 399 // 2 + 5 + 5


def test_a_task_that_always_dies_fails_its_run_and_no_other(tmp_path):
    def count(number):
        with open(tmp_path / str(number), "a") as file:
            file.write("x")
        return number

    graph = {("x", number): (count, number) for number in range(50)}
    graph["deadly"] = (os._exit, 3)
    with pytest.raises(WorkerLostError, match="'deadly'"):
        get(graph, list(graph))
    # Somebody may have been in the same process, one attempt for each that died there.
    assert all(len(file.read_text()) <= 4 for file in tmp_path.iterdir())
    assert get({"x": (len, "abc")}, "x") == 3


def test_an_exception_of_a_task_costs_no_process():
    def fails():
        raise LookupError("inner", 7)

    before = worker_pids()

    with pytest.raises(LookupError) as raised:
        get({"x": (fails,)}, "x")
    assert raised.value.args == ("inner", 7)
    assert raised.traceback[-1].name == "fails"
    assert set(before) <= set(worker_pids())


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_an_exception_that_ends_programs_ends_no_worker(ending):
    def ends():
        raise ending

    get({"x": (len, "abc")}, "x")
    before = worker_pids()

    with pytest.raises(type(ending)):
        get({"x": (ends,)}, "x")
    assert set(before) <= set(worker_pids())


def test_a_task_that_gets_no_memory_fails_with_memory_error():
    before = worker_pids()

    def greedy():
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), hard))
        try:
            return bytearray(1 << 30)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    with pytest.raises(MemoryError):
        get({"x": (greedy,)}, "x")
    assert set(before) <= set(worker_pids())


@pytest.mark.parametrize("size", [10, 1 << 20], ids=["small", "large"])
def test_what_stayed_in_a_dead_process_is_made_again(tmp_path, size):
    made = tmp_path / "made"

    def make():
        with open(made, "a") as file:
            file.write("x")
        return np.arange(size)

    def add_one(array):
        return array + 1

    def last(array):
        return kill_once(tmp_path / "mark", array)

    graph = {"a": (make,), "b": (add_one, "a"), "c": (last, "b"), "d": (add_one, "c")}
    assert np.array_equal(get(graph, "d"), np.arange(size) + 2)
    assert made.read_text() in ("x", "xx")


def test_a_generator_that_stayed_in_a_dead_process_is_made_again(tmp_path):
    def numbers():
        yield from range(5)

    def consume(values):
        first = next(values)
        kill_once(tmp_path / "mark")
        return [first, *values]

    assert get({"x": (numbers,), "y": (consume, "x")}, "y") == [0, 1, 2, 3, 4]


def test_a_process_that_is_killed_while_idle_is_replaced():
    for _ in range(3):
        # The one that the test before has killed is replaced in its own time.
        until(lambda: len(worker_pids()) == 2)
        before = worker_pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
            until(partial(is_gone, pid))
        graph = {("x", number): (os.getpid,) for number in range(100)}
        pids = set(get(graph, list(graph)))
        assert not pids & set(before)
        until(lambda: len(worker_pids()) == 2)


def test_a_process_that_is_killed_from_outside_in_a_task_is_replaced(tmp_path):
    there = pipe(tmp_path / "there")

    def task():
        if is_first_time(tmp_path / "mark"):
            arrive(there, os.getpid())
            signal.pause()
        return "again"

    results = []
    run = threading.Thread(target=lambda: results.append(get({"x": (task,)}, "x")))
    run.start()
    os.kill(int(await_arrival(there)), signal.SIGKILL)
    run.join()
    assert results == ["again"]


def test_a_process_that_is_killed_while_it_asks_gives_back_what_it_was_lent(tmp_path):
    mark = tmp_path / "mark"

    @mobula.remote
    class Gate:
        def wait(self, pid):
            os.kill(pid, signal.SIGKILL)
            return pid

        def say(self):
            return "said"

    gate = Gate.remote()

    def task():
        kept = [mobula.put(number) for number in range(3)]
        if is_first_time(mark):
            mobula.get(gate.wait.remote(os.getpid()))
        return mobula.get(kept), mobula.get(gate.say.remote())

    assert get({"x": (task,)}, "x") == ([0, 1, 2], "said")

    def nothing_is_lent():
        # Each process forgets a run when it hears of the next.
        graph = {("x", number): (len, "abc") for number in range(50)}
        get(graph, list(graph))
        return _requests.number_of_lent() == 0

    until(nothing_is_lent)


def test_the_start_of_a_process_is_no_time_of_its_first_task():
    for pid in worker_pids():
        os.kill(pid, signal.SIGKILL)
        until(partial(is_gone, pid))
    # Python alone takes longer to start.
    assert get({"x": (len, "abc")}, "x", time_limit=0.02) == 3


def test_a_task_over_its_time_limit_is_ended_with_its_process(tmp_path):
    process = tmp_path / "process"
    get({("x", number): (os.getpid,) for number in range(50)}, ("x", 0))

    def endless():
        process.write_text(str(os.getpid()))
        while True:
            pass

    with pytest.raises(TaskTimeoutError, match="'x'"):
        get({"x": (endless,)}, "x", time_limit=2)
    assert is_gone(int(process.read_text()))
    assert get({"x": (len, "abc")}, "x") == 3


def test_who_is_in_a_process_that_is_ended_because_of_another_task_loses_no_attempt():
    """It waits in a call; in the same process others take longer than they may, again and again."""
    opens, begun = threading.Event(), []

    @mobula.remote
    class Gate:
        async def wait(self, who):
            begun.append(who)
            while not opens.is_set():
                await asyncio.sleep(0.005)
            return "open"

    gate = Gate.remote()

    def waits(who):
        return mobula.get(gate.wait.remote(who))

    with ThreadPoolExecutor() as pool:
        patient = pool.submit(get, {"patient": (waits, "one")}, "patient", num_workers=1)
        for attempt in range(4):
            until(lambda attempt=attempt: begun.count("one") > attempt)
            with pytest.raises(TaskTimeoutError):
                get({"hasty": (waits, "other")}, "hasty", num_workers=1, time_limit=0.2)
        opens.set()
        assert patient.result(30) == "open"
