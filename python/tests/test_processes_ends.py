"""Interrupts, forks and the end of the parent: no worker process is left, and what can go on goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import psutil
import pytest
from process_workers import finish, is_gone, start, until

pytestmark = pytest.mark.timeout(90)

BEGIN = """
import dask, itertools, os, signal, sys, threading, time
import mobula, mobula.dask
from process_workers import arrive, await_arrival, cluster, get, is_gone, until, worker_pids
mobula.init(workers="processes", num_workers=2)
until(lambda: len(worker_pids()) == 2)
"""

#: What a task may do for long. The last one keeps the interpreter's lock.
BUSY = {
    "sleeps": "time.sleep(600)",
    "computes": "while True: pass",
    "holds-the-lock": "sum(itertools.repeat(1))",
}
busy = pytest.mark.parametrize("body", BUSY.values(), ids=BUSY)


def words(process):
    """The next line of a program, in words."""
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return line.split()


def pids_of(process):
    return [int(word) for word in words(process)]


@pytest.fixture
def begin():
    """Starts programs, and sees to it that nothing is left of them after a test that failed."""
    begun = []

    def begin(program, *arguments, **settings):
        process = start(BEGIN + program, *arguments, **settings)
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


@busy
def test_processes_end_within_a_second_after_their_parent_was_killed(begin, body):
    process = begin(f"""
def task():
    print("begun", flush=True)
    {body}
run = threading.Thread(target=get, args=({{"x": (task,)}}, "x"))
run.start()
print(*worker_pids(), flush=True)
run.join()
""")
    pids = pids_of(process)
    assert len(pids) == 2
    assert "begun" in words(process)
    process.kill()
    process.wait()
    for pid in pids:
        assert until(lambda pid=pid: is_gone(pid)) < 1.5


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_end_after_their_parent_though_a_process_of_it_lives_on(begin, method):
    process = begin(f"""
import multiprocessing
get({{"x": (len, "abc")}}, "x")
def lives_on():
    import signal
    signal.pause()
other = multiprocessing.get_context("{method}").Process(target=signal.pause)
other.start()
print(other.pid, *worker_pids(), flush=True)
other.join()
""")
    other, *pids = pids_of(process)
    try:
        process.kill()
        process.wait()
        assert len(pids) == 2
        for pid in pids:
            assert until(lambda pid=pid: is_gone(pid)) < 1.5
        assert not is_gone(other)
    finally:
        os.kill(other, signal.SIGKILL)


def test_processes_end_that_had_hardly_begun_when_their_parent_died(begin):
    process = begin("""
mobula.shutdown()
mobula.init(workers="processes", num_workers=2)
until(lambda: len(worker_pids()) == 2)
other = os.fork()
if other == 0:
    signal.pause()
