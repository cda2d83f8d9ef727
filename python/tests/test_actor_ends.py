"""How actors end: with their handles, by force, with the session and with the process."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref

import pytest
from children import until
from remotes import Log, run

import mobula
import mobula as ray
from mobula.exceptions import ActorDiedError


def ended(thread_name="mobula-actor"):
    """How many threads there are with that name."""
    count = 0
    for task in os.listdir("/proc/self/task"):
        # One may end just now.
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as name:
            count += name.read().strip() == thread_name
    return count


def test_a_killed_actor_breaks_the_calls_that_wait():
    begun, gate = threading.Event(), threading.Event()
    log = Log.remote()

    def hold():
        begun.set()
        gate.wait()

    running = log.call.remote(hold)
    begun.wait()
    waiting = [log.note.remote(number) for number in range(10)]
    blocked = log.note.remote(mobula.remote(gate.wait).remote())
    mobula.kill(log)
    for ref in [running, *waiting, blocked, log.read.remote()]:
        with pytest.raises(ActorDiedError, match="Log was killed"):
            ray.get(ref)
    assert repr(log) == "ActorHandle(Log, dead)"
    mobula.kill(log)
    gate.set()


def test_an_actor_ends_with_its_last_handle_after_its_calls():
    class Thing:
        pass

    thing, gone = Thing(), threading.Event()
    weakref.finalize(thing, gone.set)
    gate, notes = threading.Event(), []
    log = Log.remote(thing)
    del thing
    log.wait.remote(gate)
    last = log.call.remote(notes.append, "done")
    del log
    assert notes == []
    gate.set()
    ray.get(last)
    assert notes == ["done"]
    assert gone.wait(30)


def test_the_thread_of_an_actor_ends_with_it():
    class Told:
        def __init__(self, event):
            self.event = event

        def __del__(self):
            self.event.set()

    local = threading.local()
    events = [threading.Event() for _ in range(20)]

    def look(event):
        local.told = Told(event)

    logs = [Log.remote() for _ in events]
    ray.get([log.call.remote(look, event) for log, event in zip(logs, events, strict=True)])
    # What belongs to a thread stays from one call to the next.
    assert not any(event.is_set() for event in events)
    mobula.kill(logs[0])
    del logs
    assert all(event.wait(30) for event in events)


def test_a_method_alone_keeps_its_actor():
    note = Log.remote().note
    assert ray.get(note.remote(1)) == 1


def test_calls_in_thousands_from_tasks_and_threads_leave_no_threads():
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("threads are counted by /proc")
    for _ in range(30):
        log = Log.remote()
        ray.get(log.note.remote(1))
        del log
    mobula.shutdown()
    # The last ones were told, and end in their own time.
    until(lambda: ended() == 0)


def test_the_end_of_the_session_ends_the_actors():
    program = """
import threading, mobula
from mobula.exceptions import ActorDiedError
@mobula.remote
class Counter:
    def __init__(self): self.n = 0
    def add(self):
        self.n += 1
        return self.n
counter = Counter.options(name="counter").remote()
print(mobula.get(counter.add.remote()))
mobula.shutdown()
try:
    mobula.get(counter.add.remote())
except ActorDiedError as error:
    print(error)
try:
    mobula.get_actor("counter")
except ValueError:
    print("no name")
print(mobula.get(Counter.remote().add.remote()))
"""
    assert run(program) == "1\nthe actor Counter was ended by `shutdown`\nno name\n1\n"


@pytest.mark.parametrize("last", ["", "raise SystemExit", "mobula.shutdown()"])
def test_the_process_ends_with_actors_at_work(last):
    program = f"""
import asyncio, threading, mobula
@mobula.remote
class Worker:
    def work(self, begun):
        begun.set()
        return sum(range(1_000_000))
@mobula.remote
class Waiter:
    async def wait(self, begun):
        begun.set()
        await asyncio.Event().wait()
workers = [Worker.remote(), Worker.options(name="w").remote(), Waiter.remote()]
begun = [threading.Event() for _ in workers]
refs = [w.work.remote(b) for w, b in zip(workers[:2], begun) for _ in range(50)]
refs.append(workers[2].wait.remote(begun[2]))
for event in begun:
    event.wait()
futures = [ref.future() for ref in refs]
print("end", flush=True)
{last}
"""
    for _ in range(3):
        assert run(program) == "end\n"


def test_futures_hear_of_their_results_before_the_interpreter_ends():
    program = """
import threading, mobula
begun, gate = threading.Event(), threading.Event()
@mobula.remote
def work():
    begun.set()
    gate.wait()
future = work.remote().future()
def heard(future):
    # Longer than what is left of the process, if nobody waits for it.
    for _ in range(10_000_000): pass
    print(future.done(), flush=True)
future.add_done_callback(heard)
begun.wait()
gate.set()
"""
    assert run(program) == "True\n"


def test_an_actor_may_end_the_session():
    program = """
import mobula
@mobula.remote
class Ender:
    def end(self):
        mobula.shutdown()
ender = Ender.remote()
try:
    mobula.get(ender.end.remote())
except mobula.exceptions.ActorDiedError as error:
    print(error)
print(mobula.get(mobula.put(1)))
"""
    assert run(program) == "the actor Ender was ended by `shutdown`\n1\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_a_fork_actors_stay_with_the_parent():
    program = """
import os, warnings, mobula
warnings.simplefilter("ignore")
@mobula.remote
class Counter:
    def __init__(self): self.n = 0
    def add(self):
        self.n += 1
        return self.n
counter = Counter.options(name="counter").remote()
print(mobula.get(counter.add.remote()), flush=True)
child = os.fork()
if child == 0:
    try:
        mobula.get(counter.add.remote())
    except mobula.exceptions.ActorDiedError as error:
        print(error)
    try:
        mobula.get_actor("counter")
    except ValueError:
        print("no name")
    own = Counter.options(name="counter").remote()
    print(mobula.get(own.add.remote()), flush=True)
    del counter, own
    mobula.shutdown()
    os._exit(0)
_, status = os.waitpid(child, 0)
print(status, mobula.get(counter.add.remote()))
"""
    expected = "1\nthe actor Counter lives in the parent of this process\nno name\n1\n0 2\n"
    assert run(program) == expected