print(other, *worker_pids(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
""")
    other, *pids = pids_of(process)
    try:
        process.wait()
        for pid in pids:
            until(lambda pid=pid: is_gone(pid), seconds=10)
    finally:
        os.kill(other, signal.SIGKILL)


@busy
def test_processes_end_with_the_interpreter_in_the_middle_of_a_run(begin, body):
    process = begin(f"""
def task():
    print("begun", flush=True)
    {body}
def compute():
    try:
        get({{"x": (task,)}}, "x")
    except Exception:
        pass
threading.Thread(target=compute, daemon=True).start()
print(*worker_pids(), flush=True)
sys.stdin.readline()
""")
    pids = pids_of(process)
    assert "begun" in words(process)
    # What it waits for is the end of its input.
    finish(process)
    assert all(map(is_gone, pids))


INTERRUPTED = """
mobula.shutdown()
mobula.init(workers="processes", num_workers=1)
until(lambda: len(worker_pids()) == 1)
before = worker_pids()
def hear(*signal_and_frame):
    print("heard", flush=True)
    signal.default_int_handler(*signal_and_frame)
signal.signal(signal.SIGINT, hear)
def task(number):
    try:
        print("begun", flush=True)
        BODY
    except KeyboardInterrupt:
        print("the task was interrupted", flush=True)
        raise
graph = {("x", number): (task, number) for number in range(1000)}
try:
    get(graph, list(graph))
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("the run was interrupted", flush=True)
print("then", get({"x": (len, "abc")}, "x"), "same", before == worker_pids())
mobula.shutdown()
print("left", *worker_pids())
"""


def heard(process, word):
    """Read what a program says until it says a word."""
    while word not in words(process):
        pass


@pytest.mark.parametrize(
    "body", ["time.sleep(600)", "while True: pass"], ids=["sleeps", "computes"]
)
def test_an_interrupt_ends_the_run_and_its_tasks_and_no_process(begin, body):
    process = begin(INTERRUPTED.replace("BODY", body))
    heard(process, "begun")
    process.send_signal(signal.SIGINT)
    out, _ = finish(process)
    assert "the run was interrupted" in out
    assert "the task was interrupted" in out
    assert "then 3 same True\nleft\n" in out


#: (An interrupt between a `while True` and its `pass` is none that is raised inside of the `try`.)
STUBBORN = {
    "catches": """
        while True:
            try:
                while True:
                    sum(range(1000))
            except KeyboardInterrupt:
                pass""",
    "holds-the-lock": "sum(itertools.repeat(1))",
}
stubborn = pytest.mark.parametrize("body", STUBBORN.values(), ids=STUBBORN)


@stubborn
def test_a_second_interrupt_ends_the_process_that_the_first_has_not_moved(begin, body):
    process = begin(INTERRUPTED.replace("BODY", body.strip()))
    heard(process, "begun")
    process.send_signal(signal.SIGINT)
    heard(process, "heard")
    began = time.monotonic()
    over = threading.Event()

    def interrupt():
        # One that comes before the first one has left its handler does not count.
        while not over.wait(0.1):
            process.send_signal(signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    heard(process, "interrupted")
    over.set()
    # Without a second one it takes three seconds.
    assert time.monotonic() - began < 2
    interrupting.join()
    out, _ = finish(process)
    assert out == "then 3 same False\nleft\n"


@stubborn
def test_a_process_that_an_interrupt_does_not_move_is_ended_after_a_while(begin, body):
    process = begin(INTERRUPTED.replace("BODY", body.strip()))
    heard(process, "begun")
    process.send_signal(signal.SIGINT)
    out, _ = finish(process)
    assert out == "heard\nthe run was interrupted\nthen 3 same False\nleft\n"


@pytest.mark.parametrize(
    "deafen",
    [
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})",
    ],
    ids=["ignored", "blocked"],
)
def test_tasks_are_broken_off_although_their_program_takes_no_interrupts(begin, deafen, tmp_path):
    process = begin(
        """
mobula.shutdown()
DEAFEN
mobula.init(workers="processes", num_workers=2)
until(lambda: len(worker_pids()) == 2)
before = worker_pids()
begun, interrupted = sys.argv[1:]
def sleeps():
    try:
        open(begun, "w").close()
        time.sleep(600)
    except KeyboardInterrupt:
        open(interrupted, "w").close()
        raise
def fails():
    until(lambda: os.path.exists(begun))
    raise ValueError("that is enough")
try:
    get({"x": (sleeps,), "y": (fails,)}, ["x", "y"])
except ValueError:
    until(lambda: os.path.exists(interrupted))
print("then", get({"x": (len, "abc")}, "x"), "same", before == worker_pids())
""".replace("DEAFEN", deafen),
        tmp_path / "begun",
        tmp_path / "interrupted",
    )
    out, _ = finish(process)
    assert out == "then 3 same True\n"


def test_a_fork_of_the_parent_computes_by_its_own_and_leaves_its_processes_alone(begin):
    process = begin("""
assert get({"x": (len, "abc")}, "x") == 3
warm = worker_pids()
child = os.fork()
if child == 0:
    pids = set(get({("x", n): (os.getpid,) for n in range(20)}, [("x", n) for n in range(20)]))
    assert not pids & {os.getpid(), os.getppid(), *warm}
    own = worker_pids()
    mobula.shutdown()
    os._exit(7 if all(map(is_gone, own)) else 8)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert worker_pids() == warm
assert get({"x": (os.getpid,)}, "x") in warm
""")
    finish(process)


def test_a_fork_in_a_task_can_end(begin):
    process = begin("""
def forks():
    child = os.fork()
    if child == 0:
        os._exit(5)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(get({"x": (forks,)}, "x"))
""")
    out, _ = finish(process)
    assert out == "5\n"


def test_subprocesses_and_multiprocessing_work_in_tasks(begin):
    process = begin("""
import subprocess
def calls():
    return subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, text=True).stdout
print(get({"x": (calls,)}, "x").strip())
""")
    out, _ = finish(process)
    assert out == "7\n"


def test_shutdown_leaves_no_process_no_thread_and_no_file(begin):
    process = begin("""
mobula.shutdown()
def state():
    threads = set(os.listdir("/proc/self/task"))
    return threads, len(os.listdir("/proc/self/fd"))
def cycle():
    mobula.init(workers="processes", num_workers=2)
    graph = {("x", n): (bytes, 100_000) for n in range(20)}
    assert len(get(graph, list(graph))) == 20
    pids = worker_pids()
    mobula.shutdown()
    assert all(map(is_gone, pids)), pids
cycle()
threads, files = state()
for _ in range(3):
    cycle()
until(lambda: len(state()[0]) <= len(threads))
assert state()[1] <= files, (files, state()[1])
""")
    finish(process)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_process_that_dies_takes_its_own_subprocesses_with_it(begin, tmp_path):
    process = begin(
        """
import subprocess
from process_workers import is_first_time
def deadly():
    child = subprocess.Popen(["sleep", "600"])
    with open(sys.argv[1], "a") as file:
        file.write(f"{child.pid}\\n")
    while True:
        pass
try:
    get({"x": (deadly,)}, "x", time_limit=1)
except TimeoutError:
    print("over")
pids = [int(pid) for pid in open(sys.argv[1]).read().split()]
import time
for _ in range(500):  # The system ends them when it comes to it.
    if all(map(is_gone, pids)):
        break
    time.sleep(0.01)
print(all(map(is_gone, pids)))
""",
        tmp_path / "pids",
    )
    out, _ = finish(process)
    assert out == "over\nTrue\n"
